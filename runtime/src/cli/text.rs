//! Text for a screen: cut to a width, with nothing in it that would move the cursor.

use std::io;
use std::num::NonZeroU16;
use std::os::fd::AsFd;

use tidemill_stream::clock::Timestamp;
use unicode_width::UnicodeWidthChar as _;

pub(super) use crate::harmless::on_one_line;

/// The widest line of tables.
pub(super) const TABLE_COLUMNS_MAX: usize = 80;

/// A terminal's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

/// The terminal that standard output is, if it is one. One that does not know its size has 80 columns and 24 rows.
pub(super) fn terminal() -> Option<Size> {
    let stdout = io::stdout();
    if !io::IsTerminal::is_terminal(&stdout) {
        return None;
    }
    let size = rustix::termios::tcgetwinsize(stdout.as_fd()).ok();
    let known = |length: u16, default| NonZeroU16::new(length).map_or(default, |length| usize::from(length.get()));
    let (columns, rows) = size.map_or((0, 0), |size| (size.ws_col, size.ws_row));
    Some(Size { columns: known(columns, TABLE_COLUMNS_MAX), rows: known(rows, 24) })
}

/// The text, at most so many columns of it; an ellipsis stands for the rest.
pub(super) fn cut(text: &str, columns_max: usize) -> String {
    if columns(text) <= columns_max {
        return text.to_owned();
    }
    let mut left = columns_max.saturating_sub(1);
    let fits = |character: &char| {
        let width = character.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    kept.extend((columns_max > 0).then_some('…'));
    kept
}

/// The text cut, and filled with blanks, to exactly so many columns.
pub(super) fn cell(text: &str, width: usize) -> String {
    let text = cut(text, width);
    let blanks = width.saturating_sub(columns(&text));
    text + &" ".repeat(blanks)
}

pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// How texts that are too long for their column are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Cut, as on a terminal.
    Cut,
    /// Whole, for files and other programs.
    Whole,
}

impl Fit {
    /// As standard output wants it.
    pub(super) fn of_stdout() -> Self {
        if terminal().is_some() { Self::Cut } else { Self::Whole }
    }

    /// The text, at most so many columns of it on a terminal.
    pub(super) fn line(self, text: &str, columns_max: usize) -> String {
        match self {
            Self::Cut => cut(text, columns_max),
            Self::Whole => text.to_owned(),
        }
    }

    /// The text, filled with blanks to so many columns.
    pub(super) fn cell(self, text: &str, width: usize) -> String {
        match self {
            Self::Cut => cell(text, width),
            Self::Whole => cell(text, width.max(columns(text))),
        }
    }
}

/// So many of something: `1 record`, `2 records`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// A span of time in its largest fitting unit.
pub(super) fn span(millis: u64) -> String {
    match millis {
        0..=999 => format!("{millis} ms"),
        1_000..=119_999 => format!("{} s", millis / 1000),
        120_000..=7_199_999 => format!("{} min", millis / 60_000),
        7_200_000..=172_799_999 => format!("{} h", millis / 3_600_000),
        _ => format!("{} d", millis / 86_400_000),
    }
}

/// `2026-11-23T09:12:33.123Z`
pub(super) fn time(time: Timestamp) -> String {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.3}")
}

/// `09:12:33`, in UTC.
pub(super) fn time_of_day(at: Timestamp) -> String {
    time(at).get(11..19).unwrap_or_default().to_owned()
}

/// `shardId-000000000007` is shown as 7; what is no shard's id as it is.
pub(super) fn short_shard(id: &str) -> &str {
    let Some(digits) = id.strip_prefix("shardId-") else { return id };
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() && !digits.is_empty() { "0" } else { significant }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_by_columns() {
        for (text, width, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("abcd", 0, ""),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
        ] {
            assert_eq!(cut(text, width), expected, "{text} in {width}");
        }
        assert_eq!((cell("日本語", 4), cell("a", 3)), ("日… ".to_owned(), "a  ".to_owned()));
    }

    #[test]
    fn only_a_terminal_cuts() {
        assert_eq!((Fit::Cut.cell("abcd", 3), Fit::Cut.line("abcd", 3)), ("ab…".to_owned(), "ab…".to_owned()));
        assert_eq!((Fit::Whole.cell("abcd", 3), Fit::Whole.line("abcd", 3)), ("abcd".to_owned(), "abcd".to_owned()));
        assert_eq!(Fit::Whole.cell("ab", 3), "ab ");
    }

    #[test]
    fn spans_are_shown_in_their_unit() {
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1500, "1 s"),
            (120_000, "2 min"),
            (90_000_000, "25 h"),
            (172_800_000, "2 d"),
        ] {
            assert_eq!(span(millis), text);
        }
    }

    #[test]
    fn times_are_utc_to_the_millisecond() {
        assert_eq!(time(Timestamp::from_millis(1_763_889_153_120)), "2025-11-23T09:12:33.120Z");
        assert_eq!(time(Timestamp::from_millis(u64::MAX)), "9999-12-30T22:00:00.999Z");
    }

    #[test]
    fn shards_are_shown_by_their_number() {
        for (id, short) in [("shardId-000000000000", "0"), ("shardId-000000000170", "170"), ("other", "other")] {
            assert_eq!(short_shard(id), short);
        }
    }
}
