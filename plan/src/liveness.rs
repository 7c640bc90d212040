//! When each value of a program is read for the last time.

use crate::{CkksProgram, ValueId};

/// Last uses, and what they mean for memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// For every value, the line that reads it last; its own line where nothing does.
    pub last_use: Vec<ValueId>,
    dead: Vec<Vec<ValueId>>,
    /// How many ciphertexts are alive at once, at most: a line's result is counted beside its operands.
    pub peak: usize,
}

impl Liveness {
    /// The values to free once `line` is done, ascending: those that it reads last, and itself if nothing reads it (so
    /// take outputs before).
    pub fn dead_after(&self, line: ValueId) -> &[ValueId] {
        self.dead.get(line.index()).map_or(&[], Vec::as_slice)
    }
}

impl CkksProgram {
    /// Finds the last use of every value. Operands that are no earlier line are ignored: `verify` reports them.
    pub fn liveness(&self) -> Liveness {
        let mut last_use: Vec<ValueId> = (0..self.lines.len() as u32).map(ValueId).collect();
        for (index, line) in self.lines.iter().enumerate() {
            for arg in line.op.args().filter(|arg| arg.index() < index) {
                last_use[arg.index()] = ValueId(index as u32);
            }
        }
        let mut dead = vec![Vec::new(); last_use.len()];
        for (value, last) in last_use.iter().enumerate() {
            dead[last.index()].push(ValueId(value as u32));
        }
        let peak = peak(&dead);
        Liveness { last_use, dead, peak }
    }
}

/// The largest number of values between their definition and their last use, both lines included.
fn peak(dead: &[Vec<ValueId>]) -> usize {
    let (mut live, mut peak) = (0, 0);
    for dying in dead {
        live += 1;
        peak = peak.max(live);
        live -= dying.len();
    }
    peak
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_chain_keeps_two_ciphertexts() {
        let plan = sample::plan();
        let program = plan.program.ckks().expect("a CKKS plan");
        let liveness = program.liveness();
        assert_eq!(liveness.peak, 2);
        assert_eq!(liveness.last_use[0], ValueId(1));
        assert_eq!(liveness.dead_after(ValueId(1)), [ValueId(0)]);
    }

    #[test]
    fn a_value_read_twice_lives_until_the_second_time() {
        let liveness = sample::skip_program().liveness();
        assert_eq!(liveness.last_use, [2, 2, 3, 3].map(ValueId));
        assert_eq!(liveness.peak, 3);
        assert_eq!(liveness.dead_after(ValueId(2)), [ValueId(0), ValueId(1)]);
    }
}
