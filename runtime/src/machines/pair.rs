//! Two machines side by side, so that every line of one can be compared with the other.

use heron_params::bootstrap::BootstrapParams;
use heron_params::{Level, Rotation};

use crate::machine::{Machine, MachineError, ResolvedConstant, ResolvedMap, ResolvedPolynomial, State};

/// Runs every instruction on both machines.
#[derive(Debug)]
pub struct Pair<A, B> {
    /// The machine whose states count.
    pub left: A,
    /// The machine beside it.
    pub right: B,
}

/// One value on each machine.
#[derive(Clone, Debug)]
pub struct PairValue<A, B> {
    /// On the left machine.
    pub left: A,
    /// On the right machine.
    pub right: B,
}

type Value<A, B> = PairValue<<A as Machine>::Value, <B as Machine>::Value>;

impl<A: Machine, B: Machine> Machine for Pair<A, B> {
    type Value = Value<A, B>;

    fn state(&self, value: &Self::Value) -> State {
        self.left.state(&value.left)
    }

    fn input(&mut self, value: Self::Value, state: State) -> Result<Self::Value, MachineError> {
        let (left, right) = (
            self.left.input(value.left, state)?,
            self.right.input(value.right, state)?,
        );
        Ok(PairValue { left, right })
    }

    fn linear(&mut self, arg: &Self::Value, map: ResolvedMap<'_>) -> Result<Self::Value, MachineError> {
        Ok(PairValue {
            left: self.left.linear(&arg.left, map)?,
            right: self.right.linear(&arg.right, map)?,
        })
    }

    fn rotate(&mut self, arg: &Self::Value, by: Rotation) -> Result<Self::Value, MachineError> {
        Ok(PairValue {
            left: self.left.rotate(&arg.left, by)?,
            right: self.right.rotate(&arg.right, by)?,
        })
    }

    fn add(&mut self, lhs: &Self::Value, rhs: &Self::Value) -> Result<Self::Value, MachineError> {
        let (left, right) = (
            self.left.add(&lhs.left, &rhs.left)?,
            self.right.add(&lhs.right, &rhs.right)?,
        );
        Ok(PairValue { left, right })
    }

    fn sub(&mut self, lhs: &Self::Value, rhs: &Self::Value) -> Result<Self::Value, MachineError> {
        let (left, right) = (
            self.left.sub(&lhs.left, &rhs.left)?,
            self.right.sub(&lhs.right, &rhs.right)?,
        );
        Ok(PairValue { left, right })
    }

    fn add_const(&mut self, arg: &Self::Value, value: ResolvedConstant<'_>) -> Result<Self::Value, MachineError> {
        Ok(PairValue {
            left: self.left.add_const(&arg.left, value)?,
            right: self.right.add_const(&arg.right, value)?,
        })
    }

    fn mul_const(&mut self, arg: &Self::Value, value: ResolvedConstant<'_>) -> Result<Self::Value, MachineError> {
        Ok(PairValue {
            left: self.left.mul_const(&arg.left, value)?,
            right: self.right.mul_const(&arg.right, value)?,
        })
    }

    fn square(&mut self, arg: &Self::Value) -> Result<Self::Value, MachineError> {
        Ok(PairValue {
            left: self.left.square(&arg.left)?,
            right: self.right.square(&arg.right)?,
        })
    }

    fn mul(&mut self, lhs: &Self::Value, rhs: &Self::Value) -> Result<Self::Value, MachineError> {
        let (left, right) = (
            self.left.mul(&lhs.left, &rhs.left)?,
            self.right.mul(&lhs.right, &rhs.right)?,
        );
        Ok(PairValue { left, right })
    }

    fn polynomial(&mut self, arg: &Self::Value, poly: ResolvedPolynomial<'_>) -> Result<Self::Value, MachineError> {
        Ok(PairValue {
            left: self.left.polynomial(&arg.left, poly)?,
            right: self.right.polynomial(&arg.right, poly)?,
        })
    }

    fn rescale(&mut self, arg: &Self::Value) -> Result<Self::Value, MachineError> {
        Ok(PairValue {
            left: self.left.rescale(&arg.left)?,
            right: self.right.rescale(&arg.right)?,
        })
    }

    fn drop_level(&mut self, arg: &Self::Value, to: Level) -> Result<Self::Value, MachineError> {
        Ok(PairValue {
            left: self.left.drop_level(&arg.left, to)?,
            right: self.right.drop_level(&arg.right, to)?,
        })
    }

    fn bootstrap(
        &mut self,
        arg: &Self::Value,
        variant: &BootstrapParams,
        to: Level,
    ) -> Result<Self::Value, MachineError> {
        // The right one first: an exact machine says what is wrong before an encrypted one has taken its time.
        let right = self.right.bootstrap(&arg.right, variant, to)?;
        Ok(PairValue {
            left: self.left.bootstrap(&arg.left, variant, to)?,
            right,
        })
    }

    fn output(&mut self, arg: &Self::Value) -> Result<Self::Value, MachineError> {
        Ok(PairValue {
            left: self.left.output(&arg.left)?,
            right: self.right.output(&arg.right)?,
        })
    }
}
