//! Checks a payload, in one walk over its bytes.

use std::fmt::Write;

use heddle::json::{inside, Kind, Reader};

use crate::compare::same;
use crate::schema::{Others, Schema, Type};

/// The field that is wrong and why, as a sender reads it; None if nothing is.
pub fn check(schema: &Schema, payload: &str) -> Option<String> {
    let mut r = Reader::new(payload);
    value(schema, &mut r, &Place { within: None, step: Step::Whole }).err()
}

/// Where a value is. It is written down only if something is wrong there.
struct Place<'a> {
    within: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Whole,
    /// As it stands in the JSON, escapes and all: there are no line breaks in it then.
    Name(&'a str),
    Element(usize),
}

/// Longest name that is told back to who has sent it, in characters.
const LONGEST: usize = 40;

impl Place<'_> {
    fn step<'a>(&'a self, step: Step<'a>) -> Place<'a> {
        Place { within: Some(self), step }
    }

    /// The protocol's path: data.items[2].price, and payload.data for the whole.
    fn write(&self, out: &mut String) {
        match self.within {
            None => out.push_str("data"),
            Some(place) => place.write(out),
        }
        match self.step {
            Step::Whole => {}
            Step::Element(i) => _ = write!(out, "[{i}]"), // a String takes everything
            Step::Name(name) => {
                out.push('.');
                match name.char_indices().nth(LONGEST) {
                    Some((end, _)) => *out += &(name[..end].to_string() + "…"),
                    None => *out += name,
                }
            }
        }
    }

    fn wrong(&self, why: &str) -> Result<(), String> {
        let mut out = String::new();
        if self.within.is_none() {
            out.push_str("payload.");
        }
        self.write(&mut out);
        // The node takes what is in front of ": " for the field, if there is no space in it.
        out.retain(|c| c != ' ');
        Err(out + ": " + why)
    }
}

fn value(s: &Schema, r: &mut Reader, at: &Place) -> Result<(), String> {
    let kind = r.kind();
    match kind {
        Kind::Object => {
            typed(s, kind, "", at)?;
            none_of(s, at)?;
            object(s, r, at)
        }
        Kind::Array => {
            typed(s, kind, "", at)?;
            none_of(s, at)?;
            array(s, r, at)
        }
        _ => {
            let raw = r.skip();
            typed(s, kind, raw, at)?;
            if !s.allowed.is_empty() && !s.allowed.iter().any(|v| same(v, raw)) {
                return at.wrong(&format!("must be one of {}", s.allowed.join(", ")));
            }
            match kind {
                Kind::Text => text(s, raw, at),
                Kind::Number => number(s, raw, at),
                _ => Ok(()),
            }
        }
    }
}

fn typed(s: &Schema, kind: Kind, raw: &str, at: &Place) -> Result<(), String> {
    let fits = |t: &Type| match t {
        Type::Is(k) => *k == kind,
        Type::Integer => kind == Kind::Number && raw.parse::<f64>().map_or(false, |n| n.fract() == 0.0),
    };
    if s.types.is_empty() || s.types.iter().any(fits) {
        return Ok(());
    }
    let words: Vec<_> = s.types.iter().map(|t| t.phrase()).collect();
    at.wrong(&format!("must be {}", words.join(" or ")))
}

/// Of objects and arrays no enum has one.
fn none_of(s: &Schema, at: &Place) -> Result<(), String> {
    if s.allowed.is_empty() {
        return Ok(());
    }
    at.wrong(&format!("must be one of {}", s.allowed.join(", ")))
}

fn number(s: &Schema, raw: &str, at: &Place) -> Result<(), String> {
    let n = raw.parse::<f64>().unwrap_or(f64::NAN); // it is one: the node has looked
    match (s.minimum, s.maximum) {
        (Some(min), _) if !(n >= min) => at.wrong(&format!("must be at least {min}")),
        (_, Some(max)) if !(n <= max) => at.wrong(&format!("must be at most {max}")),
        _ => Ok(()),
    }
}

fn text(s: &Schema, raw: &str, at: &Place) -> Result<(), String> {
    if let (None, None) = (s.min_length, s.max_length) {
        return Ok(());
    }
    let n = inside(raw).map_or(0, |text| text.chars().count());
    bounded(n, s.min_length, s.max_length, "characters", at)
}

fn bounded(n: usize, min: Option<usize>, max: Option<usize>, of: &str, at: &Place) -> Result<(), String> {
    match (min, max) {
        (Some(min), _) if n < min => at.wrong(&format!("must have {min} or more {of}")),
        (_, Some(max)) if n > max => at.wrong(&format!("must have at most {max} {of}")),
        _ => Ok(()),
    }
}

fn array(s: &Schema, r: &mut Reader, at: &Place) -> Result<(), String> {
    let mut n = 0;
    r.enter();
    while r.more() {
        match &s.items {
            Some(items) => value(items, r, &at.step(Step::Element(n)))?,
            None => _ = r.skip(),
        }
        n += 1;
    }
    bounded(n, s.min_items, s.max_items, "elements", at)
}

/// A property that is there twice is checked twice: nobody knows which of the values a
/// receiver takes.
fn object(s: &Schema, r: &mut Reader, at: &Place) -> Result<(), String> {
    let mut missing: Vec<&str> = s.required.iter().map(String::as_str).collect();
    r.enter();
    while r.more() {
        let inside = r.name();
        let name = inside.meaning();
        missing.retain(|m| *m != name);
        let here = at.step(Step::Name(inside.raw()));
        match (s.properties.iter().find(|(known, _)| *known == name), &s.others) {
            (Some((_, property)), _) => value(property, r, &here)?,
            (None, Others::Are(others)) => value(others, r, &here)?,
            (None, Others::Refused) => return here.wrong("is not expected here"),
            (None, Others::Permitted) => _ = r.skip(),
        }
    }
    match missing.first() {
        Some(name) => at.step(Step::Name(name)).wrong("is missing"),
        None => Ok(()),
    }
}
