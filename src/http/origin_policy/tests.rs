//! Each check of a request head by itself, and their order.

use super::*;

fn origins() -> OriginPolicy {
    let server = ServerSettings {
        allowed_hosts: vec!["Box.lan".into(), "other.lan:99".into(), "[fe80::1]".into()],
        allowed_origins: vec!["https://app.example".into()],
        ..ServerSettings::default()
    };
    OriginPolicy::of(&server, "127.0.0.1:4317".parse().unwrap(), None)
}

/// Returns a request head.
fn head(target: &str, headers: &[(&str, &str)]) -> RequestHead {
    let mut head = RequestHead::default();
    head.uri = target.parse().unwrap();
    for (name, header_value) in headers {
        head.headers.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(header_value).unwrap());
    }
    head
}

/// Returns the verdict, or the code of the failed check.
fn check(target: &str, headers: &[(&str, &str)], socket: bool) -> Result<OriginVerdict, &'static str> {
    let class = if socket { RouteClass::Socket } else { RouteClass::Other };
    origins().check(&head(target, headers), class).map_err(|error| error.code().name())
}

fn from(headers: &[(&str, &str)]) -> Result<(), &'static str> {
    let mut all = vec![("host", "127.0.0.1:4317")];
    all.extend(headers);
    check("/x", &all, false).map(|_| ())
}

#[test]
fn own_and_allowed_hosts_pass() {
    for host in
        ["127.0.0.1:4317", "LOCALHOST:4317", "[::1]:4317", "box.lan", "BOX.LAN:1", "other.lan:99", "[fe80::1]:5"]
    {
        assert!(check("/x", &[("host", host)], false).is_ok(), "{host}");
    }
    for host in [
        "127.0.0.1",
        "127.0.0.1:4318",
        "evil.example",
        "localhost.evil:4317",
        "other.lan",
        "other.lan:98",
        "xbox.lan",
        "box.lan.",
        "",
        "127.0.0.1:4317 ",
    ] {
        assert_eq!(check("/x", &[("host", host)], false), Err("host_not_allowed"), "{host:?}");
    }
}

#[test]
fn a_name_that_leads_to_another_program_is_not_an_own_host() {
    let hosts = |listening: &str, taken: &str| {
        let server = ServerSettings::default();
        OriginPolicy::of(&server, listening.parse().unwrap(), Some(taken.parse().unwrap())).own_hosts
    };
    assert_eq!(hosts("127.0.0.1:9", "[::1]:9"), ["127.0.0.1:9", "127.0.0.1:9"]);
    assert_eq!(hosts("[::1]:80", "127.0.0.1:80"), ["[::1]:80", "[::1]:80", "[::1]"]);
}

#[test]
fn a_missing_or_repeated_host_is_invalid_and_an_absolute_target_must_agree() {
    let own = ("host", "127.0.0.1:4317");
    assert_eq!(check("/x", &[], false), Err("invalid_request"));
    assert_eq!(check("/x", &[own, own], false), Err("invalid_request"));
    assert_eq!(check("http://evil.example/x", &[own], false), Err("invalid_request"));
    assert!(check("http://127.0.0.1:4317/x", &[own], false).is_ok());
}

#[test]
fn forwarded_hosts_are_ignored() {
    let forwarded =
        [("host", "evil.example"), ("x-forwarded-host", "127.0.0.1:4317"), ("forwarded", "host=localhost:4317")];
    assert_eq!(check("/x", &forwarded, false), Err("host_not_allowed"));
}

#[test]
fn only_our_own_and_allowed_origins_pass() {
    for origin in ["http://127.0.0.1:4317", "http://localhost:4317", "https://app.example"] {
        assert_eq!(from(&[("origin", origin)]), Ok(()), "{origin}");
    }
    for origin in [
        "null",
        "https://127.0.0.1:4317",
        "http://127.0.0.1:1",
        "https://app.example.evil.org",
        "http://app.example",
        "moz-extension://abc",
        "https://evil.example",
        "",
    ] {
        assert_eq!(from(&[("origin", origin)]), Err("origin_not_allowed"), "{origin:?}");
    }
    assert_eq!(
        from(&[("origin", "https://app.example"), ("origin", "https://app.example")]),
        Err("origin_not_allowed")
    );
    let allowed = check("/x", &[("host", "box.lan"), ("origin", "https://app.example")], false).unwrap();
    assert_eq!(allowed.allowed_origin.as_deref(), Some("https://app.example"));
    assert!(check("/x", &[("host", "box.lan:7"), ("origin", "http://box.lan:7")], false).is_ok(), "its own page");
}

