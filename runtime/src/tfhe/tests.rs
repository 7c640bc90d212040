//! The encrypted integers against the exact ones, our look-ups against the crate's, and the stated noise against measured
//! noise and the crate's formulas.

use heron_params::tfhe::{Decomposition, TfheParams, log2_tail, lwe_variance};
use heron_plan::tfhe::{
    ClientFile, QuantizedInput, QuantizedOutput, TfheClientSpec, TfheInstruction, TfheLine, TfheProgram,
};
use heron_plan::{
    CalibratedRange, ConstId, Digest, FORMAT_VERSION, InputSpec, OutputSpec, Plan, Program, Provenance, ValueId,
    VectorLayout, Weights,
};
use tfhe::core_crypto::commons::noise_formulas::lwe_keyswitch::keyswitch_additive_variance_132_bits_security_gaussian;
use tfhe::core_crypto::commons::noise_formulas::lwe_programmable_bootstrap::pbs_variance_132_bits_security_gaussian_fft_mul;
use tfhe::core_crypto::commons::noise_formulas::secure_noise::minimal_lwe_variance_for_132_bits_security_gaussian;
use tfhe::core_crypto::prelude::{
    CiphertextModulus, DecompositionBaseLog, DecompositionLevelCount, FourierLweBootstrapKey, GlweCiphertext,
    GlweDimension, LweCiphertext, LweDimension, PolynomialSize, convert_standard_lwe_bootstrap_key_to_fourier,
    decrypt_lwe_ciphertext, programmable_bootstrap_lwe_ciphertext,
};

use super::blind_rotation::half_table;
use super::values::encode;
use super::{SeededKeys, TfheClient, TfheRandomness, TfheSecretKey, TfheServer, integer_program};
use crate::files::{
    FileInfo, Overwrite, PlanBundle, inspect, read_tfhe_evaluation_keys, read_tfhe_inputs, read_tfhe_outputs,
    read_tfhe_secret_key, write_tfhe_inputs, write_tfhe_keys, write_tfhe_outputs,
};
use crate::samples::Samples;

const DIVISOR: u64 = 7;
const ENTRIES: u64 = 12;
const STEPS: u64 = 2 * DIVISOR * ENTRIES;
const OUT_STEPS: u64 = 512;
const COLS: usize = 6;
const ROWS: usize = 9;
const SAMPLES: usize = 2;

/// A set of each shape: rank and levels.
fn sets() -> [TfheParams; 3] {
    let set = |small_dimension, ring_rank, log_degree, bootstrap: (u32, u32), switch: (u32, u32)| TfheParams {
        small_dimension,
        ring_rank,
        log_degree,
        bootstrap: Decomposition {
            base_log: bootstrap.0,
            levels: bootstrap.1,
        },
        switch: Decomposition {
            base_log: switch.0,
            levels: switch.1,
        },
    };
    [
        set(800, 1, 11, (23, 1), (3, 5)),
        set(820, 1, 11, (15, 2), (3, 5)),
        set(840, 2, 10, (11, 3), (3, 5)),
    ]
}

fn line(op: TfheInstruction, len: usize, steps: u64, range: (i64, i64), variance: f64) -> TfheLine {
    TfheLine {
        op,
        len: len as u32,
        steps,
        min: range.0,
        max: range.1,
        log2_variance: variance.log2() + 1e-9,
        log2_failure: None,
        node: "node".to_owned(),
        note: String::new(),
    }
}

