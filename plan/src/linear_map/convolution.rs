//! Two-dimensional convolutions as matrices: any kernel, stride, dilation, padding and grouping.

use serde::{Deserialize, Serialize};

use super::diagonals::{IndexSet, Place};
use crate::{ConstId, Image, VectorLayout};

/// Largest stride, dilation and padding: far above any network's, far below an overflow.
const MAX_STEP: u32 = 1 << 12;

/// A convolution of `[channels, height, width]` tensors:
/// `y[o, i, j] = Σ w[o, c, k, l] · x[g·C + c, i·s_y + k·d_y - p_y, j·s_x + l·d_x - p_x]` with `C` channels a group and `x`
/// zero outside; `g` is the group of `o`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Convolution {
    /// `[outputs, inputs / groups, kernel height, kernel width]`.
    pub weights: ConstId,
    /// That shape.
    pub kernel: [u32; 4],
    /// Height and width of the operand.
    pub input: [u32; 2],
    /// Height and width of the result.
    pub output: [u32; 2],
    /// Vertical and horizontal stride.
    pub strides: [u32; 2],
    /// Vertical and horizontal dilation.
    pub dilations: [u32; 2],
    /// Zeros above and to the left of the operand.
    pub pads: [u32; 2],
    /// Number of groups.
    pub groups: u32,
}

impl Convolution {
    /// Length of the result and of the operand; `None` if they overflow.
    pub fn dimensions(&self) -> Option<(u32, u32)> {
        let area = |[height, width]: [u32; 2]| height.checked_mul(width);
        let rows = self.kernel[0].checked_mul(area(self.output)?)?;
        let channels = self.kernel[1].checked_mul(self.groups)?;
        Some((rows, channels.checked_mul(area(self.input)?)?))
    }

    /// What keeps the numbers from describing a convolution between two layouts, in words.
    pub(crate) fn defect(&self, input: VectorLayout, output: VectorLayout) -> Option<String> {
        let sizes = self
            .kernel
            .iter()
            .chain(&self.input)
            .chain(&self.output)
            .chain([&self.groups]);
        let steps = self.strides.iter().chain(&self.dilations);
        if sizes.chain(steps.clone()).any(|&size| size == 0) {
            return Some("a convolution with a size, stride, dilation or group count of 0".to_owned());
        }
        if steps.chain(&self.pads).any(|&step| step > MAX_STEP) {
            return Some(format!(
                "a convolution with a stride, dilation or padding above {MAX_STEP}"
            ));
        }
        if !self.kernel[0].is_multiple_of(self.groups) {
            return Some(format!("{} groups of {} channels", self.groups, self.kernel[0]));
        }
        let sees = |layout: VectorLayout, [height, width]: [u32; 2]| layout.as_image(height, width).is_some();
        if !(sees(input, self.input) && sees(output, self.output)) {
            return Some("a convolution of images of another size than the layouts'".to_owned());
        }
        None
    }

    /// The place of a result's element: its channel, and where its kernel begins in the operand.
    pub(super) fn result_place(&self, element: u32) -> Place {
        let [height, width] = self.output;
        let (channel, pixel) = (element / (height * width), element % (height * width));
        let origin = |index: u32, axis: usize| (index * self.strides[axis]) as i32 - self.pads[axis] as i32;
        Place {
            channel,
            y: origin(pixel / width, 0),
            x: origin(pixel % width, 1),
        }
    }

    /// The place of an operand's element.
    pub(super) fn operand_place(&self, element: u32) -> Place {
        let [height, width] = self.input;
        let (channel, pixel) = (element / (height * width), element % (height * width));
        Place {
            channel,
            y: (pixel / width) as i32,
            x: (pixel % width) as i32,
        }
    }

    /// The matrix entry of a result and an operand.
    pub(super) fn entry(&self, weights: &[f64], result: Place, operand: Place) -> f64 {
        let [outputs, per_group, height, width] = self.kernel;
        let tap = |from: i32, to: i32, dilation: u32, size: u32| {
            let distance = u32::try_from(to - from).ok()?;
            let tap = if dilation == 1 { distance } else { distance / dilation };
            (tap < size && tap * dilation == distance).then_some(tap)
        };
        let (Some(k), Some(l)) = (
            tap(result.y, operand.y, self.dilations[0], height),
            tap(result.x, operand.x, self.dilations[1], width),
        ) else {
            return 0.0;
        };
        let channel = if self.groups == 1 {
            operand.channel
        } else {
            let group = result.channel / (outputs / self.groups);
            match operand.channel.checked_sub(group * per_group) {
                Some(channel) if channel < per_group => channel,
                _ => return 0.0,
            }
        };
        weights[(((result.channel * per_group + channel) * height + k) * width + l) as usize]
    }

