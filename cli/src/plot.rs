//! Line plots as SVG, readable on light and dark backgrounds.
//!
//! Colours are those of a palette that people with colour-blindness can tell apart; text and axes take the colour of the
//! page. Every series has its own dash pattern too, so that a plot survives grey printing.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 56.0;
/// About how many marks an axis has.
const TICKS: f64 = 6.0;
/// Height of a line of the legend.
const LEGEND_LINE: f64 = 18.0;

/// After M. Okabe and K. Ito, *Color Universal Design*; dark enough for white and light enough for black.
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8a8a",
];
const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Evenly.
    Linear,
    /// By powers of ten; values that are not positive are left out.
    Logarithmic,
}

/// A curve or a set of points.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// What it is called in the legend.
    pub(crate) name: String,
    /// Points, in the order in which they are joined.
    pub(crate) points: Vec<(f64, f64)>,
    /// Whether each point gets a mark.
    pub(crate) marked: bool,
}

/// A plot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plot {
    /// Above the plot.
    pub(crate) title: String,
    /// Below the horizontal axis.
    pub(crate) x_label: String,
    /// Beside the vertical axis.
    pub(crate) y_label: String,
    /// How the vertical axis is divided.
    pub(crate) y_scale: Scale,
    /// What the vertical axis shows; all values where it is absent.
    pub(crate) y_range: Option<(f64, f64)>,
    /// What is drawn, the first one on top.
    pub(crate) series: Vec<Series>,
}

/// One axis: what values it shows, and where they lie.
struct Axis {
    low: f64,
    high: f64,
    scale: Scale,
    /// Positions of the ends.
    ends: (f64, f64),
}

impl Axis {
    fn new(values: impl Iterator<Item = f64>, scale: Scale, ends: (f64, f64)) -> Self {
        let usable = values.filter(|v| v.is_finite() && (scale == Scale::Linear || *v > 0.0));
        let (mut low, mut high) = usable.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        if low > high {
            (low, high) = if scale == Scale::Linear { (0.0, 1.0) } else { (0.1, 1.0) };
        }
        if scale == Scale::Logarithmic {
            (low, high) = (low.log10().floor(), high.log10().ceil());
        }
        if low == high {
            (low, high) = (low - 0.5, high + 0.5);
        }
        let spare = if scale == Scale::Linear {
            0.03 * (high - low)
        } else {
            0.0
        };
        Self {
            low: low - spare,
            high: high + spare,
            scale,
            ends,
        }
    }

    fn place(&self, value: f64) -> Option<f64> {
        let value = match self.scale {
            Scale::Linear => value,
            Scale::Logarithmic if value > 0.0 => value.log10(),
            Scale::Logarithmic => return None,
        };
        let share = (value - self.low) / (self.high - self.low);
        (share.is_finite()).then(|| self.ends.0 + share.clamp(-0.5, 1.5) * (self.ends.1 - self.ends.0))
    }

    /// Positions and labels of its marks.
    fn ticks(&self) -> Vec<(f64, String)> {
        let (low, high) = (self.low, self.high);
        let step = match self.scale {
            Scale::Linear => nice_step((high - low) / TICKS),
            Scale::Logarithmic => ((high - low) / TICKS).ceil().max(1.0),
        };
        let first = (low / step).ceil() as i64;
        let last = (high / step).floor() as i64;
        let tick = |index: i64| {
            let at = index as f64 * step;
            let share = (at - low) / (high - low);
            let label = match self.scale {
                Scale::Linear => number(at, step),
                Scale::Logarithmic => format!("1e{at:.0}"),
            };
            (self.ends.0 + share * (self.ends.1 - self.ends.0), label)
        };
        (first..=last).map(tick).collect()
    }
}

/// 1, 2 or 5 times a power of ten, the nearest above.
fn nice_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= least);
    factor.unwrap_or(10.0) * power
}

