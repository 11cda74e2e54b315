//! A line chart as SVG, written by hand: three kinds of charts do not justify a library.

use std::fmt::Write as _;

/// How values map to positions on an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// From 0, evenly.
    Linear,
    /// Each power of ten as wide as the next.
    Log,
    /// Percentiles, with equal distances between 90, 99 and 99.9.
    Nines,
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.max(f64::MIN_POSITIVE).log10(),
            Self::Nines => -(1.0 - value.min(99.999) / 100.0).log10(),
        }
    }

    /// The ends of an axis for these values.
    fn bounds(self, values: &[f64]) -> (f64, f64) {
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match self {
            Self::Linear => (0.0, if most > 0.0 { most * 1.08 } else { 1.0 }),
            Self::Log => {
                // At least one power of ten, and a small margin at both ends.
                let (least, most) = (self.place(least) - 0.05, self.place(most) + 0.05);
                let air = ((1.0 - (most - least)) / 2.0).max(0.0);
                (10_f64.powf(least - air), 10_f64.powf(most + air))
            }
            Self::Nines => (0.0, most),
        }
    }

    /// Values with a number beside them.
    fn ticks(self, (from, to): (f64, f64)) -> Vec<f64> {
        let ticks = match self {
            Self::Linear => {
                let step = step((to - from) / 6.0);
                (0..20).map(|number| f64::from(number) * step).collect::<Vec<_>>()
            }
            Self::Log => {
                let powers = (-6..9).map(|power| 10_f64.powi(power));
                // Over many powers, there is no room for the numbers between them.
                let between = if to / from > 1e4 { &[1.0][..] } else { &[1.0, 2.0, 5.0] };
                powers.flat_map(|it| between.iter().map(move |part| it * part)).collect()
            }
            Self::Nines => vec![0.0, 50.0, 90.0, 99.0, 99.9],
        };
        ticks.into_iter().filter(|it| (from..=to).contains(it)).collect()
    }
}

/// 1, 2 or 5 times a power of ten, at least `least`.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|it| it * power).into_iter().find(|it| *it >= least).unwrap_or(power)
}

/// The label of an axis, and how it is divided.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) label: String,
    pub(super) scale: Scale,
}

impl Axis {
    pub(super) fn new(label: &str, scale: Scale) -> Self {
        Self { label: label.to_owned(), scale }
    }
}

/// One line.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: String,
    /// `#rrggbb`.
    pub(super) colour: &'static str,
    pub(super) points: Vec<(f64, f64)>,
    /// Whether each point has a dot.
    pub(super) dots: bool,
}

/// A chart.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) title: String,
    /// A line below the title.
    pub(super) subtitle: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) series: Vec<Series>,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 94.0;
const LEGEND: f64 = 72.0;
const BOTTOM: f64 = 56.0;

impl Chart {
    /// The SVG. Its size is the same for all charts.
    pub(super) fn render(&self) -> String {
        let values = |of: fn(&(f64, f64)) -> f64| {
            self.series.iter().flat_map(|series| series.points.iter().map(of)).collect::<Vec<_>>()
        };
        let x = self.x.scale.bounds(&values(|point| point.0));
        let y = self.y.scale.bounds(&values(|point| point.1));
        let at_x = |value| LEFT + share(self.x.scale, x, value) * (WIDTH - LEFT - RIGHT);
        let at_y =
            |value| HEIGHT - BOTTOM - share(self.y.scale, y, value) * (HEIGHT - TOP - BOTTOM);
        let mut svg = Svg::new(&self.title);
        svg.text((LEFT, 48.0), "start", &self.subtitle);
        for tick in self.x.scale.ticks(x) {
            svg.rule((at_x(tick), TOP), (at_x(tick), HEIGHT - BOTTOM));
            svg.text((at_x(tick), HEIGHT - BOTTOM + 18.0), "middle", &label(tick));
        }
        for tick in self.y.scale.ticks(y) {
            svg.rule((LEFT, at_y(tick)), (WIDTH - RIGHT, at_y(tick)));
            svg.text((LEFT - 8.0, at_y(tick) + 4.0), "end", &label(tick));
        }
        svg.text(((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 14.0), "middle", &self.x.label);
        svg.upright((20.0, (TOP + HEIGHT - BOTTOM) / 2.0), &self.y.label);
        let mut legend = LEFT;
        for Series { name, colour, points, dots } in &self.series {
            let points = points.iter().map(|point| (at_x(point.0), at_y(point.1)));
            svg.line(colour, &points.collect::<Vec<_>>(), *dots);
            svg.line(colour, &[(legend, LEGEND), (legend + 22.0, LEGEND)], false);
            svg.text((legend + 28.0, LEGEND + 4.0), "start", name);
            legend += 28.0 + width(name) + 22.0;
        }
        svg.end()
    }
}

/// The position on an axis, from 0 to 1.
fn share(scale: Scale, (from, to): (f64, f64), value: f64) -> f64 {
    let [from, to, value] = [from, to, value].map(|it| scale.place(it));
    if to > from { ((value - from) / (to - from)).clamp(0.0, 1.0) } else { 0.0 }
}

/// A number without trailing zeros.
fn label(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The approximate width of a text in the widest usual font.
#[allow(clippy::cast_precision_loss, reason = "names are short")]
fn width(text: &str) -> f64 {
    text.chars().count() as f64 * 7.5
}

/// An unfinished SVG. Its background is white, even if that of the page is not.
struct Svg(String);

impl Svg {
    fn new(title: &str) -> Self {
        let mut svg = Self(String::new());
        svg.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\" \
             fill=\"#222222\">"
        ));
        svg.add(format_args!("<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>"));
        let title = escaped(title);
        svg.add(format_args!(
            "<text x=\"{LEFT}\" y=\"28\" font-size=\"15\" font-weight=\"bold\">{title}</text>"
        ));
        svg
    }