    /// The diagonals between two layouts, ascending: sums of the offsets of channels, of rows and of columns.
    pub(super) fn diagonals(&self, input: VectorLayout, output: VectorLayout, modulus: u32) -> Vec<u32> {
        let images = (
            input.as_image(self.input[0], self.input[1]),
            output.as_image(self.output[0], self.output[1]),
        );
        let (Some(from), Some(to)) = images else {
            return Vec::new();
        };
        let channels = self.channel_offsets(from, to, modulus);
        let rows = self.axis_offsets(0, from.row_step(), to.row_step());
        let columns = self.axis_offsets(1, from.column_step(), to.column_step());
        let mut found = IndexSet::new(modulus);
        for &channel in &channels {
            for &row in &rows {
                for &column in &columns {
                    found.insert(i64::from(channel) + row + column);
                }
            }
        }
        found.into_indices()
    }

    /// Operand's slot minus result's slot, over the pairs of channels that meet.
    fn channel_offsets(&self, from: Image, to: Image, modulus: u32) -> Vec<u32> {
        let [outputs, per_group, ..] = self.kernel;
        let mut found = IndexSet::new(modulus);
        for output in 0..outputs {
            let first = output / (outputs / self.groups) * per_group;
            let end = to.channel(output as usize) as i64;
            for channel in first..first + per_group {
                found.insert(from.channel(channel as usize) as i64 - end);
            }
        }
        found.into_indices()
    }

    /// Operand's slot minus result's slot along one axis, over the pairs that meet.
    fn axis_offsets(&self, axis: usize, from_step: usize, to_step: usize) -> Vec<i64> {
        let mut offsets = Vec::new();
        for result in 0..self.output[axis] {
            let origin = i64::from(result * self.strides[axis]) - i64::from(self.pads[axis]);
            let dilation = i64::from(self.dilations[axis]);
            let reach = origin + (i64::from(self.kernel[2 + axis]) - 1) * dilation;
            for operand in 0..i64::from(self.input[axis]) {
                let met = operand >= origin && operand <= reach && (operand - origin) % dilation == 0;
                if met {
                    offsets.push(operand * from_step as i64 - i64::from(result) * to_step as i64);
                }
            }
        }
        offsets.sort_unstable();
        offsets.dedup();
        offsets
    }

    /// Adds up the kernel's entries and the operand's elements under them, kernel entry by kernel entry.
    pub(super) fn accumulate<T: Copy + Default>(
        &self,
        weights: &[f64],
        x: &[T],
        add: impl Fn(T, f64, T) -> T,
    ) -> Vec<T> {
        let [outputs, per_group, height, width] = self.kernel.map(|size| size as usize);
        let area = |[height, width]: [u32; 2]| height as usize * width as usize;
        let (operand_area, result_area) = (area(self.input), area(self.output));
        let mut y = vec![T::default(); outputs * result_area];
        for (output, plane) in y.chunks_exact_mut(result_area).enumerate() {
            let first = output / (outputs / self.groups as usize) * per_group;
            for channel in 0..per_group {
                let operand = &x[(first + channel) * operand_area..][..operand_area];
                let taps = &weights[(output * per_group + channel) * height * width..][..height * width];
                for (tap, &weight) in taps.iter().enumerate().filter(|&(_, &weight)| weight != 0.0) {
                    self.add_tap([tap / width, tap % width], operand, plane, |sum, x| add(sum, weight, x));
                }
            }
        }
        y
    }

    /// Adds what one kernel entry makes of one channel to one channel of the result.
    fn add_tap<T: Copy>(&self, tap: [usize; 2], operand: &[T], plane: &mut [T], add: impl Fn(T, T) -> T) {
        let [height, width] = self.output.map(|size| size as usize);
        let stride = self.strides.map(|stride| stride as usize);
        // The operand's index of result 0, and the results whose operand is inside.
        let axis = |axis: usize| {
            let origin = (tap[axis] * self.dilations[axis] as usize) as i64 - i64::from(self.pads[axis]);
            let (size, stride) = (i64::from(self.input[axis]), i64::from(self.strides[axis]));
            let first = (-origin).max(0).unsigned_abs().div_ceil(stride.unsigned_abs()) as usize;
            let end = (size - origin).max(0).unsigned_abs().div_ceil(stride.unsigned_abs()) as usize;
            (origin, first, end.min(self.output[axis] as usize))
        };
        let ((y_origin, y_first, y_end), (x_origin, x_first, x_end)) = (axis(0), axis(1));
        if x_first >= x_end {
            return;
        }
        let operand_width = self.input[1] as usize;
        let columns = (x_origin + (x_first * stride[1]) as i64) as usize;
        for row in y_first..y_end.min(height) {
            let from = (y_origin + (row * stride[0]) as i64) as usize * operand_width + columns;
            let out = &mut plane[row * width + x_first..row * width + x_end];
            if stride[1] == 1 {
                let values = &operand[from..from + out.len()];
                out.iter_mut().zip(values).for_each(|(y, &x)| *y = add(*y, x));
            } else {
                let values = operand[from..].iter().step_by(stride[1]);
                out.iter_mut().zip(values).for_each(|(y, &x)| *y = add(*y, x));
            }
        }
    }
}
