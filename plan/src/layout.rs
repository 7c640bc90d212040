//! Where the elements of a tensor lie in the slots of a ciphertext.

use std::fmt;

use heron_params::Slots;
use serde::{Deserialize, Serialize};

/// A tensor repeated along the slots.
///
/// Without an image, element `e` lies in slot `e` of every repetition; with one, where [`Image::slot`] says. The period
/// need not divide the number of slots: the last repetition is then cut short. Slots without an element are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorLayout {
    /// Number of elements.
    pub len: u32,
    /// Distance between repetitions; at least the span of the elements.
    pub period: u32,
    /// How the elements of an image are arranged; a vector is not arranged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
}

/// The multiplexed arrangement of a `[channels, height, width]` tensor: what a strided convolution leaves between its
/// results is filled with further channels.
///
/// Rows are `gap_y` grid rows apart and columns `gap_x` slots; `gap_y · gap_x` channels share a plane.
///
/// # Source
/// E. Lee et al., *Low-complexity deep convolutional neural networks on fully homomorphic encryption using multiplexed
/// parallel convolutions*, ICML 2022, section 4 (its gap is square, and its planes are tight).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// Rows of a channel.
    pub height: u32,
    /// Columns of a channel.
    pub width: u32,
    /// Distance of neighbouring rows, in grid rows.
    pub gap_y: u32,
    /// Distance of neighbouring columns, in slots.
    pub gap_x: u32,
    /// Slots of a grid row.
    pub row: u32,
    /// Slots of a plane.
    pub plane: u32,
}

impl Image {
    /// Channel after channel, row after row, without gaps: the order of a vector.
    pub fn tight(height: u32, width: u32) -> Self {
        Self {
            height,
            width,
            gap_y: 1,
            gap_x: 1,
            row: width,
            plane: height.saturating_mul(width),
        }
    }

    /// The slot where a channel begins.
    pub fn channel(self, channel: usize) -> usize {
        let (gap_y, gap_x) = (self.gap_y as usize, self.gap_x as usize);
        let (plane, place) = (channel / (gap_y * gap_x), channel % (gap_y * gap_x));
        plane * self.plane as usize + place / gap_x * self.row as usize + place % gap_x
    }

    /// Slots from one row of a channel to the next.
    pub fn row_step(self) -> usize {
        self.gap_y as usize * self.row as usize
    }

    /// Slots from one column to the next.
    pub fn column_step(self) -> usize {
        self.gap_x as usize
    }

    /// The slot of an element, counted in row-major order over `[channels, height, width]`.
    pub fn slot(self, element: usize) -> usize {
        let (height, width) = (self.height as usize, self.width as usize);
        let (channel, pixel) = (element / (height * width), element % (height * width));
        self.channel(channel) + pixel / width * self.row_step() + pixel % width * self.column_step()
    }

    /// The element in a slot, if any; `len` is the number of elements.
    fn element(self, slot: usize, len: usize) -> Option<usize> {
        let (plane, place) = (slot / self.plane as usize, slot % self.plane as usize);
        let (row, column) = (place / self.row as usize, place % self.row as usize);
        let (gap_y, gap_x) = (self.gap_y as usize, self.gap_x as usize);
        let (y, x) = (row / gap_y, column / gap_x);
        if y >= self.height as usize || x >= self.width as usize {
            return None;
        }
        let channel = (plane * gap_y + row % gap_y) * gap_x + column % gap_x;
        let element = (channel * self.height as usize + y) * self.width as usize + x;
        (element < len).then_some(element)
    }

    /// Slots from the first element to the last of `len`, in wide arithmetic: a damaged plan may hold anything. `None`
    /// where elements would share a slot, or are no whole number of channels.
    fn span(self, len: u32) -> Option<u64> {
        let wide = u64::from;
        let pixels = wide(self.height)
            .checked_mul(wide(self.width))
            .filter(|&pixels| pixels > 0)?;
        let gaps = wide(self.gap_y)
            .checked_mul(wide(self.gap_x))
            .filter(|&gaps| gaps > 0)?;
        let columns_fit = wide(self.width) * wide(self.gap_x) <= wide(self.row);
        let rows_fit = wide(self.height) * wide(self.gap_y) <= wide(self.plane).checked_div(wide(self.row))?;
        if !(columns_fit && rows_fit && len > 0 && wide(len).is_multiple_of(pixels)) {
            return None;
        }
        // Channels of one plane keep to it, so that the last element lies furthest.
        let last = wide(len) / pixels - 1;
        let place = last % gaps;
        let channel = (last / gaps).checked_mul(wide(self.plane))?
            + place / wide(self.gap_x) * wide(self.row)
            + place % wide(self.gap_x);
        let corner =
            (wide(self.height) - 1) * wide(self.gap_y) * wide(self.row) + (wide(self.width) - 1) * wide(self.gap_x);
        channel.checked_add(corner + 1)
    }
}

impl VectorLayout {
    /// The layout of a vector: element `e` in slot `e`.
    pub fn vector(len: u32, period: u32) -> Self {
        Self {
            len,
            period,
            image: None,
        }
    }

