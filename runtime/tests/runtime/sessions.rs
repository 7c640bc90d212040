//! Client and server, without files.

use heron_ckks::{Context, Kernels};
use heron_plan::{ClientSpec, Program};
use heron_runtime::compare::{Detail, compare};
use heron_runtime::files::{Elements, Tensor};
use heron_runtime::outputs::{Outputs, Rounding, rounding_step};
use heron_runtime::samples::{RangePolicy, Samples, prepare};
use heron_runtime::sessions::{
    CiphertextBatch, Client, DecryptOptions, KeySet, PublicClient, Security, Server, ServerOptions, SessionError,
    keygen, open_context,
};
use heron_runtime::simulate::{Noise, simulate};
use heron_runtime::{Error, ErrorKind};
use std::sync::Arc;

use crate::fixture;

const KEEP: DecryptOptions = DecryptOptions {
    range: RangePolicy::Refuse,
    rounding: Rounding::Keep,
};

struct Parties {
    spec: ClientSpec,
    context: Arc<Context>,
    client: Client,
    public: PublicClient,
    server: Server,
}

fn parties(name: &str) -> Parties {
    let bundle = fixture::bundle(name);
    let spec = bundle.plan.client_spec().expect("a CKKS plan");
    let context = fixture::context(&spec);
    let KeySet { secret, server, public } = fixture::keys(&spec, &context, true);
    let options = ServerOptions { cache_bytes: 1 << 24 };
    Parties {
        server: Server::new(bundle, context.clone(), server, options).expect("the keys are the plan's"),
        client: Client::new(spec.clone(), context.clone(), secret).expect("the spec is valid"),
        public: PublicClient::new(spec.clone(), context.clone(), public.expect("it was asked for")).expect("valid"),
        spec,
        context,
    }
}

impl Parties {
    fn samples(&self, n: usize) -> Samples {
        prepare(&self.spec.input, &fixture::floats(n), RangePolicy::Refuse).expect("within range")
    }

    fn encrypt(&self, n: usize) -> CiphertextBatch {
        self.client
            .encrypt(&self.samples(n), &mut fixture::rng(), &mut |_| {})
            .expect("it fits")
    }

    fn run(&mut self, batch: &CiphertextBatch) -> CiphertextBatch {
        self.server.run(batch, &mut |_| {}).expect("the batch is the plan's")
    }

    #[track_caller]
    fn check_outputs(&self, samples: &Samples, outputs: &Outputs, allowed: f64) {
        assert_eq!(outputs.values.len(), samples.values.len());
        for (x, y) in samples.values.iter().zip(&outputs.values) {
            for (found, expected) in y.iter().zip(fixture::network(x)) {
                assert!(
                    (found - expected).abs() <= allowed,
                    "{found} is not {expected} within {allowed}"
                );
            }
        }
    }
}

#[test]
fn a_batch_comes_back_as_the_network_of_each_sample() {
    let mut parties = parties("batch");
    let samples = parties.samples(3);
    let mut lines = 0;
    let inputs = parties.encrypt(3);
    let results = parties.server.run(&inputs, &mut |progress| {
        lines = progress.step.total * (progress.sample + 1);
    });
    assert_eq!(lines, 3 * 10);
    let outputs = parties
        .client
        .decrypt(&results.expect("it runs"), KEEP)
        .expect("within bounds");
    assert_eq!(outputs.batch_shape(), [3, 3]);
    parties.check_outputs(&samples, &outputs, parties.spec.output.error);
    assert!(parties.server.cached_bytes() > 0);
}

#[test]
fn the_public_key_encrypts_for_the_same_server() {
    let mut parties = parties("public");
    let samples = parties.samples(1);
    let batch = parties
        .public
        .encrypt(&samples, &mut fixture::rng(), &mut |_| {})
        .expect("it fits");
    let results = parties.run(&batch);
    let outputs = parties.client.decrypt(&results, KEEP).expect("within bounds");
    parties.check_outputs(&samples, &outputs, parties.spec.output.error);
}

