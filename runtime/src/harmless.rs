//! Text that others made, such that it cannot command the terminal that it is shown on.
//!
//! Promises one answer to what is harmful: control characters, among them those above ASCII which some terminals obey, and
//! the marks that reorder or break lines. It must not know where a text comes from, nor where it goes.

/// Whether a terminal might do something else with it than show it.
pub(crate) fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text on one line: what is harmful is written as `\n` or `\u{1b}`.
pub(crate) fn on_one_line(text: &str) -> String {
    escaped(text, is_harmful, |character| character.escape_default().to_string())
}

/// The text with its line ends and tabs; what else is harmful is written as `\u{1b}`.
pub(crate) fn lines(text: &str) -> String {
    let is_harmful = |character| !matches!(character, '\n' | '\t') && is_harmful(character);
    escaped(text, is_harmful, |character| character.escape_default().to_string())
}

/// JSON that says the same. What is harmful stands inside its texts, but for the ends of its lines.
pub(crate) fn json(json: &str) -> String {
    let is_harmful = |character| character != '\n' && is_harmful(character);
    escaped(json, is_harmful, |character| format!("\\u{:04x}", u32::from(character)))
}

fn escaped(text: &str, is_harmful: impl Fn(char) -> bool, escape: impl Fn(char) -> String) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) {
            shown.push_str(&escape(character));
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_commands_a_terminal() {
        let text = "a\tb\nc\u{1b}[2J\u{9b}31m\u{202e}\u{2066}ä\u{7f}";
        assert_eq!(on_one_line(text), "a\\tb\\nc\\u{1b}[2J\\u{9b}31m\\u{202e}\\u{2066}ä\\u{7f}");
        assert_eq!(lines(text), "a\tb\nc\\u{1b}[2J\\u{9b}31m\\u{202e}\\u{2066}ä\\u{7f}");
    }

    #[test]
    fn json_says_the_same() {
        let text = "a\tb\nc\u{1b}[2J\u{9b}31m\u{202e}\u{2066}ä\u{7f}\u{61c}";
        for written in [serde_json::to_string(&[text]).unwrap(), serde_json::to_string_pretty(&[text]).unwrap()] {
            let shown = json(&written);
            assert!(!shown.chars().any(|character| character != '\n' && is_harmful(character)), "{shown:?}");
            assert_eq!(serde_json::from_str::<Vec<String>>(&shown).unwrap(), [text]);
        }
    }
}
