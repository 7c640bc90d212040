//! Checks a plan from the plan alone: it trusts nothing that the compiler said and repeats none of its decisions.
//!
//! Every line's level, power and slot contents are derived again from its operands' stated ones, so that one broken line
//! is one error and not a cascade. All errors are reported, in order of the program.

mod bootstrap;
pub(crate) mod interface;
mod lines;
mod report;

use std::fmt::Display;

use heron_params::ParamsError;

pub use report::{Place, Rule, VerifyError, VerifyErrors};

use crate::tfhe::{self, TfheProgram};
use crate::{CkksProgram, ClientSpec, FORMAT_VERSION, MapId, Plan, Program, Weights};

/// Spare bits between a value at its bound and the modulus, beyond the sign.
pub(crate) const HEADROOM_BITS: f64 = 2.0;
const MAX_LINES: usize = 1 << 14;
const MAX_MAPS: usize = 1 << 12;

/// Checks everything that a machine relies on, 128-bit security included.
///
/// # Errors
/// All broken lines, maps, constants and statements of the interface.
pub fn verify(plan: &Plan) -> Result<(), VerifyErrors> {
    match &plan.program {
        Program::Ckks(program) => check_ckks(plan, program, Security::Required),
        Program::Tfhe(program) => check_tfhe(plan, program),
    }
}

/// [`verify`] without the security table: for tests on small rings. What comes from a file is never checked this way.
///
/// # Errors
/// Those of [`verify`], but [`Rule::Security`].
pub fn verify_insecure(plan: &Plan) -> Result<(), VerifyErrors> {
    match &plan.program {
        Program::Ckks(program) => check_ckks(plan, program, Security::Waived),
        Program::Tfhe(program) => check_tfhe(plan, program),
    }
}

/// Checks what encryption and decryption rely on.
///
/// # Errors
/// All broken statements.
pub(crate) fn verify_client(client: &ClientSpec) -> Result<(), VerifyErrors> {
    let mut report = Report::default();
    if params_hold(&mut report, client.params.check_secure()) {
        if let Some(variant) = &client.bootstrap {
            bootstrap::check(&mut report, variant, &client.params, Security::Required);
        }
        let slots = client.params.slots();
        interface::check_text(&mut report, &Place::Plan, [&client.name]);
        interface::check_input(&mut report, &client.input, slots);
        interface::check_output(&mut report, &client.output, slots);
        interface::check_keys(&mut report, client);
    }
    report.into_result()
}

/// [`verify`], and what needs the weights: the exact ranges and the noise of integers.
///
/// # Errors
/// Those of [`verify`]; [`Rule::Range`], [`Rule::Constant`] and [`Rule::Variance`] for what the weights break.
pub fn verify_with_weights(plan: &Plan, weights: &Weights) -> Result<(), VerifyErrors> {
    verify(plan)?;
    match &plan.program {
        Program::Ckks(_) => Ok(()),
        Program::Tfhe(program) => tfhe::verify_ranges(program, weights),
    }
}

fn check_tfhe(plan: &Plan, program: &TfheProgram) -> Result<(), VerifyErrors> {
    let mut report = Report::default();
    check_version(&mut report, plan);
    tfhe::verify_program(&mut report, plan, program);
    report.into_result()
}

fn check_version(report: &mut Report, plan: &Plan) {
    if plan.format_version != FORMAT_VERSION {
        report.add(Place::Plan, Rule::Version, plan.format_version, FORMAT_VERSION);
    }
}

/// Whether 128 bits are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Security {
    Required,
    /// For tests on small rings.
    Waived,
}

fn check_ckks(plan: &Plan, program: &CkksProgram, security: Security) -> Result<(), VerifyErrors> {
    let mut report = Report::default();
    check_version(&mut report, plan);
    let params = match security {
        Security::Required => program.params.check_secure(),
        Security::Waived => program.params.validate(),
    };
    let arithmetic_works = params_hold(&mut report, params);
    if program.lines.len() > MAX_LINES || program.maps.len() > MAX_MAPS {
        let found = format!("{} lines and {} maps", program.lines.len(), program.maps.len());
        let expected = format!("at most {MAX_LINES} and {MAX_MAPS}");
        report.add(Place::Plan, Rule::Limits, found, expected);
    } else if arithmetic_works {
        interface::check(&mut report, plan, program);
        if let Some(variant) = &program.bootstrap {
            bootstrap::check(&mut report, variant, &program.params, security);
            bootstrap::check_use(&mut report, program);
        }
        check_maps(&mut report, plan, program);
        lines::check(&mut report, plan, program);
    }
    report.into_result()
}

/// Reports what is wrong with the parameters; whether scales and levels can be computed at all.
fn params_hold(report: &mut Report, params: Result<(), ParamsError>) -> bool {
    let Err(error) = params else { return true };
    let insecure = matches!(error, ParamsError::Insecure { .. });
    let (rule, expected) = if insecure {
        (Rule::Security, "a set that the 128-bit table allows")
    } else {
        (Rule::Parameters, "distinct NTT primes in supported sizes")
    };
    report.add(Place::Plan, rule, error, expected);
    insecure
}

fn check_maps(report: &mut Report, plan: &Plan, program: &CkksProgram) {
    for (index, map) in program.maps.iter().enumerate() {
        let place = Place::Map(MapId(index as u32));
        let (weights, shape) = (map.geometry.weights(), map.geometry.weights_shape());
        interface::check_constant(report, plan, place.clone(), weights, &shape);
        for defect in map.defects(program.params.slots()) {
            report.add(place.clone(), defect.kind.into(), defect.found, defect.expected);
        }
    }
}

/// Collects errors.
#[derive(Default)]
pub(crate) struct Report {
    errors: Vec<VerifyError>,
}

impl Report {
    pub(crate) fn add(&mut self, place: Place, rule: Rule, found: impl Display, expected: impl Display) {
        self.errors.push(VerifyError {
            place,
            rule,
            found: found.to_string(),
            expected: expected.to_string(),
        });
    }

    pub(crate) fn into_result(self) -> Result<(), VerifyErrors> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(VerifyErrors { errors: self.errors })
    }
}

#[cfg(test)]
mod tests;