/// Nine sums of six inputs in `0..=3`, floored, looked up in a table of their own, and two of that added.
#[expect(clippy::too_many_lines, reason = "a plan written out line by line")]
fn bundle(params: TfheParams) -> PlanBundle {
    let mut weights = Weights::default();
    let matrix: Vec<f64> = (0..ROWS * COLS).map(|i| (i * 5 % 7) as f64 - 3.0).collect();
    let norm = |row: &[f64]| row.iter().map(|w| w * w).sum::<f64>();
    let norm = matrix.chunks(COLS).map(norm).fold(0.0, f64::max);
    let low = |row: &[f64]| row.iter().map(|w| 3.0 * w.min(0.0)).sum::<f64>();
    let bias: Vec<f64> = matrix.chunks(COLS).map(|row| -low(row)).collect();
    let table: Vec<f64> = (0..ROWS * ENTRIES as usize)
        .map(|i| (i * 11 % 101) as f64 - 50.0)
        .collect();
    let constants = [
        ("w", vec![ROWS, COLS], matrix),
        ("b", vec![ROWS], bias),
        ("t", vec![ROWS, ENTRIES as usize], table),
    ];
    let constants = constants.map(|(name, shape, values)| weights.push(name, &shape, values).1);
    let (ring, boot, arg) = (params.ring_variance(), params.bootstrap_variance(), ValueId);
    let (weights_id, bias_id, table_id) = (ConstId(0), ConstId(1), ConstId(2));
    let linear = TfheInstruction::Linear {
        arg: arg(0),
        weights: weights_id,
        bias: bias_id,
    };
    let floor = TfheInstruction::Floor {
        arg: arg(1),
        by: DIVISOR,
    };
    let lookup = TfheInstruction::Lookup {
        arg: arg(2),
        table: table_id,
    };
    let add = TfheInstruction::Add {
        lhs: arg(3),
        rhs: arg(3),
    };
    let mut lines = vec![
        line(TfheInstruction::Input, COLS, STEPS, (0, 3), ring),
        line(linear, ROWS, STEPS, (0, 54), norm * ring),
        line(floor, ROWS, STEPS / DIVISOR, (0, 7), norm * ring + boot),
        line(lookup, ROWS, OUT_STEPS, (-50, 50), boot),
        line(add, ROWS, OUT_STEPS, (-100, 100), 4.0 * boot),
        line(
            TfheInstruction::Output { arg: arg(4) },
            ROWS,
            OUT_STEPS,
            (-100, 100),
            4.0 * boot,
        ),
    ];
    let rows = (ROWS as f64).log2() + 1e-6;
    let scaled = (lines[1].log2_variance + 2.0 * ((STEPS / DIVISOR) as f64).log2()).exp2();
    lines[2].log2_failure = Some(params.log2_misread(scaled, DIVISOR) + rows);
    lines[3].log2_failure = Some(params.log2_misread(lines[2].log2_variance.exp2(), ENTRIES) + rows);
    lines[5].log2_failure = Some(log2_tail(0.5 / OUT_STEPS as f64 / lines[4].log2_variance.exp2().sqrt()) + rows);
    let vector = |len: usize| VectorLayout::vector(len as u32, len as u32);
    let plan = Plan {
        format_version: FORMAT_VERSION,
        name: "integers".to_owned(),
        provenance: Provenance {
            compiler: "0.1.0".to_owned(),
            model: Digest::of(b"model"),
            calibration: Digest::of(b"calibration"),
            options: Vec::new(),
        },
        input: InputSpec {
            name: "x".to_owned(),
            shape: vec![COLS],
            layout: vector(COLS),
            normalization: None,
            range: CalibratedRange { min: 0.0, max: 3.0 },
        },
        output: OutputSpec {
            name: "y".to_owned(),
            shape: vec![ROWS],
            layout: vector(ROWS),
            bound: 100.0,
            error: 0.5,
            tail: Vec::new(),
            class_names: Vec::new(),
        },
        program: Program::Tfhe(TfheProgram {
            params,
            log2_failure: -20.0,
            bits: 2,
            input: QuantizedInput {
                scale: vec![1.0; COLS],
                offset: vec![0.0; COLS],
                min: vec![0; COLS],
                max: vec![3; COLS],
                steps: vec![STEPS],
            },
            output: QuantizedOutput {
                parts: vec![1],
                scale: vec![1.0; ROWS],
                offset: vec![0.0; ROWS],
                steps: OUT_STEPS,
                min: -100,
            },
            lines,
        }),
        constants: constants.to_vec(),
    };
    PlanBundle::new(plan, weights)
}

