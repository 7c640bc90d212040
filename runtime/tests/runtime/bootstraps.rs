//! Plans that bootstrap, from keys on disk to results, and what they refuse.

use std::error::Error as _;

use heron_ckks::{Kernels, Rng};
use heron_plan::{ValueId, verify_insecure};
use heron_runtime::ErrorKind;
use heron_runtime::compare::{Detail, compare};
use heron_runtime::files::{KeyFiles, Overwrite, PlanBundle, read_evaluation_keys, write_keys};
use heron_runtime::outputs::Rounding;
use heron_runtime::samples::{RangePolicy, Samples};
use heron_runtime::sessions::{
    Client, DecryptOptions, KeygenOptions, Security, Server, ServerOptions, SessionError, keygen, open_context,
};
use heron_runtime::simulate::{Noise, Stopped, simulate};

use crate::fixture;

/// One sample within the bound, and one over it.
fn samples() -> Samples {
    let within: Vec<f64> = (0..12).map(|i| f64::from(i) / 6.0 - 1.0).collect();
    let mut over = within.clone();
    over[7] = 1.5;
    Samples {
        values: vec![within, over],
    }
}

fn within() -> Samples {
    let mut samples = samples();
    samples.values.truncate(1);
    samples
}

fn bundle() -> PlanBundle {
    let bundle = fixture::insecure_bootstrap_bundle();
    verify_insecure(&bundle.plan).expect("it is sound but for its ring");
    bundle
}

#[test]
fn keys_of_a_bootstrap_travel_in_eval_key_and_run_the_plan() {
    let bundle = bundle();
    let spec = bundle.plan.client_spec().expect("a CKKS plan");
    let context = open_context(&spec.params, Kernels::best(), Security::InsecureAllowed).expect("a sound ring");
    let mut told = 0;
    let options = KeygenOptions { public: false };
    let keys = keygen(&spec, &context, options, &mut fixture::rng(), &mut |bytes| told = bytes).expect("they fit");
    assert_eq!(told, spec.key_bytes(false));
    let scratch = tempfile::tempdir().expect("a directory");
    let directory = scratch.path().join("keys");
    let mut written_told = 0;
    let files = write_keys(&directory, bundle.hash, &keys, Overwrite::Refuse, &mut |bytes| {
        written_told = bytes;
    })
    .expect("it is new");
    let written = files.evaluation.metadata().expect("it exists").len();
    let stated = spec.key_bytes(true);
    assert!(
        (stated..KeyFiles::bytes(&spec, options)).contains(&written),
        "{written} of {stated}"
    );
    let mut read_told = 0;
    let variant = spec.bootstrap.as_ref();
    let server_keys = read_evaluation_keys(&files.evaluation, &context, bundle.hash, variant, &mut |bytes| {
        read_told = bytes;
    });
    for told in [written_told, read_told] {
        let unreported = written.checked_sub(told).expect("no more than there are");
        assert!(told > 0 && unreported < 2 << 20, "{told} bytes of {written}");
    }
    let client = Client::new(spec.clone(), context.clone(), keys.secret).expect("the spec is valid");
    let batch = client
        .encrypt(&within(), &mut fixture::rng(), &mut |_| {})
        .expect("it fits");
    let options = ServerOptions { cache_bytes: 1 << 24 };
    let mut server = Server::new(bundle, context, server_keys.expect("they are whole"), options).expect("they cover");
    server.prepare().expect("it can be prepared");
    let results = server.run(&batch, &mut |_| {}).expect("it runs");
    let options = DecryptOptions {
        range: RangePolicy::Refuse,
        rounding: Rounding::Keep,
    };
    let outputs = client.decrypt(&results, options).expect("within bounds");
    for (x, y) in within().values[0].iter().zip(&outputs.values[0]) {
        assert!((x * x - y).abs() <= spec.output.error, "{x}: {y}");
    }
}

#[test]
fn keys_without_those_of_a_bootstrap_are_refused() {
    let bundle = bundle();
    let spec = bundle.plan.client_spec().expect("a CKKS plan");
    let context = open_context(&spec.params, Kernels::best(), Security::InsecureAllowed).expect("a sound ring");
    let options = KeygenOptions { public: false };
    let mut keys = keygen(&spec, &context, options, &mut fixture::rng(), &mut |_| {}).expect("they fit");
    keys.server.bootstrap = None;
    let refused = Server::new(bundle, context, keys.server, ServerOptions { cache_bytes: 0 });
    assert!(matches!(refused.err(), Some(SessionError::MissingKeys)));
}

#[test]
fn a_sample_over_the_bound_is_named_and_the_others_go_on() {
    for noise in [Noise::None, Noise::Seeded(3)] {
        let found = simulate(&bundle(), &samples(), noise, &mut |_| {}).expect("the plan is sound");
        let stopped = Stopped {
            sample: 1,
            line: ValueId(2),
            node: "test".to_owned(),
        };
        assert_eq!(found.stopped, [stopped]);
        assert_eq!(found.exceeded[0].line, ValueId(0));
        assert!(found.outputs[0].iter().all(|y| y.is_finite()) && found.outputs[1].iter().all(|y| y.is_nan()));
    }
}

#[test]
fn comparing_refuses_an_input_over_the_bound_by_sample_line_and_node() {
    let bundle = bundle();
    let spec = bundle.plan.client_spec().expect("a CKKS plan");
    let context = open_context(&spec.params, Kernels::best(), Security::InsecureAllowed).expect("a sound ring");
    let mut rng = Rng::insecure_deterministic(5);
    let mut check = |samples: &Samples, detail| compare(&bundle, &context, samples, detail, &mut rng, &mut |_, _| {});
    let whole = check(&within(), Detail::EveryLine).expect("it is within the bound");
    assert_eq!(whole.first_broken(), None, "{whole:?}");
    for detail in [Detail::EveryLine, Detail::Outputs] {
        let error = check(&samples(), detail).expect_err("it is over the bound");
        assert_eq!(error.kind(), ErrorKind::OutOfRange);
        assert_eq!(error.to_string(), "sample 1");
        let line = error.source().expect("the line that refused").to_string();
        assert_eq!(line, "line %2 (test) cannot be evaluated");
    }
}
