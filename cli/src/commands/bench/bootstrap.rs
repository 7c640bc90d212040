//! `heron bench bootstrap`: how long the named bootstraps take on this machine, what they leave, and what they need.

mod clock;
mod setting;

use anyhow::{Result, anyhow};
use heron_params::bootstrap::{BOOTSTRAP_PRESETS, BootstrapPreset, SlotValues};
use serde::Serialize;

use self::setting::{Found, Reference, Setting};
use super::machine::Machine;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::table::{Align, Table};

const AFTER_HELP: &str = "\
Vectors are random in [-1, 1]. One bootstrap encodes the diagonals before those
that count. `rotations` is the time divided by that of a rotation at 24 limbs of
the same ring, measured between the bootstraps. Peak memory includes the keys.

Example:
  heron bench bootstrap --log-n 16 --log-slots 15 --threads 1 --format json";

/// Options of `bench bootstrap`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct BenchBootstrapArgs {
    /// Ring degree, as a logarithm to base 2
    #[arg(long, default_value_t = 16, value_name = "LOG_N")]
    log_n: u32,
    /// Slots that differ, as a logarithm to base 2
    #[arg(long, default_value_t = 15, value_name = "LOG_SLOTS")]
    log_slots: u32,
    /// Measure the bootstraps of real vectors
    #[arg(long)]
    real: bool,
    /// Measure this bootstrap alone, whatever its ring
    #[arg(long, value_name = "NAME", conflicts_with_all = ["log_n", "log_slots", "real"])]
    preset: Option<String>,
    /// How many bootstraps to measure
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    runs: u32,
}

/// One line of the result.
#[derive(Debug, Serialize)]
struct Measurement {
    op: &'static str,
    preset: &'static str,
    log_n: u32,
    log_slots: u32,
    values: SlotValues,
    limbs: usize,
    special_limbs: usize,
    digits: usize,
    log_qp: f64,
    security_bits: u32,
    #[serde(flatten)]
    machine: Machine,
    #[serde(flatten)]
    found: Found,
    predicted_rotations: f64,
    bits_left: f64,
    predicted_worst_bits: f64,
    failure_log2: f64,
    /// Of the keys in memory.
    key_mib: u64,
    /// Of the keys in a file.
    file_mib: u64,
    runs: u32,
}

impl BenchBootstrapArgs {
    /// Runs the command.
    pub(super) fn run(&self, context: &Context) -> Result<()> {
        let machine = Machine::this(context.kernels);
        let mut table = Table::new(&[
            ("bootstrap", Align::Text),
            ("median s", Align::Number),
            ("rotations", Align::Number),
            ("bits left", Align::Number),
            ("worst bits", Align::Number),
            ("mean bits", Align::Number),
            ("keys MiB", Align::Number),
            ("peak MiB", Align::Number),
        ]);
        for preset in self.presets()? {
            let measured = self.measure(preset, context, &machine)?;
            if context.terminal.is_json() {
                context.terminal.json_line(&measured)?;
            } else {
                table.row(measured.cells());
            }
        }
        if !context.terminal.is_json() {
            let heading = format!(
                "{} kernels, {}, {}\n\n",
                machine.kernels,
                crate::units::count(machine.threads, "thread"),
                machine.cpu
            );
            context
                .terminal
                .piece(&(heading + &table.render(context.terminal.width())))?;
        }
        Ok(())
    }

