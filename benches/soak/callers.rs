//! The callers: some send requests, wait, cancel, disconnect or do not read; others misbehave.

use crate::{
    books::{CallerOutcome, Ledger},
    clients::CLIENTS,
    support::{Caller, Connection, Daemon, Dice, ask},
};
use serde_json::json;
use std::{cell::Cell, rc::Rc};
use tokio::task::{JoinHandle, spawn_local};

const PATHS: [&str; 17] = [
    "/echo",
    "/echo",
    "/slow?ms=5",
    "/slow?ms=60",
    "/slow?ms=1500",
    "/silence",
    "/status/404",
    "/status/503",
    "/error/fetch_failed",
    "/events/3",
    "/events/30?pause_ms=5",
    "/events/5?pause_ms=2&end=error",
    "/events/2?end=never",
    "/events/100?bytes=4000",
    "/wrong-seq",
    "/malformed?kind=bad_fields",
    "/bytes/300000",
];

/// The longest pause between two requests of a caller, in milliseconds.
const PAUSE_MS: u64 = 300;

/// Sends requests until the run is over.
pub(crate) async fn send_requests(caller: Caller, n: usize, mut dice: Dice, over: Rc<Cell<bool>>, ledger: Ledger) {
    let mut k = 0_u64;
    while !over.get() {
        let id = format!("r{n}-{k}");
        let known = one_request(&caller, &id, &mut dice).await;
        ledger.enter(id, known);
        dice.pause(PAUSE_MS).await;
        k += 1;
    }
}

async fn one_request(caller: &Caller, id: &str, dice: &mut Dice) -> CallerOutcome {
    let streamed = dice.percent(50);
    let mut body = ask(id, dice.pick(&PATHS));
    if streamed {
        body["response_mode"] = json!("sse");
    }
    if dice.percent(60) {
        body["client_id"] = json!(dice.pick(&CLIENTS));
    }
    if dice.percent(20) {
        let (caller, id, mut dice) = (caller.clone(), id.to_owned(), dice.clone());
        spawn_local(async move {
            dice.pause(150).await;
            caller.cancel(&id).await;
        });
    }
    let (leaves, reads) = (dice.percent(15), dice.percent(96));
    let mut connection = if reads { caller.begin(&body).await } else { caller.begin_narrowly(&body).await };
    if !streamed {
        if leaves {
            dice.pause(150).await;
            return CallerOutcome::Unknown;
        }
        return whole(&mut connection).await;
    }
    if connection.peek_status().await != 200 {
        return whole(&mut connection).await;
    }
    let mut stream = connection.stream().await;
    if leaves || !reads {
        dice.pause(if reads { 150 } else { 4_000 }).await;
        return CallerOutcome::Left;
    }
    let last = stream.end().await;
    match last.outcome().0 {
        "stream_end" => CallerOutcome::Ended("success"),
        _ if last.data["http_error"] == "browser_request_cancelled" => CallerOutcome::Ended("cancelled"),
        _ => CallerOutcome::Ended("failure"),
    }
}

async fn whole(connection: &mut Connection) -> CallerOutcome {
    let answer = connection.answer(false).await;
    match answer.status {
        200 => CallerOutcome::Ended("success"),
        status => match (status, answer.error().1.as_str()) {
            (_, "overloaded") => CallerOutcome::Refused,
            (_, "browser_request_cancelled") => CallerOutcome::Ended("cancelled"),
            _ => CallerOutcome::Ended("failure"),
        },
    }
}

/// Starts callers that hold connections, violate the protocol and disconnect.
pub(crate) fn misbehave(daemon: &Daemon, dice: &mut Dice, over: &Rc<Cell<bool>>) -> Vec<JoinHandle<()>> {
    (0..4)
        .map(|kind| {
            let (caller, mut dice, over) = (daemon.caller(), Dice::new(dice.next()), Rc::clone(over));
            spawn_local(async move {
                while !over.get() {
                    mischief(kind, &caller, &mut dice).await;
                    dice.pause(400).await;
                }
            })
        })
        .collect()
}

async fn mischief(kind: u64, caller: &Caller, dice: &mut Dice) {
    match kind {
        0 => {
            // An incomplete head or body.
            let whole = caller.head("POST", "/v1/browser/request", Some(ask("never", "/").to_string().as_bytes()));
            let mut connection = caller.open().await;
            let cut = usize::try_from(1 + dice.below(whole.len() as u64 - 1)).unwrap();
            let _ = connection.try_write(&whole[..cut]).await;
            dice.pause(1_500).await;
        }
        1 => {
            // Events that the caller does not read.
            let _held = caller.get_narrowly("/v1/events").await;
            dice.pause(5_000).await;
        }
        2 => {
            // Invalid HTTP, and forbidden requests.
            let mut connection = caller.open().await;
            let bytes: Vec<u8> = (0..dice.below(900)).map(|_| dice.next().to_le_bytes()[0]).collect();
            let _ = connection.try_write(&bytes).await;
            caller.clone().with("origin", "https://evil.example").get("/v1/browser").await;
            caller.clone().bearer("wrong").get("/v1/codex").await;
        }
        _ => {
            // The requests of the status page.
            for path in ["/v1/browser", "/v1/status", "/v1/browser/requests?limit=100", "/describe", "/v1/tasks"] {
                caller.get(path).await;
            }
        }
    }
}