fn client_of(bundle: &PlanBundle) -> TfheClientSpec {
    match bundle.plan.client_file() {
        ClientFile::Tfhe(spec) => spec,
        ClientFile::Ckks(_) => panic!("a plan for exact integers"),
    }
}

fn keys(params: &TfheParams) -> (TfheSecretKey, SeededKeys) {
    let mut randomness = TfheRandomness::insecure_deterministic(5);
    let secret = TfheSecretKey::generate(params, &mut randomness);
    let seeded = secret.evaluation_keys(&mut randomness);
    (secret, seeded)
}

#[test]
fn encrypted_integers_are_the_exact_ones_for_every_shape_of_parameters() {
    for params in sets() {
        let bundle = bundle(params);
        let (secret, seeded) = keys(&params);
        let server = TfheServer::new(&bundle, seeded.expand()).expect("keys of the plan");
        let client = TfheClient::new(client_of(&bundle), secret).expect("the key of the plan");
        let values = (0..SAMPLES).map(|s| (0..COLS).map(|i| ((i * 3 + s * 5) % 4) as f64).collect());
        let samples = Samples {
            values: values.collect(),
        };
        let mut randomness = TfheRandomness::insecure_deterministic(6);
        let inputs = client
            .encrypt(&samples, &mut randomness, &mut |_| {})
            .expect("six inputs");
        let mut lines = 0;
        let outputs = server.run(&inputs, &mut |_| lines += 1).expect("inputs of the plan");
        assert_eq!(lines, SAMPLES * 6);
        let exact = integer_program(&bundle.plan, &bundle.weights).expect("a verified plan");
        let integers = client.decrypt_integers(&outputs).expect("outputs of the plan");
        for (sample, integers) in samples.values.iter().zip(&integers) {
            let input: Vec<i64> = sample.iter().map(|x| *x as i64).collect();
            assert_eq!(*integers, exact.evaluate(&input), "{params:?}");
        }
    }
}

#[test]
fn inputs_of_another_plan_or_size_are_refused() {
    let bundle = bundle(sets()[0]);
    let (secret, seeded) = keys(&sets()[0]);
    let server = TfheServer::new(&bundle, seeded.expand()).expect("keys of the plan");
    let client = TfheClient::new(client_of(&bundle), secret).expect("the key of the plan");
    let samples = Samples {
        values: vec![vec![1.0; COLS]],
    };
    let mut randomness = TfheRandomness::insecure_deterministic(6);
    let inputs = client
        .encrypt(&samples, &mut randomness, &mut |_| {})
        .expect("six inputs");
    let mut other = inputs.clone();
    other.plan_hash = Digest::of(b"other");
    assert!(server.run(&other, &mut |_| {}).is_err());
    let mut short = inputs.clone();
    short.samples[0].lines[0].bodies.pop();
    assert!(server.run(&short, &mut |_| {}).is_err());
    let mut none = inputs;
    none.samples[0].lines.clear();
    assert!(server.run(&none, &mut |_| {}).is_err());
    let wrong = Samples {
        values: vec![vec![1.0; COLS + 1]],
    };
    assert!(client.encrypt(&wrong, &mut randomness, &mut |_| {}).is_err());
}

#[test]
fn integers_in_clear_are_those_of_the_definition() {
    let bundle = bundle(sets()[0]);
    let exact = integer_program(&bundle.plan, &bundle.weights).expect("a verified plan");
    let input = [3i64, 0, 1, 2, 3, 1];
    let [w, b, t] = [0, 1, 2].map(|id| bundle.weights.get(ConstId(id)).expect("three constants"));
    for (row, found) in exact.evaluate(&input).into_iter().enumerate() {
        let products = input.iter().enumerate().map(|(c, x)| w[row * COLS + c] * *x as f64);
        let index = ((products.sum::<f64>() + b[row]) / DIVISOR as f64).floor() as usize;
        assert_eq!(found, 2 * t[row * ENTRIES as usize + index] as i64);
    }
}

