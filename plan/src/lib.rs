//! Heron: plan.
