//! Measured times of operations, and times between them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::operation::{Operation, Shape};

/// The built-in table: `heron doctor --calibrate --threads 1`, on the machine that it names.
const BUILT_IN: &str = include_str!("built_in.json");
/// More rows than any calibration writes.
const MAX_ROWS: usize = 4096;
/// Keeps the weight of a row that was measured at the very shape finite, and so large that the others do not count.
const NEAREST: f64 = 1e-3;
/// How much further a ring of another degree is than as many times the limbs.
const RING_DISTANCE: f64 = 4.0;

/// Times of operations on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationTable {
    /// The processor.
    pub cpu: String,
    /// The kernel set.
    pub kernels: String,
    /// How many threads computed.
    pub threads: usize,
    /// What was measured, one entry a shape.
    pub rows: Vec<Measured>,
}

/// The operations of one shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// What they were measured on.
    pub shape: Shape,
    /// Milliseconds of each operation.
    pub ms: BTreeMap<Operation, f64>,
}

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is no table.
    #[error("it is no table of operations: {0}; write it again with `heron doctor --calibrate`")]
    Malformed(#[from] serde_json::Error),
    /// It lacks an operation everywhere.
    #[error("it has no measurement of `{}`; write it again with `heron doctor --calibrate`", .0.name())]
    Missing(Operation),
    /// A number in it is none, or there are too many.
    #[error(
        "it has a shape, a time or a number of rows that cannot be; write it again with `heron doctor --calibrate`"
    )]
    Implausible,
}

impl OperationTable {
    /// The table that comes with Heron.
    pub fn built_in() -> &'static Self {
        static TABLE: OnceLock<OperationTable> = OnceLock::new();
        TABLE.get_or_init(|| Self::parse(BUILT_IN.as_bytes()).expect("a test reads the built-in table"))
    }

    /// Reads a table that `heron doctor --calibrate` wrote.
    ///
    /// # Errors
    /// [`TableError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, TableError> {
        let table: Self = serde_json::from_slice(bytes)?;
        let plausible = |row: &Measured| {
            let Shape {
                log_n,
                limbs,
                special,
                digits,
            } = row.shape;
            let sizes =
                (1..=20).contains(&log_n) && [limbs, special, digits].iter().all(|size| (1..=999).contains(size));
            sizes && row.ms.values().all(|ms| ms.is_finite() && *ms >= 0.0)
        };
        if table.rows.len() > MAX_ROWS || !table.rows.iter().all(plausible) {
            return Err(TableError::Implausible);
        }
        let missing = |operation: &Operation| !table.rows.iter().any(|row| row.ms.contains_key(operation));
        match Operation::ALL.into_iter().find(missing) {
            Some(operation) => Err(TableError::Missing(operation)),
            None => Ok(table),
        }
    }

    /// The table as a file.
    ///
    /// # Errors
    /// None that occurs: all parts can be written.
    pub fn to_json(&self) -> Result<Vec<u8>, TableError> {
        let mut bytes = serde_json::to_vec_pretty(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Milliseconds that an operation takes on operands of a shape.
    ///
    /// What was measured at the shape itself is returned as it is. Elsewhere the time per unit of work is taken from all
    /// rows, weighted by the inverse fourth power of their distance in the logarithms of ring degree, limbs and digits.
    ///
    /// # Source
    /// D. Shepard, *A two-dimensional interpolation function for irregularly-spaced data*, ACM 1968.
    pub fn ms(&self, operation: Operation, shape: Shape) -> f64 {
        let (mut weights, mut sum) = (0.0, 0.0);
        for row in &self.rows {
            let Some(ms) = row.ms.get(&operation) else { continue };
            let squared = distance_squared(row.shape, shape);
            if squared == 0.0 {
                return *ms;
            }
            let weight = 1.0 / ((squared + NEAREST) * (squared + NEAREST));
            weights += weight;
            sum += weight * ms / operation.work(row.shape);
        }
        if weights > 0.0 {
            sum / weights * operation.work(shape)
        } else {
            0.0
        }
    }
}

fn distance_squared(a: Shape, b: Shape) -> f64 {
    let ratio = |a: u32, b: u32| libm::log(f64::from(a) / f64::from(b));
    let rings = RING_DISTANCE * (f64::from(a.log_n) - f64::from(b.log_n));
    let parts = [
        rings,
        ratio(a.limbs, b.limbs),
        ratio(a.special, b.special),
        ratio(a.digits, b.digits),
    ];
    parts.iter().map(|part| part * part).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(limbs: u32, ms: f64) -> Measured {
        let shape = Shape {
            log_n: 13,
            limbs,
            special: 2,
            digits: 2,
        };
        Measured {
            shape,
            ms: Operation::ALL.into_iter().map(|operation| (operation, ms)).collect(),
        }
    }

    fn table(rows: Vec<Measured>) -> OperationTable {
        OperationTable {
            cpu: "a processor".to_owned(),
            kernels: "portable".to_owned(),
            threads: 1,
            rows,
        }
    }

    #[test]
    fn the_built_in_table_has_every_operation_of_the_rings_that_plans_use() {
        let table = OperationTable::built_in();
        assert_eq!(table.threads, 1);
        for log_n in 12..=16 {
            let here = table.rows.iter().filter(|row| row.shape.log_n == log_n);
            let complete = here.filter(|row| row.ms.len() == Operation::ALL.len()).count();
            let least = if log_n == 12 { 1 } else { 3 };
            assert!(complete >= least, "2^{log_n} has {complete} shapes");
        }
    }

    #[test]
    fn measured_shapes_keep_their_times_and_others_lie_between() {
        let table = table(vec![row(2, 1.0), row(8, 5.0)]);
        let at = |limbs| {
            table.ms(
                Operation::Rotation,
                Shape {
                    limbs,
                    ..table.rows[0].shape
                },
            )
        };
        assert_eq!((at(2).to_bits(), at(8).to_bits()), (1f64.to_bits(), 5f64.to_bits()));
        assert!(at(4) > 1.0 && at(4) < 5.0, "{}", at(4));
        assert!(at(16) > 5.0, "{}", at(16));
    }

    #[test]
    fn a_table_survives_its_file() {
        let table = table(vec![row(3, 0.5)]);
        let bytes = table.to_json().expect("written");
        assert_eq!(OperationTable::parse(&bytes).expect("read"), table);
    }

    #[test]
    fn tables_that_cannot_be_are_refused() {
        let mut incomplete = table(vec![row(3, 0.5)]);
        incomplete.rows[0].ms.remove(&Operation::Rescale);
        let mut negative = table(vec![row(3, -0.5)]);
        let parse = |table: &OperationTable| OperationTable::parse(&table.to_json().expect("written"));
        assert!(matches!(
            parse(&incomplete),
            Err(TableError::Missing(Operation::Rescale))
        ));
        assert!(matches!(parse(&negative), Err(TableError::Implausible)));
        negative.rows[0] = row(0, 0.5);
        assert!(matches!(parse(&negative), Err(TableError::Implausible)));
        assert!(matches!(OperationTable::parse(b"[]"), Err(TableError::Malformed(_))));
    }
}
