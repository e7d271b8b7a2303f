//! A storm against one daemon: requests of every kind; peers that answer, fail, hang, disconnect and are replaced;
//! callers that wait, cancel, disconnect and do not read. Afterwards callers, peers, journal and events must agree.
//!
//! The storm is drawn from a seed, which is printed and can be set by `BAA_IT_SEED`. Scheduling and network are not
//! repeatable, so a failure may need several runs of its seed.

use crate::support::{Caller, Connection, Daemon, Dice, PATIENCE, actors, ask, automatic, connect, settled, until};
use baa_conductor::simulator::{Firefox, FirefoxProfile};
use serde_json::{Value, json};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
    time::Duration,
};
use tokio::{task::spawn_local, time::timeout};

/// Every timeout is short, and every limit can be reached.
const SETTINGS: &str = "
log.filter = \"warn\"
[server]
max_requests = 28
events_kept = 65536
sse_stall_timeout_ms = 500
[bridge]
cancel_grace_ms = 60
request_timeout_ms = 300
[policy.concurrency]
max_in_flight_per_client_platform = 4
[policy.waiter]
max_per_target = 16
timeout_ms = 150
[policy.stream]
open_timeout_ms = 250
idle_timeout_ms = 250
max_buffered_bytes = 65536
";
const CALLERS: usize = 40;
const REQUESTS_EACH: usize = 12;
const CLIENTS: [&str; 4] = ["c0", "c1", "c2", "rock"];
const PATHS: [&str; 20] = [
    "/echo",
    "/echo",
    "/slow?ms=5",
    "/slow?ms=40",
    "/slow?ms=400",
    "/silence",
    "/status/404",
    "/status/503",
    "/error/fetch_failed",
    "/events/3",
    "/events/20?pause_ms=4",
    "/events/5?pause_ms=2&end=error",
    "/events/2?end=never",
    "/events/60?bytes=4000",
    "/events/3?end=disconnect",
    "/disconnect",
    "/wrong-seq",
    "/malformed?kind=bad_fields",
    "/malformed",
    "/bytes/200000",
];

/// What a caller knows about its request in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It ended with this outcome, which the journal must confirm.
    Ended(&'static str),
    /// It was not accepted.
    Refused,
    /// It was accepted; the caller does not know how it ended.
    Left,
    /// The caller disconnected before it could know.
    Unknown,
}

type Ledger = Rc<RefCell<BTreeMap<String, Known>>>;

fn outcome(status: u16, code: &str) -> Known {
    match (status, code) {
        (200, _) => Known::Ended("success"),
        (_, "overloaded") => Known::Refused,
        (_, "browser_request_cancelled") => Known::Ended("cancelled"),
        _ => Known::Ended("failure"),
    }
}

/// Sends cancels while the request runs, as often as the dice say.
async fn cancels(caller: Caller, id: String, mut dice: Dice) {
    for _ in 0..=dice.below(2) {
        dice.pause(120).await;
        let answer = caller.cancel(&id).await;
        assert!(matches!(answer.status, 200 | 404), "{answer:?}");
    }
}

/// Returns a complete response, and checks that no other bytes come before the response to the next request on the
/// connection.
async fn whole(caller: &Caller, connection: &mut Connection) -> Known {
    let answer = connection.answer(false).await;
    let code = if answer.status == 200 { String::new() } else { answer.error().1 };
    connection.write(&caller.head("GET", "/health", None)).await;
    assert_eq!(connection.answer(false).await.data()["status"], "ok", "one answer to one request");
    outcome(answer.status, &code)
}

async fn one_request(caller: &Caller, id: &str, dice: &mut Dice) -> Known {
    let streamed = dice.percent(50);
    let mut body = ask(id, dice.pick(&PATHS));
    if streamed {
        body["response_mode"] = json!("sse");
    }
    if dice.percent(60) {
        body["client_id"] = json!(dice.pick(&CLIENTS));
    }
    if dice.percent(30) {
        body["timeout_ms"] = json!(1 + dice.below(300));
    }
    let cancel = dice.percent(40);
    if cancel {
        spawn_local(cancels(caller.clone(), id.to_owned(), dice.clone()));
    }
    let leaves = dice.percent(25);
    let reads = dice.percent(90);
    if !streamed {
        let mut connection = caller.begin(&body).await;
        if leaves {
            dice.pause(150).await;
            return Known::Unknown;
        }
        return whole(caller, &mut connection).await;
    }
    let mut connection = if reads { caller.begin(&body).await } else { caller.begin_narrowly(&body).await };
    let head = connection.peek_status().await;
    if head != 200 {
        return whole(caller, &mut connection).await;
    }
    let mut stream = connection.stream().await;
    if leaves || !reads {
        // A caller that does not read disconnects only after the stall timeout.
        dice.pause(if reads { 150 } else { 900 }).await;
        stream.leave();
        return Known::Left;
    }
    let last = stream.end().await;
    let (event, _, status) = last.outcome();
    if event == "stream_end" {
        return Known::Ended("success");
    }
    let cancelled = last.data["http_error"] == "browser_request_cancelled";
    assert!(status >= 400, "{last:?}");
    Known::Ended(if cancelled { "cancelled" } else { "failure" })
}

