//! Removes from upstream paths what must not be stored: values may be secrets or a user's text.

use std::borrow::Cow;

/// Maximum bytes of a parameter name; a longer one counts as a value.
const NAME_BYTES_MAX: usize = 64;
/// Maximum number of parameters whose names are kept.
const NAMES_MAX: usize = 64;
/// Replaces a parameter that has no name.
const LEFT_OUT: &str = "…";

/// Returns a path or URL without the values of its query and without its fragment. Names of parameters are kept, joined
/// by `&`; a parameter without a value or a plausible name becomes `…`, since it may be a value.
pub fn without_values(path: &str) -> Cow<'_, str> {
    let Some(end) = path.find(['?', '#']) else { return Cow::Borrowed(path) };
    let (place, rest) = path.split_at(end);
    let query = rest.strip_prefix('?').map(|rest| rest.split('#').next().unwrap_or_default());
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Cow::Borrowed(place) };
    let mut kept = String::with_capacity(path.len().min(1_024));
    kept.push_str(place);
    for (at, parameter) in query.split(['&', ';']).enumerate() {
        kept.push(if at == 0 { '?' } else { '&' });
        if at == NAMES_MAX {
            kept.push_str(LEFT_OUT);
            break;
        }
        kept.push_str(name(parameter).unwrap_or(LEFT_OUT));
    }
    Cow::Owned(kept)
}

/// Returns the name of a parameter that has a value. Base64 padding (`=`) is no value.
fn name(parameter: &str) -> Option<&str> {
    let (name, value) = parameter.split_once('=')?;
    let has_value = value.bytes().any(|byte| byte != b'=');
    (has_value && is_name(name)).then_some(name)
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.~[]$:@".contains(&byte);
    // Brackets are written so as well; other escapes could hide a whole parameter.
    let open = name.replace("%5B", "[").replace("%5b", "[").replace("%5D", "]").replace("%5d", "]");
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && open.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_and_values_go() {
        let long = format!("/p?{}=1", "n".repeat(65));
        for (path, kept) in [
            ("/p", "/p"),
            ("/p?a=hush&b=hush", "/p?a&b"),
            ("/p?a=hush;b=hush", "/p?a&b"),
            ("/p?a=b=hush&a%5Bx%5D=hush&c[]=hush", "/p?a&a%5Bx%5D&c[]"),
            ("/p?hush", "/p?…"),
            ("/p?hush=", "/p?…"),
            ("/p?aHVzaA==", "/p?…"),
            ("/p?a%3Dhush=1&=hush&&hush%26=1", "/p?…&…&…&…"),
            ("/p?hush hush=1&hüsh=1", "/p?…&…"),
            (&long, "/p?…"),
            ("/p?a=1#hush?b=hush", "/p?a"),
            ("/p#hush?a=hush", "/p"),
            ("/p?", "/p"),
            ("/p?#hush", "/p"),
            ("https://h.example/p?a=hush", "https://h.example/p?a"),
            ("?a=hush", "?a"),
            ("", ""),
        ] {
            assert_eq!(without_values(path), kept, "{path}");
        }
    }

    #[test]
    fn only_so_many_are_named() {
        let path = format!("/p?{}", vec!["a=1"; 10_000].join("&"));
        assert_eq!(without_values(&path), format!("/p?{}&…", vec!["a"; NAMES_MAX].join("&")));
    }
}
