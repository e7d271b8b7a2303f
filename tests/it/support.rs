//! The test support: a daemon as a process, callers, peers, and a bounded wait for a condition.

pub(crate) mod caller;
pub(crate) mod daemon;
pub(crate) mod dice;
pub(crate) mod peer;
pub(crate) mod terminal;
pub(crate) mod users;

pub(crate) use baa_conductor::simulator::Firefox;
use baa_conductor::simulator::{FirefoxProfile, SimulatedRequest};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep, timeout};

pub(crate) use caller::{Answer, Caller, Connection, Stream};
pub(crate) use daemon::{Daemon, Folder};
pub(crate) use dice::Dice;
pub(crate) use peer::Peer;
pub(crate) use terminal::Terminal;

/// How long a test waits for anything before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);
const POLL_EVERY: Duration = Duration::from_millis(10);

/// Reports that this machine lacks something, so that a part of the test is skipped. In continuous integration this
/// fails the test.
pub(crate) fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none_or(|on| on.is_empty()), "with CI set nothing is left out: {why}");
    eprintln!("SKIPPED: {why}");
}

/// A row of a table test, whose name is printed if the test fails within it.
pub(crate) struct Case<'a>(Option<&'a str>);

impl<'a> Case<'a> {
    pub(crate) fn new(name: &'a str) -> Self {
        Case(Some(name))
    }

    pub(crate) fn passed(mut self) {
        self.0 = None;
    }
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if let Some(name) = self.0 {
            eprintln!("--- in the case: {name}");
        }
    }
}

/// Polls until there is an answer; for conditions that no frame or log line announces.
pub(crate) async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let give_up = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(Instant::now() < give_up, "no {what} within {PATIENCE:?}");
        sleep(POLL_EVERY).await;
    }
}

/// Awaits a future within the time limit.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("no {what} within {PATIENCE:?}"))
}

/// Connects a logged-in peer whose requests the test answers.
pub(crate) async fn manual(daemon: &Daemon, client_id: &str) -> Firefox {
    connect(daemon, FirefoxProfile::manual(client_id)).await
}

/// Connects a logged-in peer that answers from its simulated web app.
pub(crate) async fn automatic(daemon: &Daemon, client_id: &str) -> Firefox {
    connect(daemon, FirefoxProfile::new(client_id)).await
}

/// Connects a peer with any profile, which says `hello`.
pub(crate) async fn connect(daemon: &Daemon, profile: FirefoxProfile) -> Firefox {
    let reports = profile.behaviour.credentials;
    let firefox = Firefox::connect(&daemon.ws_url(), profile).await.unwrap();
    if reports {
        firefox.ready().await.unwrap();
    }
    firefox
}

/// Connects a peer that sends nothing by itself, not even `hello`.
pub(crate) async fn stranger(daemon: &Daemon) -> Firefox {
    let mut profile = FirefoxProfile::manual("stranger");
    profile.behaviour.hello = false;
    profile.behaviour.credentials = false;
    Firefox::connect(&daemon.ws_url(), profile).await.unwrap()
}

/// Returns the body of a buffered request.
pub(crate) fn ask(id: &str, path: &str) -> Value {
    json!({"platform": "claude", "request_id": id, "path": path})
}

/// Returns the body of a streamed request.
pub(crate) fn ask_sse(id: &str, path: &str) -> Value {
    json!({"platform": "claude", "request_id": id, "path": path, "response_mode": "sse"})
}

/// Returns the field that an error names.
pub(crate) fn fault(answer: &Answer) -> String {
    assert_eq!(answer.error(), (400, "invalid_request".into()));
    answer.json()["details"]["field"].as_str().unwrap().to_owned()
}

/// Waits for the request with that id, which the test is to answer.
pub(crate) async fn request_of(firefox: &Firefox, id: &str) -> SimulatedRequest {
    let request = firefox.next_request().await.unwrap();
    assert_eq!(request.id(), id, "requests come in the order in which they were sent");
    request
}

/// Waits for the cancel with that id.
pub(crate) async fn cancel_of(firefox: &Firefox, id: &str) -> Value {
    let fits = |message: &Value| message["id"] == id;
    (*firefox.expect_where("request_cancel", fits).await.unwrap()).clone()
}

/// Waits until the peer's earlier frames were handled, which happens in order.
pub(crate) async fn handled(firefox: &Firefox) {
    // The number of coalesced snapshots is not fixed, that of errors is: one per offending frame.
    let marker = uuid::Uuid::new_v4().to_string();
    firefox.send_json(&json!({"type": "no_such_type", "id": marker})).await.unwrap();
    firefox.expect_where("error", |message| message["id"] == *marker).await.unwrap();
}

/// Waits until the daemon holds no request.
pub(crate) async fn settled(caller: &Caller) -> Value {
    until("end of all requests", async || {
        let state = caller.browser().await;
        let rest = |list: &str, field: &str| -> u64 {
            state.pointer(list).unwrap().as_array().unwrap().iter().map(|entry| entry[field].as_u64().unwrap()).sum()
        };
        let left = rest("/policy/targets", "in_flight")
            + rest("/policy/targets", "waiting")
            + rest("/policy/platforms", "waiting")
            + rest("/bridge/clients", "in_flight");
        (left == 0).then_some(state)
    })
    .await
}

/// Returns the ids of the connected clients.
pub(crate) async fn client_ids(caller: &Caller) -> Vec<String> {
    let state = caller.browser().await;
    let clients = state["bridge"]["clients"].as_array().unwrap();
    clients.iter().map(|client| client["client_id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until no client is connected.
pub(crate) async fn no_client_left(caller: &Caller) {
    until("an empty directory", async || client_ids(caller).await.is_empty().then_some(())).await;
}

/// Waits until this many requests wait for a slot.
pub(crate) async fn waiting(caller: &Caller, count: u64) {
    until("waiting requests", async || {
        let state = caller.browser().await;
        let targets = state["policy"]["targets"].as_array().unwrap();
        let waiting: u64 = targets.iter().map(|target| target["waiting"].as_u64().unwrap()).sum();
        (waiting == count).then_some(())
    })
    .await;
}

/// Returns the bytes of a client's frame. `first` is its first byte: flags and opcode.
pub(crate) fn raw_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = raw_head(first, payload.len() as u64);
    // A mask of zeros leaves the payload as it is.
    frame.extend_from_slice(payload);
    frame
}

/// Returns the head of a client's masked frame, for any payload.
pub(crate) fn raw_head(first: u8, declared: u64) -> Vec<u8> {
    let mut head = vec![first];
    match declared {
        0..126 => head.push(0x80 | u8::try_from(declared).unwrap()),
        126..65_536 => {
            head.push(0x80 | 126);
            head.extend_from_slice(&u16::try_from(declared).unwrap().to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend_from_slice(&declared.to_be_bytes());
        }
    }
    head.extend_from_slice(&[0; 4]);
    head
}

/// Returns a text message in one frame, to be sent together with others.
pub(crate) fn text_frame(text: &str) -> Vec<u8> {
    raw_frame(0x81, text.as_bytes())
}

/// Returns the number of live actors of each kind.
pub(crate) async fn actors(caller: &Caller) -> BTreeMap<String, u64> {
    let text = String::from_utf8(caller.get("/metrics").await.body).unwrap();
    let kinds = text.lines().filter_map(|line| line.strip_prefix("baa_actors{kind=\"")?.split_once("\"} "));
    kinds.map(|(kind, count)| (kind.to_owned(), count.parse().unwrap())).collect()
}