#[test]
fn rounded_outputs_are_multiples_of_the_step_near_the_exact_ones() {
    let mut parties = parties("rounded");
    let samples = parties.samples(1);
    let results = parties.encrypt(1);
    let results = parties.run(&results);
    let options = DecryptOptions {
        rounding: Rounding::ToStatedError,
        ..KEEP
    };
    let outputs = parties.client.decrypt(&results, options).expect("within bounds");
    let (error, step) = (parties.spec.output.error, rounding_step(parties.spec.output.error));
    assert!(outputs.flat().iter().all(|y| (y / step).fract() == 0.0));
    parties.check_outputs(&samples, &outputs, error + step / 2.0);
}

#[test]
fn ciphertexts_of_another_plan_are_refused_by_both_sides() {
    let (mut ours, other) = (parties("ours"), parties("theirs"));
    let foreign = other.encrypt(1);
    let refused = ours.server.run(&foreign, &mut |_| {}).expect_err("another plan");
    assert!(matches!(refused, Error::Session(SessionError::OtherPlan { .. })));
    assert_eq!(refused.kind(), ErrorKind::Damaged);
    assert!(matches!(
        ours.client.decrypt(&foreign, KEEP),
        Err(SessionError::OtherPlan { .. })
    ));
}

#[test]
fn a_result_is_no_input() {
    let mut parties = parties("twice");
    let inputs = parties.encrypt(1);
    let results = parties.run(&inputs);
    let refused = parties
        .server
        .run(&results, &mut |_| {})
        .expect_err("a result has another level");
    assert_eq!(refused.kind(), ErrorKind::Damaged);
}

#[test]
fn keys_that_do_not_cover_the_plan_are_refused() {
    let bundle = fixture::bundle("keys");
    let mut spec = bundle.plan.client_spec().expect("a CKKS plan");
    spec.keys.rotations.pop_last();
    let context = fixture::context(&spec);
    let keys = fixture::keys(&spec, &context, false);
    let options = ServerOptions { cache_bytes: 0 };
    assert!(matches!(
        Server::new(bundle, context, keys.server, options),
        Err(SessionError::MissingKeys)
    ));
}

#[test]
fn a_prepared_server_encodes_nothing_more_and_gives_the_same() {
    let (mut prepared, mut fresh) = (parties("prepared"), parties("prepared"));
    prepared.server.prepare().expect("the plan is verified");
    let kept = prepared.server.cached_bytes();
    assert!(kept > 0);
    let batch = prepared.encrypt(2);
    let (ours, theirs) = (prepared.run(&batch), fresh.run(&batch));
    assert_eq!(prepared.server.cached_bytes(), kept);
    assert_eq!(ours, theirs);
}

#[test]
fn outputs_beyond_the_bound_are_refused_unless_told() {
    let mut parties = parties("bound");
    let samples = Samples {
        values: vec![fixture::floats(1).to_f64()],
    };
    let batch = parties
        .client
        .encrypt(&samples, &mut fixture::rng(), &mut |_| {})
        .expect("it fits");
    let results = parties.run(&batch);
    let largest = fixture::network(&samples.values[0])
        .iter()
        .fold(0.0f64, |m, y| m.max(y.abs()));
    let mut spec = parties.spec.clone();
    spec.output.bound = largest / 2.0;
    let secret = fixture::keys(&spec, &parties.context, true).secret;
    let client = Client::new(spec, parties.context.clone(), secret).expect("the spec is valid");
    let refused = client.decrypt(&results, KEEP).expect_err("beyond the bound");
    assert!(matches!(refused, SessionError::OutputBound { sample: 0, .. }));
    assert_eq!(refused.kind(), ErrorKind::OutOfRange);
    let allowed = DecryptOptions {
        range: RangePolicy::AllowOutOfRange,
        ..KEEP
    };
    assert!(client.decrypt(&results, allowed).is_ok());
}

#[test]
fn insecure_parameters_are_refused_by_default() {
    let small = heron_runtime::conformance::INSECURE_SMALL_RING;
    let params = heron_params::CkksParams::build(&small).expect("such primes exist");
    let refused = open_context(&params, Kernels::best(), Security::Required);
    assert!(matches!(refused, Err(SessionError::Params(_))));
    assert!(open_context(&params, Kernels::best(), Security::InsecureAllowed).is_ok());
}

