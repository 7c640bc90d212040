//! The workspace from outside: its house rules, its golden plans, and its machines against each other.

mod differential;
mod golden;
mod integers;
mod plans;
mod tidy;
