//! Tests of the whole stage on small networks.

use ndarray::{Array1, Array2, arr2};

use super::*;
use crate::evaluate;
use crate::he::ClearPolynomial;
use crate::nn::{Activation, Op, Polynomial};

const OPTIONS: ApproximateOptions = ApproximateOptions::USUAL;

fn dense(rows: usize, cols: usize, seed: f64) -> Op {
    let weight = |(r, c): (usize, usize)| ((r * cols + c) as f64 * 12.9898 + seed).sin() * 2.0 / (cols as f64).sqrt();
    let bias = Array1::from_shape_fn(rows, |r| (r as f64 + seed).cos() * 0.1);
    Op::Dense {
        weights: Array2::from_shape_fn((rows, cols), weight).into_shared(),
        bias: bias.into_shared(),
    }
}

fn network(function: Op) -> Graph<Op> {
    let mut out = GraphBuilder::default();
    let x = out.push("x", Op::Input, &[], &[6]);
    let fc1 = out.push("fc1", dense(8, 6, 0.1), &[x], &[8]);
    let act = out.push("act", function, &[fc1], &[8]);
    let fc2 = out.push("fc2", dense(3, 8, 0.7), &[act], &[3]);
    out.finish(fc2)
}

fn samples(count: usize) -> Samples {
    let values = (0..count * 6).map(|i| (i as f64 * 7.31).sin()).collect();
    Samples::new(&[6], values).expect("whole samples")
}

fn ops(approximated: &Approximated) -> Vec<&'static str> {
    approximated.graph.iter().map(|(_, node)| node.op.name()).collect()
}

#[test]
fn an_activation_becomes_one_square_between_two_layers() {
    let approximated = approximate(&network(Op::Activation(Activation::Relu)), &samples(200), &OPTIONS);
    let approximated = approximated.expect("everything is supported");
    assert_eq!(ops(&approximated), ["Input", "Dense", "Square", "Dense"]);
    assert_eq!(approximated.activations[0].form, Form::Folded);
    let names: Vec<&str> = approximated.graph.iter().map(|(_, node)| node.name.as_str()).collect();
    assert_eq!(names, ["x", "fc1", "act", "fc2"]);
}

#[test]
fn the_polynomial_network_is_near_the_exact_one() {
    let (graph, samples) = (network(Op::Activation(Activation::Gelu(nn::Gelu::Erf))), samples(200));
    let approximated = approximate(&graph, &samples, &OPTIONS).expect("everything is supported");
    let polynomial = ClearPolynomial::new(&approximated.graph);
    for sample in samples.iter() {
        for (found, exact) in polynomial.output(sample).iter().zip(evaluate(&graph, sample)) {
            // A quadratic of GELU on a unit interval errs by some hundredths; eight of them are summed.
            assert!((found - exact).abs() < 0.3, "{found} for {exact}");
        }
    }
}

#[test]
fn a_polynomial_of_the_model_stays_exact() {
    for coefficients in [
        arr2(&[[0.3, 0.5, 0.25]]),
        arr2(&[[0.1, 1.0, 0.001]]),
        arr2(&[[0.1, 0.4, 0.0, -0.2, 0.05]]),
    ] {
        let op = Op::Polynomial(Polynomial {
            granularity: Granularity::Tensor,
            coefficients: coefficients.into_shared(),
        });
        let (graph, samples) = (network(op), samples(40));
        let approximated = approximate(&graph, &samples, &OPTIONS).expect("everything is supported");
        let polynomial = ClearPolynomial::new(&approximated.graph);
        for sample in samples.iter() {
            for (found, exact) in polynomial.output(sample).iter().zip(evaluate(&graph, sample)) {
                assert!((found - exact).abs() < 1e-12, "{found} for {exact}");
            }
        }
    }
}

#[test]
fn a_polynomial_that_would_cancel_takes_two_levels() {
    let coefficients = arr2(&[[0.1, 1.0, 0.001]]).into_shared();
    let op = Op::Polynomial(Polynomial {
        granularity: Granularity::Tensor,
        coefficients,
    });
    let approximated = approximate(&network(op), &samples(40), &OPTIONS).expect("everything is supported");
    assert_eq!(approximated.activations[0].form, Form::TwoLevel);
    assert_eq!(ops(&approximated), ["Input", "Dense", "Affine", "Mul", "Dense"]);
}

#[test]
fn a_maximum_is_refused_by_name() {
    let mut out = GraphBuilder::default();
    let x = out.push("x", Op::Input, &[], &[1, 2, 2]);
    let pool = nn::Pool {
        kernel: [2, 2],
        strides: [2, 2],
        pads: [0; 4],
        count_include_pad: false,
    };
    let pool = out.push("pool3", Op::MaxPool(pool), &[x], &[1, 1, 1]);
    let samples = Samples::new(&[1, 2, 2], vec![0.5; 32]).expect("eight samples");
    let refused = approximate(&out.finish(pool), &samples, &OPTIONS).expect_err("no polynomial");
    assert_eq!((refused.len(), refused[0].node.as_str()), (1, "pool3"));
}

#[test]
fn variance_shrinks_as_the_quadratic_of_a_normal_operand_says() {
    // E[q²] = 0.488732 for the best quadratic of ReLU under N(0, 1), against 0.5 for ReLU itself; the mean is kept.
    let normal: Vec<f64> = (0..4000)
        .map(|i| inverse_normal((f64::from(i) + 0.5) / 4000.0))
        .collect();
    let mut out = GraphBuilder::default();
    let x = out.push("x", Op::Input, &[], &[1]);
    let relu = out.push("relu", Op::Activation(Activation::Relu), &[x], &[1]);
    let samples = Samples::new(&[1], normal).expect("scalars");
    let options = ApproximateOptions { guard: 0.0, ..OPTIONS };
    let approximated = approximate(&out.finish(relu), &samples, &options).expect("supported");
    let polynomial = ClearPolynomial::new(&approximated.graph);
    let outputs: Vec<f64> = samples.iter().map(|x| polynomial.output(x)[0]).collect();
    let mean = outputs.iter().sum::<f64>() / 4000.0;
    let second = outputs.iter().map(|y| y * y).sum::<f64>() / 4000.0;
    // 4000 quantiles, a fifth of them held back from the fit, are not quite a normal distribution.
    assert!(
        (mean - 0.398_942).abs() < 2e-3 && (second - 0.488_732).abs() < 5e-3,
        "{mean} {second}"
    );
}

/// The quantile function of the standard normal distribution, by bisection of its distribution function.
fn inverse_normal(p: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        let below = 0.5 * libm::erfc(-middle / std::f64::consts::SQRT_2) < p;
        (low, high) = if below { (middle, high) } else { (low, middle) };
    }
    low
}
