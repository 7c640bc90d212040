//! Named bootstraps that the builder generates; their table is in `docs/security.md`.

use crate::bootstrap::request::{BootstrapError, BootstrapRequest, SlotValues, TransformOrder};
use crate::bootstrap::variant::BootstrapParams;

/// A named request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BootstrapPreset {
    /// Its name.
    pub name: &'static str,
    /// What it offers.
    pub request: BootstrapRequest,
}

const FAST: BootstrapRequest = BootstrapRequest {
    log_n: 16,
    log_scale: 49,
    log_slots: 15,
    values: SlotValues::Complex,
    order: TransformOrder::SlotsToCoeffsFirst,
    levels: 11,
    worst_bits: 12.0,
    max_key_bytes: 4 << 30,
};

const PRECISE: BootstrapRequest = BootstrapRequest {
    worst_bits: 19.5,
    max_key_bytes: 6 << 30,
    ..FAST
};

/// All presets. The first whose ring, slots and values fit is what a caller that only names those gets.
pub const BOOTSTRAP_PRESETS: [BootstrapPreset; 5] = [
    BootstrapPreset {
        name: "fast",
        request: FAST,
    },
    BootstrapPreset {
        name: "precise",
        request: PRECISE,
    },
    BootstrapPreset {
        name: "fast-real",
        request: BootstrapRequest {
            log_slots: 14,
            values: SlotValues::Real,
            ..FAST
        },
    },
    BootstrapPreset {
        name: "precise-real",
        request: BootstrapRequest {
            log_slots: 14,
            values: SlotValues::Real,
            ..PRECISE
        },
    },
    BootstrapPreset {
        name: "small",
        request: BootstrapRequest {
            log_n: 15,
            log_scale: 42,
            log_slots: 14,
            values: SlotValues::Real,
            order: TransformOrder::SlotsToCoeffsFirst,
            levels: 4,
            worst_bits: 11.0,
            max_key_bytes: 3 << 30,
        },
    },
];

impl BootstrapPreset {
    /// The preset of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        BOOTSTRAP_PRESETS.iter().find(|preset| preset.name == name)
    }

    /// Builds its parameters.
    ///
    /// # Errors
    /// Those of [`BootstrapParams::build`].
    pub fn build(&self) -> Result<BootstrapParams, BootstrapError> {
        BootstrapParams::build(&self.request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_can_be_built_and_is_secure() {
        for preset in &BOOTSTRAP_PRESETS {
            let params = preset
                .build()
                .unwrap_or_else(|error| panic!("{}: {error}", preset.name));
            assert_eq!(params.check_secure(), Ok(()), "{}", preset.name);
            assert!(params.failure_log2() <= -40.0, "{}", preset.name);
            assert!(
                params.precision().worst_bits() >= preset.request.worst_bits,
                "{}",
                preset.name
            );
            let spec = params.key_spec();
            assert!(
                spec.bytes(params.chain(), false) <= preset.request.max_key_bytes,
                "{}",
                preset.name
            );
        }
    }

    /// The preset's line in the table of `docs/security.md`.
    fn documented(preset: &BootstrapPreset, params: &BootstrapParams) -> String {
        let request = preset.request;
        let (main, ephemeral) = (params.main_security(), params.ephemeral_security());
        let values = match request.values {
            SlotValues::Real => "real",
            SlotValues::Complex => "complex",
        };
        format!(
            "| `{}` | {} | 2^{} {values} | 2^{} | {} ({:.0}) | {:.1}, {}, {:.1} | {:.1}, {} | 2^{:.1} | {:.1} | {} |",
            preset.name,
            request.log_n,
            request.log_slots,
            request.log_scale,
            request.levels,
            params.bits_left(),
            main.log_qp,
            main.limit,
            f64::from(main.limit) - main.log_qp,
            ephemeral.log_qp,
            ephemeral.limit,
            params.failure_log2(),
            params.precision().worst_bits(),
            params.key_spec().bytes(params.chain(), false) >> 20,
        )
    }

    #[test]
    fn the_documented_table_is_what_is_built() {
        let table = include_str!("../../../docs/security.md");
        let lines = BOOTSTRAP_PRESETS.map(|preset| documented(&preset, &preset.build().expect("it builds")));
        let missing: Vec<&String> = lines.iter().filter(|line| !table.contains(*line)).collect();
        assert!(missing.is_empty(), "docs/security.md lacks these lines:\n{missing:#?}");
    }
}
