//! The read-only listener: description and status for older callers, under the same access checks, and no other route.

use crate::support::{
    Caller, Daemon,
    daemon::{Folder, exit_code},
};
use std::{net::TcpListener, process::Stdio};

const ON: &str = "server.status_listen = \"127.0.0.1:0\"";

/// Returns a caller of the second listener, whose address is logged before the daemon is ready.
pub(crate) fn second(daemon: &Daemon) -> Caller {
    let log = daemon.stderr();
    let line = log.lines().find(|line| line.contains("serving the status, read-only")).unwrap();
    let address = line.split("http://").nth(1).unwrap();
    let end = address.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(address.len());
    Caller::new(address[..end].parse().unwrap())
}

#[actix_rt::test]
async fn the_read_only_status_has_both_spellings_and_the_main_one_only_one() {
    let daemon = Daemon::start(ON).await;
    let caller = second(&daemon);
    let status = caller.get("/v1/status").await.data();
    assert_eq!(
        (&status["mode"], &status["active_runs"], &status["activeRuns"]),
        (&"running".into(), &0.into(), &0.into())
    );
    assert_eq!((&status["queued_tasks"], &status["queuedTasks"]), (&0.into(), &0.into()));
    let main = daemon.caller().get("/v1/status").await.data();
    assert!(main.get("activeRuns").is_none() && main.get("queuedTasks").is_none());
    assert_eq!(caller.get("/describe").await.data()["origin"], *format!("http://{}", daemon.address));
    let page = caller.get("/ui").await;
    assert_eq!((page.status, page.header("location")), (302, Some("/v1/status/ui")));
}

#[actix_rt::test]
async fn it_serves_nothing_else_and_reads_only() {
    let daemon = Daemon::start(ON).await;
    let caller = second(&daemon).bearer(&daemon.token());
    for path in ["/v1/browser", "/v1/exec", "/v1/tasks", "/health", "/v1/events", "/ws/firefox", "/describe/control"] {
        assert_eq!(caller.get(path).await.error(), (404, "not_found".into()), "{path}");
    }
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        for path in ["/v1/status", "/ui", "/v1/system/pause", "/nothing"] {
            let answer = caller.send(method, path, None).await;
            assert_eq!(answer.error(), (405, "method_not_allowed".into()), "{method} {path}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"), "{method} {path}");
        }
    }
    assert_eq!(daemon.caller().get("/v1/system/state").await.data()["mode"], "running");
}

#[actix_rt::test]
async fn it_stands_under_the_same_guards_with_a_port_of_its_own() {
    let daemon = Daemon::start(&format!("{ON}\nauth.local_trust = \"none\"")).await;
    let token = daemon.token();
    assert_eq!(second(&daemon).get("/v1/status").await.error(), (401, "unauthorized".into()));
    assert_eq!(second(&daemon).bearer("wrong").get("/v1/status").await.error(), (401, "unauthorized".into()));
    let bearer = || second(&daemon).bearer(&token);
    assert_eq!(bearer().get("/v1/status").await.status, 200);
    let main = format!("http://{}", daemon.address);
    for (name, value, code) in [
        ("origin", "http://evil.example", "origin_not_allowed"),
        ("origin", main.as_str(), "origin_not_allowed"),
        ("sec-fetch-site", "cross-site", "origin_not_allowed"),
    ] {
        for path in ["/v1/status", "/nothing"] {
            assert_eq!(bearer().with(name, value).get(path).await.error(), (403, code.into()), "{name} {path}");
        }
    }
}

#[actix_rt::test]
async fn it_ends_with_the_daemon() {
    let mut daemon = Daemon::start(ON).await;
    let caller = second(&daemon);
    let idle = caller.open().await;
    assert_eq!(daemon.stop().await, Some(0));
    assert!(idle.rest().await.is_empty());
}

#[actix_rt::test]
async fn its_address_in_use_exits_3_and_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = Folder::new();
    let mut command = folder.command(&format!("server.status_listen = \"{address}\""));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(exit_code(&mut child).await, Some(3));
    let told = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert!(told.contains(&address.to_string()), "{told}");
}
