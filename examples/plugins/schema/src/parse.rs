//! Makes schemas of the config. It is strict: a keyword that is not checked would be a
//! promise that nobody keeps, and fails the deploy.

use heddle::json::{Kind, Reader};

use crate::schema::{Others, Schema, Type};

/// How deep schemas may be nested; the node permits no deeper payloads.
const DEEPEST: usize = 32;

/// Keywords that say nothing about what is valid.
const NOTES: [&str; 8] = ["$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated"];

/// The schemas of {"schemas": {"noun:verb noun:verb": {…}, …}}.
pub fn schemas(config: &str) -> Result<Vec<(String, Schema)>, String> {
    let mut out = Vec::new();
    let mut r = Reader::new(config);
    members(&mut r, "", |r, name| match name {
        "schemas" => members(r, "schemas", |r, actions| {
            out.push((actions.to_string(), schema(r, &format!("schemas.{actions}"), DEEPEST)?));
            Ok(())
        }),
        _ => Err(format!("{name}: there is no such option; want schemas, with a schema for each action")),
    })?;
    if out.is_empty() {
        return Err("schemas: there is none, and so nothing to check".to_string());
    }
    Ok(out)
}

fn schema(r: &mut Reader, at: &str, deepest: usize) -> Result<Schema, String> {
    if deepest == 0 {
        return Err(format!("{at}: nested deeper than payloads can be"));
    }
    let mut s = Schema::default();
    members(r, at, |r, name| {
        let here = format!("{at}.{name}");
        match name {
            "type" => s.types = types(r, &here)?,
            "enum" => s.allowed = allowed(r, &here)?,
            "minimum" => s.minimum = Some(number(r, &here)?),
            "maximum" => s.maximum = Some(number(r, &here)?),
            "minLength" => s.min_length = Some(count(r, &here)?),
            "maxLength" => s.max_length = Some(count(r, &here)?),
            "minItems" => s.min_items = Some(count(r, &here)?),
            "maxItems" => s.max_items = Some(count(r, &here)?),
            "items" => s.items = Some(Box::new(schema(r, &here, deepest - 1)?)),
            "required" => s.required = texts(r, &here)?,
            "properties" => members(r, &here, |r, property| {
                s.properties.push((property.to_string(), schema(r, &format!("{here}.{property}"), deepest - 1)?));
                Ok(())
            })?,
            "additionalProperties" if r.kind() == Kind::Bool => {
                s.others = if r.skip() == "true" { Others::Permitted } else { Others::Refused }
            }
            "additionalProperties" => s.others = Others::Are(Box::new(schema(r, &here, deepest - 1)?)),
            _ if NOTES.contains(&name) => {
                r.skip();
            }
            _ => return Err(format!("{here}: this keyword is not supported; README.md lists those that are")),
        }
        Ok(())
    })?;
    Ok(s)
}

/// Calls each with the name of every member of an object, in front of its value. One that
/// is there twice is a mistake.
fn members<'a>(r: &mut Reader<'a>, at: &str, mut each: impl FnMut(&mut Reader<'a>, &str) -> Result<(), String>) -> Result<(), String> {
    let of = if at.is_empty() { String::new() } else { format!("{at}: ") };
    if r.kind() != Kind::Object {
        return Err(format!("{of}want an object"));
    }
    let mut seen = Vec::new();
    r.enter();
    while r.more() {
        let name = r.name().meaning().into_owned();
        if seen.contains(&name) {
            return Err(format!("{of}{name} is there twice"));
        }
        each(r, &name)?;
        seen.push(name);
    }
    Ok(())
}

fn types(r: &mut Reader, at: &str) -> Result<Vec<Type>, String> {
    let words = if r.kind() == Kind::Text { vec![r.string().meaning().into_owned()] } else { texts(r, at)? };
    words.iter().map(|word| Type::named(word).ok_or_else(|| format!("{at}: there is no type {word:?}"))).collect()
}

fn texts(r: &mut Reader, at: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    elements(r, at, |r| {
        if r.kind() != Kind::Text {
            return Err(format!("{at}: want a list of texts"));
        }
        out.push(r.string().meaning().into_owned());
        Ok(())
    })?;
    Ok(out)
}

