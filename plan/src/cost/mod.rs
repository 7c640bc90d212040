//! What a program costs on a machine: time, bytes of keys and peak memory, before any key exists.
//!
//! A table holds measured times of the single operations ([`OperationTable`]); an estimate adds them up over the lines of a
//! program ([`CkksProgram::estimate`](crate::CkksProgram::estimate)). The table that is built in was written by
//! `heron doctor --calibrate` and decides between parameters that are equally good; another machine's only changes what a
//! report says. The packer weighs splits against each other with a few rounded ratios ([`PRICES`]), so that plans do not
//! change when the table is measured again.

mod estimate;
mod memory;
mod operation;
mod prices;
mod table;

pub use estimate::{Estimate, LayerEstimate, LineEstimate};
pub use memory::MemoryEstimate;
pub use operation::{Operation, Shape};
pub use prices::{PRICES, Prices};
pub use table::{Measured, OperationTable, TableError};
