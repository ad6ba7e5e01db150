//! A figure: what was measured, the limit it is held against, and how near it should come.

use serde::Serialize;

/// How near a figure should come to its limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Bar {
    /// Value / limit is at least this: more is better.
    AtLeast(f64),
    /// Value / limit is at most this: less is better.
    AtMost(f64),
}

/// One line of the table.
#[derive(Debug, Clone)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    /// What it is compared with, in the same unit.
    pub(super) limit: Option<f64>,
    pub(super) bar: Option<Bar>,
}

/// A figure as `bench.json` has it.
#[derive(Debug, Serialize)]
pub(super) struct Line<'a> {
    name: &'a str,
    value: f64,
    unit: &'a str,
    limit: Option<f64>,
    ratio: Option<f64>,
}

impl Bar {
    fn is_met_by(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(least) => ratio >= least,
            Self::AtMost(most) => ratio <= most,
        }
    }

    fn describe(self) -> String {
        match self {
            Self::AtLeast(least) => format!(">= {least:.2}"),
            Self::AtMost(most) => format!("<= {most:.2}"),
        }
    }
}

impl Figure {
    /// A figure that nothing limits.
    pub(super) fn new(name: &'static str, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, limit: None, bar: None }
    }

    pub(super) fn with_limit(self, limit: f64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    pub(super) fn with_bar(self, bar: Bar) -> Self {
        Self { bar: Some(bar), ..self }
    }

    /// Value / limit.
    pub(super) fn ratio(&self) -> Option<f64> {
        self.limit.map(|limit| self.value / limit)
    }

    /// The bar and whether it is met, in words.
    pub(super) fn verdict(&self) -> String {
        match (self.bar, self.ratio()) {
            (Some(bar), Some(ratio)) => {
                let met = if bar.is_met_by(ratio) { "met" } else { "NOT met" };
                format!("{}: {met}", bar.describe())
            }
            (None, _) | (_, None) => String::new(),
        }
    }

    pub(super) fn line(&self) -> Line<'_> {
        let (value, limit, ratio) = (rounded(self.value), self.limit.map(rounded), self.ratio().map(rounded));
        Line { name: self.name, value, unit: self.unit, limit, ratio }
    }
}

/// To a thousandth: more is noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_met_from_its_own_side() {
        let figure = |value: f64, bar| Figure::new("f", value, "us").with_limit(100.0).with_bar(bar).verdict();
        assert_eq!(figure(50.0, Bar::AtLeast(0.5)), ">= 0.50: met");
        assert_eq!(figure(49.0, Bar::AtLeast(0.5)), ">= 0.50: NOT met");
        assert_eq!(figure(150.0, Bar::AtMost(1.5)), "<= 1.50: met");
        assert_eq!(figure(151.0, Bar::AtMost(1.5)), "<= 1.50: NOT met");
        assert_eq!(Figure::new("f", 1.0, "us").verdict(), "");
    }

    #[test]
    fn a_line_has_all_members() {
        let line = |figure: &Figure| serde_json::to_string(&figure.line()).unwrap();
        let compared = Figure::new("f", 1.00049, "MB/s").with_limit(4.0);
        assert_eq!(line(&compared), r#"{"name":"f","value":1.0,"unit":"MB/s","limit":4.0,"ratio":0.25}"#);
        let alone = Figure::new("f", 1.5, "ms");
        assert_eq!(line(&alone), r#"{"name":"f","value":1.5,"unit":"ms","limit":null,"ratio":null}"#);
    }
}
