//! The cases: every instruction, at several levels and scales, with several layouts, each with its result by definition.

use heron_params::{CkksParams, Level, Rotation, chebyshev_value};
use heron_plan::{
    BabyGiant, CkksProgram, ConstId, Constant, Geometry, Instruction, LinearMap, MapId, Parity, SlotPolynomial,
    ValueId, VectorLayout,
};

use super::bootstraps::bootstrap_cases;
use super::{Case, INSECURE_SMALL_RING, ProgramBuilder};

/// Slots of the inputs are at most this.
const INPUT_BOUND: f64 = 1.5;

fn params() -> CkksParams {
    CkksParams::build(&INSECURE_SMALL_RING).expect("such primes exist")
}

fn n_slots() -> usize {
    params().slots().0 as usize
}

/// Numbers without a pattern that a wrong rotation could keep.
pub(super) fn numbers(seed: usize, n: usize) -> Vec<f64> {
    let value = |i: usize| ((i * 37 + seed * 101 + i * i * 11) % 257) as f64 / 128.0 - 1.0;
    (0..n).map(value).collect()
}

type Build<'a> = &'a dyn Fn(&mut ProgramBuilder, ValueId) -> ValueId;

/// A program with the given middle, and its results slot by slot.
fn slotwise(name: &'static str, build: Build<'_>, result: &dyn Fn(&[f64], usize) -> f64) -> Case {
    let mut builder = ProgramBuilder::new(params(), INPUT_BOUND);
    let input = builder.line(Instruction::Input);
    let last = build(&mut builder, input);
    builder.line(Instruction::Output { arg: last });
    let (program, weights, _) = builder.finish();
    let inputs = vec![numbers(1, n_slots()), numbers(2, n_slots())];
    let expected = inputs
        .iter()
        .map(|x| (0..n_slots()).map(|slot| result(x, slot)).collect())
        .collect();
    Case {
        name,
        program,
        weights,
        inputs,
        expected,
    }
}

fn rescaled(builder: &mut ProgramBuilder, product: Instruction) -> ValueId {
    let arg = builder.line(product);
    builder.line(Instruction::Rescale { arg })
}

/// All cases.
pub fn cases() -> Vec<Case> {
    let mut all = state_cases();
    all.extend(rotation_cases());
    all.extend(constant_cases());
    all.extend(product_cases());
    all.extend(polynomial_cases());
    all.extend(linear_cases());
    all.extend(bootstrap_cases());
    all.push(two_layers());
    all
}

fn state_cases() -> Vec<Case> {
    let same = |x: &[f64], slot: usize| x[slot];
    let drop_one = |b: &mut ProgramBuilder, x| b.drop_level(x, Level(3));
    let drop_all = |b: &mut ProgramBuilder, x| b.drop_level(x, Level(0));
    let skip = |b: &mut ProgramBuilder, arg| {
        let square = rescaled(b, Instruction::Square { arg });
        let dropped = b.drop_level(arg, Level(3));
        b.line(Instruction::Add {
            lhs: square,
            rhs: dropped,
        })
    };
    vec![
        slotwise("the output is the input", &|_, x| x, &same),
        slotwise("dropping one level keeps the values", &drop_one, &same),
        slotwise("dropping all levels keeps the values", &drop_all, &same),
        slotwise("a skip connection joins at the lower level", &skip, &|x, s| {
            x[s] * x[s] + x[s]
        }),
    ]
}

