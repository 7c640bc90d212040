//! Pictures of grey images in characters.

/// Shades without colour, dark to light.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
/// Wider images are shrunk to this many pixels, so that a picture and its caption fit side by side.
const MAX_SIDE: usize = 16;

/// The lines of a picture, all equally wide.
///
/// # Shapes
/// `pixels`: `height · width` values, row-major; the smallest is drawn black and the largest white.
pub(crate) fn draw(pixels: &[f64], (height, width): (usize, usize), colour: bool) -> Vec<String> {
    let step = shrinking(height, width);
    let (rows, columns) = (height.div_ceil(step), width.div_ceil(step));
    let low = pixels.iter().copied().fold(f64::INFINITY, f64::min);
    let high = pixels.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let shade = |row: usize, column: usize| {
        let mean = mean_of(pixels, (height, width), step, row, column);
        if high > low {
            ((mean - low) / (high - low)).clamp(0.0, 1.0)
        } else {
            0.0
        }
    };
    let cell = if colour { colour_cell } else { shade_cell };
    let end = if colour { "\x1b[0m" } else { "" };
    (0..rows)
        .map(|row| (0..columns).map(|column| cell(shade(row, column))).collect::<String>() + end)
        .collect()
}

/// How many columns of the terminal a picture takes.
pub(crate) fn columns((height, width): (usize, usize)) -> usize {
    2 * width.div_ceil(shrinking(height, width))
}

/// How many pixels of the image become one of the picture, along each axis.
fn shrinking(height: usize, width: usize) -> usize {
    height.max(width).div_ceil(MAX_SIDE).max(1)
}

fn mean_of(pixels: &[f64], (height, width): (usize, usize), step: usize, row: usize, column: usize) -> f64 {
    let rows = row * step..((row + 1) * step).min(height);
    let columns = column * step..((column + 1) * step).min(width);
    let cells = rows.len() * columns.len();
    let at = |r: usize| {
        columns
            .clone()
            .map(move |c| pixels.get(r * width + c).copied().unwrap_or(0.0))
    };
    rows.flat_map(at).sum::<f64>() / cells.max(1) as f64
}

/// Two characters a pixel: a character is about twice as high as wide.
fn shade_cell(value: f64) -> String {
    let shade = SHADES[(value * (SHADES.len() - 1) as f64).round() as usize];
    [shade, shade].iter().collect()
}

/// Two blanks on a grey of the 256-colour palette.
fn colour_cell(value: f64) -> String {
    format!("\x1b[48;5;{}m  ", 232 + (value * 23.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_darkest_pixel_is_blank_and_the_lightest_full() {
        let mut pixels = vec![0.0; 64];
        pixels[9] = 1.0;
        let lines = draw(&pixels, (8, 8), false);
        assert_eq!(lines.len(), 8);
        assert_eq!(lines[1].trim(), "██");
        assert_eq!(lines[0].trim(), "");
    }

    #[test]
    fn large_images_shrink_to_a_caption_s_height() {
        let lines = draw(&vec![0.5; 784], (28, 28), true);
        assert_eq!(lines.len(), 14);
    }
}
