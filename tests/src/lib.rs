//! What the tests of the whole workspace share: its files, its sources, and the shipped models.

mod models;
mod sources;

pub use models::{ShippedModel, TestSet};
pub use sources::{Source, repository_root, rust_sources, tracked_files};
