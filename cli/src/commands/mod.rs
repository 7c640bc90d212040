//! One file per command.

mod bench;
mod check;
mod compile;
mod decrypt;
mod demo;
mod doctor;
mod encrypt;
mod estimate;
mod explain;
mod fit;
mod inspect;
mod integers;
mod keygen;
mod ops;
mod report;
mod run;
mod simulate;
mod tune;
mod verify;

pub(crate) use bench::BenchArgs;
pub(crate) use check::CheckArgs;
pub(crate) use compile::CompileArgs;
pub(crate) use decrypt::DecryptArgs;
pub(crate) use demo::DemoArgs;
pub(crate) use doctor::DoctorArgs;
pub(crate) use encrypt::EncryptArgs;
pub(crate) use explain::ExplainArgs;
pub(crate) use fit::FitCommandArgs;
pub(crate) use inspect::InspectArgs;
pub(crate) use keygen::KeygenArgs;
pub(crate) use ops::OpsArgs;
pub(crate) use report::ReportArgs;
pub(crate) use run::RunArgs;
pub(crate) use simulate::SimulateArgs;
pub(crate) use tune::TuneArgs;
pub(crate) use verify::VerifyArgs;
