//! Paths that are accepted and refused.

use super::{PathError::*, *};
use crate::platforms::registry::{PlatformRegistry, PlatformsSettings};

fn platform(text: &str) -> std::sync::Arc<Platform> {
    let settings: PlatformsSettings = toml::from_str(text).unwrap();
    let registry = PlatformRegistry::new(&settings);
    std::sync::Arc::clone(&registry.all()[0])
}

fn check(platform: &Platform, table: &[(&str, Result<(), PathError>)]) {
    for (path, expected) in table {
        assert_eq!(check_path(platform, path), *expected, "{path:?}");
    }
}

fn chatgpt() -> std::sync::Arc<Platform> {
    platform("[chatgpt]\nshell_url = \"https://chatgpt.com/\"\nhosts = [\"chatgpt.com\", \"*.chatgpt.com\"]")
}

#[test]
fn paths_of_the_same_origin() {
    check(
        &chatgpt(),
        &[
            ("/", Ok(())),
            ("/api/x?y=1&z=//a", Ok(())),
            ("/a//b", Ok(())),
            ("/%5cevil.example", Ok(())),
            ("/%2f%2fevil.example", Ok(())),
            ("/@evil.example", Ok(())),
            ("/:80/x", Ok(())),
            ("/a b", Ok(())),
            ("/ünï/漢?q=ö", Ok(())),
            ("/../../x", Ok(())),
            ("/x?next=https://evil.example/", Ok(())),
            ("/x#part", Ok(())),
            ("", Err(Empty)),
            ("x", Err(Malformed)),
            ("x/y:z", Err(Malformed)),
            (" /x", Err(Malformed)),
            ("?x=1", Err(Malformed)),
            ("#x", Err(Malformed)),
            (".", Err(Malformed)),
            ("../x", Err(Malformed)),
            ("//evil.example/", Err(NetworkPath)),
            ("//", Err(NetworkPath)),
            ("///evil.example", Err(NetworkPath)),
            ("/.//evil.example/x", Err(NetworkPath)),
            ("/a/..//evil.example/x", Err(NetworkPath)),
            ("/%2e//evil.example/x", Err(NetworkPath)),
            ("/\\evil.example", Err(Backslash)),
            ("\\\\evil.example", Err(Backslash)),
            ("/x\\y", Err(Backslash)),
            ("/\t/evil.example", Err(Control)),
            ("/\n/evil.example", Err(Control)),
            ("\t//evil.example", Err(Control)),
            ("/x\r\nhost: evil", Err(Control)),
            ("/x\0", Err(Control)),
            ("/x\u{7f}", Err(Control)),
            ("/x\u{85}", Err(Control)),
        ],
    );
}

