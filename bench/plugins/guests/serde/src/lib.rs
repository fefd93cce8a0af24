//! A guest that reads JSON with serde_json, and writes it again.

use serde_json::Value;

const INPUT: &str = r#"{"id":1234567890123,"room":"conv:general","text":"hello, \"world\" \u00e9 and more","tags":["a","bb","ccc"],"headers":{"x-one":"1","x-two":"two"},"score":0.75}"#;

#[no_mangle]
pub extern "C" fn run(n: i32) -> i32 {
    let mut size = 0;
    for _ in 0..n {
        let value: Value = match serde_json::from_str(INPUT) {
            Ok(v) => v,
            Err(_) => return -1,
        };
        size += match serde_json::to_string(&value) {
            Ok(s) => s.len() as i32,
            Err(_) => return -1,
        };
    }
    size
}
