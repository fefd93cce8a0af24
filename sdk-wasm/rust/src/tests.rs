//! The SDK against the contract's golden files, on the machine that builds it.

use std::string::{String, ToString};
use std::vec::Vec;
use std::{fs, vec};

use core::fmt::Write;

use crate::raw::host::logged;
use crate::{json, Codec, EmitOptions, Event, Hook, Plugin, Result, State, Status, Text, Value};

fn golden(name: &str) -> Vec<u8> {
    let folder = std::env::var("HEDDLE_GOLDEN").unwrap_or_else(|_| String::from("../../hostapi/testdata"));
    fs::read(std::format!("{}/{}", folder, name)).unwrap()
}

/// Runs the golden batch with an output arena of so many bytes.
fn run(plugin: &Plugin, room: usize) -> Result<Vec<u8>> {
    let mut arena = vec![0xaa; room]; // what was there before must not show
    let used = plugin.batch(3, &golden("records.bin"), &mut arena)?;
    arena.truncate(used);
    Ok(arena)
}

fn first(e: &Event) -> Result {
    assert_eq!((e.hook(), e.codec(), e.attempt()), (Hook::Before, Codec::Json, 0));
    assert_eq!((e.durable(), e.prefix(), e.server()), (true, false, false));
    assert_eq!((e.sequence(), e.time(), e.connection(), e.payload_size()), (1, 1767225600000, 7, 14));
    assert_eq!((e.tenant(), e.user(), e.device(), e.room()), ("acme", "ann", "phone", "conv:42"));
    assert_eq!((e.action(), e.id(), e.payload()), ("message:send", "m-1", "{\"text\":\"hé\"}".as_bytes()));
    assert_eq!((e.text("text"), e.int("count"), e.float("ratio")), (Some("hé"), Some(-3), Some(0.25)));
    assert_eq!((e.bool("urgent"), e.json("tags"), e.float("count")), (Some(true), Some(r#"["a","b"]"#), Some(-3.0)));
    assert_eq!((e.text("count"), e.int("text"), e.bool("absent"), e.json("nope")), (None, None, None, None));
    assert_eq!((e.has("urgent"), e.has("absent"), e.has("nope")), (true, false, false));
    let names: Vec<&str> = e.attributes().map(|a| a.name()).collect();
    assert_eq!(names, ["text", "count", "ratio", "urgent", "tags", "absent"]);
    assert_eq!(e.attributes().last().unwrap().value(), Value::None);
    e.pass()
}

fn timer(e: &Event) -> Result {
    assert_eq!((e.hook(), e.id(), e.user(), e.time(), e.attempt()), (Hook::Timer, "nightly", "", -1, 1));
    assert_eq!((e.codec(), e.payload_size(), e.attributes().count()), (Codec::None, 0, 0));
    e.invalid("data.text: too long")
}

fn request(e: &Event) -> Result {
    assert_eq!((e.hook(), e.codec(), e.sequence()), (Hook::Request, Codec::Bytes, 1 << 63));
    assert_eq!((e.durable(), e.prefix(), e.server()), (false, true, true));
    assert_eq!((e.payload(), e.payload_size()), (&[0, 1, 2, 255][..], 100000));
    e.replace(r#"{"text":"***"}"#)?;
    e.set_attr("lang", r#""fr""#)?;
    e.emit_with("conv:1", "order:created", r#"{"id":1}"#, EmitOptions { durable: true, ..Default::default() })?;
    e.emit_with("user:bob", "order:seen", "{}", EmitOptions { device: "phone", ..Default::default() })?;
    e.route("conv:eu")?;
    e.respond(202, "application/json", r#"{"ok":true}"#)?;
    e.http("POST", "https://example.com/x", "content-type: text/plain", "hi", "42", 1500)?;
    e.set_timer("nightly", 3600000, r#"{"n":1}"#)?;
    e.cancel_timer("nightly")
}

static GOLDEN: Plugin = Plugin::new().on("message:send", first).on_hook(Hook::Timer, timer).on_hook(Hook::Request, request);

#[test]
fn golden_files() {
    let mut got = run(&GOLDEN, 4096).unwrap();
    let want = golden("actions.bin");
    let mut at = 0;
    while at < got.len() {
        // The golden actions are about other records than ours, which are one each.
        got[at + 6..at + 8].copy_from_slice(&want[at + 6..at + 8]);
        at += u32::from_le_bytes(got[at..at + 4].try_into().unwrap()) as usize;
    }
    assert_eq!(got, want);
}

fn fill(e: &Event) -> Result {
    let mut n = 0;
    while e.emit("conv:1", "a:b", "{}").is_ok() {
        n += 1;
    }
    assert_eq!(n, 4096 / 72); // 56 bytes behind it are left
    assert_eq!((e.pass(), e.pass()), (Ok(()), Err(Status::Failed)));
    Ok(())
}

#[test]
fn a_full_output() {
    // The golden batch has three events. That the function is content does not help.
    assert_eq!(run(&Plugin::new().on("message:send", fill), 4096), Err(Status::Failed));
    let lines = logged();
    assert!(lines.len() == 1 && lines[0].starts_with("2 the output is full"), "{:?}", lines);
    let mut arena = vec![0; 4096];
    assert_eq!(Plugin::new().on("message:send", fill).batch(1, &golden("records.bin"), &mut arena), Err(Status::Failed));
    let lines = logged();
    assert!(lines.len() == 1 && lines[0].starts_with("3 the output is full"), "{:?}", lines);
}

#[test]
fn errors_fail_the_batch_and_are_logged() {
    assert_eq!(run(&Plugin::new().on("message:send", |_| crate::fail("told why")), 4096), Err(Status::Failed));
    assert_eq!(logged(), ["3 told why"]);
    assert_eq!(run(&Plugin::new().on("message:send", |_| crate::kv::delete("k")), 4096), Err(Status::Unavailable));
    assert_eq!(logged(), ["3 message:send: unavailable"]);
    assert_eq!(Plugin::new().start(|config| crate::fail(config)).begin("{}"), Err(Status::Failed));
    assert_eq!(logged(), ["3 {}"]);
}

#[test]
fn functions_are_found() {
    static SEEN: State<String> = State::new(String::new());
    fn own(_: &Event) -> Result {
        SEEN.with(|s| s.push_str("own "));
        Ok(())
    }
    fn other(e: &Event) -> Result {
        SEEN.with(|s| write!(s, "{} ", e.hook().as_str()).map_err(|_| Status::Failed))
    }
    let plugin = Plugin::new().on("message:sent", other).on("message:send", own).on_hook(Hook::Before, other).on_hook(Hook::Request, other);
    run(&plugin, 4096).unwrap();
    run(&Plugin::new().on("message:sand", own).on_hook(Hook::Before, other), 4096).unwrap();
    run(&Plugin::new(), 4096).unwrap();
    assert_eq!(SEEN.with(|s| s.clone()), "own request before ");
}

#[test]
fn input_that_lies() {
    let mut arena = [0; 4096];
    let plugin = Plugin::new().on("message:send", |e| {
        let _ = (e.tenant(), e.room(), e.payload(), e.attributes().count(), e.text("text"), e.json("tags"));
        Ok(())
    });
    let good = golden("records.bin");
    assert_eq!(plugin.batch(4, &good, &mut arena), Err(Status::Invalid));
    assert_eq!(plugin.batch(3, &good[..good.len() - 8], &mut arena), Err(Status::Invalid));
    for at in (48..112).step_by(4) {
        let mut bad = good.clone();
        bad[at..at + 4].fill(0xff); // a reference that is outside: it is empty
        assert_eq!(plugin.batch(3, &bad, &mut arena), Ok(0));
    }
}

#[test]
fn buffers() {
    assert_eq!(crate::config(&mut [0; 299]), Err(Status::Failed));
    assert_eq!(crate::config(&mut [0; 300]).unwrap().len(), 300);
    assert_eq!(crate::config(&mut Vec::new()).unwrap().len(), 300);
    let mut text = Text::<5>::new();
    assert!(write!(text, "abcd").is_ok() && write!(text, "é").is_err());
    assert_eq!(text.as_str(), "abcd");
}

#[test]
#[should_panic(expected = "within its own use")]
fn a_state_is_lent_once() {
    static STATE: State<u8> = State::new(1);
    STATE.with(|_| STATE.with(|_| ()));
}

#[test]
fn strings() {
    for (text, want) in [
        ("", r#""""#),
        ("hé \"a\\b\" \u{7f}", "\"hé \\\"a\\\\b\\\" \u{7f}\""),
        ("\n\r\t\u{8}\u{c}\u{1}\u{1f}\0", r#""\n\r\t\b\f\u0001\u001f\u0000""#),
    ] {
        let quoted = json::quoted(text).to_string();
        assert_eq!(quoted, want);
        let object = std::format!("{{\"a\":{}}}", quoted);
        let inside = json::string(object.as_bytes(), "a").unwrap();
        assert!(inside == *text && inside.to_string() == text);
    }
    for (inside, want) in [
        (r#"\u00e9\u20AC\ud83d\ude00\/\""#, "é€😀/\""),
        (r"a\ud83dx", "a\u{fffd}x"),
        (r"\ud83d\u0041", "\u{fffd}A"),
        (r"\ude00", "\u{fffd}"),
        (r"\ud83dx\ude00\u12", "\u{fffd}x\u{fffd}\u{fffd}"),
        (r"é\b\f\n\r\té", "é\u{8}\u{c}\n\r\té"),
        ("plain é", "plain é"),
    ] {
        let object = std::format!("{{\"a\":\"{}\"}}", inside);
        let inside = json::string(object.as_bytes(), "a").unwrap();
        assert_eq!((inside.to_string().as_str(), inside.meaning().as_ref()), (want, want));
    }
}

#[test]
fn members() {
    let object = br#" { "a" : 1 , "b":"x\"}", "c":[{"a":2},"]"],"d":{"a":{}} ,"t\u0065xt":"hidden","n":null,"a\\b":0}"#;
    for (key, want) in [
        ("a", Some("1")),
        ("b", Some(r#""x\"}""#)),
        ("c", Some(r#"[{"a":2},"]"]"#)),
        ("d", Some(r#"{"a":{}}"#)),
        ("text", Some("\"hidden\"")),
        ("n", Some("null")),
        ("a\\b", Some("0")),
        ("a\\\\b", None),
        ("e", None),
    ] {
        assert_eq!(json::get(object, key), want, "{}", key);
    }
    assert_eq!(json::get(br#"{"a":1,"a":2}"#, "a"), Some("2"));
    assert_eq!(json::get(b"[1]", "a"), None);
    assert!(json::string(object, "a").is_none());
    assert_eq!(json::string(br#"{"a":"0123456789abcdef\\","z":"last one"}"#, "z").unwrap().raw(), "last one");
    let whole = br#"{"text":"hello \"you\"","to":["ann"],"n":12}"#;
    for n in 0..whole.len() {
        assert_eq!(json::string(&whole[..n], "text").is_some(), n >= 23, "{}", n);
        assert_eq!(json::get(&whole[..n], "n"), None);
    }
}

#[test]
fn a_reader_walks_over_everything() {
    use json::Kind::*;
    let mut r = json::Reader::new(r#" { "a\"b" : [ 1 , -2.5e3,true,null , "x\\" , {} , [] ] , "c":{"d":"}"} , "e" : false } "#);
    assert_eq!(r.kind(), Object);
    r.enter();
    assert!(r.more());
    assert_eq!((r.name().meaning().as_ref(), r.kind()), ("a\"b", Array));
    r.enter();
    let mut seen = Vec::new();
    while r.more() {
        seen.push((r.kind(), r.skip()));
    }
    let want = [(Number, "1"), (Number, "-2.5e3"), (Bool, "true"), (Null, "null"), (Text, r#""x\\""#), (Object, "{}"), (Array, "[]")];
    assert_eq!(seen, want);
    assert!(r.more());
    assert_eq!((r.name().raw(), r.skip()), ("c", r#"{"d":"}"}"#));
    assert!(r.more());
    assert_eq!((r.name().raw(), r.skip()), ("e", "false"));
    assert!(!r.more());
    for (text, kind) in [("12", Number), (" null", Null), ("\"é\"", Text), ("[1]", Array)] {
        let mut r = json::Reader::new(text);
        assert_eq!((r.kind(), r.skip(), r.skip()), (kind, text.trim(), ""));
    }
    assert_eq!(json::Reader::new(r#""\u00e9!" "#).string().meaning(), "é!");
    assert!(json::inside("\"é\"").unwrap() == *"é" && json::inside("1").is_none() && json::inside("\"").is_none());
}

/// Goes into all that there is; how many steps that took.
fn walk(r: &mut json::Reader, depth: usize) -> usize {
    use json::Kind;
    let kind = r.kind();
    if depth == 0 || !matches!(kind, Kind::Object | Kind::Array) {
        r.skip();
        return 1;
    }
    let mut steps = 1;
    r.enter();
    while r.more() {
        if kind == Kind::Object {
            r.name();
        }
        steps += walk(r, depth - 1);
        assert!(steps < 1000, "it does not end");
    }
    steps
}

#[test]
fn a_reader_ends_with_the_text() {
    let whole = r#"{"a":[1,{"b":"\u00e9\""}],"c":"d","é":["é\\"]}"#;
    for n in 0..=whole.len() {
        if let Some(text) = whole.get(..n) {
            for depth in 0..4 {
                walk(&mut json::Reader::new(text), depth);
            }
        }
    }
    assert_eq!(json::Reader::new(r#""cut"#).skip(), "");
    assert_eq!(json::Reader::new(r#"[1,"cut"#).skip(), "");
    // What is no JSON ends, too: all texts of these bytes.
    const BYTES: [&str; 11] = ["{", "}", "[", "]", "\"", ":", ",", "\\", "1", "é", "\u{1}"];
    for n in 0..11usize.pow(5) {
        let mut rest = n;
        let text: String = (0..5)
            .map(|_| {
                let byte = BYTES[rest % 11];
                rest /= 11;
                byte
            })
            .collect();
        walk(&mut json::Reader::new(&text), 3);
    }
}
