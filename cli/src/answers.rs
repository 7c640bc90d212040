//! From outputs to answers, and how often they are right.

use heron_runtime::outputs::arg_max;
use serde::Serialize;

/// The class that a network's output names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Answer {
    /// Index of the largest output.
    pub(crate) class: usize,
    /// Its name, or the index where it has none.
    pub(crate) name: String,
    /// The largest output.
    pub(crate) value: f64,
}

impl Answer {
    /// The answer in a sample's outputs.
    pub(crate) fn of(outputs: &[f64], class_names: &[String]) -> Self {
        let class = arg_max(outputs);
        Self {
            class,
            name: class_name(class, class_names),
            value: outputs.get(class).copied().unwrap_or(f64::NAN),
        }
    }
}

/// What a class is called.
pub(crate) fn class_name(class: usize, class_names: &[String]) -> String {
    class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
}

/// The largest difference between two lists of samples.
pub(crate) fn largest_difference(left: &[Vec<f64>], right: &[Vec<f64>]) -> f64 {
    let pairs = left.iter().flatten().zip(right.iter().flatten());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The largest magnitude in a list of samples.
pub(crate) fn largest_magnitude(values: &[Vec<f64>]) -> f64 {
    values.iter().flatten().map(|x| x.abs()).fold(0.0, f64::max)
}

/// The class of every sample.
pub(crate) fn classes(outputs: &[Vec<f64>]) -> Vec<usize> {
    outputs.iter().map(|values| arg_max(values)).collect()
}

/// The fraction of samples whose classes are equal.
pub(crate) fn agreement(left: &[usize], right: &[usize]) -> f64 {
    let equal = left.iter().zip(right).filter(|(a, b)| a == b).count();
    equal as f64 / left.len().min(right.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_its_class_name_or_its_index() {
        let names = ["malignant".to_owned(), "benign".to_owned()];
        assert_eq!(Answer::of(&[0.1, 0.7], &names).name, "benign");
        assert_eq!(Answer::of(&[0.1, 0.7, 0.9], &names).name, "2");
    }

    #[test]
    fn agreement_counts_equal_classes() {
        assert_eq!(agreement(&[1, 2, 3, 4], &[1, 2, 0, 4]), 0.75);
        assert_eq!(largest_difference(&[vec![1.0, 2.0]], &[vec![1.5, 1.0]]), 1.0);
    }
}
