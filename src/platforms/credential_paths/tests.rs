//! Spellings of credential paths, paths that are none, and how entries are written.

use super::*;

fn entries(texts: &[&str]) -> Vec<CredentialPath> {
    texts.iter().map(|text| CredentialPath::parse(text).unwrap()).collect()
}

#[test]
fn every_spelling_of_an_entry_is_the_entry() {
    let entries = entries(&["/api/auth/*", "/Backend-API/ws/user", "/tok*", "/here/"]);
    for path in [
        "/api/auth/session",
        "/api/auth/",
        "/api/auth",
        "/api/auth/session/",
        "/API/Auth/Session",
        "/api//auth/session",
        "//api/auth/session",
        "/api/./auth/session",
        "/api/x/../auth/session",
        "/../api/auth/session",
        "/api/%61uth/session",
        "/api/%2561uth/session",
        "/api/%25252561uth/session",
        "/api/%6%31uth/session",
        "/api%2fauth%2Fsession",
        "/api%252fauth/session",
        "/api%5cauth/session",
        "/api\\auth\\session",
        "/api/x%2f..%2fauth/session",
        "/api/x%2f%2e%2e%2fauth/session",
        "/api/%2e/auth/session",
        "/api;x=1/auth;y/session",
        "/api/auth;x/../y",
        "/api/auth%3fx",
        "/api/auth%23x/more",
        "/api/auth%00",
        "/api/auth%00/../x",
        "/api/auth%20/session",
        "/api%09/auth/session",
        "/api./auth/session",
        "/api/.../auth/session",
        "/x%3f%2f..%2fapi/auth/session",
        "/api/auth/session%2f..%2f..%2f..%2fx",
        "/backend-api/ws/user",
        "/backend-api/ws/user/",
        "/backend-api/ws/user%2f..%2fother",
        "/backend-api/ws/user;x/other",
        "/backend-api/ws/user.",
        "/token",
        "/here",
        "/here/",
    ] {
        assert!(covers_any(&entries, path), "{path:?}");
    }
}

#[test]
fn other_paths_are_not() {
    let entries = entries(&["/api/auth/*", "/backend-api/ws/user", "/here"]);
    for path in [
        "/",
        "",
        "/api",
        "/api/authors",
        "/api/auth2/session",
        "/v1/api/auth/session",
        "/api/x/auth/session",
        "/backend-api/ws/user/of",
        "/backend-api/ws/users",
        "/backend-api/ws",
        "/hereafter",
        "/api/%zzauth/session",
        "/api/%",
        "/api/organizations/o/chat_conversations/c/completion",
    ] {
        assert!(!covers_any(&entries, path), "{path:?}");
    }
    assert!(!covers_any(&[], "/api/auth/session"));
}

#[test]
fn the_root_can_be_an_entry() {
    assert!(covers_any(&entries(&["/"]), "/") && covers_any(&entries(&["/"]), "/x/.."));
    assert!(!covers_any(&entries(&["/"]), "/x"));
    assert!(covers_any(&entries(&["/*"]), "/x"));
}

#[test]
fn a_long_path_costs_no_more_than_its_length() {
    let entries = entries(&["/api/auth/*"]);
    let deep = "/a;".repeat(300_000);
    assert!(!covers_any(&entries, &deep));
    let nested = format!("/api/%{}61uth/x", "25".repeat(500_000));
    assert!(covers_any(&entries, &nested));
}

#[test]
fn entries_are_written_plainly() {
    for text in [
        "", "api", "*", "/a*b", "/a**", "/%61", "/a?x", "/a#x", "/a;x", "/a\\b", "/a b", "/ä", "//a", "/a//b",
        "/a/./b", "/..", "/a/../b*", "/a//",
    ] {
        assert!(CredentialPath::parse(text).is_err(), "{text:?}");
    }
    for (text, shown) in [
        ("/A/b", "/a/b"),
        ("/a/", "/a"),
        ("/a/*", "/a/*"),
        ("/a*", "/a*"),
        ("/", "/"),
        ("/*", "/*"),
        ("/.well-known/x", "/.well-known/x"),
    ] {
        assert_eq!(serde_json::to_value(CredentialPath::parse(text).unwrap()).unwrap(), shown, "{text:?}");
    }
}
