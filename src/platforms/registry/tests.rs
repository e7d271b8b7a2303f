//! The built-in platforms, what a user can add, and which hosts a pattern covers.

use super::*;

fn load(text: &str) -> (PlatformRegistry, Vec<String>) {
    let mut settings = PlatformsSettings::default();
    settings.0.extend(toml::from_str::<PlatformsSettings>(text).unwrap().0);
    let mut errors = ValidationErrors::default();
    let registry = PlatformRegistry::checked(&settings, &mut errors);
    (registry, errors.errors().iter().map(|found| format!("{}: {}", found.key, found.reason)).collect())
}

#[test]
fn the_built_in_platforms_are_sorted_and_without_fault() {
    let (registry, errors) = load("");
    assert_eq!(errors, [""; 0]);
    assert_eq!(registry.names().map(PlatformName::as_str).collect::<Vec<_>>(), ["chatgpt", "claude", "gemini"]);
    assert_eq!(registry.get("claude").unwrap().prompt, PromptMethod::Claude);
    assert!(registry.get("Claude").is_none() && registry.get("").is_none());
}

#[test]
fn a_platform_serializes_as_the_extension_expects_it() {
    let (registry, _) = load("");
    assert_eq!(
        serde_json::to_value(registry.get("chatgpt").unwrap()).unwrap(),
        serde_json::json!({
            "platform": "chatgpt", "title": "ChatGPT", "shell_url": "https://chatgpt.com/",
            "hosts": ["chatgpt.com", "*.chatgpt.com"], "modes": ["buffered", "sse"],
            "final_message": "chatgpt", "answer_hosts": ["ws.chatgpt.com"],
            "credential_paths": ["/api/auth/*", "/backend-api/celsius/ws/user", "/backend-api/register-websocket"],
            "prompt": "template",
        })
    );
}

#[test]
fn a_shell_url_is_enough_for_a_platform_of_ones_own() {
    let (registry, errors) = load("[wiki]\nshell_url = \"https://Wiki.example/w?x=1\"");
    assert_eq!(errors, [""; 0]);
    assert_eq!(
        serde_json::to_value(registry.get("wiki").unwrap()).unwrap(),
        serde_json::json!({
            "platform": "wiki", "title": "wiki", "shell_url": "https://wiki.example/w?x=1", "hosts": ["wiki.example"],
            "modes": ["buffered", "sse"], "final_message": "", "answer_hosts": [],
            "credential_paths": [], "prompt": "",
        })
    );
}

#[test]
fn http_is_for_loopback() {
    for fine in ["http://127.0.0.1:8080/", "http://localhost:1/", "http://[::1]/", "http://app.localhost/"] {
        assert_eq!(load(&format!("[x]\nshell_url = \"{fine}\"")).1, [""; 0], "{fine}");
    }
    let (_, errors) = load("[x]\nshell_url = \"http://localhost/\"\nhosts = [\"localhost\", \"wiki.example\"]");
    assert!(errors.len() == 1 && errors[0].starts_with("x.hosts"), "{errors:?}");
}

#[test]
fn impossible_platforms_are_faults() {
    for (text, key) in [
        ("[x]", "x.shell_url"),
        ("[x]\nshell_url = \"http://wiki.example/\"", "x.shell_url"),
        ("[x]\nshell_url = \"wiki.example\"", "x.shell_url"),
        ("[x]\nshell_url = \"ftp://wiki.example/\"", "x.shell_url"),
        ("[x]\nshell_url = \"https://u@wiki.example/\"", "x.shell_url"),
        ("[x]\nshell_url = \"https://wi\\tki.example/\"", "x.shell_url"),
        ("[x]\nshell_url = \"https://wiki.example./\"", "x.shell_url"),
        ("[x]\nshell_url = \"data:text/html,x\"", "x.shell_url"),
        ("[x]\nshell_url = \"https://a.example/\"\nmodes = []", "x.modes"),
        ("[x]\nshell_url = \"https://a.example/\"\nprompt = \"claude\"", "x.prompt"),
        ("[x]\nshell_url = \"https://a.example/\"\nhosts = [\"b.example\"]", "x.hosts"),
        ("[x]\nshell_url = \"https://a.example/\"\nhosts = [\"*.a.example\"]", "x.hosts"),
        ("[x]\nshell_url = \"https://a.example/\"\nhosts = [\"a.example:8443\"]", "x.hosts"),
        ("[x]\nshell_url = \"https://a.example/\"\nhosts = [\"*\"]", "x.hosts"),
        ("[x]\nshell_url = \"https://a.example/\"\nhosts = [\"*.example\"]", "x.hosts"),
        ("[x]\nshell_url = \"https://a.example/\"\nhosts = [\"*.1.2.3.4\"]", "x.hosts"),
        ("[x]\nshell_url = \"https://a.example/\"\nhosts = [\"a.example/x\"]", "x.hosts"),
        ("[x]\nshell_url = \"https://a.example/\"\nanswer_hosts = [\"*.a.example\"]", "x.answer_hosts"),
        ("[x]\nshell_url = \"https://a.example/\"\nanswer_hosts = [\"ws.a.example:8443\"]", "x.answer_hosts"),
        ("[x]\nshell_url = \"https://a.example/\"\nanswer_hosts = [\"wss://ws.a.example\"]", "x.answer_hosts"),
        ("[x]\nshell_url = \"http://localhost/\"\nanswer_hosts = [\"ws.a.example\"]", "x.answer_hosts"),
        ("[x]\nshell_url = \"https://a.example/\"\ncredential_paths = [\"api/token\"]", "x.credential_paths"),
        ("[x]\nshell_url = \"https://a.example/\"\ncredential_paths = [\"/a*b\"]", "x.credential_paths"),
        ("[x]\nshell_url = \"https://a.example/\"\ncredential_paths = [\"/api/%74oken\"]", "x.credential_paths"),
        ("[X]\nshell_url = \"https://a.example/\"", "X"),
        ("[\"a b\"]\nshell_url = \"https://a.example/\"", "\"a b\""),
    ] {
        let (_, errors) = load(text);
        assert!(errors.len() == 1 && errors[0].starts_with(&format!("{key}: ")), "{text}: {errors:?}");
    }
}

#[test]
fn a_pattern_covers_its_host_or_the_subdomains_alone() {
    let exact = HostPattern::parse("Wiki.Example").unwrap();
    let below = HostPattern::parse("*.wiki.example").unwrap();
    for (host, by_exact, by_below) in [
        ("wiki.example", true, false),
        ("a.wiki.example", false, true),
        ("a.b.wiki.example", false, true),
        ("awiki.example", false, false),
        (".wiki.example", false, false),
        ("wiki.example.", false, false),
        ("wiki.example.evil", false, false),
    ] {
        assert_eq!((exact.matches(host), below.matches(host)), (by_exact, by_below), "{host}");
    }
    assert_eq!(HostPattern::parse("bücher.example").unwrap().to_string(), "xn--bcher-kva.example");
    assert_eq!(HostPattern::parse("[::1]").unwrap().to_string(), "[::1]");
}
