//! Text for a screen: cut to a width, with nothing in it that would move the cursor.

use std::io;
use std::num::NonZeroU16;
use std::os::fd::AsFd;

use tidemill_stream::clock::Timestamp;
use unicode_width::UnicodeWidthChar as _;

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

/// The text on one line: control characters, which could also command a terminal, are written as `\n` or `\u{1b}`.
pub(super) fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
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
    fn nothing_on_a_line_commands_a_terminal() {
        assert_eq!(on_one_line("a\tb\nc\u{1b}[2J\u{9b}ä"), "a\\tb\\nc\\u{1b}[2J\\u{9b}ä");
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
