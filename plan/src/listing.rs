//! The listing of a plan: the debugging view, one line per instruction.
//!
//! ```text
//! plan sample v1 ckks  N=2^13  levels=3  Δ=2^30  logQP=177/214  security=128
//!   %0 = input input                  ; L3 Δ   3x4 as 12 every 16
//!   %1 = linear %0, m0                ; L3 Δ²  fc1: 8 diagonals, 5 rotations
//!   %2 = rescale %1                   ; L2 Δ   fc1
//! ```

use std::fmt;

use heron_params::bootstrap::{BootstrapParams, SlotValues};
use heron_params::{SECURITY_BITS, max_log_qp};

use crate::{CkksProgram, Constant, Instruction, Line, LinearMap, Plan, Program, ValueId};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = match &self.program {
            Program::Ckks(program) => program,
            Program::Tfhe(program) => return f.write_str(&program.listing(self)),
        };
        writeln!(f, "{}", header(self, program))?;
        for (index, line) in program.lines.iter().enumerate() {
            let text = format!("{} = {}", ValueId(index as u32), instruction(self, &line.op));
            let power = line.power.to_string();
            let comment = comment(self, program, line);
            let row = format!("  {text:<33} ; {} {power:<2}  {comment}", line.level);
            writeln!(f, "{}", row.trim_end())?;
        }
        Ok(())
    }
}

/// The first line of the listing and of the summary.
pub(crate) fn header(plan: &Plan, program: &CkksProgram) -> String {
    let params = &program.params;
    let limit = max_log_qp(params.log_n);
    let sparse_secret_holds = program
        .sound_bootstrap()
        .is_none_or(|bootstrap| bootstrap.ephemeral_security().holds());
    let security = if params.check_secure().is_ok() && sparse_secret_holds {
        SECURITY_BITS.to_string()
    } else {
        "none".to_owned()
    };
    format!(
        "plan {} v{} ckks  N=2^{}  levels={}  Δ=2^{}  logQP={:.0}/{}  security={security}",
        plan.name,
        plan.format_version,
        params.log_n,
        params.q.len().saturating_sub(1),
        params.log_scale,
        params
            .q
            .iter()
            .chain(&params.p)
            .map(|&prime| libm::log2(prime as f64))
            .sum::<f64>()
            .ceil(),
        limit.unwrap_or(0),
    )
}

fn instruction(plan: &Plan, op: &Instruction) -> String {
    let operands = match op {
        Instruction::Input => plan.input.name.clone(),
        Instruction::Linear { arg, map } => format!("{arg}, {map}"),
        Instruction::Rotate { arg, by } => format!("{arg}, {by}"),
        Instruction::Add { lhs, rhs } | Instruction::Sub { lhs, rhs } | Instruction::Mul { lhs, rhs } => {
            format!("{lhs}, {rhs}")
        }
        Instruction::AddConst { arg, value } | Instruction::MulConst { arg, value } => {
            format!("{arg}, {}", constant(value))
        }
        Instruction::Polynomial { arg, poly } => format!("{arg}, {}", poly.coefficients),
        Instruction::Square { arg }
        | Instruction::Rescale { arg }
        | Instruction::DropLevel { arg }
        | Instruction::Bootstrap { arg }
        | Instruction::Output { arg } => arg.to_string(),
    };
    format!("{} {operands}", op.mnemonic())
}

fn constant(value: &Constant) -> String {
    match value {
        Constant::Scalar(value) => format!("{value:.6}"),
        Constant::Vector { data, .. } => data.to_string(),
    }
}

fn comment(plan: &Plan, program: &CkksProgram, line: &Line) -> String {
    let shape = |shape: &[usize], layout| format!("{} as {layout}", dimensions(shape));
    let detail = match &line.op {
        Instruction::Input => shape(&plan.input.shape, plan.input.layout),
        Instruction::Output { .. } => shape(&plan.output.shape, plan.output.layout),
        Instruction::Linear { map, .. } => program.map(*map).map_or_else(String::new, cost),
        Instruction::Polynomial { poly, .. } => {
            let products = poly.counts().ciphertext_products;
            format!("degree {}, {products} products", poly.degree)
        }
        Instruction::Bootstrap { .. } => program.sound_bootstrap().map_or_else(String::new, refreshes),
        Instruction::Rotate { .. }
        | Instruction::Add { .. }
        | Instruction::Sub { .. }
        | Instruction::AddConst { .. }
        | Instruction::MulConst { .. }
        | Instruction::Square { .. }
        | Instruction::Mul { .. }
        | Instruction::Rescale { .. }
        | Instruction::DropLevel { .. } => String::new(),
    };
    let said = [detail, line.note.clone()];
    let said: Vec<String> = said.into_iter().filter(|text| !text.is_empty()).collect();
    match (line.node.as_str(), said.join("; ")) {
        ("", said) => said,
        (node, said) if said.is_empty() => node.to_owned(),
        (node, said) => format!("{node}: {said}"),
    }
}

fn cost(map: &LinearMap) -> String {
    let counts = map.counts();
    format!(
        "{} diagonals, {} rotations",
        counts.plaintext_products,
        counts.rotations()
    )
}

/// What a bootstrap does, in words.
pub(crate) fn refreshes(bootstrap: &BootstrapParams) -> String {
    let offer = bootstrap.offer();
    let values = match offer.values {
        SlotValues::Real => "real",
        SlotValues::Complex => "complex",
    };
    format!(
        "{} {values} slots, {:.1} bits in the worst",
        offer.slots, offer.worst_bits
    )
}

/// A shape as people write it; a scalar is `1`.
pub(crate) fn dimensions(shape: &[usize]) -> String {
    if shape.is_empty() {
        return "1".to_owned();
    }
    shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

#[cfg(test)]
mod tests {
    use crate::sample;

    #[test]
    fn lists_the_sample() {
        let expected = "\
plan sample v1 ckks  N=2^13  levels=3  Δ=2^30  logQP=177/214  security=128
  %0 = input input                  ; L3 Δ   node: 3x4 as 12 every 16
  %1 = linear %0, m0                ; L3 Δ²  node: 8 diagonals, 5 rotations
  %2 = rescale %1                   ; L2 Δ   node
  %3 = add_const %2, c1             ; L2 Δ   node
  %4 = square %3                    ; L2 Δ²  node
  %5 = rescale %4                   ; L1 Δ   node
  %6 = linear %5, m1                ; L1 Δ²  node: 4 diagonals, 3 rotations
  %7 = rescale %6                   ; L0 Δ   node
  %8 = add_const %7, c3             ; L0 Δ   node
  %9 = output %8                    ; L0 Δ   node: 3 as 3 every 4
";
        assert_eq!(sample::plan().to_string(), expected);
    }

    #[test]
    fn lists_a_polynomial_with_its_degree_and_products() {
        let text = sample::polynomial_plan().to_string();
        let line = "%1 = polynomial %0, c0            ; L1 Δ   node: degree 3, 2 products";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn lists_a_bootstrap_with_what_it_keeps() {
        let text = sample::insecure_bootstrap_plan().to_string();
        let start = "%2 = bootstrap %1                 ; L5 Δ   node: 256 real slots, ";
        assert!(text.contains(start) && text.contains("security=none"), "{text}");
    }

    #[test]
    fn lists_a_broken_plan_too() {
        let mut plan = sample::plan();
        let crate::Program::Ckks(program) = &mut plan.program else {
            panic!("a CKKS plan");
        };
        program.maps.clear();
        program.params.q.clear();
        let text = plan.to_string();
        assert!(text.contains("levels=0") && text.contains("security=none"), "{text}");
    }
}
