//! Fits as bytes, so that what was fitted before needs not be fitted again.
//!
//! Bytes are a digest, in hexadecimal digits, a line break, and a JSON list of fits. They come from a place that others may
//! write to: what does not fit the digest, the graph or itself is no fit, and the network is fitted as if there were none. A
//! wrong polynomial in right form is found where all wrong polynomials are: at the gates of `compile`.

use std::collections::BTreeMap;

use heron_plan::{Digest, Parity};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use crate::approximate::ApproximateOptions;
use crate::approximate::fit_layer::Form;
use crate::approximate::minimax::SignForm;
use crate::approximate::replacement::{Expansion, Replacement};
use crate::approximate::report::{ActivationReport, granularity_name};
use crate::approximate::sequence::Fitted;
use crate::calibrate::Samples;
use crate::graph::{Graph, Node, NodeId};
use crate::nn::{Chebyshev, Granularity, Op, Polynomial};

/// Part of every key. To be raised with every change after which the same options give other coefficients; a test in this
/// file has the digest of some fits, and fails then.
const FITS_VERSION: u32 = 1;

/// Terms of a polynomial that a plan may have.
const MOST_TERMS: usize = 256;

/// A place for fits, by the digest of what they were made from.
pub trait FitStore {
    /// What was kept under a key, if anything.
    fn load(&self, key: Digest) -> Option<Vec<u8>>;

    /// Keeps bytes under a key. Whether that succeeds is nobody's concern: the next time, the network is fitted again.
    fn keep(&self, key: Digest, bytes: &[u8]);
}

/// Keeps nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoStore;

impl FitStore for NoStore {
    fn load(&self, _: Digest) -> Option<Vec<u8>> {
        None
    }

    fn keep(&self, _: Digest, _: &[u8]) {}
}

/// A store, and the key of the network at hand.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) store: &'a dyn FitStore,
    pub(crate) key: Digest,
}

impl<'a> Stored<'a> {
    /// The key of a model, its calibration samples and the options of its fits.
    pub(crate) fn new(store: &'a dyn FitStore, model: &[u8], samples: &Samples, options: &ApproximateOptions) -> Self {
        let words = format!(
            "heron {} fits {FITS_VERSION} {} {:?} {} {options:?}",
            env!("CARGO_PKG_VERSION"),
            Digest::of(model),
            samples.shape(),
            Digest::of(&samples.to_bytes()),
        );
        Self {
            store,
            key: Digest::of(words.as_bytes()),
        }
    }

    /// The fits of a graph, if they were kept.
    pub(crate) fn load(self, graph: &Graph<Op>) -> Option<BTreeMap<NodeId, Fitted>> {
        decode(&self.store.load(self.key)?, graph)
    }

    /// Keeps fits.
    pub(crate) fn keep(self, fitted: &BTreeMap<NodeId, Fitted>) {
        if let Some(bytes) = encode(fitted) {
            self.store.keep(self.key, &bytes);
        }
    }
}

/// One activation's fit.
#[derive(Serialize, Deserialize)]
struct StoredFit {
    node: usize,
    polynomials: StoredPolynomials,
    report: ActivationReport,
}

/// A [`Replacement`] in lists of numbers.
#[derive(Serialize, Deserialize)]
enum StoredPolynomials {
    Power {
        granularity: String,
        form: Form,
        rows: Vec<Vec<f64>>,
    },
    Expansion {
        granularity: String,
        rows: Vec<Vec<f64>>,
        center: Vec<f64>,
        radius: Vec<f64>,
    },
    Composite {
        components: Vec<Vec<f64>>,
        bound: f64,
        offset: f64,
        factor: f64,
        by_operand: bool,
    },
}