/// The phase of a ciphertext under the ring key minus what it should be, in turns.
fn error(secret: &TfheSecretKey, ciphertext: &[u64], wanted: u64) -> f64 {
    let ciphertext = LweCiphertext::from_container(ciphertext, CiphertextModulus::new_native());
    let phase = decrypt_lwe_ciphertext(&secret.ring(), &ciphertext).0;
    phase.wrapping_sub(wanted) as i64 as f64 / 2f64.powi(64)
}

#[test]
fn look_ups_agree_with_the_crate_and_have_the_stated_noise() {
    const SAMPLES: usize = 16;
    for params in sets() {
        let (secret, seeded) = keys(&params);
        let theirs = crate_key(&seeded);
        let ours = seeded.expand();
        let modulus = CiphertextModulus::new_native();
        let entries: Vec<u64> = (0..4).map(|v| encode(v * 3, 64)).collect();
        let table = half_table(&entries, params.degree());
        let mut generator = TfheRandomness::insecure_deterministic(9);
        let values: Vec<i64> = (0..SAMPLES as i64).map(|i| i % 4).collect();
        let vector = encrypted(&secret, &values, 8, &mut generator);
        let ciphertexts: Vec<&[u64]> = vector.iter().collect();
        let indices = ours.switch.switch(&ciphertexts, 1);
        let found = ours.bootstrap.look_up(&indices, &[&table; SAMPLES]);

        let mut body = vec![0; (params.ring_rank as usize + 1) * params.degree()];
        let first = body.len() - params.degree();
        body[first..].copy_from_slice(&table);
        let accumulator = GlweCiphertext::from_container(body, PolynomialSize(params.degree()), modulus);
        let mut squares = 0.0;
        let limit = 8.0 * params.bootstrap_variance().sqrt();
        for ((index, found), value) in indices.iter().zip(&found).zip(&values) {
            let wide: Vec<u64> = index.iter().map(|word| u64::from(*word) << 32).collect();
            let mut reference = LweCiphertext::from_container(vec![0; params.ring_dimension() + 1], modulus);
            let index = LweCiphertext::from_container(wide, modulus);
            programmable_bootstrap_lwe_ciphertext(&index, &mut reference, &accumulator, &theirs);
            let wanted = encode(value * 3, 64);
            let (our, their) = (
                error(&secret, found, wanted),
                error(&secret, reference.as_ref(), wanted),
            );
            assert!(
                our.abs() < limit && their.abs() < limit,
                "{params:?}: {our:e} and {their:e} of {limit:e}"
            );
            squares += our * our;
        }
        // A sum of 16 squares is within a factor 3 of its mean but for 1e-6; the formula is stated to be an upper bound.
        let ratio = squares / SAMPLES as f64 / params.bootstrap_variance();
        assert!(
            (0.02..3.0).contains(&ratio),
            "{params:?}: variance {ratio} of what is stated"
        );
    }
}

/// Our seeded bootstrap key, transformed by the crate.
fn crate_key(seeded: &SeededKeys) -> tfhe::core_crypto::prelude::FourierLweBootstrapKeyOwned {
    let params = seeded.params;
    let standard = seeded.standard_bootstrap_key();
    let mut fourier = FourierLweBootstrapKey::new(
        LweDimension(params.small_dimension as usize),
        GlweDimension(params.ring_rank as usize).to_glwe_size(),
        PolynomialSize(params.degree()),
        DecompositionBaseLog(params.bootstrap.base_log as usize),
        DecompositionLevelCount(params.bootstrap.levels as usize),
    );
    convert_standard_lwe_bootstrap_key_to_fourier(&standard, &mut fourier);
    fourier
}

fn encrypted(
    secret: &TfheSecretKey,
    values: &[i64],
    steps: u64,
    randomness: &mut TfheRandomness,
) -> super::values::Vector {
    super::client::encrypt_integers(secret, values, steps, randomness).expand(secret.params())
}