fn rotation_cases() -> Vec<Case> {
    let n = n_slots();
    let rotate = |by: u32| move |b: &mut ProgramBuilder, arg| b.line(Instruction::Rotate { arg, by: Rotation(by) });
    let rotated = |by: usize| move |x: &[f64], slot: usize| x[(slot + by) % n];
    let of_product = |b: &mut ProgramBuilder, arg| {
        let arg = b.line(Instruction::Square { arg });
        let arg = b.line(Instruction::Rotate { arg, by: Rotation(5) });
        b.line(Instruction::Rescale { arg })
    };
    let low = |b: &mut ProgramBuilder, arg| {
        let arg = b.drop_level(arg, Level(0));
        b.line(Instruction::Rotate { arg, by: Rotation(9) })
    };
    vec![
        slotwise("a rotation by one goes left", &rotate(1), &rotated(1)),
        slotwise(
            "a rotation by all but one wraps around",
            &rotate(n as u32 - 1),
            &rotated(n - 1),
        ),
        slotwise("a product rotates before its rescale", &of_product, &|x, s| {
            x[(s + 5) % n].powi(2)
        }),
        slotwise("a rotation at level 0", &low, &rotated(9)),
    ]
}

fn constant_cases() -> Vec<Case> {
    let (short, n) = ([0.5, -1.25, 2.0], n_slots());
    // The period does not divide the slots: the last repetition is cut short.
    let at = move |slot: usize| short.get(slot % 7).copied().unwrap_or(0.0);
    let add_scalar = |b: &mut ProgramBuilder, arg| {
        b.line(Instruction::AddConst {
            arg,
            value: Constant::Scalar(-0.75),
        })
    };
    let add_vector = move |b: &mut ProgramBuilder, arg| {
        let value = b.vector(short.to_vec(), 7);
        b.line(Instruction::AddConst { arg, value })
    };
    let add_to_product = move |b: &mut ProgramBuilder, arg| {
        let arg = b.line(Instruction::Square { arg });
        let value = b.vector(short.to_vec(), 7);
        let arg = b.line(Instruction::AddConst { arg, value });
        let arg = b.line(Instruction::AddConst {
            arg,
            value: Constant::Scalar(3.0),
        });
        b.line(Instruction::Rescale { arg })
    };
    let mul_scalar = |b: &mut ProgramBuilder, arg| {
        rescaled(
            b,
            Instruction::MulConst {
                arg,
                value: Constant::Scalar(-1.5),
            },
        )
    };
    let mul_vector = move |b: &mut ProgramBuilder, arg| {
        let arg = b.drop_level(arg, Level(1));
        let value = b.vector(numbers(5, n), n as u32);
        rescaled(b, Instruction::MulConst { arg, value })
    };
    vec![
        slotwise("adds a scalar", &add_scalar, &|x, s| x[s] - 0.75),
        slotwise("adds a repeated vector", &add_vector, &move |x, s| x[s] + at(s)),
        slotwise("adds constants to a product", &add_to_product, &move |x, s| {
            x[s] * x[s] + at(s) + 3.0
        }),
        slotwise("multiplies by a scalar", &mul_scalar, &|x, s| -1.5 * x[s]),
        slotwise("multiplies by a vector at level 1", &mul_vector, &move |x, s| {
            x[s] * numbers(5, n)[s]
        }),
    ]
}

fn product_cases() -> Vec<Case> {
    let n = n_slots();
    let sum = |b: &mut ProgramBuilder, x| {
        let y = b.line(Instruction::Rotate {
            arg: x,
            by: Rotation(3),
        });
        b.line(Instruction::Add { lhs: x, rhs: y })
    };
    let difference = |b: &mut ProgramBuilder, x| {
        let y = b.line(Instruction::Rotate {
            arg: x,
            by: Rotation(3),
        });
        b.line(Instruction::Sub { lhs: x, rhs: y })
    };
    let square = |b: &mut ProgramBuilder, arg| rescaled(b, Instruction::Square { arg });
    let product = |b: &mut ProgramBuilder, lhs| {
        let rhs = b.line(Instruction::Rotate {
            arg: lhs,
            by: Rotation(3),
        });
        rescaled(b, Instruction::Mul { lhs, rhs })
    };
    let to_the_bottom =
        |b: &mut ProgramBuilder, arg| (0..4).fold(arg, |arg, _| rescaled(b, Instruction::Square { arg }));
    let difference_of_products = |b: &mut ProgramBuilder, x| {
        let square = b.line(Instruction::Square { arg: x });
        let double = b.line(Instruction::MulConst {
            arg: x,
            value: Constant::Scalar(2.0),
        });
        let arg = b.line(Instruction::Sub {
            lhs: square,
            rhs: double,
        });
        b.line(Instruction::Rescale { arg })
    };
    vec![
        slotwise("adds", &sum, &move |x, s| x[s] + x[(s + 3) % n]),
        slotwise("subtracts the right from the left", &difference, &move |x, s| {
            x[s] - x[(s + 3) % n]
        }),
        slotwise("squares", &square, &|x, s| x[s] * x[s]),
        slotwise("multiplies", &product, &move |x, s| x[s] * x[(s + 3) % n]),
        slotwise("squares through all levels", &to_the_bottom, &|x, s| x[s].powi(16)),
        slotwise(
            "subtracts products before one rescale",
            &difference_of_products,
            &|x, s| x[s] * (x[s] - 2.0),
        ),
    ]
}

