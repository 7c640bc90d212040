//! What a bootstrap offers a planner, in one place.

use serde::Serialize;

use crate::bootstrap::request::{BootstrapRequest, SlotValues};
use crate::bootstrap::variant::BootstrapParams;
use crate::{Level, LogScale, Slots};

/// The largest absolute value of a slot, and of both parts of a complex one, that a bootstrap takes.
pub const INPUT_BOUND: f64 = 1.0;

/// What a planner weighs: what goes in, what comes out, what it costs. All of it is known before any key exists.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BootstrapOffer {
    /// The level of the operand; a higher one is dropped to it.
    pub input_level: Level,
    /// The level of the result.
    pub output_level: Level,
    /// Levels between two bootstraps: the difference of the two.
    pub levels: u32,
    /// Bits of these levels.
    pub bits_left: f64,
    /// Bits of the canonical scale, of operand and result alike.
    pub log_scale: LogScale,
    /// What operands must not exceed in absolute value, in every slot.
    pub input_bound: f64,
    /// How many slots differ; vectors repeat with this period.
    pub slots: Slots,
    /// What is bootstrapped: of real slots the imaginary part is lost.
    pub values: SlotValues,
    /// Standard deviation of the error of a slot, at most, in message units.
    pub deviation: f64,
    /// Errors that depend on the message alone, at most, in message units.
    pub bias: f64,
    /// Bits that the worst slot of many keeps.
    pub worst_bits: f64,
    /// Bits of the mean absolute error.
    pub mean_bits: f64,
    /// Base-2 logarithm of the probability that one bootstrap fails: the result is then wrong in a slot.
    pub failure_log2: f64,
    /// Cost in rotations of the same ring at 24 limbs.
    pub rotations: f64,
    /// Bytes of the keys in memory.
    pub key_bytes: u64,
    /// Bytes of the keys in a file.
    pub file_bytes: u64,
}

impl BootstrapParams {
    /// What this variant offers.
    pub fn offer(&self) -> BootstrapOffer {
        let (precision, keys) = (self.precision(), self.key_spec());
        BootstrapOffer {
            input_level: self.input_level(),
            output_level: self.output_level(),
            levels: self.levels,
            bits_left: self.bits_left(),
            log_scale: LogScale(self.chain.log_scale),
            input_bound: INPUT_BOUND,
            slots: Slots(1 << self.log_slots),
            values: self.values,
            deviation: precision.deviation,
            bias: precision.bias,
            worst_bits: precision.worst_bits(),
            mean_bits: precision.mean_bits(),
            failure_log2: self.failure_log2(),
            rotations: self.cost_in_rotations(),
            key_bytes: keys.bytes(&self.chain, false),
            file_bytes: keys.bytes(&self.chain, true),
        }
    }
}

impl BootstrapRequest {
    /// Whether vectors of `slots` slots of such values can be bootstrapped as asked: a vector of fewer slots is repeated, and a real one is
    /// a complex one too.
    pub fn carries(&self, slots: Slots, values: SlotValues) -> bool {
        slots.0 <= 1 << self.log_slots && (values == SlotValues::Real || self.values == SlotValues::Complex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::BootstrapPreset;

    #[test]
    fn an_offer_says_what_the_preset_asks_for() {
        let preset = BootstrapPreset::named("small").expect("a preset of that name");
        let offer = preset.build().expect("it builds").offer();
        assert_eq!(offer.output_level.0 - offer.input_level.0, preset.request.levels);
        assert!(offer.worst_bits >= preset.request.worst_bits && offer.mean_bits > offer.worst_bits);
        assert!(offer.key_bytes <= preset.request.max_key_bytes && offer.file_bytes < offer.key_bytes);
        assert!(offer.failure_log2 <= -40.0 && offer.rotations > 1.0);
    }

    #[test]
    fn fewer_slots_and_real_ones_are_carried() {
        let carries = |name: &str, slots, values| {
            let preset = BootstrapPreset::named(name).expect("a preset of that name");
            preset.request.carries(Slots(slots), values)
        };
        assert!(carries("fast", 1 << 15, SlotValues::Complex) && carries("fast", 1 << 4, SlotValues::Real));
        assert!(!carries("fast", 1 << 16, SlotValues::Real) && !carries("fast-real", 1 << 14, SlotValues::Complex));
    }
}
