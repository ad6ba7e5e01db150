//! A text on a terminal that takes the place of the one before it.

use crate::cli::output::{as_it_is_to_stdout, to_stdout};
use crate::cli::text::{Size, cut, terminal};
use crate::harmless;

/// Erases from the cursor to the end of the screen.
const ERASE_BELOW: &str = "\u{1b}[J";

/// What stands on the terminal now.
#[derive(Debug, Default)]
pub(super) struct Screen {
    lines: usize,
}

impl Screen {
    /// Replaces the text, as much of it as the terminal shows: a line that wrapped or scrolled could not be found again.
    pub(super) fn draw(&mut self, text: &str) -> anyhow::Result<()> {
        let Some(size) = terminal() else { return to_stdout(text) };
        let fitted = fitted(&harmless::lines(text), size);
        let back = up(self.lines);
        self.lines = fitted.len();
        as_it_is_to_stdout(&format!("{back}{ERASE_BELOW}{}", fitted.join("\n")))
    }
}

fn up(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\u{1b}[{lines}A\r") }
}

fn fitted(text: &str, Size { columns, rows }: Size) -> Vec<String> {
    let lines_max = rows.saturating_sub(1).max(1);
    let mut lines: Vec<String> = text.lines().take(lines_max).map(|line| cut(line, columns)).collect();
    let hidden = text.lines().count().saturating_sub(lines_max);
    if let (1.., Some(last)) = (hidden, lines.last_mut()) {
        *last = cut(&format!("({} more lines)", hidden + 1), columns);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_fitted_to_the_terminal() {
        let fit = |columns, rows| fitted("one\ntwo\nthree\nfour", Size { columns, rows });
        assert_eq!(fit(80, 5), ["one", "two", "three", "four"]);
        assert_eq!(fit(4, 5), ["one", "two", "thr…", "four"]);
        assert_eq!(fit(80, 4), ["one", "two", "(2 more lines)"]);
        assert_eq!(fit(80, 1), ["(4 more lines)"]);
    }
}