/// What the peers received: how often each request and each cancel arrived.
#[derive(Debug, Default)]
struct Seen {
    requests: HashMap<String, u32>,
    cancels: HashMap<String, u32>,
}

impl Seen {
    fn take(&mut self, firefox: &Firefox) {
        for message in firefox.received() {
            let counts = match message["type"].as_str() {
                Some("api_request") => &mut self.requests,
                Some("request_cancel") => &mut self.cancels,
                _ => continue,
            };
            *counts.entry(message["id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
}

/// Runs a client that connects, stays a while and disconnects in some way, until the storm is over.
async fn restless(url: String, name: &'static str, mut dice: Dice, over: Rc<Cell<bool>>, seen: Rc<RefCell<Seen>>) {
    let mut before: Option<Firefox> = None;
    while !over.get() {
        let mut profile = FirefoxProfile::new(name);
        profile.behaviour.obeys_cancel = dice.percent(70);
        profile.behaviour.progress = Duration::from_millis(20 + dice.below(200));
        // If the former connection is still open, this one replaces it.
        let firefox = Firefox::connect(&url, profile).await.unwrap();
        if let Some(before) = before.take() {
            before.closed().await.unwrap();
            seen.borrow_mut().take(&before);
        }
        dice.pause(700).await;
        // It may be closed already: the web app's behaviour can drop the connection.
        match dice.below(5) {
            0 => drop(firefox.drop_connection().await),
            1 => drop(firefox.close(1000, "bye").await),
            2 => drop(firefox.send_raw(b"\x81\x02{}").await),
            _ => {
                before = Some(firefox);
                continue;
            }
        }
        firefox.closed().await.unwrap();
        seen.borrow_mut().take(&firefox);
    }
    if let Some(before) = before {
        seen.borrow_mut().take(&before);
    }
}

/// Returns all rows of the journal, newest first, page by page.
async fn rows(caller: &Caller) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut query = "?limit=500".to_owned();
    loop {
        let mut page = caller.get(&format!("/v1/browser/requests{query}")).await.data();
        rows.append(page["requests"].as_array_mut().unwrap());
        match page["next_before"].as_i64() {
            Some(before) => query = format!("?limit=500&before={before}"),
            None => return rows,
        }
    }
}

/// Checks that each accepted request has exactly one finished row, that the others have none, and that caller and
/// journal agree.
fn balance(rows: &[Value], ledger: &BTreeMap<String, Known>) {
    let mut by_id = HashMap::new();
    for row in rows {
        let id = row["request_id"].as_str().unwrap();
        assert_eq!(by_id.insert(id, row), None, "{id} has two rows");
        assert!(ledger.contains_key(id), "no caller sent {id}");
        assert_eq!((row["phase"].as_str(), row["finished_at"].is_i64()), (Some("done"), true), "{row}");
        assert!(row["outcome"].is_string(), "{row}");
    }
    for (id, known) in ledger {
        let row = by_id.get(id.as_str());
        match known {
            Known::Ended(outcome) => {
                let row = row.unwrap_or_else(|| panic!("{id} has no row but ended as {outcome}"));
                assert_eq!(row["outcome"], **outcome, "{row}");
            }
            Known::Left => assert!(row.is_some(), "{id} has no row but was taken over"),
            Known::Refused => assert!(row.is_none(), "{row:?}"),
            Known::Unknown => {}
        }
    }
}

/// Checks that the events of each request match the journal: its phases in order, its end once.
async fn told(caller: &Caller, rows: &[Value]) {
    const ORDER: [&str; 5] = ["queued", "admitted", "dispatched", "streaming", "done"];
    const LAST: &str = "after-all";
    caller.request(&json!({"platform": "claude", "request_id": LAST, "client_id": "unknown", "path": "/"})).await;
    let mut events = caller.follow_after("everything").await;
    assert_eq!(events.event().await.data["missed"], Value::Null);
    let mut told: HashMap<String, Vec<Value>> = HashMap::new();
    while told.get(LAST).is_none_or(|last| last.len() < 2) {
        let frame = events.event().await;
        assert_ne!(frame.event, "gap");
        if frame.event == "request" {
            told.entry(frame.data["request_id"].as_str().unwrap().to_owned()).or_default().push(frame.data);
        }
    }
    assert_eq!(told.len(), rows.len() + 1, "one story for each row");
    for row in rows {
        let story = &told[row["request_id"].as_str().unwrap()];
        let phases: Vec<_> = story.iter().map(|data| data["phase"].as_str().unwrap()).collect();
        let reached = ORDER.into_iter().filter(|phase| phases.contains(phase));
        assert_eq!(phases, Vec::from_iter(reached), "{story:?}");
        let (first, last) = (&story[0], &story[story.len() - 1]);
        assert_eq!((&first["phase"], &last["phase"]), (&json!("queued"), &json!("done")), "{story:?}");
        for field in ["client_id", "outcome", "error_code", "status", "event_count", "bytes", "response_mode"] {
            assert_eq!(last[field], row[field], "{field}: {story:?} {row}");
        }
        assert_eq!((&last["at"], &first["path"]), (&row["finished_at"], &row["path"]));
    }
}

async fn storm(seed: u64) {
    eprintln!("BAA_IT_SEED={seed}");
    let mut dice = Dice::new(seed);
    let mut daemon = Daemon::start(SETTINGS).await;
    let caller = daemon.caller();
    let ledger: Ledger = Rc::default();
    let (over, seen) = (Rc::new(Cell::new(false)), Rc::new(RefCell::new(Seen::default())));

    let mut rock = FirefoxProfile::new("rock");
    rock.behaviour.reconnect = Some(Duration::from_millis(1));
    let rock = connect(&daemon, rock).await;
    let peers: Vec<_> = CLIENTS[..3]
        .iter()
        .map(|name| {
            spawn_local(restless(daemon.ws_url(), name, Dice::new(dice.next()), Rc::clone(&over), Rc::clone(&seen)))
        })
        .collect();
    let callers: Vec<_> = (0..CALLERS)
        .map(|n| {
            let (caller, ledger, mut dice) = (caller.clone(), Rc::clone(&ledger), Dice::new(dice.next()));
            spawn_local(async move {
                for k in 0..REQUESTS_EACH {
                    let id = format!("r{n}-{k}");
                    let known = one_request(&caller, &id, &mut dice).await;
                    assert_eq!(ledger.borrow_mut().insert(id, known), None);
                    dice.pause(30).await;
                }
            })
        })
        .collect();
    for task in callers {
        timeout(PATIENCE * 3, task).await.expect("no request hangs").unwrap();
    }
    over.set(true);
    for task in peers {
        timeout(PATIENCE, task).await.expect("no peer hangs").unwrap();
    }

    settled(&caller).await;
    let rows = until("finished rows", async || {
        let rows = rows(&caller).await;
        rows.iter().all(|row| row["phase"] == "done").then_some(rows)
    })
    .await;
    balance(&rows, &ledger.borrow());
    told(&caller, &rows).await;
    seen.borrow_mut().take(&rock);
    drop(rock);
    until("the end of every actor", async || actors(&caller).await.values().all(|count| *count == 0).then_some(()))
        .await;
    let seen = seen.take();
    // A relayed request may have had effects: it is sent once and cancelled at most once.
    assert!(seen.requests.values().all(|times| *times == 1), "{seen:?}");
    assert!(seen.cancels.values().all(|times| *times == 1), "{seen:?}");
    assert!(seen.cancels.keys().all(|id| seen.requests.contains_key(id)), "{seen:?}");

    // Checks that the storm exercised everything that matters.
    let of = |outcome: &str| rows.iter().filter(|row| row["outcome"] == outcome).count();
    let codes: HashSet<_> = rows.iter().filter_map(|row| row["error_code"].as_str()).collect();
    eprintln!("{} rows: {} ok, {} cancelled, {codes:?}", rows.len(), of("success"), of("cancelled"));
    assert!(of("success") > 0);
    for code in ["downstream_disconnected", "request_cancelled", "client_disconnected", "request_timeout"] {
        assert!(codes.contains(code), "no {code} in {codes:?}");
    }
    assert!(!daemon.stderr().contains("panicked"), "{}", daemon.stderr());

    // Every client is usable afterwards, and the journal survives a restart.
    for name in CLIENTS {
        let _firefox = automatic(&daemon, name).await;
        let body =
            json!({"platform": "claude", "request_id": format!("after-{name}"), "client_id": name, "path": "/echo"});
        assert_eq!(caller.request(&body).await.data()["client_id"], name);
    }
    assert_eq!(daemon.stop().await, Some(0));
    let daemon = Daemon::start_in(daemon.into_folder(), SETTINGS).await;
    let mut again = self::rows(&daemon.caller()).await;
    again.retain(|row| !row["request_id"].as_str().unwrap().starts_with("after-"));
    assert_eq!(again, rows);
}

#[actix_rt::test]
async fn every_request_ends_exactly_once_whatever_happens_around_it() {
    let seed = std::env::var("BAA_IT_SEED").ok().and_then(|seed| seed.parse().ok());
    let fresh = uuid::Uuid::new_v4().as_u64_pair().0;
    storm(seed.unwrap_or(fresh)).await;
}
