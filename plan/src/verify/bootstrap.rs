//! Checks the bootstrap of a program, and the lines that evaluate it.

use heron_params::CkksParams;
use heron_params::bootstrap::{BootstrapParams, INPUT_BOUND, SlotValues};

use super::{Place, Report, Rule, Security};
use crate::coverage::Content;
use crate::{CkksProgram, Line};

/// By how much a bound may exceed what a bootstrap takes: roundings of what maps a value onto it.
const BOUND_TOLERANCE: f64 = 1e-6;

/// Checks the parameters of a bootstrap: that its parts fit together and to the chain, and that both secrets are secure.
pub(super) fn check(report: &mut Report, variant: &BootstrapParams, params: &CkksParams, security: Security) {
    if variant.chain() != params {
        let found = "a bootstrap on another chain of primes";
        report.add(Place::Plan, Rule::Bootstrap, found, "the program's own");
    }
    if let Err(error) = variant.validate() {
        report.add(Place::Plan, Rule::Bootstrap, error, "parts that fit together");
        return;
    }
    if variant.values() != SlotValues::Real {
        let found = "a bootstrap of complex slots";
        report.add(
            Place::Plan,
            Rule::Bootstrap,
            found,
            "one of real slots, which values are",
        );
    }
    let sparse = variant.ephemeral_security();
    if security == Security::Required && !sparse.holds() {
        let found = format!("log2(q_0 P') = {:.1} under the sparse secret", sparse.log_qp);
        let expected = format!("at most {}, where 0 means that no limit is known", sparse.limit);
        report.add(Place::Plan, Rule::Security, found, expected);
    }
}

/// Keys for nothing are not made.
pub(super) fn check_use(report: &mut Report, program: &CkksProgram) {
    if program.n_bootstraps() == 0 {
        let found = "a bootstrap that no line evaluates";
        report.add(Place::Plan, Rule::Bootstrap, found, "none");
    }
}

/// What a `bootstrap` line breaks: rule, what was found, what was expected.
pub(super) type Broken = (Rule, String, String);

/// Checks the operand of a line and the level that it goes to.
pub(super) fn check_line(program: &CkksProgram, line: &Line, operand: &Line) -> Vec<Broken> {
    let Some(variant) = program.sound_bootstrap() else {
        let expected = "a sound bootstrap in the program".to_owned();
        return vec![(Rule::Bootstrap, "a line without one".to_owned(), expected)];
    };
    let (needed, reached) = (variant.input_level(), variant.output_level());
    let mut broken = Vec::new();
    if operand.level < needed {
        let found = format!("an operand at {}", operand.level);
        broken.push((
            Rule::Level,
            found,
            format!("{needed} or above, for its first transform"),
        ));
    }
    if line.level > reached || line.level <= operand.level {
        let found = format!("a bootstrap from {} to {}", operand.level, line.level);
        broken.push((Rule::Level, found, format!("upwards, to {reached} at most")));
    }
    if operand.bound > INPUT_BOUND + BOUND_TOLERANCE {
        let found = format!("an operand with bound {}", operand.bound);
        broken.push((Rule::Bootstrap, found, format!("at most {INPUT_BOUND}")));
    }
    broken
}

/// Checks that all slots hold the operand's layout, and repeat as the bootstrap does.
pub(super) fn check_content(program: &CkksProgram, content: Content) -> Option<Broken> {
    let slots = program.params.slots().0;
    let repeats = 1u32 << program.sound_bootstrap()?.log_slots();
    let period = content.layout.period;
    if content.valid < slots as usize {
        let found = format!("an operand with {} slots in its layout", content.valid);
        return Some((
            Rule::Layout,
            found,
            format!("all {slots}: others could leave the interval"),
        ));
    }
    if period == 0 || !repeats.is_multiple_of(period) {
        let expected = format!("a period that divides the bootstrap's {repeats} slots");
        return Some((Rule::Layout, format!("an operand with {}", content.layout), expected));
    }
    None
}

#[cfg(test)]
mod tests {
    use heron_params::bootstrap::BootstrapPreset;
    use heron_params::{Level, ScalePower};

    use crate::{CkksProgram, Instruction, Plan, Program, Rule, ValueId, sample, verify, verify_insecure};

