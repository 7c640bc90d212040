//! What the parts of a linear map cost beside each other: what splits are chosen by.

/// Prices in rotations of the map's operand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// A rotation whose decomposition is shared.
    pub hoisted_rotation: f64,
    /// A rotation with a decomposition of its own: a giant step, a fold.
    pub rotation: f64,
    /// A product with an encoded diagonal.
    pub diagonal: f64,
    /// The key of a rotation: its memory, and loading it. Generating one takes as long as one to three rotations.
    pub key: f64,
}

/// The prices of all rings. Measured, a hoisted rotation is 0.1 to 0.25 of a rotation, most where there are many digits,
/// a giant step 0.7 to 1, and a diagonal 0.03 to 0.08, least where limbs are many.
///
/// Without a price for keys, the main path of ResNet-20 takes 870 rotations in `2^14` slots, with this one 725: a sixth more
/// time in rotations, and a fifth fewer keys for its widest layers.
pub const PRICES: Prices = Prices {
    hoisted_rotation: 0.25,
    rotation: 1.0,
    diagonal: 0.05,
    key: 0.7,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::{Operation, OperationTable, Shape};

    /// Prices are rounded for all rings; a ratio may be off by this factor.
    const ROUNDING: f64 = 2.5;

    #[test]
    fn prices_are_what_the_built_in_table_measured() {
        let table = OperationTable::built_in();
        let tops = [(13, 5, 2, 3), (14, 8, 3, 3), (15, 15, 4, 4)];
        for (log_n, limbs, special, digits) in tops {
            let shape = Shape {
                log_n,
                limbs,
                special,
                digits,
            };
            let ratio = |operation| table.ms(operation, shape) / table.ms(Operation::Rotation, shape);
            let pairs = [
                (Operation::HoistedRotation, PRICES.hoisted_rotation),
                (Operation::GiantStep, PRICES.rotation),
                (Operation::Diagonal, PRICES.diagonal),
            ];
            for (operation, price) in pairs {
                let off = ratio(operation) / price;
                assert!(
                    (1.0 / ROUNDING..ROUNDING).contains(&off),
                    "{operation:?} at {shape:?}: {} rotations",
                    ratio(operation)
                );
            }
        }
    }
}
