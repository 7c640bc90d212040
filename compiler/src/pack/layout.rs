//! The layouts of vectors and images.
//!
//! A result of `r` elements has the period `R = 2^ceil(log2 r)`, so that rotate-and-sum replicates it. A dense map from
//! period `P` to period `R` has `g = gcd(R, P)` diagonals. Intermediate vectors have powers of two for `P`; the input is
//! packed by the client and may have any period `P`, as long as `lcm(R, P) + g` slots are there: an odd multiple of a small
//! power of two trades diagonals for a few more rotations of the sum, which are all that is left to pay. From 784 to 128
//! elements in 4096 slots, `P = 800` has 32 diagonals and 5 rotations of the sum where `P = 1024` has 128 and 3.
//!
//! A convolution's result keeps the grid of its operand: neighbours that lie `k` slots apart lie `k · stride` apart after
//! it, and the gap is filled with channels. So every entry of the kernel moves all positions by one and the same rotation.

use heron_params::Slots;
use heron_plan::{ConstId, Convolution, Geometry, Image, VectorLayout};

use super::rotations::plan_map;

/// How much room the grid of an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GridPolicy {
    /// Rows take a power of two of slots, or as many as they have columns.
    pub(super) rows: Room,
    /// Planes take a power of two of slots, or as many as their rows.
    pub(super) planes: Room,
}

/// Room for a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// No more than the size.
    Tight,
    /// The next power of two: offsets then coincide modulo the period.
    PowerOfTwo,
}

impl Room {
    fn of(self, size: u32) -> u32 {
        match self {
            Self::Tight => size,
            Self::PowerOfTwo => size.next_power_of_two(),
        }
    }
}

impl GridPolicy {
    /// All of them, the one that usually wins first.
    pub(super) const ALL: [Self; 4] = [
        Self::new(Room::Tight, Room::PowerOfTwo),
        Self::new(Room::Tight, Room::Tight),
        Self::new(Room::PowerOfTwo, Room::PowerOfTwo),
        Self::new(Room::PowerOfTwo, Room::Tight),
    ];

    const fn new(rows: Room, planes: Room) -> Self {
        Self { rows, planes }
    }
}

/// The layout of an intermediate vector.
pub(super) fn canonical(len: usize) -> VectorLayout {
    VectorLayout::vector(len as u32, (len as u32).next_power_of_two())
}

/// The layout of an image that follows no other.
pub(super) fn fresh_image(len: usize, [height, width]: [u32; 2], policy: GridPolicy) -> VectorLayout {
    let row = policy.rows.of(width);
    let plane = policy.planes.of(height.saturating_mul(row));
    arranged(
        len,
        Image {
            row,
            plane,
            ..Image::tight(height, width)
        },
    )
}

/// The layout of a convolution's result, on its operand's grid where it fits.
pub(super) fn convolved(len: usize, conv: &Convolution, operand: VectorLayout, policy: GridPolicy) -> VectorLayout {
    let [height, width] = conv.output;
    let followed = operand.as_image(conv.input[0], conv.input[1]).and_then(|from| {
        let image = Image {
            height,
            width,
            gap_y: from.gap_y.checked_mul(conv.strides[0])?,
            gap_x: from.gap_x.checked_mul(conv.strides[1])?,
            ..from
        };
        let fits = width.checked_mul(image.gap_x)? <= image.row
            && height.checked_mul(image.gap_y)?.checked_mul(image.row)? <= image.plane;
        fits.then(|| arranged(len, image))
    });
    followed.unwrap_or_else(|| fresh_image(len, conv.output, policy))
}

/// A layout whose period is the power of two above its span.
fn arranged(len: usize, image: Image) -> VectorLayout {
    let mut layout = VectorLayout {
        len: len as u32,
        period: 0,
        image: Some(image),
    };
    layout.period = (layout.span() as u32).next_power_of_two();
    layout
}

/// The layout of the input: the period that makes the dense maps that read it cheapest, the smallest of equals.
///
/// `outputs`: layouts of these maps' results. `None` if the slots do not suffice for any period.
pub(super) fn input_layout(len: usize, outputs: &[VectorLayout], slots: Slots) -> Option<VectorLayout> {
    let len = u32::try_from(len).ok()?;
    let cost = |period: u32| {
        let input = VectorLayout::vector(len, period);
        let geometry = |rows: u32| Geometry::Dense {
            weights: ConstId(0),
            rows,
            cols: len,
        };
        let plans = outputs
            .iter()
            .map(|&output| plan_map(geometry(output.len), input, output, slots));
        let total = plans.map(|plan| plan.map(|plan| plan.cost)).sum::<Option<f64>>();
        total.map(|cost| (input, cost))
    };
    let periods = len..=slots.0.min(len.next_power_of_two());
    periods
        .filter_map(cost)
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(input, _)| input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_takes_an_odd_multiple_of_a_small_power() {
        let input = input_layout(784, &[canonical(128)], Slots(4096)).expect("enough slots");
        assert_eq!(input, VectorLayout::vector(784, 800));
    }

    #[test]
    fn a_vector_longer_than_the_slots_does_not_fit() {
        assert_eq!(input_layout(5000, &[canonical(10)], Slots(4096)), None);
    }

    #[test]
    fn a_strided_convolution_fills_its_gaps_with_channels() {
        let policy = GridPolicy::ALL[0];
        let conv = Convolution {
            weights: ConstId(0),
            kernel: [32, 16, 3, 3],
            input: [32, 32],
            output: [16, 16],
            strides: [2, 2],
            dilations: [1, 1],
            pads: [1, 1],
            groups: 1,
        };
        let operand = fresh_image(16 * 1024, [32, 32], policy);
        let result = convolved(32 * 256, &conv, operand, policy);
        assert_eq!(result.to_string(), "32x16x16 gap 2 every 8192");
        assert!(result.fits(Slots(8192)));
    }
}
