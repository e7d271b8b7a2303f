//! The wall clock is set while the daemon runs: timers use a monotonic clock, and only stored deadlines follow the wall
//! clock.

use crate::support::{Caller, Daemon, Folder, ask, ask_sse, automatic, manual, request_of, settled};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

const DAY_MS: i64 = 86_400_000;

/// A wall clock that the test sets.
struct Clock(PathBuf);

impl Clock {
    /// Sets the offset in days.
    fn set(&self, days: i32) {
        // Renamed into place, so that the daemon never reads an incomplete file.
        let draft = self.0.with_extension("draft");
        fs::write(&draft, format!("{days:+}d\n")).unwrap();
        fs::rename(draft, &self.0).unwrap();
    }
}

/// Returns the path of `libfaketime`, if installed.
fn library() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.flatten().map(|folder| folder.path());
    let libraries = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1"));
    libraries.chain([Path::new("/usr/lib/faketime/libfaketimeMT.so.1").into()]).find(|path| path.exists())
}

async fn with_clock(settings: &str) -> Option<(Daemon, Clock)> {
    let Some(library) = library() else {
        crate::support::skipped("libfaketime is not installed");
        return None;
    };
    let folder = Folder::new();
    let clock = Clock(folder.path().join("clock"));
    clock.set(0);
    let mut command = folder.command(settings);
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &clock.0)
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    Some((Daemon::spawn(folder, command).await, clock))
}

async fn row(caller: &Caller, id: &str) -> Value {
    settled(caller).await;
    caller.journal(id).await
}

#[actix_rt::test]
async fn what_is_under_way_goes_on_whichever_way_it_is_set() {
    let Some((daemon, clock)) = with_clock("bridge.heartbeat_ms = 100").await else { return };
    let (caller, firefox) = (daemon.caller(), manual(&daemon, "ff").await);
    let _other = automatic(&daemon, "other").await;
    for (round, days) in [-2, 3, 0].into_iter().enumerate() {
        let (whole, streamed) = (format!("whole-{round}"), format!("streamed-{round}"));
        let to = |mut body: Value| {
            body["client_id"] = "ff".into();
            body
        };
        let mut answer = caller.begin(&to(ask(&whole, "/"))).await;
        let request = request_of(&firefox, &whole).await;
        let mut stream = caller.stream(&to(ask_sse(&streamed, "/"))).await;
        let source = request_of(&firefox, &streamed).await;
        source.open(200).await.unwrap();
        stream.expect("stream_open").await;
        clock.set(days);

        source.event("message", json!(1)).await.unwrap();
        stream.expect("stream_event").await;
        source.end(200).await.unwrap();
        assert_eq!(stream.end().await.outcome().0, "stream_end", "{days}");
        request.answer(200, json!({"n": round})).await.unwrap();
        assert_eq!(answer.answer(false).await.data()["response"]["n"], round, "{days}");
        let mut body = ask(&format!("new-{round}"), "/echo");
        body["client_id"] = "other".into();
        assert_eq!(caller.request(&body).await.status, 200, "{days}");
        assert_eq!(caller.get("/readyz").await.status, 200);
        for id in [&whole, &format!("new-{round}")] {
            let row = row(&caller, id).await;
            for delay in ["queue_delay_ms", "backoff_delay_ms", "rate_limit_delay_ms", "jitter_delay_ms"] {
                assert!((0..DAY_MS).contains(&row[delay].as_i64().unwrap()), "{days}: {row}");
            }
        }
        assert_eq!(crate::support::client_ids(&caller).await.len(), 2, "no client was taken for dead");
    }
}

#[actix_rt::test]
async fn pauses_and_open_circuits_are_no_longer_and_no_shorter() {
    let settings = "policy.circuit_breaker.failure_threshold = 2\npolicy.waiter.timeout_ms = 200";
    let Some((daemon, clock)) = with_clock(settings).await else { return };
    let (caller, _firefox) = (daemon.caller(), automatic(&daemon, "ff").await);
    for n in 0..2 {
        assert_eq!(caller.request(&ask(&format!("r{n}"), "/status/503")).await.status, 503);
    }
    for days in [0, -2, 3] {
        clock.set(days);
        let refused = caller.request(&ask("refused", "/echo")).await;
        assert_eq!(refused.error_code(), "circuit_open", "{days}");
        let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{days}: {seconds}");
    }
}

#[actix_rt::test]
async fn an_approval_holds_by_the_clock_on_the_wall() {
    let settings = "host_ops.allow_root = true\ninstructions.sandbox = \"off\"";
    let Some((daemon, clock)) = with_clock(settings).await else { return };
    let caller = daemon.caller().bearer(&daemon.token());
    let pending = async |id: &str| {
        let message = json!({"platform": "claude", "conversation_id": "c", "assistant_message_id": id, "require_approval": true, "text": "```baa\n@conductor::exec::true\n```"});
        let told = caller.post("/v1/instructions/messages", &message).await.data();
        format!("/v1/instructions/{}/approve", told["batch_id"].as_str().unwrap())
    };
    let (first, second) = (pending("a").await, pending("b").await);
    clock.set(-2);
    assert_eq!(caller.post(&first, &json!({})).await.data()["status"], "queued", "it is longer then, not lost");
    clock.set(3);
    let late = caller.post(&second, &json!({})).await;
    assert_eq!((late.error(), &late.json()["details"]["status"]), ((409, "approval_stale".into()), &json!("expired")));
}
