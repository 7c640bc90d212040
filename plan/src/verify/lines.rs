//! Checks the lines: operands, levels, powers, bounds, and what the slots hold.

use heron_params::{CkksParams, Level, ScalePower};

use super::interface::check_constant;
use super::{HEADROOM_BITS, Place, Report, Rule, bootstrap, interface};
use crate::coverage::Content;
use crate::{
    CkksProgram, Constant, Instruction, Line, LinearMap, MAX_POLYNOMIAL_DEGREE, MapId, Plan, SlotPolynomial, ValueId,
    VectorLayout,
};

/// By how much a bound may exceed the interval of a polynomial: roundings of what maps a value onto it.
const INTERVAL_TOLERANCE: f64 = 1e-6;

/// Checks every line, and that there is one input and one output.
pub(super) fn check(report: &mut Report, plan: &Plan, program: &CkksProgram) {
    let mut contents: Vec<Option<Content>> = Vec::with_capacity(program.lines.len());
    for (index, line) in program.lines.iter().enumerate() {
        let mut checker = Checker {
            report,
            plan,
            program,
            contents: &contents,
            line,
            place: Place::Line(ValueId(index as u32), line.node.clone()),
        };
        let content = checker.check();
        contents.push(content);
    }
    let count = |wanted: fn(&Instruction) -> bool| program.lines.iter().filter(|line| wanted(&line.op)).count();
    let inputs = count(|op| matches!(op, Instruction::Input));
    let outputs = count(|op| matches!(op, Instruction::Output { .. }));
    if (inputs, outputs) != (1, 1) {
        let found = format!("{inputs} inputs and {outputs} outputs");
        report.add(Place::Plan, Rule::Interface, found, "one of each");
    }
}

/// What is needed to check one line.
struct Checker<'a> {
    report: &'a mut Report,
    plan: &'a Plan,
    program: &'a CkksProgram,
    contents: &'a [Option<Content>],
    line: &'a Line,
    place: Place,
}

/// The state that a line should have, as far as its operands tell.
struct Expected {
    level: Option<Level>,
    power: ScalePower,
}

