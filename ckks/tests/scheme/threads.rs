//! The same bytes for any number of threads and any kernel set.

use heron_ckks::{Ciphertext, Kernels};
use heron_params::{Level, Rotation};

use crate::fixture::{Diagonals, Fixture, INSECURE_SMALL_SCALE, INSECURE_WIDE_DIGITS};

/// Keys, ciphertexts and one of every operation, as bytes.
fn everything(set: &heron_params::ChainRequest, kernels: Kernels) -> Vec<u8> {
    let mut f = Fixture::with_kernels(set, &[1, 2, 4], 0, kernels);
    let x = f.values(1);
    let a = f.encrypt(&x, Level(4));
    let map = Diagonals::grid(f.slots(), 2, 1, &[0, 4], &[0, 1, 2]);
    let mut outputs: Vec<Ciphertext> = f.eval.linear_many_rescale(&[&a], &map).expect("keys");
    outputs.push(f.eval.square_rescale(&a).expect("keys"));
    outputs.push(f.eval.rescale(&f.eval.mul(&a, &a).expect("keys")).expect("a level"));
    outputs.push(f.eval.rotate(&a, Rotation(2)).expect("keys"));
    outputs.push(f.eval.drop_level(&a, Level(1)).expect("below"));
    outputs.push(f.eval.add_plain(&a, &x).expect("fits"));
    let mut bytes = Vec::new();
    outputs
        .iter()
        .for_each(|output| output.write_to(&mut bytes).expect("memory"));
    f.eval.keys().write_to(&mut bytes).expect("memory");
    bytes
}

fn on_threads<T: Send>(n: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(n)
        .build()
        .expect("threads")
        .install(work)
}

#[test]
fn one_two_and_three_threads_compute_the_same_bytes() {
    for set in [INSECURE_SMALL_SCALE, INSECURE_WIDE_DIGITS] {
        let one = on_threads(1, || everything(&set, Kernels::best()));
        for n in [2, 3] {
            assert!(
                on_threads(n, || everything(&set, Kernels::best())) == one,
                "{n} threads"
            );
        }
    }
}

#[test]
fn all_kernel_sets_compute_the_same_bytes() {
    let reference = everything(&INSECURE_SMALL_SCALE, Kernels::portable());
    for name in ["avx2", "ifma"] {
        match Kernels::named(name) {
            Ok(kernels) => assert!(everything(&INSECURE_SMALL_SCALE, kernels) == reference, "{name}"),
            Err(error) => println!("skipped: {error}"),
        }
    }
}
