//! Builds programs by hand, line by line, with bounds and errors that the noise model predicts.

use heron_params::bootstrap::BootstrapParams;
use heron_params::{
    ChebyshevSplit, CkksParams, Level, NoiseModel, OperationNoise, Rotation, ScalePower, chebyshev_derivative,
    chebyshev_value,
};
use heron_plan::{
    CkksProgram, ConstEntry, ConstId, Constant, Diagonals, Instruction, Line, LinearMap, MapId, SlotPolynomial,
    ValueId, VectorLayout, Weights,
};

/// Deviations that no slot of a test exceeds.
const SIGMAS: f64 = 10.0;

/// A program that grows line by line.
#[derive(Clone, Debug)]
pub struct ProgramBuilder {
    program: CkksProgram,
    weights: Weights,
    entries: Vec<ConstEntry>,
    input_bound: f64,
}

impl ProgramBuilder {
    /// An empty program; inputs have slots of at most `input_bound`.
    pub fn new(params: CkksParams, input_bound: f64) -> Self {
        let program = CkksProgram {
            params,
            bootstrap: None,
            maps: Vec::new(),
            lines: Vec::new(),
        };
        Self {
            program,
            weights: Weights::default(),
            entries: Vec::new(),
            input_bound,
        }
    }

    /// An empty program on the chain of a bootstrap; inputs have slots of at most `input_bound`.
    pub fn bootstrapping(variant: BootstrapParams, input_bound: f64) -> Self {
        let mut builder = Self::new(variant.chain().clone(), input_bound);
        builder.program.bootstrap = Some(variant);
        builder
    }

    /// The program, its constants and their entries.
    pub fn finish(self) -> (CkksProgram, Weights, Vec<ConstEntry>) {
        (self.program, self.weights, self.entries)
    }

    /// Adds a constant.
    pub fn constant(&mut self, shape: &[usize], values: Vec<f64>) -> ConstId {
        let name = format!("constant{}", self.entries.len());
        let (id, entry) = self.weights.push(&name, shape, values);
        self.entries.push(entry);
        id
    }

    /// Adds a vector as an operand.
    pub fn vector(&mut self, values: Vec<f64>, period: u32) -> Constant {
        let layout = VectorLayout::vector(values.len() as u32, period);
        Constant::Vector {
            data: self.constant(&[values.len()], values),
            layout,
        }
    }

    /// Adds a linear map.
    pub fn map(&mut self, map: LinearMap) -> MapId {
        self.program.maps.push(map);
        MapId(self.program.maps.len() as u32 - 1)
    }

    /// Appends a line; its state, bound and error follow from its operands.
    ///
    /// # Panics
    /// If an operand does not exist, or a rescale finds no level below: a mistake of the test.
    pub fn line(&mut self, op: Instruction) -> ValueId {
        let line = self.predict(op);
        self.program.lines.push(line);
        ValueId(self.program.lines.len() as u32 - 1)
    }

    /// Appends a drop to a level.
    pub fn drop_level(&mut self, arg: ValueId, level: Level) -> ValueId {
        let id = self.line(Instruction::DropLevel { arg });
        let rescaled = SIGMAS * NoiseModel::new(&self.program.params).rescale(level);
        let line = &mut self.program.lines[id.index()];
        line.level = level;
        line.error += rescaled;
        id
    }

    /// Appends a bootstrap to a level.
    ///
    /// # Panics
    /// If the program has no bootstrap: a mistake of the test.
    pub fn bootstrap(&mut self, arg: ValueId, level: Level) -> ValueId {
        let id = self.line(Instruction::Bootstrap { arg });
        let variant = self.program.bootstrap.as_ref().expect("the program was begun with one");
        let (precision, dropped) = (
            variant.precision(),
            NoiseModel::new(&self.program.params).rescale(level),
        );
        let line = &mut self.program.lines[id.index()];
        line.level = level;
        line.error += precision.bias + SIGMAS * (precision.deviation + dropped);
        id
    }

    fn operand(&self, id: ValueId) -> Line {
        self.program.lines[id.index()].clone()
    }

    fn magnitude(&self, constant: &Constant) -> f64 {
        match constant {
            Constant::Scalar(value) => value.abs(),
            Constant::Vector { data, .. } => {
                let values = self.weights.get(*data).expect("the constant was added before");
                values.iter().fold(0.0, |largest, v| v.abs().max(largest))
            }
        }
    }