#[test]
fn stated_variances_are_those_of_the_crate() {
    for params in sets() {
        let (n, k) = (params.small_dimension as usize, params.ring_rank as usize);
        let same = |ours: f64, theirs: f64| assert!((ours / theirs - 1.0).abs() < 1e-6, "{ours:e} and {theirs:e}");
        let bootstrap = pbs_variance_132_bits_security_gaussian_fft_mul(
            LweDimension(n),
            GlweDimension(k),
            PolynomialSize(params.degree()),
            DecompositionBaseLog(params.bootstrap.base_log as usize),
            DecompositionLevelCount(params.bootstrap.levels as usize),
            53.0,
            2f64.powi(64),
        );
        same(params.bootstrap_variance(), bootstrap.0);
        let switch = keyswitch_additive_variance_132_bits_security_gaussian(
            LweDimension(params.ring_dimension()),
            LweDimension(n),
            DecompositionBaseLog(params.switch.base_log as usize),
            DecompositionLevelCount(params.switch.levels as usize),
            2f64.powi(64),
            2f64.powi(32),
        );
        same(params.switch_variance(), switch.0);
    }
    for n in (500..=1300).step_by(50) {
        let theirs = minimal_lwe_variance_for_132_bits_security_gaussian(LweDimension(n), 2f64.powi(32));
        assert!((lwe_variance(n, 32) / theirs.0 - 1.0).abs() < 1e-9, "{n}");
    }
}

#[test]
fn bits_of_a_secret_come_back_and_others_are_refused() {
    let params = sets()[0];
    let secret = TfheSecretKey::generate(&params, &mut TfheRandomness::insecure_deterministic(1));
    let bits = secret.bits();
    let again = TfheSecretKey::from_bits(&params, &bits).expect("its own bits");
    assert_eq!(again.bits(), bits);
    assert!(TfheSecretKey::from_bits(&params, &bits[1..]).is_none());
    let mut wrong = bits.clone();
    wrong[0] = 2;
    assert!(TfheSecretKey::from_bits(&params, &wrong).is_none());
}

#[test]
fn keys_and_ciphertexts_come_back_from_their_files() {
    let bundle = bundle(sets()[0]);
    let (params, hash) = (sets()[0], bundle.hash);
    let (secret, seeded) = keys(&params);
    let bits = secret.bits();
    let directory = tempfile::tempdir().expect("a directory");
    let refuse = Overwrite::Refuse;
    let files = write_tfhe_keys(&directory.path().join("keys"), hash, &secret, &seeded, refuse).expect("room");
    assert_eq!(
        read_tfhe_secret_key(&files.secret, &params, hash)
            .expect("whole")
            .bits(),
        bits
    );
    let again = read_tfhe_evaluation_keys(&files.evaluation, &params, hash).expect("whole");
    assert!(again == seeded, "evaluation keys differ");
    assert!(read_tfhe_secret_key(&files.secret, &params, Digest::of(b"other")).is_err());
    assert!(read_tfhe_evaluation_keys(&files.evaluation, &sets()[1], hash).is_err());

    let server = TfheServer::new(&bundle, again.expand()).expect("keys of the plan");
    let client = TfheClient::new(client_of(&bundle), secret).expect("the key of the plan");
    let samples = Samples {
        values: vec![vec![2.0; COLS]],
    };
    let mut randomness = TfheRandomness::insecure_deterministic(6);
    let inputs = client
        .encrypt(&samples, &mut randomness, &mut |_| {})
        .expect("six inputs");
    let (x, y) = (directory.path().join("x.ct"), directory.path().join("y.ct"));
    write_tfhe_inputs(&x, &inputs, refuse).expect("room");
    assert_eq!(read_tfhe_inputs(&x, hash).expect("whole"), inputs);
    assert!(read_tfhe_outputs(&x, hash).is_err(), "an input is no output");
    let outputs = server.run(&inputs, &mut |_| {}).expect("inputs of the plan");
    write_tfhe_outputs(&y, &outputs, refuse).expect("room");
    assert_eq!(read_tfhe_outputs(&y, hash).expect("whole"), outputs);
    assert!(matches!(inspect(&y), Ok(FileInfo::Binary { records: 1, .. })));
}