/// A mark's number with as many decimals as the step needs.
fn number(value: f64, step: f64) -> String {
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
        "0".to_owned()
    } else {
        text
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

impl Plot {
    /// The plot as an SVG document.
    pub(crate) fn to_svg(&self) -> String {
        let legend = LEGEND_LINE * self.series.len() as f64;
        let height = HEIGHT + legend;
        let points = || self.series.iter().flat_map(|series| series.points.iter().copied());
        let x = Axis::new(points().map(|p| p.0), Scale::Linear, (LEFT, WIDTH - RIGHT));
        let heights: Vec<f64> = match self.y_range {
            Some((low, high)) => vec![low, high],
            None => points().map(|p| p.1).collect(),
        };
        let y = Axis::new(heights.into_iter(), self.y_scale, (HEIGHT - BOTTOM, TOP));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
             font-family=\"system-ui, sans-serif\" font-size=\"13\">\n<title>{}</title>\n{STYLE}",
            escape(&self.title)
        );
        let _ = writeln!(svg, "<rect class=\"page\" width=\"{WIDTH}\" height=\"{height}\"/>");
        let frame = (LEFT, TOP, WIDTH - RIGHT - LEFT, HEIGHT - BOTTOM - TOP);
        let _ = writeln!(
            svg,
            "<clipPath id=\"frame\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>",
            frame.0, frame.1, frame.2, frame.3
        );
        self.write_axes(&mut svg, &x, &y);
        for (index, series) in self.series.iter().enumerate().rev() {
            write_series(&mut svg, series, index, (&x, &y));
        }
        for (index, series) in self.series.iter().enumerate() {
            let at = HEIGHT + LEGEND_LINE * (index as f64 + 0.25);
            let _ = writeln!(
                svg,
                "<path d=\"M{LEFT} {0:.1}h34\" {1}/>\n<text x=\"{2}\" y=\"{3:.1}\">{4}</text>",
                at - 4.0,
                stroke(index),
                LEFT + 44.0,
                at,
                escape(&series.name)
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn write_axes(&self, svg: &mut String, x: &Axis, y: &Axis) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for (at, label) in x.ticks() {
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/>\n<text x=\"{at:.1}\" y=\"{}\" \
                 text-anchor=\"middle\">{label}</text>",
                bottom + 20.0
            );
        }
        for (at, label) in y.ticks() {
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>\n<text x=\"{}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{label}</text>",
                LEFT - 8.0,
                at + 4.0
            );
        }
        let middle = f64::midpoint(LEFT, right);
        let _ = writeln!(
            svg,
            "<text x=\"{LEFT}\" y=\"24\" font-size=\"16\" font-weight=\"600\">{}</text>\n\
             <text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(18 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            escape(&self.title),
            bottom + 42.0,
            escape(&self.x_label),
            f64::midpoint(TOP, bottom),
            escape(&self.y_label)
        );
    }
}

/// The page takes the background that the reader's system prefers.
const STYLE: &str = "<style>\n.page { fill: #ffffff }\ntext { fill: #222222 }\n.grid { stroke: #88888855; fill: none }\n\
                     @media (prefers-color-scheme: dark) {\n.page { fill: #16181d }\ntext { fill: #e4e4e4 }\n}\n</style>\n";

fn stroke(index: usize) -> String {
    let (colour, dash) = (COLOURS[index % COLOURS.len()], DASHES[index % DASHES.len()]);
    format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.2\" stroke-dasharray=\"{dash}\"")
}

fn write_series(svg: &mut String, series: &Series, index: usize, (x, y): (&Axis, &Axis)) {
    let places: Vec<(f64, f64)> = series
        .points
        .iter()
        .filter_map(|&(px, py)| Some((x.place(px)?, y.place(py)?)))
        .collect();
    let path: Vec<String> = places.iter().map(|(px, py)| format!("{px:.1} {py:.1}")).collect();
    if path.len() > 1 {
        let _ = writeln!(
            svg,
            "<path clip-path=\"url(#frame)\" d=\"M{}\" {}/>",
            path.join("L"),
            stroke(index)
        );
    }
    if series.marked {
        let colour = COLOURS[index % COLOURS.len()];
        for (px, py) in places {
            let _ = writeln!(svg, "<circle cx=\"{px:.1}\" cy=\"{py:.1}\" r=\"4\" fill=\"{colour}\"/>");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(y_scale: Scale, points: &[(f64, f64)]) -> String {
        let series = Series {
            name: "a < b".to_owned(),
            points: points.to_vec(),
            marked: true,
        };
        let text = |text: &str| text.to_owned();
        Plot {
            title: text("errors & \"degrees\""),
            x_label: text("degree"),
            y_label: text("error"),
            y_scale,
            y_range: None,
            series: vec![series],
        }
        .to_svg()
    }

    #[test]
    fn text_is_escaped_and_both_colour_schemes_are_styled() {
        let svg = plot(Scale::Linear, &[(0.0, 1.0), (1.0, 2.0)]);
        assert!(svg.contains("a &lt; b") && svg.contains("errors &amp; &quot;degrees&quot;"));
        assert!(svg.contains("prefers-color-scheme: dark"));
        assert_eq!(svg.matches("<circle").count(), 2);
    }

    #[test]
    fn values_that_have_no_place_are_left_out() {
        let svg = plot(
            Scale::Logarithmic,
            &[(0.0, 1e-3), (1.0, 0.0), (2.0, f64::NAN), (3.0, 10.0)],
        );
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains(">1e-3<") && svg.contains(">1e1<") && !svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_plot_of_nothing_is_still_a_plot() {
        assert!(plot(Scale::Linear, &[]).ends_with("</svg>\n"));
        assert!(!plot(Scale::Linear, &[(2.0, 2.0)]).contains("NaN"));
    }

    #[test]
    fn marks_are_round_numbers() {
        let axis = Axis::new([0.0, 7.3].into_iter(), Scale::Linear, (0.0, 100.0));
        let labels: Vec<String> = axis.ticks().into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0", "2", "4", "6"]);
    }
}