    fn rule(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#dddddd\"/>"
        ));
    }

    fn text(&mut self, (x, y): (f64, f64), anchor: &str, text: &str) {
        let text = escaped(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    fn upright(&mut self, (x, y): (f64, f64), text: &str) {
        let text = escaped(text);
        self.add(format_args!(
            "<text transform=\"translate({x:.1} {y:.1}) rotate(-90)\" text-anchor=\"middle\">\
             {text}</text>"
        ));
    }

    fn line(&mut self, colour: &str, points: &[(f64, f64)], dots: bool) {
        let path = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect::<Vec<_>>();
        self.add(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
             stroke-linejoin=\"round\"/>",
            path.join(" ")
        ));
        for (x, y) in points.iter().filter(|_| dots) {
            self.add(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>"
            ));
        }
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{element}");
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_place_values() {
        let middle = |scale, bounds, value| share(scale, bounds, value);
        assert!((middle(Scale::Linear, (0.0, 10.0), 5.0) - 0.5).abs() < 1e-9);
        assert!((middle(Scale::Log, (1.0, 100.0), 10.0) - 0.5).abs() < 1e-9);
        assert!((middle(Scale::Nines, (0.0, 99.0), 90.0) - 0.5).abs() < 1e-9);
        assert!(middle(Scale::Log, (1.0, 100.0), -3.0).abs() < 1e-9, "stays on the axis");
    }

    #[test]
    fn axes_have_a_few_ticks() {
        assert_eq!(Scale::Linear.ticks((0.0, 28.0)), [0.0, 5.0, 10.0, 15.0, 20.0, 25.0]);
        assert_eq!(Scale::Log.ticks((0.9, 60.0)), [1.0, 2.0, 5.0, 10.0, 20.0, 50.0]);
        assert_eq!(Scale::Log.ticks((0.9, 20_000.0)), [1.0, 10.0, 100.0, 1000.0, 10_000.0]);
        let (from, to) = Scale::Log.bounds(&[5.0]);
        assert!((to / from - 10.0).abs() < 1e-9, "one value has a place in the middle");
        assert_eq!([0.5, 10.0, 99.9].map(label), ["0.5", "10", "99.9"]);
    }

    #[test]
    fn a_chart_has_its_lines_and_escapes_texts() {
        let series = Series {
            name: "a & b".to_owned(),
            colour: "#000000",
            points: vec![(0.0, 1.0), (1.0, 2.0)],
            dots: true,
        };
        let (x, y) = (Axis::new("x", Scale::Linear), Axis::new("y", Scale::Linear));
        let svg =
            Chart { title: "T".to_owned(), subtitle: String::new(), x, y, series: vec![series] };
        let svg = svg.render();
        assert!(svg.contains("a &amp; b") && svg.matches("<circle").count() == 2, "{svg}");
        assert_eq!(svg.matches("<polyline").count(), 2, "the line and its legend");
        assert!(svg.ends_with("</svg>\n"));
    }
}
