//! The guest of the conformance cases: sdk-wasm/conformance/cases.md says what it does.
#![no_std]
extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use heddle::json::quoted;
use heddle::{kv, lookup, EmitOptions, Event, Hook, Plugin, Result, Status, Value};

heddle::plugin!(Plugin::new()
    .on("case:pass", |e| e.pass())
    .on("case:nothing", |_| Ok(()))
    .on("case:forbid", |e| e.forbid("not here"))
    .on("case:invalid", |e| e.invalid("data.text: too long"))
    .on("case:rate", |e| e.rate_limit("slow down", 1500))
    .on("case:silent", |e| e.drop_silently())
    .on("case:replace", replace)
    .on("case:set_attr", |e| e.set_attr("lang", r#""fr""#))
    .on("case:emit", emit)
    .on("case:route", |e| e.route("conv:2"))
    .on("case:reply", |e| e.reply(r#"{"ok":true}"#))
    .on("case:respond", |e| e.respond(201, "text/plain", "made"))
    .on("case:http", http)
    .on("case:timer", timer)
    .on("case:echo", echo)
    .on("case:attr", attr)
    .on("case:payload", payload)
    .on("case:kv", store)
    .on("case:host", host)
    .on("case:lookup", look)
    .on("case:fill", fill)
    .on("case:fail", |_| heddle::fail("told why"))
    .on("case:trap", |_| panic!("as asked for"))
    .on_hook(Hook::Connect, echo)
    .on_hook(Hook::Join, echo)
    .on_hook(Hook::Request, echo)
    .on_hook(Hook::Timer, seen)
    .on_hook(Hook::Response, seen));

fn replace(e: &Event) -> Result {
    let mut json = Vec::from(&br#"{"was":"#[..]);
    json.extend_from_slice(e.payload());
    json.push(b'}');
    e.replace(json)
}

fn emit(e: &Event) -> Result {
    e.emit_with("conv:1", "order:created", r#"{"id":1}"#, EmitOptions { durable: true, ..Default::default() })?;
    e.emit_with("user:ann", "order:told", r#"{"id":1}"#, EmitOptions { device: "phone", ..Default::default() })
}

fn http(e: &Event) -> Result {
    e.http("POST", "https://api.example.com/x?y=1", "content-type: application/json\nx-a: b", r#"{"q":"ü"}"#, "tag-1", 2500)
}

fn timer(e: &Event) -> Result {
    e.set_timer("remind", 60000, r#"{"n":1}"#)?;
    e.cancel_timer("old")
}

fn seen(e: &Event) -> Result {
    e.set_attr("seen", format!("\"{}\"", e.hook().as_str()))
}

fn echo(e: &Event) -> Result {
    let mut attrs = String::new();
    for a in e.attributes() {
        let (kind, value) = match a.value() {
            Value::None => ("none", String::from("null")),
            Value::Bool(b) => ("bool", format!("{}", b)),
            Value::Int(n) => ("int", format!("{}", n)),
            Value::Float(n) => ("float", bits(n)),
            Value::Text(s) => ("text", format!("{}", quoted(s))),
            Value::Json(s) => ("json", String::from(s)),
        };
        let comma = if attrs.is_empty() { "" } else { "," };
        let _ = write!(attrs, r#"{}{{"name":{},"type":"{}","value":{}}}"#, comma, quoted(a.name()), kind, value);
    }
    e.reply(format!(
        concat!(
            r#"{{"hook":"{}","tenant":{},"user":{},"device":{},"room":{},"action":{},"id":{},"time":{},"sequence":{},"#,
            r#""connection":{},"attempt":{},"durable":{},"server":{},"prefix":{},"codec":"{}","payload_size":{},"attrs":[{}]}}"#
        ),
        e.hook().as_str(),
        quoted(e.tenant()),
        quoted(e.user()),
        quoted(e.device()),
        quoted(e.room()),
        quoted(e.action()),
        quoted(e.id()),
        e.time(),
        e.sequence(),
        e.connection(),
        e.attempt(),
        e.durable(),
        e.server(),
        e.prefix(),
        e.codec().as_str(),
        e.payload_size(),
        attrs
    ))
}

fn bits(n: f64) -> String {
    format!("\"0x{:016x}\"", n.to_bits())
}

fn attr(e: &Event) -> Result {
    e.reply(format!(
        r#"{{"bool":{},"int":{},"float":{},"text":{},"missing":{}}}"#,
        e.bool("b").unwrap_or_default(),
        e.int("i").unwrap_or_default(),
        bits(e.float("f").unwrap_or_default()),
        quoted(e.text("t").unwrap_or_default()),
        !e.has("nope")
    ))
}

fn payload(e: &Event) -> Result {
    let (mut size, mut hash, mut piece) = (0, 0xcbf29ce484222325u64, [0; 100]);
    loop {
        let n = e.payload_from(size, &mut piece)?;
        if n == 0 {
            return e.reply(format!(r#"{{"size":{},"fnv":"{:016x}"}}"#, size, hash));
        }
        hash = piece[..n].iter().fold(hash, |hash, b| (hash ^ *b as u64).wrapping_mul(0x100000001b3));
        size += n;
    }
}

/// The word of what came of it.
fn word<T>(result: Result<T>) -> &'static str {
    result.map_or_else(Status::as_str, |_| "ok")
}

fn store(e: &Event) -> Result {
    let mut buffer = Vec::new();
    kv::put("k", "v", 0)?;
    let got = String::from_utf8_lossy(kv::get("k", &mut buffer)?).into_owned();
    let swap = word(kv::swap("k", Some(b"v"), Some(b"w"), 0));
    let again = word(kv::swap("k", Some(b"v"), Some(b"x"), 0));
    kv::add("n", 5, 0)?;
    let sum = kv::add("n", -2, 0)?;
    kv::delete("k")?;
    let gone = word(kv::get("k", &mut buffer));
    e.reply(format!(r#"{{"get":{},"swap":"{}","again":"{}","sum":{},"gone":"{}"}}"#, quoted(&got), swap, again, sum, gone))
}

fn host(e: &Event) -> Result {
    let (mut random, mut config, mut secret) = ([0; 16], Vec::new(), [0; 1000]);
    heddle::random(&mut random)?;
    let config = heddle::config(&mut config)?;
    let secret = heddle::secret("token", &mut secret)?;
    heddle::debug("debug line");
    heddle::info("info line");
    heddle::warn("warn line");
    heddle::error("error line");
    heddle::count("hits", 2.0);
    heddle::gauge("level", 0.5);
    heddle::observe("took", 0.25);
    let random = random.iter().any(|b| *b != 0);
    e.reply(format!(r#"{{"now":{},"random":{},"config":{},"secret":{}}}"#, heddle::now() > 0, random, config, quoted(secret)))
}

fn look(e: &Event) -> Result {
    let found = |result: Result<&str>| match result {
        Ok(json) => String::from(json),
        Err(status) => format!("\"{}\"", status),
    };
    let b = &mut Vec::new();
    let room = found(lookup::room("conv:1", b));
    let member = found(lookup::member("conv:1", "ann", b));
    let presence = found(lookup::presence("ann", b));
    let members = found(lookup::members("conv:1", "", b));
    e.reply(format!(r#"{{"room":{},"member":{},"presence":{},"members":{}}}"#, room, member, presence, members))
}

fn fill(e: &Event) -> Result {
    let json = format!(r#"{{"x":"{}"}}"#, "a".repeat(992));
    while e.emit("conv:1", "order:filled", &json).is_ok() {}
    Ok(())
}
