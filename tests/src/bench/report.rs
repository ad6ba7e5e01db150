//! What the reader of a run sees: the machine, the progress, the table, the file.

use std::io::Write as _;
use std::path::Path;

use anyhow::Result;

use super::figure::Figure;

/// Processes that want to run, above which figures are low.
const QUIET_LOAD_MAX: f64 = 1.0;

/// What the figures were measured on.
#[derive(Debug)]
pub(super) struct Machine {
    cores: usize,
    /// The mean of the minute before the start; only Linux says it.
    load: Option<f64>,
}

impl Machine {
    pub(super) fn look() -> Self {
        let load = std::fs::read_to_string("/proc/loadavg").ok();
        let load = load.and_then(|text| text.split_whitespace().next()?.parse().ok());
        Self { cores: std::thread::available_parallelism().map_or(1, usize::from), load }
    }

    fn is_quiet(&self) -> bool {
        self.load.is_none_or(|load| load <= QUIET_LOAD_MAX)
    }

    fn text(&self) -> String {
        let load = self.load.map_or_else(|| "unknown".to_owned(), |load| format!("{load:.2}"));
        let note = if self.is_quiet() { "" } else { "; not quiet: figures are low" };
        let build = if cfg!(debug_assertions) { "; not optimized: figures say nothing" } else { "" };
        format!("{} cores, load average at start {load}{note}{build}", self.cores)
    }

    pub(super) fn describe(&self) {
        say(&self.text());
    }
}

/// A line of progress, on standard error.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}"); // nobody may be listening
}

/// Writes the figures as JSON.
pub(super) fn write(path: &Path, figures: &[Figure]) -> Result<()> {
    let lines: Vec<_> = figures.iter().map(Figure::line).collect();
    Ok(std::fs::write(path, serde_json::to_string_pretty(&lines)? + "\n")?)
}

/// Prints the table on standard output.
pub(super) fn print(machine: &Machine, figures: &[Figure]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", machine.text())?;
    writeln!(out, "{:<38} {:>12} {:<9} {:>12} {:>6}  bar", "name", "value", "unit", "limit", "ratio")?;
    for figure in figures {
        let limit = figure.limit.map_or_else(|| "-".to_owned(), shown);
        let ratio = figure.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let line = format!(
            "{:<38} {:>12} {:<9} {limit:>12} {ratio:>6}  {}",
            figure.name,
            shown(figure.value),
            figure.unit,
            figure.verdict()
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// About three digits.
pub(super) fn shown(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
