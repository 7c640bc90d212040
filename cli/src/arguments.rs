//! Values of options that are more than a word or a number.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use heron_compiler::approximate::{Distribution, FitOptions, Method, Smoothing, Targets};
use heron_compiler::options::ActivationRule;
use heron_plan::Normalization;
use heron_runtime::files::{FileError, Tensor, read_tensor};

/// An array in a file: `x.npy`, or `x.npz:member`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorRef {
    /// The file.
    pub(crate) path: PathBuf,
    /// The array in an `.npz` file; the only one where none is named.
    pub(crate) member: Option<String>,
}

impl TensorRef {
    /// A file that has one array.
    pub(crate) fn whole(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            member: None,
        }
    }

    /// Reads the array.
    ///
    /// # Errors
    /// What reading gives.
    pub(crate) fn read(&self) -> Result<Tensor, FileError> {
        read_tensor(&self.path, self.member.as_deref())
    }

    /// Reads samples of a shape: where one of the two is flat, or they differ by axes of length one only, the array is taken
    /// in that shape.
    ///
    /// # Errors
    /// What reading gives. Whether the shapes agree is for the reader of the samples to say.
    pub(crate) fn read_samples(&self, shape: &[usize]) -> Result<Tensor, FileError> {
        let mut tensor = self.read()?;
        let Some((&n, sample)) = tensor.shape.split_first() else {
            return Ok(tensor);
        };
        let elements = |shape: &[usize]| shape.iter().product::<usize>();
        let flat = sample.len() == 1 || shape.len() == 1;
        let long_axes = |shape: &[usize]| shape.iter().copied().filter(|&axis| axis != 1).collect::<Vec<_>>();
        if (flat || long_axes(sample) == long_axes(shape)) && !sample.is_empty() && elements(sample) == elements(shape)
        {
            tensor.shape = [&[n], shape].concat();
        }
        Ok(tensor)
    }
}

impl FromStr for TensorRef {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, member) = match text.rsplit_once(':') {
            Some((path, member)) if path.ends_with(".npz") => (path, Some(member.to_owned())),
            _ => (text, None),
        };
        Ok(Self {
            path: PathBuf::from(path),
            member,
        })
    }
}

impl fmt::Display for TensorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.member.iter().try_for_each(|member| write!(f, ":{member}"))
    }
}

/// A number of bytes: `4GiB`, `512MiB`, or a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteCount(pub(crate) u64);

/// Units of byte counts, and what they are shifted by.
const BYTE_UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];

impl FromStr for ByteCount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let suffixed = BYTE_UNITS
            .iter()
            .find_map(|&(unit, shift)| Some((text.strip_suffix(unit)?, shift)));
        let (digits, shift) = suffixed.unwrap_or((text, 0));
        let count: Option<u64> = digits.trim().parse().ok();
        let bytes = count.and_then(|count| count.checked_mul(1 << shift));
        bytes.map(Self).ok_or_else(|| "write 4GiB, 512MiB or 100".to_owned())
    }
}

impl fmt::Display for ByteCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = BYTE_UNITS
            .iter()
            .find(|(_, shift)| self.0 > 0 && self.0.trailing_zeros() >= *shift);
        match fitting {
            Some((unit, shift)) => write!(f, "{}{unit}", self.0 >> shift),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A normalization as numbers separated by commas: a scale, then means, then as many deviations.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NormalizeOption(pub(crate) Normalization);

impl FromStr for NormalizeOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |word: &str| word.trim().parse().map_err(|_| format!("`{word}` is not a number"));
        let numbers: Vec<f64> = text.split(',').map(number).collect::<Result<_, _>>()?;
        let [scale, rest @ ..] = numbers.as_slice() else {
            return Err("numbers are missing".to_owned());
        };
        if rest.is_empty() || rest.len() % 2 != 0 {
            return Err(
                "expected scale,mean,std, or scale, a mean for each channel, a std for each channel".to_owned(),
            );
        }
        let (mean, std) = rest.split_at(rest.len() / 2);
        if numbers.iter().any(|number| !number.is_finite()) || *scale == 0.0 || std.iter().any(|std| *std <= 0.0) {
            return Err("scale must not be 0, deviations must be positive, and all must be finite".to_owned());
        }
        Ok(Self(Normalization {
            scale: *scale,
            mean: mean.to_vec(),
            std: std.to_vec(),
        }))
    }
}

