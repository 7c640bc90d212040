//! Which slots of a value hold what its layout says, and what a linear map must look like to keep that promise.
//!
//! A linear map from period `P` to period `R` with `g = gcd(R, P)` diagonals leaves the products of one result in `P / g`
//! blocks of `R` slots: slot `s` holds columns `s … s + g - 1` modulo `P` of row `s mod R`. While `t` runs over `0..P/g`,
//! `s + R·t` meets every multiple of `g` modulo `P` exactly once, so the blocks tile all columns. The fold by
//! `R, 2R, 4R, …` with `k` steps adds `2^k` consecutive blocks. Every (row, column) is met exactly once in slot `s` if
//! - the operand repeats without a seam (`P` divides the slots): all slots hold products, so `2^k = P / g` exactly, and the
//!   blocks that slot `s` adds do not cross the end of the slots, unless `R` divides the slots too;
//! - it does not: only the first `P / g` blocks hold products, and what they read stays before the end of the slots; the
//!   fold adds at least those blocks and does not come around to them a second time.

use heron_params::{Rotation, Slots};

use crate::{Geometry, LinearMap, VectorLayout};

/// What a value's slots hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    /// The layout that the first slots follow.
    pub(crate) layout: VectorLayout,
    /// How many leading slots follow it; the others hold anything.
    pub(crate) valid: usize,
}

/// Why a linear map is not one: what was found, and what would hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Defect {
    pub(crate) kind: DefectKind,
    pub(crate) found: String,
    pub(crate) expected: String,
}

/// The part of a map that is defective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DefectKind {
    Layout,
    Shape,
    Babies,
    Fold,
}

impl LinearMap {
    /// How many leading slots of the operand must follow its layout.
    pub fn slots_read(&self, slots: Slots) -> usize {
        if self.input.is_cyclic(slots.0 as usize) {
            return slots.0 as usize;
        }
        self.active_slots(slots) + self.modulus().saturating_sub(1) as usize
    }

    /// How many leading slots of the result follow the output layout: all of them, or fewer where the slots end inside a
    /// fold. The others hold partial sums.
    pub fn slots_written(&self, slots: Slots) -> usize {
        let (slots, period) = (slots.0 as usize, self.output.period as usize);
        let folded = self.fold_span();
        if self.input.is_cyclic(slots) {
            let seamless = self.output.is_cyclic(slots) || self.fold.is_empty();
            return if seamless {
                slots
            } else {
                (slots + period).saturating_sub(folded)
            };
        }
        if folded == slots { slots } else { period }
    }

    /// The slots that one folded sum spans: the output period times the number of blocks it adds.
    fn fold_span(&self) -> usize {
        1usize
            .checked_shl(self.fold.len() as u32)
            .and_then(|blocks| blocks.checked_mul(self.output.period as usize))
            .unwrap_or(usize::MAX)
    }

    /// Everything that keeps the map from computing its matrix in the given number of slots.
    pub(crate) fn defects(&self, slots: Slots) -> Vec<Defect> {
        let mut defects = Vec::new();
        for (name, layout) in [("input", self.input), ("output", self.output)] {
            if !layout.fits(slots) {
                let expected = format!("1 <= elements <= period <= {slots} slots");
                defects.push(defect(DefectKind::Layout, format!("{name} layout {layout}"), expected));
            }
        }
        if self.steps.baby == 0 {
            let expected = "at least 1".to_owned();
            defects.push(defect(
                DefectKind::Babies,
                "0 diagonals per giant step".to_owned(),
                expected,
            ));
        }
        defects.extend(self.shape_defect());
        if defects.iter().all(|d| d.kind != DefectKind::Layout) {
            defects.extend(self.fold_defect(slots));
        }
        defects
    }

    /// The matrix's defect, if it has one.
    fn shape_defect(&self) -> Option<Defect> {
        let expected = format!("{} x {}, as the layouts say", self.output.len, self.input.len);
        let dimensions = self.geometry.dimensions();
        if dimensions != Some((self.output.len, self.input.len)) {
            let found = dimensions.map_or("a huge matrix".to_owned(), |(rows, cols)| {
                format!("a {rows} x {cols} matrix")
            });
            return Some(defect(DefectKind::Shape, found, expected));
        }
        match &self.geometry {
            Geometry::Dense { .. } => None,
            Geometry::Convolution(conv) => {
                let found = conv.defect(self.input, self.output)?;
                Some(defect(DefectKind::Shape, found, expected))
            }
        }
    }

    /// The fold's defect, if it has one. Needs layouts that fit.
    fn fold_defect(&self, slots: Slots) -> Option<Defect> {
        let (total, period, blocks) = (slots.0 as usize, self.output.period, self.blocks());
        let steps = self.fold.len();
        let mut sorted = self.fold.clone();
        sorted.sort_unstable();
        let doubling = sorted
            .iter()
            .enumerate()
            .all(|(i, r)| u64::from(r.0) == u64::from(period) << i.min(32));
        let found = format!("fold by {}", list(&self.fold));
        if !doubling {
            let expected = format!(
                "{period}, {}, {}, … each once",
                2 * u64::from(period),
                4 * u64::from(period)
            );
            return Some(defect(DefectKind::Fold, found, expected));
        }
        if self.input.is_cyclic(total) {
            let whole = 1usize << steps == blocks as usize && self.slots_written(slots) >= self.output.span();
            let expected = format!("{} steps to add {blocks} blocks of {period} slots", blocks.ilog2());
            return (!whole).then(|| defect(DefectKind::Fold, found, expected));
        }
        if self.slots_read(slots) > total {
            let found = format!("products that read {} slots", self.slots_read(slots));
            return Some(defect(DefectKind::Layout, found, format!("at most {total} slots")));
        }
        if (1usize << steps) < blocks as usize || self.fold_span() > total {
            let expected = format!("at least {blocks} blocks of {period} slots in {total} slots");
            return Some(defect(DefectKind::Fold, found, expected));
        }
        None
    }
}

fn defect(kind: DefectKind, found: String, expected: String) -> Defect {
    Defect { kind, found, expected }
}

fn list(rotations: &[Rotation]) -> String {
    if rotations.is_empty() {
        return "nothing".to_owned();
    }
    rotations.iter().map(Rotation::to_string).collect::<Vec<_>>().join(", ")
}
