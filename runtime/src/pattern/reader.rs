//! Reads JSON text (RFC 8259) value by value and keeps each number as it is written.
//!
//! Must not know what the text is for. Takes what `serde_json` takes, nested as deep; a test compares the two.

use std::borrow::Cow;

/// How deep arrays and objects may nest: as deep as `serde_json` goes.
pub(super) const DEPTH_MAX: usize = 127;

/// A value without parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    /// As it is written.
    Number(&'a str),
    /// Without its escapes.
    String(Cow<'a, str>),
}

/// A scalar, or the bracket that opens a value with parts.
pub(super) enum Token<'a> {
    Scalar(Scalar<'a>),
    /// [`Reader::elements`] must be called next.
    Array,
    /// [`Reader::members`] must be called next.
    Object,
}

/// Where the text stops being JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed {
    /// What would have been right there.
    pub(super) expected: &'static str,
    /// In bytes from the start.
    pub(super) at: usize,
}

type Read<T> = Result<T, Malformed>;

/// A place in a text.
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Reads the one value that the text must be.
    pub(super) fn document<T>(text: &'a str, value: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        let mut reader = Self { text, at: 0, depth: 0 };
        let value = value(&mut reader)?;
        match reader.next_byte() {
            None => Ok(value),
            Some(_) => Err(reader.expected("the end")),
        }
    }

    /// Reads a scalar or an opening bracket.
    #[inline]
    pub(super) fn token(&mut self) -> Read<Token<'a>> {
        let scalar = match self.next_byte() {
            Some(b'{') => return Ok(self.open(Token::Object)),
            Some(b'[') => return Ok(self.open(Token::Array)),
            Some(b'"') => Scalar::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Scalar::Number(self.number()?),
            Some(b't') => self.word("true", Scalar::Bool(true))?,
            Some(b'f') => self.word("false", Scalar::Bool(false))?,
            Some(b'n') => self.word("null", Scalar::Null)?,
            _ => return Err(self.expected("a value")),
        };
        Ok(Token::Scalar(scalar))
    }

    /// Reads an array's elements, each with `element`, and its closing bracket.
    pub(super) fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        self.deeper()?;
        if !self.next_is(b']') {
            element(self)?;
            while self.next_is(b',') {
                element(self)?;
            }
            self.require(b']', "a comma or ]")?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads an object's members, each name here and each value with `value`, and its closing bracket.
    pub(super) fn members(&mut self, mut value: impl FnMut(&mut Self, Cow<'a, str>) -> Read<()>) -> Read<()> {
        self.deeper()?;
        if !self.next_is(b'}') {
            self.member(&mut value)?;
            while self.next_is(b',') {
                self.member(&mut value)?;
            }
            self.require(b'}', "a comma or }")?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads a value that nobody wants.
    pub(super) fn skip(&mut self) -> Read<()> {
        match self.token()? {
            Token::Scalar(_) => Ok(()),
            Token::Array => self.elements(Self::skip),
            Token::Object => self.members(|reader, _| reader.skip()),
        }
    }

    fn member(&mut self, value: &mut impl FnMut(&mut Self, Cow<'a, str>) -> Read<()>) -> Read<()> {
        if self.next_byte() != Some(b'"') {
            return Err(self.expected("a key in double quotes"));
        }
        let name = self.string()?;
        self.require(b':', "a colon")?;
        value(self, name)
    }

    /// Reads a string whose opening quote is next.
    #[inline]
    fn string(&mut self) -> Read<Cow<'a, str>> {
        self.at += 1;
        let plain = self.plain();
        match self.byte() {
            Some(b'"') => {
                self.at += 1;
                Ok(Cow::Borrowed(plain))
            }
            _ => self.escaped(plain.to_owned()).map(Cow::Owned),
        }
    }

    /// Reads the rest of a string that begins with `text` and goes on with an escape.
    fn escaped(&mut self, mut text: String) -> Read<String> {
        while !self.is(b'"') {
            if !self.is(b'\\') {
                return Err(self.expected("a closing double quote, and control characters escaped"));
            }
            text.push(self.escape()?);
            text.push_str(self.plain());
        }
        Ok(text)
    }

    /// Reads what stands for itself in a string.
    #[inline]
    fn plain(&mut self) -> &'a str {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let start = self.at;
        self.at += plain_bytes(rest);
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Read<char> {
        let escape = self.byte();
        self.at += 1;
        match escape {
            Some(plain @ (b'"' | b'\\' | b'/')) => Ok(char::from(plain)),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => self.escaped_unit(),
            _ => Err(self.expected("one of \"\\/bfnrtu after a backslash")),
        }
    }

    /// Reads the four digits of `\u`, and of the `\u` that must follow half a surrogate pair.
    fn escaped_unit(&mut self) -> Read<char> {
        let first = self.unit()?;
        let mut units = vec![first];
        if (0xd800..0xdc00).contains(&first) && self.is(b'\\') && self.is(b'u') {
            units.push(self.unit()?);
        }
        let mut decoded = char::decode_utf16(units);
        match (decoded.next(), decoded.next()) {
            (Some(Ok(character)), None) => Ok(character),
            _ => Err(self.expected("both halves of a surrogate pair")),
        }
    }

    fn unit(&mut self) -> Read<u16> {
        let digits =
            self.text.get(self.at..self.at + 4).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.expected("four hexadecimal digits"))?;
        self.at += 4;
        Ok(unit)
    }

    fn number(&mut self) -> Read<&'a str> {
        let start = self.at;
        self.is(b'-');
        if !self.is(b'0') {
            self.digits()?;
        }
        if self.is(b'.') {
            self.digits()?;
        }
        if self.is(b'e') || self.is(b'E') {
            let _signed = self.is(b'+') || self.is(b'-');
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    /// Reads one digit or more.
    fn digits(&mut self) -> Read<()> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn word(&mut self, word: &'static str, means: Scalar<'a>) -> Read<Scalar<'a>> {
        if !self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(means)
    }

    fn open(&mut self, bracket: Token<'a>) -> Token<'a> {
        self.at += 1;
        bracket
    }

    fn deeper(&mut self) -> Read<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(self.expected("no more than 127 brackets in one another")) } else { Ok(()) }
    }

    fn require(&mut self, byte: u8, expected: &'static str) -> Read<()> {
        if self.next_is(byte) { Ok(()) } else { Err(self.expected(expected)) }
    }

    /// Reads white space and, if it is next, the byte.
    fn next_is(&mut self, byte: u8) -> bool {
        self.next_byte();
        self.is(byte)
    }

    /// Reads the byte if it is here.
    fn is(&mut self, byte: u8) -> bool {
        let is = self.byte() == Some(byte);
        self.at += usize::from(is);
        is
    }

    /// Reads white space; the byte after it is not read.
    fn next_byte(&mut self) -> Option<u8> {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.byte()
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[cold]
    fn expected(&self, expected: &'static str) -> Malformed {
        Malformed { expected, at: self.at.min(self.text.len()) }
    }
}

/// How many bytes at the start stand for themselves in a string: none is a quote, a backslash or a control character.
#[inline]
fn plain_bytes(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    words.len() * 8 + rest.iter().position(special).unwrap_or(rest.len())
}

/// Eight bytes of text: the top bit of the first special one is set, and no bit before it.
fn special_bytes(word: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let below = |word: u64, byte: u8| word.wrapping_sub(EACH * u64::from(byte)) & !word;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (is(b'"') | is(b'\\') | below(word, 0x20)) & (EACH * 0x80)
}