/// A polynomial by its terms, the same in all slots or with other numbers for each of three elements every eight slots.
fn polynomial_case(name: &'static str, degree: u32, parity: Parity, per_element: bool) -> Case {
    let layout = VectorLayout::vector(3, 8);
    let poly = SlotPolynomial {
        coefficients: ConstId(0),
        degree,
        parity,
        layout: per_element.then_some(layout),
    };
    let shape = poly.shape();
    let data: Vec<f64> = numbers(31, shape.iter().product());
    let build = |builder: &mut ProgramBuilder, arg| {
        let coefficients = builder.constant(&shape, data.clone());
        let poly = SlotPolynomial { coefficients, ..poly };
        builder.line(Instruction::Polynomial { arg, poly })
    };
    let result = |x: &[f64], slot: usize| match per_element.then_some(slot % 8) {
        Some(element) if element >= 3 => 0.0,
        element => chebyshev_value(&poly.dense(&data, element.unwrap_or(0)), x[slot]),
    };
    slotwise(name, &build, &result)
}

fn polynomial_cases() -> Vec<Case> {
    vec![
        polynomial_case("a line as a polynomial", 1, Parity::General, false),
        polynomial_case("a square as a polynomial", 2, Parity::Even, false),
        polynomial_case("an odd polynomial", 7, Parity::Odd, false),
        polynomial_case("a polynomial for every element", 5, Parity::General, true),
        polynomial_case("a polynomial through all levels", 15, Parity::General, false),
    ]
}

/// Shapes, layouts, baby steps and folds of one linear map.
struct MapCase {
    name: &'static str,
    rows: u32,
    cols: u32,
    row_period: u32,
    col_period: u32,
    baby: u32,
    fold: &'static [u32],
}

/// Periods of 8 and 16 divide the 128 slots, those of 24 and 48 do not.
const MAP_CASES: [MapCase; 5] = [
    MapCase {
        name: "a square matrix",
        rows: 8,
        cols: 8,
        row_period: 8,
        col_period: 8,
        baby: 3,
        fold: &[],
    },
    MapCase {
        name: "a wide matrix folds",
        rows: 3,
        cols: 13,
        row_period: 4,
        col_period: 16,
        baby: 2,
        fold: &[8, 4],
    },
    MapCase {
        name: "a tall matrix",
        rows: 15,
        cols: 4,
        row_period: 16,
        col_period: 4,
        baby: 4,
        fold: &[],
    },
    MapCase {
        name: "one giant step",
        rows: 16,
        cols: 16,
        row_period: 16,
        col_period: 16,
        baby: 16,
        fold: &[],
    },
    MapCase {
        name: "a layout that is cut short",
        rows: 8,
        cols: 20,
        row_period: 8,
        col_period: 24,
        baby: 2,
        fold: &[16, 8],
    },
];

impl MapCase {
    fn add_to(&self, builder: &mut ProgramBuilder, values: Vec<f64>) -> MapId {
        let weights = builder.constant(&[self.rows as usize, self.cols as usize], values);
        builder.map(LinearMap {
            geometry: Geometry::Dense {
                weights,
                rows: self.rows,
                cols: self.cols,
            },
            input: VectorLayout::vector(self.cols, self.col_period),
            output: VectorLayout::vector(self.rows, self.row_period),
            steps: BabyGiant { baby: self.baby },
            fold: self.fold.iter().copied().map(Rotation).collect(),
        })
    }