    /// Whether the layout has elements, keeps them apart, and fits one repetition into the slots.
    pub fn fits(self, slots: Slots) -> bool {
        let span = self.checked_span();
        span.is_some_and(|span| (1..=u64::from(self.period)).contains(&span)) && self.period <= slots.0
    }

    /// Slots from the first element to behind the last.
    pub fn span(self) -> usize {
        self.checked_span().unwrap_or(0) as usize
    }

    fn checked_span(self) -> Option<u64> {
        match self.image {
            None => Some(u64::from(self.len)),
            Some(image) => image.span(self.len),
        }
    }

    /// How the elements are arranged, seen as channels of `height` by `width`; `None` if they are arranged for images of
    /// another size.
    pub fn as_image(self, height: u32, width: u32) -> Option<Image> {
        match self.image {
            None => Some(Image::tight(height, width)),
            Some(image) => ((image.height, image.width) == (height, width)).then_some(image),
        }
    }

    /// The slot of an element in the first repetition.
    pub fn slot(self, element: usize) -> usize {
        self.image.map_or(element, |image| image.slot(element))
    }

    /// The element in a slot, if any.
    pub fn element(self, slot: usize) -> Option<usize> {
        let (place, len) = (slot % self.period as usize, self.len as usize);
        match self.image {
            None => (place < len).then_some(place),
            Some(image) => image.element(place, len),
        }
    }

    /// Spreads a tensor over the slots.
    ///
    /// # Shapes
    /// `values`: `len` elements. Result: `slots` values.
    ///
    /// # Panics
    /// If `values` has fewer than `len` elements, or the layout does not [fit](Self::fits).
    pub fn spread(self, values: &[f64], slots: usize) -> Vec<f64> {
        let mut period = vec![0.0; self.period as usize];
        for (element, value) in values[..self.len as usize].iter().enumerate() {
            period[self.slot(element)] = *value;
        }
        period.iter().copied().cycle().take(slots).collect()
    }

    /// Reads the tensor back from its first repetition.
    ///
    /// # Panics
    /// If there are fewer slots than the elements span.
    pub fn gather(self, slots: &[f64]) -> Vec<f64> {
        (0..self.len as usize)
            .map(|element| slots[self.slot(element)])
            .collect()
    }

    /// Whether every rotation of the slots by a multiple of the period leaves the layout as it is.
    pub fn is_cyclic(self, slots: usize) -> bool {
        slots.is_multiple_of(self.period as usize)
    }
}

impl fmt::Display for VectorLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.image {
            None => write!(f, "{} every {}", self.len, self.period),
            Some(image) => {
                let Image {
                    height,
                    width,
                    gap_y,
                    gap_x,
                    ..
                } = image;
                let channels = self.len / height.saturating_mul(width).max(1);
                let gap = if gap_y == gap_x {
                    format!("{gap_x}")
                } else {
                    format!("{gap_y}x{gap_x}")
                };
                write!(f, "{channels}x{height}x{width} gap {gap} every {}", self.period)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layouts() -> impl Strategy<Value = VectorLayout> {
        let sizes = (1u32..9, 1u32..7, 1u32..7, 1u32..4, 1u32..4);
        (sizes, 0u32..5, 0u32..9, 0u32..20).prop_map(
            |((channels, height, width, gap_y, gap_x), wider, higher, later)| {
                let row = width * gap_x + wider;
                let image = Image {
                    height,
                    width,
                    gap_y,
                    gap_x,
                    row,
                    plane: row * height * gap_y + higher,
                };
                let len = channels * height * width;
                let period = image.span(len).map_or(0, |span| span as u32) + later;
                VectorLayout {
                    len,
                    period,
                    image: Some(image),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn every_element_has_a_slot_of_its_own_and_is_found_there(layout in layouts()) {
            prop_assert!(layout.fits(Slots(1 << 20)), "{:?}", layout);
            let slots: Vec<usize> = (0..layout.len as usize).map(|element| layout.slot(element)).collect();
            prop_assert_eq!(slots.iter().max(), Some(&(layout.span() - 1)));
            for slot in 0..layout.period as usize {
                prop_assert_eq!(layout.element(slot), slots.iter().position(|&s| s == slot));
            }
        }

        #[test]
        fn what_was_spread_is_gathered(layout in layouts(), more in 0usize..50) {
            let values: Vec<f64> = (1..=layout.len).map(f64::from).collect();
            let slots = layout.spread(&values, layout.period as usize + more);
            prop_assert_eq!(layout.gather(&slots), values);
            for slot in layout.period as usize..slots.len() {
                prop_assert_eq!(slots[slot], slots[slot - layout.period as usize]);
            }
        }
    }

    #[test]
    fn rows_that_run_into_each_other_do_not_fit() {
        let image = Image {
            row: 5,
            ..Image::tight(4, 6)
        };
        let layout = VectorLayout {
            len: 24,
            period: 64,
            image: Some(image),
        };
        assert!(!layout.fits(Slots(64)));
    }
}