    fn predict(&self, op: Instruction) -> Line {
        let model = NoiseModel::new(&self.program.params);
        let first = op.args().next().map(|arg| self.operand(arg));
        let Some(x) = first else {
            let level = self.program.params.max_level();
            // Clients may encrypt under either key.
            let error = SIGMAS * model.fresh(level).max(model.fresh_public(level));
            return stated(op, (level, ScalePower::One), self.input_bound, error);
        };
        let y = op.args().nth(1).map_or_else(|| x.clone(), |arg| self.operand(arg));
        let (level, kept) = (x.level, (x.level, x.power));
        let doubled = (level, ScalePower::Two);
        let encoded = SIGMAS * model.encode(level);
        let switched = SIGMAS * model.key_switch(level, ScalePower::Two);
        let product_error = x.bound * y.error + y.bound * x.error + x.error * y.error + switched;
        match &op {
            Instruction::Rotate { .. } => {
                let error = x.error + SIGMAS * model.key_switch(level, x.power);
                stated(op, kept, x.bound, error)
            }
            Instruction::Add { .. } | Instruction::Sub { .. } => stated(op, kept, x.bound + y.bound, x.error + y.error),
            Instruction::AddConst { value, .. } => {
                let bound = x.bound + self.magnitude(value);
                stated(op, kept, bound, x.error + encoded)
            }
            Instruction::MulConst { value, .. } => {
                let factor = self.magnitude(value);
                stated(op, doubled, x.bound * factor, x.error * factor + encoded * x.bound)
            }
            Instruction::Square { .. } | Instruction::Mul { .. } => {
                stated(op, doubled, x.bound * y.bound, product_error)
            }
            Instruction::Polynomial { poly, .. } => {
                let below = Level(level.0 - poly.depth());
                let (bound, error) = self.predict_polynomial(poly, below, x.error);
                stated(op, (below, ScalePower::One), bound, error)
            }
            Instruction::Rescale { .. } => {
                let below = level.below().expect("tests stay within their levels");
                let error = x.error + SIGMAS * model.rescale(below);
                stated(op, (below, ScalePower::One), x.bound, error)
            }
            Instruction::Linear { map, .. } => {
                let (bound, error) = self.predict_linear(*map, &x);
                stated(op, doubled, bound, error)
            }
            Instruction::Input
            | Instruction::DropLevel { .. }
            | Instruction::Bootstrap { .. }
            | Instruction::Output { .. } => stated(op, kept, x.bound, x.error),
        }
    }

    /// Bound and error of a polynomial, the largest of any element over a grid of its interval.
    fn predict_polynomial(&self, poly: &SlotPolynomial, below: Level, operand: f64) -> (f64, f64) {
        const GRID: u32 = 64;
        let model = NoiseModel::new(&self.program.params);
        let noise = OperationNoise {
            product: model.key_switch(below, ScalePower::Two).powi(2),
            rescale: model.rescale(below).powi(2),
            coefficient: model.encode(below).powi(2),
        };
        let data = self
            .weights
            .get(poly.coefficients)
            .expect("the coefficients were added before");
        let elements = poly.layout.map_or(1, |layout| layout.len as usize);
        let (mut bound, mut error) = (0.0f64, 0.0f64);
        for coefficients in (0..elements).map(|element| poly.dense(data, element)) {
            let split = ChebyshevSplit::cheapest(&coefficients);
            for x in (0..=GRID).map(|i| 2.0 * f64::from(i) / f64::from(GRID) - 1.0) {
                let added = SIGMAS * split.added_variance(x, noise).sqrt();
                bound = bound.max(chebyshev_value(&coefficients, x).abs());
                error = error.max(chebyshev_derivative(&coefficients, x).abs() * operand + added);
            }
        }
        (bound, error)
    }

    /// Bound and error of a linear map: every slot sums one product per diagonal, and each fold adds two sums.
    fn predict_linear(&self, map: MapId, x: &Line) -> (f64, f64) {
        let model = NoiseModel::new(&self.program.params);
        let map = &self.program.maps[map.index()];
        let data = self
            .weights
            .get(map.geometry.weights())
            .expect("the weights were added before");
        let mut sums = vec![0.0; self.program.params.slots().0 as usize];
        let mut diagonal = sums.clone();
        let (diagonals, indices) = (Diagonals::new(map, data), map.diagonals());
        for &d in &indices {
            diagonals.write(d, Rotation(0), &mut diagonal);
            sums.iter_mut().zip(&diagonal).for_each(|(sum, v)| *sum += v.abs());
        }
        let gain = sums.iter().copied().fold(0.0, f64::max);
        let encoded = SIGMAS * model.encode(x.level) * (indices.len() as f64).sqrt();
        let baby = SIGMAS * model.key_switch(x.level, ScalePower::One);
        let switched = SIGMAS * model.key_switch(x.level, ScalePower::Two);
        let giants = switched * map.giant_steps().len() as f64;
        let sum = (gain * x.bound, gain * (x.error + baby) + encoded * x.bound + giants);
        map.fold
            .iter()
            .fold(sum, |(bound, error), _| (2.0 * bound, 2.0 * error + switched))
    }
}

fn stated(op: Instruction, (level, power): (Level, ScalePower), bound: f64, error: f64) -> Line {
    Line {
        op,
        level,
        power,
        bound,
        error,
        node: "test".to_owned(),
        note: String::new(),
    }
}