#[test]
fn absolute_urls_on_the_platforms_hosts() {
    check(
        &chatgpt(),
        &[
            ("https://chatgpt.com/x", Ok(())),
            ("https://chatgpt.com", Ok(())),
            ("https://chatgpt.com?x=1", Ok(())),
            ("https://chatgpt.com:443/x", Ok(())),
            ("HTTPS://ChatGPT.com/x", Ok(())),
            ("https://a.chatgpt.com/x", Ok(())),
            ("https://a.b.chatgpt.com/x", Ok(())),
            ("https://chatgpt.com/x@y", Ok(())),
            ("https://chatgpt.com/?q=a@b", Ok(())),
            ("http://chatgpt.com/x", Err(Scheme)),
            ("wss://chatgpt.com/x", Err(Scheme)),
            ("javascript:alert(1)", Err(Scheme)),
            ("data:text/html,x", Err(Scheme)),
            ("blob:https://chatgpt.com/x", Err(Scheme)),
            ("view-source:https://chatgpt.com/x", Err(Scheme)),
            ("https://chatgpt.com:8443/", Err(Port)),
            ("https://chatgpt.com:0/", Err(Port)),
            ("https://chatgpt.com:99999/", Err(Malformed)),
            ("https://chatgpt.com@evil.example/", Err(UserInfo)),
            ("https://user:pass@chatgpt.com/", Err(UserInfo)),
            ("https://@chatgpt.com/", Err(UserInfo)),
            ("https://:@chatgpt.com/", Err(UserInfo)),
            ("https://evil.example/x", Err(Host)),
            ("https://chatgpt.com.evil.example/x", Err(Host)),
            ("https://chatgpt.com./x", Err(Host)),
            ("https://a.chatgpt.com./x", Err(Host)),
            ("https://.chatgpt.com/x", Err(Host)),
            ("https://evilchatgpt.com/x", Err(Host)),
            ("https://xn--chatgpt-9x.com/x", Err(Malformed)), // no valid Punycode
            ("https://chаtgpt.com/x", Err(Host)),             // a Cyrillic `а`
            ("https://1.2.3.4/x", Err(Host)),
            ("https://[::1]/x", Err(Host)),
            ("https://evil.example#@chatgpt.com/", Err(Host)),
            ("https://evil.example?@chatgpt.com/", Err(Host)),
            ("https:/chatgpt.com/x", Err(Malformed)),
            ("https:chatgpt.com/x", Err(Malformed)),
            ("https:///chatgpt.com/x", Err(Malformed)),
            ("https://", Err(Malformed)),
            ("https://?x", Err(Malformed)),
            ("https://chatgpt%2ecom/x", Err(Malformed)),
            ("https://evil.example%2fchatgpt.com/x", Err(Malformed)),
            ("https://chatgpt.com /x", Err(Malformed)),
            (" https://chatgpt.com/x", Err(Malformed)),
            ("https://chatgpt.com\\@evil.example/", Err(Backslash)),
            ("https:\\\\chatgpt.com/x", Err(Backslash)),
            ("https://chat\tgpt.com/x", Err(Control)),
            ("https://evil.example\n.chatgpt.com/x", Err(Control)),
            ("ht\ntps://chatgpt.com/x", Err(Control)),
            ("https://chatgpt.com//evil.example/x", Err(NetworkPath)),
        ],
    );
}

#[test]
fn scheme_and_port_are_those_of_the_shell_url() {
    let local = platform("[local]\nshell_url = \"http://localhost:3000/app/\"");
    check(
        &local,
        &[
            ("/x", Ok(())),
            ("http://localhost:3000/x", Ok(())),
            ("http://localhost/x", Err(Port)),
            ("http://localhost:3001/x", Err(Port)),
            ("https://localhost:3000/x", Err(Scheme)),
            ("http://127.0.0.1:3000/x", Err(Host)),
        ],
    );
    let below = platform("[b]\nshell_url = \"https://a.wiki.example/\"\nhosts = [\"*.wiki.example\"]");
    check(&below, &[("https://b.wiki.example/", Ok(())), ("https://wiki.example/", Err(Host))]);
    let named = platform("[i]\nshell_url = \"https://bücher.example/\"");
    check(
        &named,
        &[
            ("https://bücher.example/x", Ok(())),
            ("https://BÜCHER.example/x", Ok(())),
            ("https://xn--bcher-kva.example/x", Ok(())),
            ("https://bucher.example/x", Err(Host)),
        ],
    );
}

#[test]
fn paths_that_hand_out_credentials() {
    let platform = platform(
        "[x]\nshell_url = \"https://x.example/app\"\nhosts = [\"x.example\", \"*.x.example\"]\n\
         credential_paths = [\"/api/auth/*\"]",
    );
    check(
        &platform,
        &[
            ("/api/auth/session", Err(Credentials)),
            ("/api/auth/session?x=/", Err(Credentials)),
            ("/api/auth/session#x", Err(Credentials)),
            ("/API//auth/session/", Err(Credentials)),
            ("/api/x/../auth/session", Err(Credentials)),
            ("/api/x/%2e%2e/auth/session", Err(Credentials)),
            ("/api/%61uth/session", Err(Credentials)),
            ("/api%2Fauth%2fsession", Err(Credentials)),
            ("https://x.example/api/auth/session", Err(Credentials)),
            ("HTTPS://Y.X.EXAMPLE:443/api/./%2561uth/session?x", Err(Credentials)),
            ("/api/auth/../x", Ok(())),
            ("/api/x?next=/api/auth/session", Ok(())),
            ("/api/x#/api/auth/session", Ok(())),
            ("/api/authors", Ok(())),
        ],
    );
}