impl Checker<'_> {
    fn add(&mut self, rule: Rule, found: impl std::fmt::Display, expected: impl std::fmt::Display) {
        self.report.add(self.place.clone(), rule, found, expected);
    }

    fn add_all(&mut self, broken: impl IntoIterator<Item = bootstrap::Broken>) {
        for (rule, found, expected) in broken {
            self.add(rule, found, expected);
        }
    }

    fn params(&self) -> &CkksParams {
        &self.program.params
    }

    /// Checks the line; what its slots hold, where the operands tell.
    fn check(&mut self) -> Option<Content> {
        interface::check_text(self.report, &self.place, [&self.line.node, &self.line.note]);
        self.check_numbers();
        let early = |arg: ValueId| arg.index() < self.contents.len();
        if let Some(late) = self.line.op.args().find(|&arg| !early(arg)) {
            self.add(Rule::OperandOrder, format!("operand {late}"), "an earlier line");
            return None;
        }
        self.check_state();
        self.content()
    }

    /// Levels inside the chain, bounds and errors finite and positive, and room for the value.
    fn check_numbers(&mut self) {
        let Line {
            level,
            power,
            bound,
            error,
            ..
        } = *self.line;
        for (rule, value) in [(Rule::Bound, bound), (Rule::Error, error)] {
            if !(value.is_finite() && value > 0.0) {
                self.add(rule, value, "a finite positive number");
            }
        }
        let top = self.params().max_level();
        if level > top {
            self.add(Rule::Level, level, format!("at most {top}, the top of the chain"));
        } else if bound.is_finite() && bound > 0.0 {
            let needs = libm::log2(bound) + 1.0 + libm::log2(self.params().scale_of(level, power)) + HEADROOM_BITS;
            let available = self.params().log_q(level);
            if needs >= available {
                let found = format!("{needs:.1} bits for {bound} at {power} with {HEADROOM_BITS} bits to spare");
                self.add(
                    Rule::Overflow,
                    found,
                    format!("less than the {available:.1} bits of {level}"),
                );
            }
        }
    }

    /// Level and power against what the instruction makes of its operands' stated ones.
    fn check_state(&mut self) {
        let Some(expected) = self.expected_state() else { return };
        if let Some(level) = expected.level.filter(|&level| level != self.line.level) {
            self.add(Rule::Level, self.line.level, level);
        }
        if expected.power != self.line.power {
            self.add(Rule::Power, self.line.power, expected.power);
        }
    }

    fn expected_state(&mut self) -> Option<Expected> {
        use ScalePower::{One, Two};
        let state = |value: ValueId| {
            let line = &self.program.lines[value.index()];
            (line.level, line.power)
        };
        let same = |(level, power)| Expected {
            level: Some(level),
            power,
        };
        match self.line.op {
            Instruction::Input => Some(same((self.params().max_level(), One))),
            Instruction::Linear { arg, .. } | Instruction::MulConst { arg, .. } | Instruction::Square { arg } => {
                let (level, power) = state(arg);
                self.require_power(arg, power, One);
                Some(same((level, Two)))
            }
            Instruction::Mul { lhs, rhs } => {
                let (level, power) = self.equal_states(lhs, state(lhs), rhs, state(rhs));
                self.require_power(lhs, power, One);
                Some(same((level, Two)))
            }
            Instruction::Add { lhs, rhs } | Instruction::Sub { lhs, rhs } => {
                Some(same(self.equal_states(lhs, state(lhs), rhs, state(rhs))))
            }
            Instruction::Rotate { arg, .. } | Instruction::AddConst { arg, .. } | Instruction::Output { arg } => {
                Some(same(state(arg)))
            }
            Instruction::Polynomial { arg, poly } => {
                let (level, power) = state(arg);
                self.require_power(arg, power, One);
                let below = level.0.checked_sub(poly.depth()).map(Level);
                if below.is_none() {
                    let found = format!("a polynomial of depth {} at {level}", poly.depth());
                    self.add(Rule::Level, found, "a level for every product on its longest chain");
                }
                Some(Expected {
                    level: below,
                    power: One,
                })
            }
            Instruction::Rescale { arg } => {
                let (level, power) = state(arg);
                self.require_power(arg, power, Two);
                if level.below().is_none() {
                    self.add(
                        Rule::Level,
                        format!("a rescale of {arg} below {level}"),
                        "level 1 or more to rescale",
                    );
                }
                Some(Expected {
                    level: level.below(),
                    power: One,
                })
            }
            Instruction::Bootstrap { arg } => {
                let operand = &self.program.lines[arg.index()];
                self.require_power(arg, operand.power, One);
                self.add_all(bootstrap::check_line(self.program, self.line, operand));
                Some(Expected {
                    level: None,
                    power: One,
                })
            }
            Instruction::DropLevel { arg } => {
                let (level, power) = state(arg);
                self.require_power(arg, power, One);
                if self.line.level >= level {
                    let found = format!("a drop from {level} to {}", self.line.level);
                    self.add(Rule::Level, found, format!("a level below {level}"));
                }
                Some(Expected {
                    level: None,
                    power: One,
                })
            }
        }
    }

    fn require_power(&mut self, arg: ValueId, found: ScalePower, expected: ScalePower) {
        if found != expected {
            let hint = match expected {
                ScalePower::One => "rescale it first",
                ScalePower::Two => "only products are rescaled",
            };
            self.add(
                Rule::Power,
                format!("operand {arg} at {found}"),
                format!("{expected}: {hint}"),
            );
        }
    }

    /// Reports unequal operands; goes on with the left one's state.
    fn equal_states(
        &mut self,
        lhs: ValueId,
        left: (Level, ScalePower),
        rhs: ValueId,
        right: (Level, ScalePower),
    ) -> (Level, ScalePower) {
        if left != right {
            let found = format!("{lhs} at {} {}, {rhs} at {} {}", left.0, left.1, right.0, right.1);
            self.add(Rule::EqualStates, found, "equal level and power");
        }
        left
    }

    /// What the line's slots hold. `None` where that is no layout, or follows from something already reported.
    fn content(&mut self) -> Option<Content> {
        let slots = self.params().slots();
        let everywhere = |layout: VectorLayout| Content {
            layout,
            valid: slots.0 as usize,
        };
        match &self.line.op {
            Instruction::Input => self
                .plan
                .input
                .layout
                .fits(slots)
                .then(|| everywhere(self.plan.input.layout)),
            &Instruction::Linear { arg, map } => self.linear_content(arg, map),
            &Instruction::Rotate { arg, by } => {
                if by.0 == 0 || by.0 >= slots.0 {
                    self.add(Rule::Rotation, by, format!("1 to {}", slots.0 - 1));
                    return None;
                }
                rotated(self.of(arg)?, by.0 as usize, slots.0 as usize)
            }
            &Instruction::Add { lhs, rhs } | &Instruction::Sub { lhs, rhs } | &Instruction::Mul { lhs, rhs } => {
                let (left, right) = (self.of(lhs)?, self.of(rhs)?);
                if left.layout != right.layout {
                    let found = format!("{lhs} with {}, {rhs} with {}", left.layout, right.layout);
                    self.add(Rule::Layout, found, "equal layouts");
                    return None;
                }
                let valid = left.valid.min(right.valid);
                Some(Content { valid, ..left })
            }
            Instruction::AddConst { arg, value } | Instruction::MulConst { arg, value } => {
                self.constant_operand(value, self.of(*arg));
                self.of(*arg)
            }
            &Instruction::Polynomial { arg, poly } => self.polynomial_content(arg, &poly),
            &Instruction::Square { arg } | &Instruction::Rescale { arg } | &Instruction::DropLevel { arg } => {
                self.of(arg)
            }
            &Instruction::Bootstrap { arg } => {
                let content = self.of(arg)?;
                self.add_all(bootstrap::check_content(self.program, content));
                Some(content)
            }
            &Instruction::Output { arg } => {
                let content = self.of(arg)?;
                self.require_content(arg, content, self.plan.output.layout, self.plan.output.layout.span());
                Some(content)
            }
        }
    }

    fn of(&self, arg: ValueId) -> Option<Content> {
        self.contents[arg.index()]
    }

    fn linear_content(&mut self, arg: ValueId, map: MapId) -> Option<Content> {
        let slots = self.params().slots();
        let Some(linear) = self.program.map(map) else {
            self.add(Rule::Map, map, format!("one of the {} maps", self.program.maps.len()));
            return None;
        };
        let sound = |linear: &LinearMap| linear.input.fits(slots) && linear.output.fits(slots);
        if !sound(linear) {
            return None;
        }
        if let Some(content) = self.of(arg) {
            self.require_content(arg, content, linear.input, linear.slots_read(slots));
        }
        Some(Content {
            layout: linear.output,
            valid: linear.slots_written(slots),
        })
    }

    /// A polynomial grows fast outside its interval, and one slot that overflows spoils all: every slot must hold what the
    /// layout says, and the operand's bound must be within the interval.
    fn polynomial_content(&mut self, arg: ValueId, poly: &SlotPolynomial) -> Option<Content> {
        let SlotPolynomial {
            coefficients,
            degree,
            parity,
            layout,
        } = *poly;
        if !(1..=MAX_POLYNOMIAL_DEGREE).contains(&degree) || !parity.allows(degree) {
            let found = format!("degree {degree} with parity {parity:?}");
            self.add(
                Rule::Polynomial,
                found,
                format!("1 to {MAX_POLYNOMIAL_DEGREE}, of that parity"),
            );
            return self.of(arg);
        }
        check_constant(self.report, self.plan, self.place.clone(), coefficients, &poly.shape());
        let bound = self.program.lines[arg.index()].bound;
        if bound > 1.0 + INTERVAL_TOLERANCE {
            self.add(
                Rule::Polynomial,
                format!("operand {arg} with bound {bound}"),
                "at most 1, the interval's end",
            );
        }
        let content = self.of(arg)?;
        let slots = self.params().slots();
        if layout.is_some_and(|layout| layout != content.layout) {
            self.add(
                Rule::Layout,
                format!("coefficients for {arg} with {}", content.layout),
                "the same layout",
            );
        }
        if content.valid < slots.0 as usize {
            let found = format!("{arg} with {} slots in its layout", content.valid);
            self.add(
                Rule::Layout,
                found,
                format!("all {slots}: others could leave the interval"),
            );
        }
        Some(content)
    }

    fn require_content(&mut self, arg: ValueId, found: Content, layout: VectorLayout, reads: usize) {
        if found.layout != layout {
            self.add(Rule::Layout, format!("{arg} with {}", found.layout), layout);
        } else if found.valid < reads {
            let valid = found.valid;
            self.add(
                Rule::Layout,
                format!("{arg} with {valid} slots in its layout"),
                format!("{reads}"),
            );
        }
    }

    fn constant_operand(&mut self, value: &Constant, content: Option<Content>) {
        match *value {
            Constant::Scalar(value) if !value.is_finite() => self.add(Rule::Constant, value, "a finite number"),
            Constant::Scalar(_) => {}
            Constant::Vector { data, layout } => {
                let place = self.place.clone();
                check_constant(self.report, self.plan, place, data, &[layout.len as usize]);
                if content.is_some_and(|content| content.layout != layout) || !layout.fits(self.params().slots()) {
                    let expected = content.map_or("a layout that fits".to_owned(), |c| c.layout.to_string());
                    self.add(Rule::Layout, format!("a constant with {layout}"), expected);
                }
            }
        }
    }
}

/// What a left rotation leaves of a layout: repetitions move onto repetitions, or nothing that has a name.
fn rotated(content: Content, by: usize, slots: usize) -> Option<Content> {
    let period = content.layout.period as usize;
    if !by.is_multiple_of(period) {
        return None;
    }
    let seamless = content.valid == slots && content.layout.is_cyclic(slots);
    let valid = if seamless {
        slots
    } else {
        content.valid.saturating_sub(by)
    };
    Some(Content { valid, ..content })
}