#[test]
fn extensions_may_open_the_socket_alone() {
    let with = |origin: &str, socket| check("/ws/firefox", &[("host", "127.0.0.1:4317"), ("origin", origin)], socket);
    assert!(with("moz-extension://3f2a6c1e-1111-2222-3333-444455556666", true).is_ok());
    assert!(with("moz-extension://3f2a6c1e-1111-2222-3333-444455556666", false).is_err());
    assert!(with("moz-extension://", true).is_err());
    let (longest, too_long) = ["a".repeat(64), "a".repeat(65)].map(|id| format!("moz-extension://{id}")).into();
    assert!(with(&longest, true).is_ok());
    assert!(with(&too_long, true).is_err(), "it is kept and shown");
    assert!(with("moz-extension://a/b", true).is_err());
    assert!(with("https://evil.example", true).is_err());
}

#[test]
fn requests_that_the_browser_marks_as_cross_site_are_refused() {
    for (site, passes) in [("same-origin", true), ("none", true), ("cross-site", false), ("same-site", false)] {
        assert_eq!(from(&[("sec-fetch-site", site)]).is_ok(), passes, "{site}");
    }
    assert_eq!(from(&[("sec-fetch-site", "cross-site"), ("origin", "https://app.example")]), Ok(()));
    let extension = [
        ("host", "127.0.0.1:4317"),
        ("sec-fetch-site", "cross-site"),
        ("origin", "moz-extension://3f2a6c1e-1111-2222-3333-444455556666"),
    ];
    assert!(check("/ws/firefox", &extension, true).is_ok());
    // Pages under another own name: another program may serve them.
    for (origin, site, passes) in [
        ("http://127.0.0.1:4317", "same-origin", true),
        ("http://127.0.0.1:4317", "cross-site", false),
        ("http://[::1]:4317", "cross-site", false),
        ("http://localhost:4317", "same-site", false),
    ] {
        assert_eq!(from(&[("sec-fetch-site", site), ("origin", origin)]).is_ok(), passes, "{origin} {site}");
    }
}