    fn program(plan: &mut Plan) -> &mut CkksProgram {
        let Program::Ckks(program) = &mut plan.program else {
            panic!("a CKKS plan");
        };
        program
    }

    /// Breaks the plan; the places and rules of what it breaks.
    #[track_caller]
    fn check(break_it: impl FnOnce(&mut Plan), expected: &[(&str, Rule)]) {
        let mut plan = sample::insecure_bootstrap_plan();
        break_it(&mut plan);
        let errors = verify_insecure(&plan).err().map_or(Vec::new(), |e| e.errors);
        let found: Vec<(String, Rule)> = errors.iter().map(|e| (e.place.to_string(), e.rule)).collect();
        let expected: Vec<(String, Rule)> = expected.iter().map(|&(place, rule)| (place.to_owned(), rule)).collect();
        assert_eq!(found, expected, "{errors:#?}");
    }

    fn relevel(plan: &mut Plan, lines: &[usize], level: u32) {
        for &line in lines {
            program(plan).lines[line].level = Level(level);
        }
    }

    #[test]
    fn accepts_a_bootstrap_to_its_level_and_to_lower_ones() {
        check(|_| {}, &[]);
        check(|plan| relevel(plan, &[2, 3], 4), &[]);
    }

    #[test]
    fn rejects_operands_that_are_too_low_and_results_that_are_too_high() {
        check(|plan| relevel(plan, &[1], 1), &[("%2 (node)", Rule::Level)]);
        check(|plan| relevel(plan, &[2, 3], 12), &[("%2 (node)", Rule::Level)]);
        let down = |plan: &mut Plan| {
            relevel(plan, &[1], 5);
            relevel(plan, &[2, 3], 4);
        };
        check(down, &[("%2 (node)", Rule::Level)]);
    }

    #[test]
    fn rejects_operands_over_the_bound_and_at_a_product_s_scale() {
        check(
            |plan| program(plan).lines[1].bound = 1.25,
            &[("%2 (node)", Rule::Bootstrap)],
        );
        check(
            |plan| program(plan).lines[1].power = ScalePower::Two,
            &[("%1 (node)", Rule::Power), ("%2 (node)", Rule::Power)],
        );
    }

    #[test]
    fn rejects_slots_that_do_not_repeat_as_the_bootstrap_does() {
        let repeat_every = |period: u32| {
            move |plan: &mut Plan| {
                let layout = sample::layout(12, period);
                (plan.input.layout, plan.output.layout) = (layout, layout);
            }
        };
        check(repeat_every(256), &[]);
        check(repeat_every(512), &[("%2 (node)", Rule::Layout)]);
        check(repeat_every(24), &[("%2 (node)", Rule::Layout)]);
    }

    #[test]
    fn rejects_lines_without_a_bootstrap_and_a_bootstrap_without_lines() {
        check(|plan| program(plan).bootstrap = None, &[("%2 (node)", Rule::Bootstrap)]);
        let unused = |plan: &mut Plan| {
            let lines = &mut program(plan).lines;
            lines.truncate(2);
            lines.push(sample::line(
                Instruction::Output { arg: ValueId(1) },
                2,
                ScalePower::One,
            ));
            lines[2].level = lines[1].level;
        };
        check(unused, &[("plan", Rule::Bootstrap)]);
    }

    #[test]
    fn rejects_a_bootstrap_of_another_chain() {
        let other = |plan: &mut Plan| {
            let variant = BootstrapPreset::named("small").expect("a preset of that name").build();
            program(plan).bootstrap = Some(variant.expect("it builds"));
        };
        let mut plan = sample::insecure_bootstrap_plan();
        other(&mut plan);
        let errors = verify_insecure(&plan).expect_err("another chain").errors;
        assert_eq!(errors[0].rule, Rule::Bootstrap, "{errors:#?}");
    }

    #[test]
    fn both_secrets_must_be_secure() {
        let errors = verify(&sample::insecure_bootstrap_plan())
            .expect_err("nothing is secure here")
            .errors;
        let rules: Vec<Rule> = errors.iter().map(|error| error.rule).collect();
        assert_eq!(rules, [Rule::Security, Rule::Security], "{errors:#?}");
        assert!(errors[1].found.contains("sparse secret"), "{errors:#?}");
    }
}
