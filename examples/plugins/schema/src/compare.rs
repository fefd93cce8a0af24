use heddle::json::inside;

/// Whether two values that are no objects or arrays are the same, as JSON has it: 1.0 is
/// 1, and an escape is what it means.
pub fn same(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    match (inside(a), inside(b)) {
        (Some(a), Some(b)) => a.chars().eq(b.chars()),
        (None, None) => matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a == b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn compares() {
        for (a, b, want) in [
            ("1", "1.0", true),
            ("1", "10e-1", true),
            ("1", "2", false),
            ("1", "\"1\"", false),
            ("null", "false", false),
            ("\"a\"", r#""\u0061""#, true),
            ("\"a\"", "\"A\"", false),
            ("\"inf\"", "inf", false),
        ] {
            assert_eq!(same(a, b), want, "{a} {b}");
        }
    }
}
