//! JSON without a parser and without allocation, for text that the node has validated;
//! of a payload's prefix, what is there. Escaped keys are understood, and of repeated
//! ones the last one counts: nothing gets past a filter that the receivers would see.
//! [`get`] and [`string`] find a member; a [`Reader`] goes through all of them.

use core::fmt::{self, Write};

mod reader;

pub use reader::{Kind, Reader};

/// The value of an object's member as it stands, a string with its quotes.
pub fn get<'a>(object: &'a [u8], key: &str) -> Option<&'a str> {
    let mut found = None;
    let mut i = space(object, 0);
    if object.get(i) != Some(&b'{') {
        return None;
    }
    loop {
        i = space(object, i + 1);
        if object.get(i) != Some(&b'"') {
            break;
        }
        let name = i + 1;
        let end = string_end(object, name);
        i = space(object, end + 1);
        if object.get(i) != Some(&b':') {
            break;
        }
        let value = space(object, i + 1);
        i = match skip(object, value) {
            Some(behind) if behind > value => behind,
            _ => break,
        };
        if means(&object[name..end], key) {
            found = Some(&object[value..i]);
        }
        i = space(object, i);
        if object.get(i) != Some(&b',') {
            break;
        }
    }
    core::str::from_utf8(found?).ok()
}

/// The value of an object's member that is a string.
pub fn string<'a>(object: &'a [u8], key: &str) -> Option<Inside<'a>> {
    inside(get(object, key)?)
}

/// The inside of a value as it stands, with its quotes; `None` if it is no string.
pub fn inside(value: &str) -> Option<Inside<'_>> {
    Some(Inside(value.strip_prefix('"')?.strip_suffix('"')?))
}

/// What stands between the quotes of a JSON string. It is displayed as what it means.
#[derive(Clone, Copy, Debug)]
pub struct Inside<'a>(&'a str);

impl<'a> Inside<'a> {
    /// As it stands, with its escapes.
    pub fn raw(&self) -> &'a str {
        self.0
    }

    /// What it means, character by character; half a surrogate pair is U+FFFD.
    pub fn chars(&self) -> Chars<'a> {
        Chars { rest: self.0.chars() }
    }

    /// What it means, as text: a copy only if there are escapes in it.
    #[cfg(any(feature = "alloc", feature = "std"))]
    pub fn meaning(&self) -> alloc::borrow::Cow<'a, str> {
        if !self.0.contains('\\') {
            return alloc::borrow::Cow::Borrowed(self.0);
        }
        let mut out = alloc::string::String::with_capacity(self.0.len());
        let mut rest = self.0;
        while let Some(i) = rest.find('\\') {
            out.push_str(&rest[..i]);
            let mut chars = Inside(&rest[i..]).chars();
            out.extend(chars.next());
            rest = chars.rest.as_str();
        }
        out.push_str(rest);
        alloc::borrow::Cow::Owned(out)
    }
}

impl PartialEq<str> for Inside<'_> {
    fn eq(&self, text: &str) -> bool {
        self.chars().eq(text.chars())
    }
}

impl fmt::Display for Inside<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chars().try_for_each(|c| f.write_char(c))
    }
}

/// The characters of an [`Inside`].
#[derive(Clone, Debug)]
pub struct Chars<'a> {
    rest: core::str::Chars<'a>,
}

impl Iterator for Chars<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        match self.rest.next()? {
            '\\' => {}
            c => return Some(c),
        }
        Some(match self.rest.next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => self.escaped(),
            c => c,
        })
    }
}

impl Chars<'_> {
    /// The character of `\uXXXX`, and of the other half of a pair behind it.
    fn escaped(&mut self) -> char {
        let unit = self.hex();
        if let 0xd800..=0xdbff = unit {
            let mut behind = self.clone();
            if behind.rest.next() == Some('\\') && behind.rest.next() == Some('u') {
                let low = behind.hex();
                if let 0xdc00..=0xdfff = low {
                    *self = behind;
                    return char::from_u32(0x10000 + ((unit & 0x3ff) << 10 | (low & 0x3ff))).unwrap_or('\u{fffd}');
                }
            }
        }
        char::from_u32(unit).unwrap_or('\u{fffd}')
    }

    /// Four digits; no character if these are not there.
    fn hex(&mut self) -> u32 {
        (0..4).fold(0, |n, _| match self.rest.next().and_then(|c| c.to_digit(16)) {
            Some(digit) => n << 4 | digit,
            None => u32::MAX,
        })
    }
}

/// A text that is displayed as a JSON string, with its quotes.
pub fn quoted(text: &str) -> Quoted<'_> {
    Quoted(text)
}

/// See [`quoted`].
#[derive(Clone, Copy, Debug)]
pub struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        let mut rest = self.0;
        while let Some(i) = rest.bytes().position(|b| b < b' ' || b == b'"' || b == b'\\') {
            f.write_str(&rest[..i])?;
            match rest.as_bytes()[i] {
                b'\n' => f.write_str("\\n")?,
                b'\t' => f.write_str("\\t")?,
                b'\r' => f.write_str("\\r")?,
                8 => f.write_str("\\b")?,
                12 => f.write_str("\\f")?,
                b if b < b' ' => write!(f, "\\u{:04x}", b)?,
                b => {
                    f.write_char('\\')?;
                    f.write_char(b as char)?;
                }
            }
            rest = &rest[i + 1..];
        }
        f.write_str(rest)?;
        f.write_char('"')
    }
}

fn space(b: &[u8], mut i: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = b.get(i) {
        i += 1;
    }
    i
}

/// Marks the bytes of eight that are c; the lowest mark is right, others may be too many.
fn marks(eight: u64, c: u8) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let x = eight ^ (ONES * c as u64);
    x.wrapping_sub(ONES) & !x & (ONES << 7)
}

/// Where the string ends whose inside begins at i: its second quote, or the end of b.
fn string_end(b: &[u8], mut i: usize) -> usize {
    while i < b.len() {
        if let Some(&[b0, b1, b2, b3, b4, b5, b6, b7]) = b.get(i..i + 8) {
            let eight = u64::from_le_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
            let found = marks(eight, b'"') | marks(eight, b'\\');
            if found == 0 {
                i += 8;
                continue;
            }
            i += found.trailing_zeros() as usize / 8;
        }
        match b[i] {
            b'"' => return i,
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
    b.len()
}

/// What is behind the value at i; `None` if that is cut off.
fn skip(b: &[u8], mut i: usize) -> Option<usize> {
    let mut depth = 0;
    while let Some(c) = b.get(i) {
        match c {
            b'"' => {
                i = string_end(b, i + 1);
                if i >= b.len() {
                    return None;
                }
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            b'{' | b'[' => depth += 1,
            b',' | b'}' | b']' | b'\0'..=b' ' if depth == 0 => return Some(i), // behind a number or a word
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
        i += 1;
    }
    None
}

/// Whether the inside of a string means key; escapes are longer than what they mean.
fn means(inside: &[u8], key: &str) -> bool {
    if inside.len() <= key.len() || !inside.contains(&b'\\') {
        return inside == key.as_bytes() && !inside.contains(&b'\\');
    }
    core::str::from_utf8(inside).map_or(false, |s| Inside(s) == *key)
}