    fn case(&self) -> Case {
        let mut builder = ProgramBuilder::new(params(), INPUT_BOUND);
        let matrix = numbers(11, (self.rows * self.cols) as usize);
        let map = self.add_to(&mut builder, matrix.clone());
        let arg = builder.line(Instruction::Input);
        let arg = rescaled(&mut builder, Instruction::Linear { arg, map });
        builder.line(Instruction::Output { arg });
        let (program, weights, _) = builder.finish();
        let layout = program.maps[0].input;
        let vectors = [numbers(3, self.cols as usize), numbers(4, self.cols as usize)];
        let inputs = vectors.iter().map(|v| layout.spread(v, n_slots())).collect();
        let expected = vectors.iter().map(|v| matrix_times(&matrix, v)).collect();
        Case {
            name: self.name,
            program,
            weights,
            inputs,
            expected,
        }
    }
}

fn linear_cases() -> Vec<Case> {
    MAP_CASES.iter().map(MapCase::case).collect()
}

/// The definition: one inner product per row.
fn matrix_times(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    let row = |row: &[f64]| row.iter().zip(vector).map(|(a, b)| a * b).sum();
    matrix.chunks(vector.len()).map(row).collect()
}

/// Dense with bias, square, dense with bias: what a small network becomes.
fn two_layers() -> Case {
    let wide = &MAP_CASES[1];
    let tall = MapCase {
        name: "",
        rows: 6,
        cols: 3,
        row_period: 8,
        col_period: 4,
        baby: 2,
        fold: &[],
    };
    let (first, second) = (numbers(21, 39), numbers(22, 18));
    let (bias, last_bias) = (numbers(23, 3), numbers(24, 6));
    let mut builder = ProgramBuilder::new(params(), INPUT_BOUND);
    let (map, last_map) = (
        wide.add_to(&mut builder, first.clone()),
        tall.add_to(&mut builder, second.clone()),
    );
    let arg = builder.line(Instruction::Input);
    let arg = builder.line(Instruction::Linear { arg, map });
    let value = builder.vector(bias.clone(), 4);
    let arg = builder.line(Instruction::AddConst { arg, value });
    let arg = builder.line(Instruction::Rescale { arg });
    let arg = rescaled(&mut builder, Instruction::Square { arg });
    let arg = rescaled(&mut builder, Instruction::Linear { arg, map: last_map });
    let value = builder.vector(last_bias.clone(), 8);
    let arg = builder.line(Instruction::AddConst { arg, value });
    builder.line(Instruction::Output { arg });
    let (program, weights, _) = builder.finish();
    let network = |x: &Vec<f64>| -> Vec<f64> {
        let hidden: Vec<f64> = matrix_times(&first, x)
            .iter()
            .zip(&bias)
            .map(|(y, b)| (y + b).powi(2))
            .collect();
        matrix_times(&second, &hidden)
            .iter()
            .zip(&last_bias)
            .map(|(y, b)| y + b)
            .collect()
    };
    let vectors = [numbers(25, 13), numbers(26, 13)];
    let expected = vectors.iter().map(network).collect();
    let inputs = vectors
        .iter()
        .map(|v| program.maps[0].input.spread(v, n_slots()))
        .collect();
    Case {
        name: "two dense layers with a square between",
        program,
        weights,
        inputs,
        expected,
    }
}

/// A program that squares at the top, so that a machine made for it has the key.
pub(super) fn one_square() -> CkksProgram {
    let mut builder = ProgramBuilder::new(params(), INPUT_BOUND);
    let arg = builder.line(Instruction::Input);
    let arg = rescaled(&mut builder, Instruction::Square { arg });
    builder.line(Instruction::Output { arg });
    builder.finish().0
}
