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
    let ApproximateError::Unsupported(refused) = refused else {
        panic!("{refused}");
    };
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

/// Numbers that look normally distributed, always the same.
fn normal_numbers(count: usize, seed: u32) -> Vec<f64> {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state >> 8) + 0.5) / f64::from(1u32 << 24)
    };
    (0..count)
        .map(|_| (-2.0 * libm::log(uniform())).sqrt() * libm::cos(2.0 * std::f64::consts::PI * uniform()))
        .collect()
}

const WIDTH: usize = 48;

/// A network of dense layers with normally distributed weights that keep the variance of rectified values.
fn deep_network(layers: usize) -> (Graph<Op>, Samples) {
    let mut out = GraphBuilder::default();
    let mut last = out.push("x", Op::Input, &[], &[WIDTH]);
    for layer in 0..layers {
        let weights = normal_numbers(WIDTH * WIDTH, 7 + layer as u32);
        let weights = Array2::from_shape_vec((WIDTH, WIDTH), weights).expect("square") * (2.0 / WIDTH as f64).sqrt();
        let dense = Op::Dense {
            weights: weights.into_shared(),
            bias: Array1::zeros(WIDTH).into_shared(),
        };
        last = out.push(&format!("fc{layer}"), dense, &[last], &[WIDTH]);
        last = out.push(
            &format!("relu{layer}"),
            Op::Activation(Activation::Relu),
            &[last],
            &[WIDTH],
        );
    }
    let samples = Samples::new(&[WIDTH], normal_numbers(WIDTH * 120, 99)).expect("whole samples");
    (out.finish(last), samples)
}

/// Every layer by itself, under a normal distribution, without a guard: what diverges.
fn unguarded(rule: ActivationRule) -> ApproximateOptions {
    ApproximateOptions {
        rule,
        granularity: Granularity::Tensor,
        guard: 0.0,
        above_two: Guard::even(1.25, 0.0),
        fit: FitOptions {
            distribution: Distribution::Gaussian,
            targets: Targets::OneShot,
            ..FitOptions::USUAL
        },
        ..OPTIONS
    }
}

#[test]
fn unguarded_quadratics_of_a_deep_network_raise_an_alarm() {
    let (graph, samples) = deep_network(8);
    match approximate(&graph, &samples, &unguarded(ActivationRule::Quadratic)) {
        Err(ApproximateError::Diverges(alarm)) => assert!(alarm.reach.outside > 0.0, "{alarm}"),
        Err(other) => panic!("{other}"),
        Ok(approximated) => {
            let outside = approximated.activations.iter().filter(|a| a.reach.outside > 0.0);
            assert!(outside.count() > 0, "no operand left its interval");
        }
    }
}

#[test]
fn an_unguarded_degree_eight_diverges_before_anything_runs() {
    let (graph, samples) = deep_network(8);
    let refused = approximate(&graph, &samples, &unguarded(ActivationRule::LeastSquares { degree: 8 }));
    assert!(matches!(refused, Err(ApproximateError::Diverges(_))), "{refused:?}");
}

#[test]
fn layer_after_layer_every_operand_stays_in_its_interval() {
    let (graph, samples) = deep_network(8);
    for rule in [ActivationRule::Quadratic, ActivationRule::LeastSquares { degree: 8 }] {
        let options = ApproximateOptions { rule, ..OPTIONS };
        let approximated = approximate(&graph, &samples, &options).expect("supported");
        for activation in &approximated.activations {
            let reach = activation.reach;
            assert!(
                reach.outside == 0.0 && reach.sampled <= 1.0,
                "{}: {reach:?}",
                activation.node
            );
            assert!(reach.guaranteed >= reach.sampled, "{}: {reach:?}", activation.node);
        }
    }
}

/// The mean squared error of the output, relative to its mean square.
fn output_error(graph: &Graph<Op>, samples: &Samples, options: &ApproximateOptions) -> f64 {
    let approximated = approximate(graph, samples, options).expect("supported");
    let polynomial = ClearPolynomial::new(&approximated.graph);
    let (mut error, mut size) = (0.0, 0.0);
    for sample in samples.iter() {
        for (found, exact) in polynomial.output(sample).iter().zip(evaluate(graph, sample)) {
            error += (found - exact) * (found - exact);
            size += exact * exact;
        }
    }
    error / size
}

#[test]
fn a_polynomial_a_channel_halves_the_error_of_one_a_tensor() {
    let (graph, samples) = deep_network(4);
    let with = |granularity, targets| {
        let fit = FitOptions {
            targets,
            ..FitOptions::USUAL
        };
        output_error(
            &graph,
            &samples,
            &ApproximateOptions {
                granularity,
                fit,
                ..OPTIONS
            },
        )
    };
    let one_shot = with(Granularity::Tensor, Targets::OneShot);
    let exact = with(Granularity::Tensor, Targets::Exact);
    let channel = with(Granularity::Channel, Targets::Exact);
    assert!(
        channel < 0.6 * exact && channel < 0.6 * one_shot,
        "{one_shot} {exact} {channel}"
    );
}

#[test]
fn automatic_degrees_rise_until_the_answers_agree() {
    let (graph, samples) = deep_network(4);
    let options = ApproximateOptions {
        rule: ActivationRule::Auto,
        ..OPTIONS
    };
    let approximated = approximate(&graph, &samples, &options).expect("supported");
    assert!(
        approximated.activations.iter().any(|a| a.form == Form::Chebyshev),
        "all are quadratics"
    );
    let polynomial = ClearPolynomial::new(&approximated.graph);
    let answer = |values: &[f64]| (0..values.len()).max_by(|&a, &b| values[a].total_cmp(&values[b]));
    let agreeing = samples
        .iter()
        .filter(|x| answer(&polynomial.output(x)) == answer(&evaluate(&graph, x)));
    // 48 outputs of a random network are close together; the choice aims at 98.5 % of the fitted samples.
    assert!(agreeing.count() as f64 >= 0.9 * samples.len() as f64);
}

#[test]
fn automatic_degrees_stay_low_where_that_is_enough() {
    let graph = network(Op::Activation(Activation::Softplus));
    let options = ApproximateOptions {
        rule: ActivationRule::Auto,
        ..OPTIONS
    };
    let approximated = approximate(&graph, &samples(200), &options).expect("supported");
    assert_ne!(approximated.activations[0].form, Form::Chebyshev);
}

#[test]
fn an_override_must_name_an_activation() {
    let graph = network(Op::Activation(Activation::Relu));
    let with = |name: &str| ApproximateOptions {
        overrides: vec![(name.to_owned(), ActivationRule::LeastSquares { degree: 5 })],
        ..OPTIONS
    };
    let refused = approximate(&graph, &samples(40), &with("fc1")).expect_err("no activation");
    assert!(refused.to_string().contains("the activations are act"), "{refused}");
    let approximated = approximate(&graph, &samples(40), &with("act")).expect("supported");
    assert_eq!(
        (approximated.activations[0].form, approximated.activations[0].depth),
        (Form::Chebyshev, 3)
    );
}

#[test]
fn a_logarithm_of_what_may_be_negative_is_refused() {
    let graph = network(Op::Activation(Activation::Log));
    let refused = approximate(&graph, &samples(40), &OPTIONS).expect_err("the layer's outputs have both signs");
    assert!(refused.to_string().contains("not positive on all"), "{refused}");
}