/// Fits as bytes; none if a report has a number that JSON has not.
fn encode(fitted: &BTreeMap<NodeId, Fitted>) -> Option<Vec<u8>> {
    let store = |(id, fitted): (&NodeId, &Fitted)| StoredFit {
        node: id.index(),
        polynomials: StoredPolynomials::of(&fitted.replacement),
        report: fitted.report.clone(),
    };
    let json = serde_json::to_string(&fitted.iter().map(store).collect::<Vec<_>>()).ok()?;
    Some(format!("{}\n{json}", Digest::of(json.as_bytes())).into_bytes())
}

/// The fits of a graph; none if the bytes are not exactly that.
fn decode(bytes: &[u8], graph: &Graph<Op>) -> Option<BTreeMap<NodeId, Fitted>> {
    let (digest, json) = std::str::from_utf8(bytes).ok()?.split_once('\n')?;
    if digest != Digest::of(json.as_bytes()).to_string() {
        return None;
    }
    let fits: Vec<StoredFit> = serde_json::from_str(json).ok()?;
    let open = graph
        .iter()
        .filter(|(_, node)| matches!(node.op, Op::Activation(_) | Op::Polynomial(_)));
    let open: Vec<(NodeId, &Node<Op>)> = open.collect();
    if open.len() != fits.len() {
        return None;
    }
    let pairs = open.into_iter().zip(fits);
    pairs
        .map(|((id, node), fit)| {
            let matches = fit.node == id.index() && fit.report.node == node.name;
            let replacement = fit.polynomials.restore(&node.shape).filter(|_| matches)?;
            Some((
                id,
                Fitted {
                    replacement,
                    report: fit.report,
                },
            ))
        })
        .collect()
}

impl StoredPolynomials {
    fn of(replacement: &Replacement) -> Self {
        let rows = |c: ndarray::ArrayView2<'_, f64>| c.rows().into_iter().map(|row| row.to_vec()).collect();
        match replacement {
            Replacement::Power(polynomial, form) => Self::Power {
                granularity: granularity_name(polynomial.granularity).to_owned(),
                form: *form,
                rows: rows(polynomial.coefficients.view()),
            },
            Replacement::Expansion(expansion) => Self::Expansion {
                granularity: granularity_name(expansion.polynomial.granularity).to_owned(),
                rows: rows(expansion.polynomial.coefficients.view()),
                center: expansion.center.to_vec(),
                radius: expansion.radius.to_vec(),
            },
            Replacement::Composite(form) => Self::Composite {
                components: form.components.clone(),
                bound: form.bound,
                offset: form.offset,
                factor: form.factor,
                by_operand: form.by_operand,
            },
        }
    }

    /// What stands for an activation of a shape, if it is sound.
    fn restore(self, shape: &[usize]) -> Option<Replacement> {
        match self {
            Self::Power {
                granularity,
                form,
                rows,
            } => {
                let (granularity, coefficients) = table(&granularity, &rows, shape)?;
                let sound = match form {
                    Form::Linear | Form::Products => true,
                    Form::Folded | Form::TwoLevel => coefficients.ncols() == 3,
                    Form::Chebyshev | Form::Composite => false,
                };
                let polynomial = Polynomial {
                    granularity,
                    coefficients: coefficients.into_shared(),
                };
                sound.then_some(Replacement::Power(polynomial, form))
            }
            Self::Expansion {
                granularity,
                rows,
                center,
                radius,
            } => {
                let (granularity, coefficients) = table(&granularity, &rows, shape)?;
                let n = coefficients.nrows();
                let sound = center.len() == n && radius.len() == n && radius.iter().all(|&r| r > 0.0);
                sound.then(|| {
                    Replacement::Expansion(Expansion {
                        polynomial: Chebyshev {
                            granularity,
                            parity: Parity::General,
                            coefficients: coefficients.into_shared(),
                        },
                        center: Array1::from(center),
                        radius: Array1::from(radius),
                    })
                })
            }
            Self::Composite {
                components,
                bound,
                offset,
                factor,
                by_operand,
            } => {
                let lengths = components.iter().all(|c| (2..=MOST_TERMS).contains(&c.len()));
                let sound = lengths && !components.is_empty() && bound > 0.0;
                sound.then_some(Replacement::Composite(SignForm {
                    components,
                    bound,
                    offset,
                    factor,
                    by_operand,
                }))
            }
        }
    }
}

