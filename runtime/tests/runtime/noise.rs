//! Encrypted lines are as noisy as the noisy machine says.

use heron_ckks::{Encoder, decrypt, encrypt_secret};
use heron_runtime::interpreter::{Fusion, Step, run};
use heron_runtime::machine::Machine;
use heron_runtime::machines::{CkksMachine, Clear, ClearValue, Noisy, Pair, PairValue};

use crate::fixture;

/// How far simulated and measured deviations of a line may be apart: what the scheme itself is held to.
const ALLOWED_BITS: f64 = 1.0;

fn deviation(found: &[f64], exact: &[f64]) -> f64 {
    let squares: f64 = found.iter().zip(exact).map(|(a, b)| (a - b).powi(2)).sum();
    (squares / found.len() as f64).sqrt()
}

/// Runs the small plan beside the exact machine; the deviation of every line over its slots.
fn deviations<M: Machine>(machine: M, input: M::Value, slots: impl Fn(&M::Value) -> Vec<f64>) -> Vec<f64> {
    let bundle = fixture::bundle("noise");
    let program = bundle.plan.program.ckks().expect("a CKKS plan");
    let exact = Clear::new(&program.params);
    let right = exact.fresh(input_slots()).expect("it fits");
    let mut found = Vec::new();
    let mut observe = |_: Step<'_>, value: &PairValue<M::Value, ClearValue>| {
        found.push(deviation(&slots(&value.left), &value.right.slots));
    };
    let mut pair = Pair {
        left: machine,
        right: exact,
    };
    let inputs = vec![PairValue { left: input, right }];
    run(program, &bundle.weights, &mut pair, Fusion::None, inputs, &mut observe).expect("it runs");
    found
}

fn input_slots() -> Vec<f64> {
    let bundle = fixture::bundle("noise");
    let program = bundle.plan.program.ckks().expect("a CKKS plan");
    bundle
        .plan
        .input
        .layout
        .spread(&fixture::floats(1).to_f64(), program.params.slots().0 as usize)
}

#[test]
fn simulated_noise_has_the_deviation_of_encrypted_noise() {
    let spec = fixture::bundle("noise").plan.client_spec().expect("a CKKS plan");
    let context = fixture::context(&spec);
    let keys = fixture::keys(&spec, &context, false);
    let encoder = Encoder::new(context.clone());
    let (level, power) = (spec.params.max_level(), heron_params::ScalePower::One);
    let plaintext = encoder.encode(&input_slots(), level, power).expect("it fits");
    let input = encrypt_secret(&context, &keys.secret, &plaintext, &mut fixture::rng()).expand(&context);
    let machine = CkksMachine::new(context.clone(), keys.server.clone(), 0);
    let encrypted = deviations(machine, input, |c| encoder.decode(&decrypt(&context, &keys.secret, c)));

    let input = Clear::new(&spec.params).fresh(input_slots()).expect("it fits");
    let simulated = deviations(Noisy::new(&spec.params, 5), input, |value| value.slots.clone());
    let bits: Vec<f64> = simulated.iter().zip(&encrypted).map(|(s, e)| (s / e).log2()).collect();
    assert!(
        bits.iter().all(|bits| bits.abs() <= ALLOWED_BITS),
        "simulated over encrypted, in bits: {bits:.2?}"
    );
}