/// A node with the rule for its activation: `NODE=RULE`. Names may have equality signs, rules have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeRule(pub(crate) String, pub(crate) ActivationRule);

impl FromStr for NodeRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (node, rule) = text.rsplit_once('=').ok_or("expected NODE=RULE")?;
        Ok(Self(node.to_owned(), rule.parse()?))
    }
}

/// How coefficients are found.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Fit")]
pub(crate) struct FitArgs {
    /// least-squares, minimax, chebyshev or jackson
    #[arg(long, value_name = "METHOD", default_value_t = FitOptions::USUAL.method)]
    method: Method,
    /// Where errors count: empirical, gaussian or uniform
    #[arg(long, value_name = "DISTRIBUTION", default_value_t = FitOptions::USUAL.distribution)]
    distribution: Distribution,
    /// Smooth the function first: gaussian, logistic, box or epanechnikov, and a width in deviations
    #[arg(long, value_name = "KERNEL:WIDTH")]
    smooth: Option<Smoothing>,
    /// What layers are fitted to: exact, local or one-shot
    #[arg(long, value_name = "TARGETS", default_value_t = FitOptions::USUAL.targets)]
    targets: Targets,
}

impl FitArgs {
    /// What is right for most.
    pub(crate) const USUAL: Self = Self {
        method: FitOptions::USUAL.method,
        distribution: FitOptions::USUAL.distribution,
        smooth: FitOptions::USUAL.smoothing,
        targets: FitOptions::USUAL.targets,
    };

    /// As the compiler takes them.
    pub(crate) fn options(self) -> FitOptions {
        FitOptions {
            method: self.method,
            distribution: self.distribution,
            smoothing: self.smooth,
            targets: self.targets,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> TensorRef {
        let Ok(parsed) = text.parse();
        parsed
    }

    #[test]
    fn byte_counts_have_units_and_are_written_as_they_are_read() {
        for (text, bytes) in [
            ("4GiB", 4 << 30),
            ("512MiB", 512 << 20),
            ("3KiB", 3072),
            ("100", 100),
            ("0", 0),
        ] {
            let count: ByteCount = text.parse().expect("a byte count");
            assert_eq!((count.0, count.to_string().as_str()), (bytes, text));
        }
        for text in ["", "GiB", "-1", "1.5GiB", "4GB", "99999999999GiB"] {
            assert!(text.parse::<ByteCount>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_colon_names_an_array_of_an_npz_only() {
        assert_eq!(parse("data/x.npz:calib").member.as_deref(), Some("calib"));
        assert_eq!(parse("C:/x.npz").path, PathBuf::from("C:/x.npz"));
        assert_eq!(parse("odd:name.npy").member, None);
        assert_eq!(parse("data/x.npz:calib").to_string(), "data/x.npz:calib");
    }

    #[test]
    fn a_node_rule_is_split_at_the_last_equality_sign() {
        let parsed: NodeRule = "a=b=chebyshev:7".parse().expect("a rule");
        assert_eq!(
            parsed,
            NodeRule("a=b".to_owned(), ActivationRule::Chebyshev { degree: 7 })
        );
        assert!("relu".parse::<NodeRule>().is_err() && "relu=cubic".parse::<NodeRule>().is_err());
    }

    #[test]
    fn a_normalization_has_as_many_deviations_as_means() {
        let parsed: NormalizeOption = "0.5,1,2,3,4".parse().expect("two channels");
        assert_eq!(
            parsed.0,
            Normalization {
                scale: 0.5,
                mean: vec![1.0, 2.0],
                std: vec![3.0, 4.0]
            }
        );
        for wrong in ["", "1", "1,2", "1,2,3,4", "1,2,x", "0,1,1", "1,0,0", "1,nan,1"] {
            assert!(wrong.parse::<NormalizeOption>().is_err(), "{wrong}");
        }
    }
}