#[test]
fn key_generation_reports_every_byte() {
    let spec = fixture::bundle("progress").plan.client_spec().expect("a CKKS plan");
    let context = fixture::context(&spec);
    let (mut calls, mut done) = (0, 0);
    let options = heron_runtime::sessions::KeygenOptions { public: false };
    let mut progress = |bytes| (calls, done) = (calls + 1, bytes);
    keygen(&spec, &context, options, &mut fixture::rng(), &mut progress).expect("the keys fit");
    assert_eq!(calls, spec.keys.levels().count());
    assert_eq!(done, spec.keys.bytes(&spec.params, false));
}

#[test]
fn simulation_gives_the_network_and_names_the_line_that_leaves_its_bound() {
    let mut bundle = fixture::bundle("simulate");
    let samples = Samples {
        values: vec![fixture::floats(1).to_f64()],
    };
    let exact = simulate(&bundle, &samples, Noise::None, &mut |_| {}).expect("it runs");
    assert_eq!(exact.exceeded, []);
    for (found, expected) in exact.outputs[0].iter().zip(fixture::network(&samples.values[0])) {
        assert!((found - expected).abs() < 1e-12);
    }
    let noisy = simulate(&bundle, &samples, Noise::Seeded(3), &mut |_| {}).expect("it runs");
    let same = simulate(&bundle, &samples, Noise::Seeded(3), &mut |_| {}).expect("it runs");
    assert_eq!(noisy, same);
    assert_ne!(noisy.outputs, exact.outputs);

    let Program::Ckks(program) = &mut bundle.plan.program else {
        panic!("a CKKS plan");
    };
    program.lines[5].bound = 1e-3;
    program.lines[5].node = "relu1".to_owned();
    let found = simulate(&bundle, &samples, Noise::None, &mut |_| {})
        .expect("it runs")
        .exceeded;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].line.index(), found[0].node.as_str(), found[0].samples),
        (5, "relu1", 1)
    );
}

#[test]
fn every_line_stays_within_its_stated_error_and_a_wrong_statement_is_named() {
    let mut bundle = fixture::bundle("compare");
    let context = fixture::context(&bundle.plan.client_spec().expect("a CKKS plan"));
    let samples = Samples {
        values: vec![fixture::floats(1).to_f64()],
    };
    let rng = &mut fixture::rng();
    let found = compare(&bundle, &context, &samples, Detail::EveryLine, rng, &mut |_, _| {}).expect("it runs");
    assert_eq!(found.lines.len(), 10);
    assert_eq!(found.first_broken(), None);
    assert!(found.precision_bits() > 8.0, "{} bits", found.precision_bits());
    // A stated error a thousand times the measured one would say nothing.
    assert!(
        found.lines.iter().all(|line| line.spare_bits() < 10.0),
        "{:?}",
        found.lines
    );
    let outputs = compare(&bundle, &context, &samples, Detail::Outputs, rng, &mut |_, _| {}).expect("it runs");
    assert_eq!(outputs.lines.len(), 1);

    let Program::Ckks(program) = &mut bundle.plan.program else {
        panic!("a CKKS plan");
    };
    program.lines[4].error = 1e-12;
    program.lines[4].node = "relu1".to_owned();
    let found = compare(&bundle, &context, &samples, Detail::EveryLine, rng, &mut |_, _| {}).expect("it runs");
    let broken = found.first_broken().expect("the statement is wrong");
    assert_eq!((broken.line.index(), broken.node.as_str()), (4, "relu1"));
}

#[test]
fn integer_samples_are_normalized_before_encryption() {
    let parties = parties("integers");
    let bytes = Tensor {
        shape: vec![3, 4],
        elements: Elements::U8(vec![0, 255, 127, 128, 1, 2, 3, 4, 5, 6, 7, 8]),
    };
    let samples = prepare(&parties.spec.input, &bytes, RangePolicy::Refuse).expect("within range");
    assert_eq!(samples.values[0][..2], [-1.0, 1.0]);
}
