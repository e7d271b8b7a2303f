//! A point in time as the apps write it: ISO text, seconds or milliseconds.

use crate::{clock::WallMs, platforms::json};
use chrono::{DateTime, NaiveDateTime};

/// Numbers from here on are milliseconds (1973), smaller ones seconds (up to the year 5138).
const MILLISECONDS_FROM: f64 = 1e11;
/// Numbers from here on are neither.
const TOO_LATE: f64 = 1e14;

/// Returns the Unix milliseconds in `json`; `None` if it is not understood or before 1970.
pub(super) fn read(json: &str) -> Option<WallMs> {
    match json::string(json) {
        Some(text) => iso(text.trim()).or_else(|| number(text.trim())),
        None => number(json),
    }
}

fn iso(text: &str) -> Option<WallMs> {
    let with_zone = || DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.timestamp_millis());
    // Without a zone it is UTC, as everywhere on a server.
    let without = || ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"].into_iter().find_map(|form| naive(text, form));
    with_zone().or_else(without).filter(|moment| *moment >= 0)
}

fn naive(text: &str, form: &str) -> Option<WallMs> {
    NaiveDateTime::parse_from_str(text, form).ok().map(|moment| moment.and_utc().timestamp_millis())
}

fn number(text: &str) -> Option<WallMs> {
    let number: f64 = serde_json::from_str(text).ok()?;
    let milliseconds = if number < MILLISECONDS_FROM { number * 1_000.0 } else { number };
    // The bounds keep the conversion exact.
    (0.0..TOO_LATE).contains(&number).then_some(milliseconds.round() as WallMs)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: WallMs = 1_751_198_400_000;

    #[test]
    fn iso_text_seconds_and_milliseconds_are_the_same_moment() {
        for json in [
            r#""2025-06-29T12:00:00Z""#,
            r#""2025-06-29T12:00:00.000000+00:00""#,
            r#""2025-06-29T14:00:00+02:00""#,
            r#""2025-06-29T12:00:00""#,
            r#"" 2025-06-29 12:00:00.0 ""#,
            "1751198400",
            "1751198400.0004",
            "1751198400000",
            "1.7511984e12",
            r#""1751198400""#,
            r#""1751198400000""#,
        ] {
            assert_eq!(read(json), Some(AT), "{json}");
        }
        assert_eq!(read("1751198400.25"), Some(AT + 250));
        assert_eq!(read(r#""2025-06-29T12:00:00.123456+00:00""#), Some(AT + 123));
        assert_eq!(read("0"), Some(0));
    }

    #[test]
    fn what_is_not_understood_is_no_time() {
        for json in [
            "null",
            "true",
            "{}",
            "",
            "-1",
            "1e400",
            "1751198400000000",
            r#""""#,
            r#""soon""#,
            r#""2025-13-29T12:00:00Z""#,
            r#""1969-12-31T23:59:59Z""#,
            r#""NaN""#,
            r#""\ud800""#,
        ] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