/// A row of coefficients for each entry of a tensor. JSON has no numbers that are not finite.
fn table(granularity: &str, rows: &[Vec<f64>], shape: &[usize]) -> Option<(Granularity, Array2<f64>)> {
    let all = [Granularity::Tensor, Granularity::Channel, Granularity::Element];
    let granularity = all.into_iter().find(|&g| granularity_name(g) == granularity)?;
    let terms = rows.first()?.len();
    let sound = (2..=MOST_TERMS).contains(&terms)
        && rows.len() == granularity.entries(shape)
        && rows.iter().all(|row| row.len() == terms);
    if !sound {
        return None;
    }
    let table = Array2::from_shape_vec((rows.len(), terms), rows.concat()).ok()?;
    Some((granularity, table))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use ndarray::arr1;
    use proptest::prelude::*;

    use super::*;
    use crate::approximate::{approximate, approximate_stored};
    use crate::graph::GraphBuilder;
    use crate::nn::Activation;
    use crate::options::ActivationRule;

    /// Remembers one entry, and how often it was asked and told.
    #[derive(Default)]
    struct Memory {
        bytes: RefCell<Option<Vec<u8>>>,
        kept: RefCell<usize>,
    }

    impl FitStore for Memory {
        fn load(&self, _: Digest) -> Option<Vec<u8>> {
            self.bytes.borrow().clone()
        }

        fn keep(&self, _: Digest, bytes: &[u8]) {
            *self.bytes.borrow_mut() = Some(bytes.to_vec());
            *self.kept.borrow_mut() += 1;
        }
    }

    fn network() -> Graph<Op> {
        let mut out = GraphBuilder::default();
        let x = out.push("x", Op::Input, &[], &[3]);
        let mut last = x;
        for (layer, function) in [Activation::Relu, Activation::Silu, Activation::Relu]
            .into_iter()
            .enumerate()
        {
            let name = format!("act{layer}");
            last = out.push(&name, Op::Activation(function), &[last], &[3]);
            let shift = Op::Affine(crate::nn::Affine {
                granularity: Granularity::Tensor,
                scale: arr1(&[1.5]).into_shared(),
                shift: arr1(&[-0.4]).into_shared(),
            });
            last = out.push(&format!("shift{layer}"), shift, &[last], &[3]);
        }
        out.finish(last)
    }

    fn samples() -> Samples {
        let value = |i: usize| ((i * 7919 + 13) % 401) as f64 / 200.0 - 1.0;
        Samples::new(&[3], (0..120).map(value).collect()).expect("whole samples")
    }

    /// A quadratic, an expansion and a composite.
    fn options() -> ApproximateOptions {
        let own = |node: &str, rule| (node.to_owned(), rule);
        ApproximateOptions {
            overrides: vec![
                own("act1", ActivationRule::LeastSquares { degree: 7 }),
                own("act2", ActivationRule::Composite { alpha: 5 }),
            ],
            ..ApproximateOptions::USUAL
        }
    }

    fn stored(store: &Memory) -> Stored<'_> {
        Stored::new(store, b"model", &samples(), &options())
    }

    #[test]
    fn what_was_kept_gives_the_same_network_and_report() {
        let (graph, samples, options, memory) = (network(), samples(), options(), Memory::default());
        let fresh = approximate(&graph, &samples, &options).expect("everything is supported");
        for _ in 0..2 {
            let found =
                approximate_stored(&graph, &samples, &options, stored(&memory)).expect("everything is supported");
            assert_eq!(found.graph, fresh.graph);
            assert_eq!(found.activations, fresh.activations);
        }
        assert_eq!(*memory.kept.borrow(), 1, "fitted once");
    }

    #[test]
    fn a_key_depends_on_all_that_decides_a_fit() {
        let (samples, options) = (samples(), options());
        let key = |model: &[u8], samples: &Samples, options: &ApproximateOptions| {
            Stored::new(&NoStore, model, samples, options).key
        };
        let other_samples = Samples::new(&[3], vec![0.25; 120]).expect("whole samples");
        let other_options = ApproximateOptions {
            guard: 0.02,
            ..options.clone()
        };
        let keys = [
            key(b"model", &samples, &options),
            key(b"other", &samples, &options),
            key(b"model", &other_samples, &options),
            key(b"model", &samples, &other_options),
        ];
        let distinct: std::collections::BTreeSet<[u8; 32]> = keys.iter().map(|key| key.0).collect();
        assert_eq!(distinct.len(), keys.len());
    }

    #[test]
    fn fits_of_another_graph_are_none() {
        let memory = Memory::default();
        approximate_stored(&network(), &samples(), &options(), stored(&memory)).expect("everything is supported");
        let bytes = memory.bytes.borrow().clone().expect("kept");
        assert!(decode(&bytes, &network()).is_some());
        let mut out = GraphBuilder::default();
        let x = out.push("x", Op::Input, &[], &[4]);
        let act = out.push("act0", Op::Activation(Activation::Relu), &[x], &[4]);
        assert!(decode(&bytes, &out.finish(act)).is_none());
    }

    #[test]
    fn unsound_polynomials_are_refused_whatever_their_digest() {
        let shape = [2];
        let rows = || vec![vec![0.0, 1.0, 2.0]; 2];
        let power = |granularity: &str, form, rows| StoredPolynomials::Power {
            granularity: granularity.to_owned(),
            form,
            rows,
        };
        let channel = granularity_name(Granularity::Channel);
        assert!(power(channel, Form::Folded, rows()).restore(&shape).is_some());
        for wrong in [
            power("row", Form::Folded, rows()),
            power(channel, Form::Folded, vec![vec![0.0; 3]; 3]),
            power(channel, Form::Folded, vec![vec![0.0; 2]; 2]),
            power(channel, Form::Chebyshev, rows()),
            power(channel, Form::Linear, vec![vec![0.0; 2], vec![0.0; 3]]),
            power(channel, Form::Linear, vec![vec![], vec![]]),
            StoredPolynomials::Expansion {
                granularity: channel.to_owned(),
                rows: rows(),
                center: vec![0.0; 2],
                radius: vec![1.0, 0.0],
            },
            StoredPolynomials::Composite {
                components: Vec::new(),
                bound: 1.0,
                offset: 0.0,
                factor: 1.0,
                by_operand: true,
            },
        ] {
            assert!(wrong.restore(&shape).is_none());
        }
    }

    proptest! {
        #[test]
        fn changed_bytes_are_no_fits(at in 0usize..4000, change in 1u8..255) {
            let memory = Memory::default();
            approximate_stored(&network(), &samples(), &options(), stored(&memory)).expect("everything is supported");
            let mut bytes = memory.bytes.borrow().clone().expect("kept");
            let at = at % bytes.len();
            bytes[at] = bytes[at].wrapping_add(change);
            prop_assert!(decode(&bytes, &network()).is_none());
            bytes.truncate(at);
            prop_assert!(decode(&bytes, &network()).is_none());
        }
    }

    #[test]
    fn the_same_options_give_the_coefficients_of_this_version() {
        let memory = Memory::default();
        approximate_stored(&network(), &samples(), &options(), stored(&memory)).expect("everything is supported");
        let bytes = memory.bytes.borrow().clone().expect("kept");
        let digest = Digest::of(&bytes).short();
        assert_eq!(
            digest, "1941cb02",
            "fits have changed: raise FITS_VERSION, then write the new digest here"
        );
    }
}