    /// The bootstraps that were asked for.
    fn presets(&self) -> Result<Vec<&'static BootstrapPreset>> {
        let known = BOOTSTRAP_PRESETS.map(|preset| preset.name).join(", ");
        let usage = |message: String| Failure::new(Exit::Usage, message).advise(format!("the bootstraps are {known}"));
        if let Some(name) = &self.preset {
            let preset = BootstrapPreset::named(name);
            let unknown = || usage(format!("there is no bootstrap `{name}`"));
            return Ok(vec![preset.ok_or_else(unknown)?]);
        }
        let values = if self.real {
            SlotValues::Real
        } else {
            SlotValues::Complex
        };
        let wanted = |preset: &&BootstrapPreset| {
            let request = &preset.request;
            (request.log_n, request.log_slots, request.values) == (self.log_n, self.log_slots, values)
        };
        let found: Vec<&BootstrapPreset> = BOOTSTRAP_PRESETS.iter().filter(wanted).collect();
        if found.is_empty() {
            let (n, slots) = (self.log_n, self.log_slots);
            let kind = if self.real { "real" } else { "complex" };
            return Err(usage(format!(
                "there is no bootstrap of 2^{slots} {kind} slots in ring degree 2^{n}"
            ))
            .into());
        }
        Ok(found)
    }

    fn measure(&self, preset: &'static BootstrapPreset, context: &Context, machine: &Machine) -> Result<Measurement> {
        let params = preset.build()?;
        let card = heron_params::SecurityCard::of(params.chain());
        let card = card.ok_or_else(|| anyhow!("parameters that were built have a card"))?;
        let offer = params.offer();
        let chain = params.chain().clone();
        let step = context.terminal.step(&format!("making the keys of {}", preset.name));
        let mut setting = Setting::new(params, context.kernels, &mut |done| {
            step.bytes(done, offer.key_bytes);
        })?;
        drop(step);
        let step = context.terminal.step(&format!("measuring {}", preset.name));
        setting.warm_up()?;
        // Its memory is not the bootstrap's.
        let reference = Reference::new(preset.request.log_n, context.kernels)?;
        let found = setting.measure(&reference, self.runs, &mut |done| {
            step.progress(done, u64::from(self.runs));
        })?;
        Ok(Measurement {
            op: "bootstrap",
            preset: preset.name,
            log_n: preset.request.log_n,
            log_slots: preset.request.log_slots,
            values: preset.request.values,
            limbs: chain.q.len(),
            special_limbs: chain.p.len(),
            digits: chain.digits(chain.max_level()).len(),
            log_qp: chain.log_qp(),
            security_bits: card.security_bits.0,
            machine: machine.clone(),
            found,
            predicted_rotations: offer.rotations,
            bits_left: offer.bits_left,
            predicted_worst_bits: offer.worst_bits,
            failure_log2: offer.failure_log2,
            key_mib: offer.key_bytes >> 20,
            file_mib: offer.file_bytes >> 20,
            runs: self.runs,
        })
    }
}

impl Measurement {
    /// Its line of the table.
    fn cells(&self) -> impl Iterator<Item = String> {
        let found = &self.found;
        let peak = found
            .peak_mib
            .map_or_else(|| "unknown".to_owned(), |mib| mib.to_string());
        [
            self.preset.to_owned(),
            format!("{:.3}", found.median_s),
            format!("{:.1}", found.rotations),
            format!("{:.0}", self.bits_left),
            format!("{:.1}", found.worst_bits),
            format!("{:.1}", found.mean_bits),
            self.key_mib.to_string(),
            peak,
        ]
        .into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(log_n: u32, log_slots: u32, real: bool, preset: Option<&str>) -> Result<Vec<&'static str>> {
        let args = BenchBootstrapArgs {
            log_n,
            log_slots,
            real,
            preset: preset.map(str::to_owned),
            runs: 1,
        };
        Ok(args.presets()?.into_iter().map(|preset| preset.name).collect())
    }

    #[test]
    fn rings_and_slots_choose_all_bootstraps_that_have_them() {
        assert_eq!(asked(16, 15, false, None).expect("there are"), ["fast", "precise"]);
        assert_eq!(
            asked(16, 14, true, None).expect("there are"),
            ["fast-real", "precise-real"]
        );
        assert_eq!(asked(15, 14, true, None).expect("there is one"), ["small"]);
        assert_eq!(asked(16, 15, false, Some("small")).expect("a name"), ["small"]);
    }

    #[test]
    fn what_does_not_exist_is_refused_with_what_does() {
        for refused in [asked(14, 13, true, None), asked(16, 15, false, Some("tiny"))] {
            let error = refused.expect_err("there is no such bootstrap");
            let failure = error.downcast_ref::<Failure>().expect("a failure with its exit code");
            assert_eq!(failure.exit, Exit::Usage);
            assert!(failure.advice.contains("precise-real"), "{failure:?}");
        }
    }
}
