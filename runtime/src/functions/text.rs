//! Text that comes from a guest, made fit to be shown.

use crate::harmless::is_harmful;

/// What stands for a character that must not be shown.
const REPLACEMENT: char = '\u{fffd}';

/// The text as one line of at most `bytes_max` bytes (plus an ellipsis where it was cut): line ends become spaces, and
/// whatever could move a terminal's cursor or turn the direction of writing is replaced.
pub(super) fn clean(text: &str, bytes_max: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(bytes_max));
    for char in text.trim_end().chars().map(shown) {
        if clean.len() + char.len_utf8() > bytes_max {
            clean.push('…');
            break;
        }
        clean.push(char);
    }
    clean
}

fn shown(char: char) -> char {
    match char {
        '\n' => ' ',
        '\t' => char,
        _ if is_harmful(char) => REPLACEMENT,
        _ => char,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, expected: &str) {
        assert_eq!(clean(given, 8), expected);
    }

    #[test]
    fn guest_text_is_made_fit_to_be_shown() {
        check("plain", "plain");
        check("a\tb", "a\tb");
        check("a\nb\n", "a b");
        check("\u{1b}[2J", "\u{fffd}[2J");
        check("\r\u{9b}", "\u{fffd}\u{fffd}");
        check("a\u{202e}b", "a\u{fffd}b");
        check("12345678", "12345678");
        check("123456789", "12345678…");
        check("1234567é", "1234567…");
        check("", "");
    }
}