fn allowed(r: &mut Reader, at: &str) -> Result<Vec<String>, String> {
    let mut out = Vec::new();
    elements(r, at, |r| {
        if let Kind::Array | Kind::Object = r.kind() {
            return Err(format!("{at}: want texts, numbers, true, false and null only"));
        }
        out.push(r.skip().to_string());
        Ok(())
    })?;
    if out.is_empty() {
        return Err(format!("{at}: nothing would be valid"));
    }
    Ok(out)
}

fn elements<'a>(r: &mut Reader<'a>, at: &str, mut each: impl FnMut(&mut Reader<'a>) -> Result<(), String>) -> Result<(), String> {
    if r.kind() != Kind::Array {
        return Err(format!("{at}: want a list"));
    }
    r.enter();
    while r.more() {
        each(r)?;
    }
    Ok(())
}

fn number(r: &mut Reader, at: &str) -> Result<f64, String> {
    r.skip().parse().map_err(|_| format!("{at}: want a number"))
}

fn count(r: &mut Reader, at: &str) -> Result<usize, String> {
    r.skip().parse().map_err(|_| format!("{at}: want a whole number that is not negative"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_keywords() {
        let list = schemas(
            r#"{"schemas": {"order:created": {"title": "an order", "type": "object", "required": ["id"], "additionalProperties": false, "properties": {
                "id": {"type": ["string", "integer"], "minLength": 1, "maxLength": 9, "minimum": 1, "maximum": 2.5e3},
                "tags": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"enum": ["a", 1, true, null]}}}}}}"#,
        );
        let id = Schema {
            types: vec![Type::Is(Kind::Text), Type::Integer],
            min_length: Some(1),
            max_length: Some(9),
            minimum: Some(1.0),
            maximum: Some(2500.0),
            ..Schema::default()
        };
        let tag = Schema { allowed: ["\"a\"", "1", "true", "null"].map(str::to_string).to_vec(), ..Schema::default() };
        let tags = Schema {
            types: vec![Type::Is(Kind::Array)],
            min_items: Some(1),
            max_items: Some(3),
            items: Some(Box::new(tag)),
            ..Schema::default()
        };
        let order = Schema {
            types: vec![Type::Is(Kind::Object)],
            required: vec!["id".to_string()],
            others: Others::Refused,
            properties: vec![("id".to_string(), id), ("tags".to_string(), tags)],
            ..Schema::default()
        };
        assert_eq!(list, Ok(vec![("order:created".to_string(), order)]));
    }

    #[test]
    fn refuses_what_it_would_not_check() {
        for (config, want) in [
            (r#"[]"#, "want an object"),
            (r#"{}"#, "schemas: there is none, and so nothing to check"),
            (r#"{"schemas":{}}"#, "schemas: there is none, and so nothing to check"),
            (r#"{"schema":{}}"#, "schema: there is no such option; want schemas, with a schema for each action"),
            (r#"{"schemas":{"a:b":true}}"#, "schemas.a:b: want an object"),
            (r#"{"schemas":{"a:b":{},"a:b":{}}}"#, "schemas: a:b is there twice"),
            (
                r#"{"schemas":{"a:b":{"pattern":"x"}}}"#,
                "schemas.a:b.pattern: this keyword is not supported; README.md lists those that are",
            ),
            (r#"{"schemas":{"a:b":{"type":"text"}}}"#, "schemas.a:b.type: there is no type \"text\""),
            (r#"{"schemas":{"a:b":{"type":1}}}"#, "schemas.a:b.type: want a list"),
            (r#"{"schemas":{"a:b":{"required":[1]}}}"#, "schemas.a:b.required: want a list of texts"),
            (r#"{"schemas":{"a:b":{"enum":[]}}}"#, "schemas.a:b.enum: nothing would be valid"),
            (r#"{"schemas":{"a:b":{"enum":[{}]}}}"#, "schemas.a:b.enum: want texts, numbers, true, false and null only"),
            (r#"{"schemas":{"a:b":{"minimum":"1"}}}"#, "schemas.a:b.minimum: want a number"),
            (
                r#"{"schemas":{"a:b":{"properties":{"x":{"minLength":-1}}}}}"#,
                "schemas.a:b.properties.x.minLength: want a whole number that is not negative",
            ),
        ] {
            assert_eq!(schemas(config), Err(want.to_string()), "{config}");
        }
        let deep = format!("{{\"schemas\":{{\"a:b\":{}{{}}{}}}}}", "{\"items\":".repeat(40), "}".repeat(40));
        assert!(schemas(&deep).unwrap_err().ends_with(": nested deeper than payloads can be"));
    }
}
