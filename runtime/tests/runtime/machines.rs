//! Every machine of ours passes the conformance suite.

use heron_runtime::conformance::{Bench, CkksBench, ClearBench, NoisyBench, cases, check, check_refusals};

#[track_caller]
fn conforms<B: Bench>() {
    for case in cases() {
        if let Err(failure) = check::<B>(&case) {
            panic!("{}: {failure:?}", case.name);
        }
    }
    check_refusals::<B>().expect("what must be refused is refused");
}

#[test]
fn the_clear_machine_conforms() {
    conforms::<ClearBench>();
}

#[test]
fn the_noisy_machine_conforms() {
    conforms::<NoisyBench>();
}

#[test]
fn the_encrypted_machine_conforms() {
    conforms::<CkksBench>();
}