#[test]
fn only_the_pages_document_accepts_a_navigation_from_another_site() {
    let own = ("host", "127.0.0.1:4317");
    let navigation =
        [own, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let passes = |head: &RequestHead, target| origins().check(head, target).is_ok();
    assert!(passes(&head("/x", &navigation), RouteClass::Document));
    for target in [RouteClass::Other, RouteClass::Socket] {
        assert!(!passes(&head("/x", &navigation), target), "{target:?}");
    }
    let mut post = head("/x", &navigation);
    post.method = Method::POST;
    assert!(!passes(&post, RouteClass::Document));
    for further in [("origin", "https://evil.example"), ("sec-fetch-dest", "iframe"), ("sec-fetch-site", "cross-site")]
    {
        assert!(!passes(&head("/x", &[&navigation[..], &[further]].concat()), RouteClass::Document), "{further:?}");
    }
    for without in 1..navigation.len() {
        let mut lines = navigation.to_vec();
        let (name, _) = lines.remove(without);
        let fine = name == "sec-fetch-site"; // the browser then marks no other site
        assert_eq!(passes(&head("/x", &lines), RouteClass::Document), fine, "without {name}");
    }
}

#[test]
fn only_a_plain_request_to_loopbacks_own_name_is_local() {
    let local = |target: &str, lines: &[(&str, &str)]| check(target, lines, false).unwrap().local;
    let own = ("host", "127.0.0.1:4317");
    for host in ["127.0.0.1:4317", "LocalHost:4317", "[::1]:4317"] {
        assert_eq!(local("/x", &[("host", host)]), Ok(()), "{host}");
        assert_eq!(local("/x", &[("host", host), ("origin", &format!("http://{host}"))]), Ok(()), "{host}");
    }
    for host in ["box.lan", "BOX.lan:4317", "other.lan:99", "[fe80::1]:4317"] {
        assert_eq!(local("/x", &[("host", host)]), Err(NotLocal::ForeignHost), "{host}");
    }
    assert_eq!(local("/x", &[own, ("origin", "https://app.example")]), Err(NotLocal::ForeignPage));
    assert_eq!(local("/x", &[own, ("via", "1.1 box")]), Err(NotLocal::Forwarded));
    assert_eq!(local("http://127.0.0.1:4317/x", &[own]), Err(NotLocal::ProxySyntax));
    let mut older = head("/x", &[own]);
    older.version = Version::HTTP_10;
    assert_eq!(origins().check(&older, RouteClass::Other).unwrap().local, Err(NotLocal::ProxySyntax));
    let nowhere = [own, ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")];
    assert_eq!(local("/x", &nowhere), Err(NotLocal::UnknownPage));
    for (listening, host, wanted) in [
        ("0.0.0.0:4317", "0.0.0.0:4317", Err(NotLocal::ForeignHost)),
        ("192.0.2.1:4317", "192.0.2.1:4317", Err(NotLocal::ForeignHost)),
        ("127.8.8.8:4317", "127.8.8.8:4317", Ok(())),
        ("127.0.0.1:80", "localhost", Ok(())),
    ] {
        let origins = OriginPolicy::of(&ServerSettings::default(), listening.parse().unwrap(), None);
        assert_eq!(origins.check(&head("/x", &[("host", host)]), RouteClass::Other).unwrap().local, wanted, "{host}");
    }
}

#[test]
fn a_body_must_be_json_and_no_body_needs_no_type() {
    let body = ("content-length", "5");
    for (kind, passes) in [
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("text/plain", false),
        ("application/x-www-form-urlencoded", false),
        ("application/jsonx", false),
        ("", false),
    ] {
        assert_eq!(from(&[body, ("content-type", kind)]).is_ok(), passes, "{kind:?}");
    }
    assert_eq!(from(&[body]), Err("unsupported_media_type"));
    assert_eq!(from(&[("transfer-encoding", "chunked")]), Err("unsupported_media_type"));
    assert_eq!(from(&[("content-length", "0"), ("content-type", "text/plain")]), Ok(()));
}

#[test]
fn the_first_failing_check_answers() {
    let evil = [("host", "evil.example"), ("origin", "https://evil.example"), ("content-length", "9")];
    assert_eq!(check("/x", &evil, false), Err("host_not_allowed"));
    assert_eq!(from(&evil[1..]), Err("origin_not_allowed"));
    assert_eq!(from(&evil[2..]), Err("unsupported_media_type"));
}

#[test]
fn only_a_script_of_a_same_origin_page_is_the_own_page() {
    let is = |headers: &[(&str, &str)]| {
        let mut map = HeaderMap::new();
        for (name, header_value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(header_value).unwrap());
        }
        is_own_page(&map)
    };
    let (host, own) = (("host", "127.0.0.1:4317"), ("origin", "http://127.0.0.1:4317"));
    let (same, page) = (("sec-fetch-site", "same-origin"), ("referer", "http://127.0.0.1:4317/v1/status/ui"));
    for yes in [
        &[host, same, ("sec-fetch-mode", "cors"), page][..],
        &[host, same, ("sec-fetch-mode", "cors"), own],
        &[host, same, ("sec-fetch-mode", "cors"), ("referer", "https://127.0.0.1:4317")],
        &[host, ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "same-origin"), own],
        &[host, same],
        &[host, own],
        &[("host", "LOCALHOST:4317"), ("origin", "http://localhost:4317")],
    ] {
        assert!(is(yes), "{yes:?}");
    }
    for no in [
        &[host][..],
        &[host, ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
        &[host, same, ("sec-fetch-mode", "navigate"), page],
        &[host, same, ("sec-fetch-mode", "no-cors"), page],
        &[host, same, ("sec-fetch-mode", "cors")],
        &[host, same, ("sec-fetch-mode", "cors"), ("referer", "http://127.0.0.1:4318/v1/status/ui")],
        &[host, same, ("sec-fetch-mode", "cors"), ("referer", "http://127.0.0.1:43170/")],
        &[host, same, ("sec-fetch-mode", "cors"), ("referer", "moz-extension://3f2a6c1e/a.html")],
        &[host, ("sec-fetch-site", "same-site"), own],
        &[host, ("sec-fetch-site", "cross-site"), own],
        &[host, ("origin", "http://127.0.0.1:4318")],
        &[host, ("origin", "http://localhost:4317")],
        &[host, ("origin", "https://127.0.0.1:4317")],
        &[host, ("origin", "null")],
        &[own],
    ] {
        assert!(!is(no), "{no:?}");
    }
}
