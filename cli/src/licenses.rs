//! `heron --version --licenses`: the licences of what is inside and does not have that of the rest.

/// Asked for beside `--version`.
pub(crate) const FLAG: &str = "--licenses";

/// The licence of the crates, word for word.
const TFHE: &str = include_str!("../licenses/tfhe.txt");

/// What is printed.
pub(crate) fn text() -> String {
    if cfg!(feature = "tfhe") {
        format!(
            "\nheron: Apache-2.0\n\nThe machine for exact integers (feature `tfhe`) contains tfhe, tfhe-fft, tfhe-ntt, \
             tfhe-csprng,\ntfhe-versionable, tfhe-versionable-derive and tfhe-safe-serialize:\n\n{TFHE}"
        )
    } else {
        "\nheron: Apache-2.0; built without the feature `tfhe` and what comes with it\n".to_owned()
    }
}
