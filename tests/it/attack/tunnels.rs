//! Requests of other users through a tunnel or proxy of the daemon's own user: the kernel attributes each to the owner.

mod proxy;

use super::unharmed;
use crate::support::{
    Caller, Daemon, Folder, automatic, handled,
    users::{Home, OWNER, STRANGER, has_other_users},
};
use proxy::{Proxy, Way};
use serde_json::json;

/// A host name of a proxy that keeps `Host`.
const NAME: &str = "box.lan";
const NAMED: &str = "server.allowed_hosts = ['box.lan']";

/// Requests that need local trust or the token, by method, path and body.
const ATTEMPTS: &[(&str, &str, Option<&str>)] = &[
    ("GET", "/v1/browser", None),
    ("GET", "/v1/browser/requests", None),
    ("GET", "/v1/browser/policy/explain?platform=claude", None),
    ("GET", "/v1/events", None),
    ("GET", "/v1/status", None),
    ("GET", "/v1/tasks", None),
    ("GET", "/v1/runs", None),
    ("GET", "/describe", None),
    ("GET", "/metrics", None),
    ("GET", "/extension.xpi", None),
    ("HEAD", "/v1/browser", None),
    ("POST", "/v1/system/drain", Some("{}")),
    ("POST", "/v1/system/pause", Some("{}")),
    ("POST", "/v1/browser/actions", Some(r#"{"action":"tab_open","platform":"claude"}"#)),
    ("POST", "/v1/browser/request", Some(r#"{"platform":"claude","path":"/stolen","request_id":"stolen"}"#)),
    ("POST", "/v1/browser/request/cancel", Some(r#"{"platform":"claude","request_id":"stolen"}"#)),
    ("GET", "/v1/browser/messages", None),
    ("POST", "/v1/session/codes", Some("{}")),
];

/// Requests everything as another user at `caller`'s address, which is that of a proxy, and checks that all is refused.
async fn in_vain(daemon: &Daemon, what: &str, caller: &Caller) {
    for (method, path, body) in ATTEMPTS {
        let mut connection = STRANGER.opens(caller.address());
        connection.write(&caller.head(method, path, body.map(str::as_bytes))).await;
        let status = connection.peek_status().await;
        assert!(matches!(status, 401 | 403), "{what}: {method} {path} was answered with {status}");
    }
    let owner = daemon.caller().bearer(&daemon.token());
    assert_eq!(owner.get("/v1/system/state").await.data()["mode"], "running", "{what}");
    assert_eq!(owner.get("/v1/browser/requests").await.data()["requests"], json!([]), "{what}");
}

/// Starts a daemon of an ordinary user with a Firefox that answers everything.
async fn daemon(settings: &str) -> (Daemon, crate::support::Firefox) {
    let daemon = Home::new(OWNER).daemon(settings).await;
    let firefox = automatic(&daemon, "firefox").await;
    handled(&firefox).await;
    (daemon, firefox)
}

/// Returns a caller that uses the proxy's own address as `Host`, as a browser or `curl` does there.
fn through(proxy: &Proxy) -> Caller {
    Caller::new(proxy.address)
}

#[actix_rt::test]
async fn a_proxy_that_rewrites_the_host_and_adds_a_forwarding_header_gets_no_trust() {
    if !has_other_users() {
        return;
    }
    let (daemon, _firefox) = daemon("").await;
    for header in [
        "x-forwarded-for: 192.0.2.7",
        "X-Forwarded-Proto: https",
        "Forwarded: for=192.0.2.7",
        "x-real-ip: 192.0.2.7",
        "Via: 1.1 box",
        "CF-Connecting-IP: 192.0.2.7",
        "True-Client-IP: 192.0.2.7",
        "Tailscale-User-Login: eve@example.org",
    ] {
        let proxy = Proxy::start(OWNER, daemon.address, Way::Rewriting { header: Some(header), version: "HTTP/1.1" });
        in_vain(&daemon, header, &through(&proxy)).await;
    }
    unharmed_with_the_token(&daemon).await;
}

/// As nginx does by default: the upstream's own name, HTTP/1.0 and no header of a proxy.
#[actix_rt::test]
async fn a_proxy_that_speaks_http_1_0_gets_no_trust() {
    if !has_other_users() {
        return;
    }
    let (daemon, _firefox) = daemon("").await;
    let proxy = Proxy::start(OWNER, daemon.address, Way::Rewriting { header: None, version: "HTTP/1.0" });
    in_vain(&daemon, "HTTP/1.0", &through(&proxy)).await;
    unharmed_with_the_token(&daemon).await;
}

#[actix_rt::test]
async fn a_proxy_that_forwards_an_absolute_target_gets_no_trust() {
    if !has_other_users() {
        return;
    }
    let (daemon, _firefox) = daemon("").await;
    let proxy = Proxy::start(OWNER, daemon.address, Way::Absolute);
    in_vain(&daemon, "absolute", &through(&proxy)).await;
    unharmed_with_the_token(&daemon).await;
}

#[actix_rt::test]
async fn a_proxy_that_keeps_an_allowed_name_gets_no_trust_whatever_is_trusted() {
    if !has_other_users() {
        return;
    }
    for trust in ["", "auth.local_trust = 'same_user'", "auth.local_trust = 'loopback'"] {
        let (daemon, _firefox) = daemon(&format!("{NAMED}\n{trust}")).await;
        let proxy = Proxy::start(OWNER, daemon.address, Way::Raw);
        for host in [NAME.to_owned(), format!("{NAME}:{}", daemon.address.port()), "BOX.lan".to_owned()] {
            let named = through(&proxy).with("host", &host);
            in_vain(&daemon, &format!("{trust} {host}"), &named).await;
            let page = named.with("origin", &format!("http://{host}"));
            in_vain(&daemon, &format!("{trust} {host} page"), &page).await;
        }
        unharmed_with_the_token(&daemon).await;
    }
}

/// A daemon with allowed host names is meant to be reached from elsewhere, so no caller is trusted for being local.
#[actix_rt::test]
async fn with_allowed_hosts_even_unchanged_bytes_get_no_trust() {
    if !has_other_users() {
        return;
    }
    let (daemon, _firefox) = daemon(NAMED).await;
    let proxy = Proxy::start(OWNER, daemon.address, Way::Raw);
    // A remote caller may write what a local program would.
    let as_local = through(&proxy).with("host", &daemon.address.to_string());
    in_vain(&daemon, "raw bytes", &as_local).await;
    assert_eq!(OWNER.sends(&daemon.caller(), "GET", "/v1/browser", None).await.status, 401);
    unharmed_with_the_token(&daemon).await;
}

#[actix_rt::test]
async fn the_read_only_listener_gives_proxies_no_trust_either() {
    if !has_other_users() {
        return;
    }
    let (daemon, _firefox) = daemon("server.status_listen = '127.0.0.1:0'").await;
    let status = crate::read_only::second(&daemon).address();
    for (what, way) in [
        ("a header", Way::Rewriting { header: Some("x-forwarded-for: 192.0.2.7"), version: "HTTP/1.1" }),
        ("the older protocol", Way::Rewriting { header: None, version: "HTTP/1.0" }),
        ("an absolute target", Way::Absolute),
    ] {
        let proxy = Proxy::start(OWNER, status, way);
        for path in ["/v1/status", "/describe"] {
            let answer = STRANGER.sends(&through(&proxy), "GET", path, None).await;
            assert_eq!(answer.error(), (401, "unauthorized".into()), "{what}: {path}");
        }
    }
    assert_eq!(OWNER.sends(&Caller::new(status), "GET", "/v1/status", None).await.status, 200);
}

/// A raw tunnel adds no header: the documentation says so wherever it mentions tunnels, and so does `doctor`.
#[actix_rt::test]
async fn doctor_says_that_a_raw_tunnel_of_the_user_passes_for_the_user() {
    let daemon = Daemon::start("").await;
    let told = doctor(&daemon).await;
    assert!(told.contains("local trust") && told.contains("raw TCP tunnel"), "{told}");
    assert!(told.contains("auth.local_trust = \"none\""), "{told}");
    let none = Daemon::start("auth.local_trust = 'none'").await;
    assert!(!doctor(&none).await.contains("raw TCP tunnel"));
}

#[actix_rt::test]
async fn trust_that_is_written_out_beside_names_is_warned_about_at_start_and_by_doctor() {
    for (trust, warned) in
        [("auth.local_trust = 'same_user'", true), ("auth.local_trust = 'loopback'", true), ("", false)]
    {
        let daemon = Daemon::start(&format!("{NAMED}\n{trust}")).await;
        let said = |text: &str| text.contains("auth.local_trust") && text.contains("server.allowed_hosts");
        let warnings = daemon.stderr().lines().filter(|line| line.contains("WARN") && said(line)).count();
        assert_eq!(warnings, usize::from(warned), "{trust}: {}", daemon.stderr());
        let told = doctor(&daemon).await;
        let found = told.lines().any(|line| line.starts_with("warning") && said(line));
        assert_eq!(found, warned, "{trust}: {told}");
    }
}

#[actix_rt::test]
async fn the_effective_configuration_says_why_no_caller_is_trusted() {
    let daemon = Daemon::start(NAMED).await;
    let told = command(daemon.folder(), &["config"]).await;
    let line = told.lines().find(|line| line.starts_with("auth.local_trust")).unwrap();
    assert_eq!(line, "auth.local_trust = \"none\"  # implied by server.allowed_hosts");
}

/// Returns the output of a command on the daemon's folder.
async fn command(folder: &Folder, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
    command.args(arguments).arg("--config").arg(folder.path().join("conductor.toml"));
    command.arg("--state-dir").arg(folder.state()).env_clear().env("HOME", folder.path());
    let output = actix_rt::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    String::from_utf8(output.stdout).unwrap()
}

async fn doctor(daemon: &Daemon) -> String {
    command(daemon.folder(), &["doctor", "--no-fetch"]).await
}

/// The same as `unharmed`, where callers need the token.
async fn unharmed_with_the_token(daemon: &Daemon) {
    assert_eq!(daemon.caller().get("/readyz").await.status, 200);
    assert_eq!(daemon.caller().bearer(&daemon.token()).get("/v1/browser").await.status, 200);
    assert!(!daemon.stderr().contains("panicked"), "{}", daemon.stderr());
}

/// Headers that show that a request was forwarded; a local program sends none of them.
const FORWARDED: &[&str] = &[
    "Forwarded: for=127.0.0.1",
    "Forwarded:",
    "FORWARDED: for=127.0.0.1",
    "X-Forwarded-For: 127.0.0.1",
    "x-forwarded-for: ",
    "X-Forwarded: 127.0.0.1",
    "X-Forwarded-Host: 127.0.0.1",
    "X-Forwarded-Proto: http",
    "X-Forwarded-Port: 4317",
    "X-Forwarded-Server: box",
    "X-Forwarded-Client-Cert: x",
    "X-Forwarded-By: box",
    "X-Forwarded-Anything: x",
    "X_Forwarded_For: 127.0.0.1",
    "X-Forward-For: 127.0.0.1",
    "Forwarded-For: 127.0.0.1",
    "X-Real-IP: 127.0.0.1",
    "X-Real-Port: 1",
    "Real-IP: 127.0.0.1",
    "Via: 1.1 box",
    "X-Via: box",
    "CF-Connecting-IP: 127.0.0.1",
    "CF-Ray: 1",
    "CF-Visitor: {}",
    "CF-Anything: x",
    "CDN-Loop: cloudflare",
    "True-Client-IP: 127.0.0.1",
    "X-Client-IP: 127.0.0.1",
    "Client-IP: 127.0.0.1",
    "X-Cluster-Client-IP: 127.0.0.1",
    "X-Original-Forwarded-For: 127.0.0.1",
    "X-Original-Host: box",
    "X-Original-URL: /",
    "X-Originating-IP: 127.0.0.1",
    "X-Remote-IP: 127.0.0.1",
    "X-Remote-Addr: 127.0.0.1",
    "Fastly-Client-IP: 127.0.0.1",
    "Fastly-FF: x",
    "Fly-Client-IP: 127.0.0.1",
    "Fly-Region: ams",
    "Tailscale-User-Login: eve@example.org",
    "Tailscale-Headers-Info: x",
    "Ngrok-Auth-User-Email: eve@example.org",
    "Ngrok-Skip-Browser-Warning: 1",
    "X-Envoy-External-Address: 127.0.0.1",
    "X-Envoy-Expected-Rq-Timeout-Ms: 1",
    "X-Appengine-User-IP: 127.0.0.1",
    "X-Azure-ClientIP: 127.0.0.1",
    "X-Azure-FDID: x",
    "X-Amzn-Trace-Id: x",
    "X-Amz-Cf-Id: x",
    "CloudFront-Viewer-Address: 127.0.0.1:1",
    "X-Vercel-Forwarded-For: 127.0.0.1",
    "X-NF-Client-Connection-IP: 127.0.0.1",
    "X-Sucuri-ClientIP: 127.0.0.1",
    "WL-Proxy-Client-IP: 127.0.0.1",
    "Proxy-Connection: keep-alive",
    "X-ProxyUser-IP: 127.0.0.1",
    "X-Proxy-Id: 1",
    "X-Varnish: 1",
    "X-ARR-Log-Id: 1",
    "X-Scheme: https",
    "Front-End-Https: on",
    "X-MS-Proxy: x",
    "X-Tunnel-Anything: x",
    "Early-Data: 1",
    "Max-Forwards: 3",
    "Client-Cert: x",
    "X-SSL-Client-Verify: NONE",
    "X-Auth-Request-User: eve",
    "Remote-User: eve",
    "Connection: keep-alive, X-Forwarded-For",
    "Connection: x-real-ip",
    "Authorization: Basic ZXZlOmV2ZQ==",
    "Proxy-Authorization: Basic ZXZlOmV2ZQ==",
    "Origin: https://allowed.example",
];

#[actix_rt::test]
async fn what_says_that_it_was_forwarded_is_not_local_however_it_is_spelled() {
    for trust in ["same_user", "loopback"] {
        let settings = format!("auth.local_trust = '{trust}'\nserver.allowed_origins = ['https://allowed.example']");
        let daemon = Daemon::start(&settings).await;
        for line in FORWARDED {
            let (name, value) = line.split_once(':').unwrap();
            let caller = daemon.caller().with(name, value.trim());
            assert_eq!(caller.get("/v1/browser").await.error(), (401, "unauthorized".into()), "{trust}: {line}");
            let pause = caller.post("/v1/system/pause", &json!({})).await;
            assert_eq!(pause.error(), (401, "unauthorized".into()), "{trust}: {line}");
            assert_eq!(caller.get("/health").await.status, 200, "{trust}: {line}");
            if !name.ends_with("uthorization") {
                let known = caller.bearer(&daemon.token());
                assert_eq!(known.get("/v1/browser").await.status, 200, "{trust}: {line}, with the token");
            }
        }
        unharmed(&daemon).await;
    }
}

/// Headers that local programs and browsers send by themselves do not remove local trust.
#[actix_rt::test]
async fn what_local_programs_send_by_themselves_stays_local() {
    let daemon = Daemon::start("").await;
    for line in [
        "User-Agent: curl/8.5.0",
        "Accept-Encoding: gzip, br",
        "Connection: close",
        "Connection: Keep-Alive",
        "X-Request-Id: abc",
        "X-Client-Request-Id: abc",
        "X-Baa-Client: mcp",
        "X-Stainless-Lang: python",
        "Idempotency-Key: k",
        "Last-Event-Id: 1",
        "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "Upgrade-Insecure-Requests: 1",
        "DNT: 1",
        "Sec-GPC: 1",
        "Priority: u=1",
        "TE: trailers",
        "If-None-Match: x",
        "Cookie: other=1",
    ] {
        let (name, value) = line.split_once(':').unwrap();
        assert_eq!(daemon.caller().with(name, value.trim()).get("/v1/browser").await.status, 200, "{line}");
    }
}

/// An invalid token is refused on every route.
#[actix_rt::test]
async fn a_token_that_is_not_valid_is_never_passed_over() {
    let daemon = Daemon::start("").await;
    for (path, value) in [
        ("/v1/browser", "Bearer wrong"),
        ("/health", "bearer wrong"),
        ("/v1/status/ui", "Bearer "),
        ("/extension.xpi", "Bearer"),
        ("/ws/firefox", "BEARER wrong"),
        ("/describe", "Bearer\twrong"),
    ] {
        let answer = daemon.caller().with("authorization", value).get(path).await;
        assert_eq!(answer.error(), (401, "unauthorized".into()), "{path} {value:?}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"baa-conductor\""));
    }
    let both = daemon.caller().bearer(&daemon.token()).bearer("wrong").get("/v1/browser").await;
    assert_eq!(both.error(), (401, "unauthorized".into()), "a right one beside a wrong one");
}
