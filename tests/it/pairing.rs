//! Pairing of a running daemon: waiting clients, the operator's decisions, the proofs of both sides, the origin.

use crate::support::{Answer, Caller, Daemon, ask, client_ids, handled, no_client_left, request_of, until};
use baa_conductor::{
    simulator::{ConnectionClosed, Firefox, FirefoxProfile},
    wire::proof::{ProofSide, Transcript, proof},
};
use serde_json::{Value, json};

const REQUIRED: &str = "bridge.pairing = 'required'";
const PAIRINGS: &str = "/v1/browser/pairings";
const MOZ: &str = "moz-extension://3f2a6c1e-1111-4222-8333-444455556666";

fn unauthorized() -> ConnectionClosed {
    ConnectionClosed { code: Some(4003), reason: "unauthorized".into() }
}

fn operator(daemon: &Daemon) -> Caller {
    daemon.caller().bearer(&daemon.token())
}

fn profile(client_id: &str, secret: Option<&str>) -> FirefoxProfile {
    let mut profile = FirefoxProfile::manual(client_id);
    profile.behaviour.credentials = false;
    profile.secret = secret.map(str::to_owned);
    profile
}

async fn dial(daemon: &Daemon, profile: FirefoxProfile) -> Firefox {
    Firefox::dial(&daemon.ws_url(), profile).await.unwrap()
}

/// Connects a client that waits for pairing. Returns it with its code.
async fn waiting(daemon: &Daemon, client_id: &str) -> (Firefox, String) {
    let firefox = dial(daemon, profile(client_id, None)).await;
    let code = shown(&firefox).await;
    (firefox, code)
}

async fn shown(firefox: &Firefox) -> String {
    firefox.expect("pairing_required").await.unwrap()["code"].as_str().unwrap().to_owned()
}

async fn decide(daemon: &Daemon, client_id: &str, body: Value) -> Answer {
    operator(daemon).post(&format!("{PAIRINGS}/{client_id}"), &body).await
}

async fn approve(daemon: &Daemon, client_id: &str, code: &str) -> Answer {
    decide(daemon, client_id, json!({"decision": "approve", "code": code})).await
}

/// Connects and approves a client. Returns it with its secret.
async fn paired(daemon: &Daemon, client_id: &str) -> (Firefox, String) {
    let (firefox, code) = waiting(daemon, client_id).await;
    assert_eq!(approve(daemon, client_id, &code).await.data()["status"], "paired");
    firefox.expect("hello_ack").await.unwrap();
    let secret = firefox.secret().unwrap();
    (firefox, secret)
}

async fn list(daemon: &Daemon) -> Vec<Value> {
    let mut data = operator(daemon).get(PAIRINGS).await.data();
    let list = data["pairings"].as_array_mut().unwrap().drain(..).collect::<Vec<_>>();
    assert_eq!(data["count"], list.len());
    list
}

/// Returns the transcript of a connection to the daemon's own address.
fn transcript(daemon: &Daemon, client: &str, server: &str) -> Transcript {
    let address = daemon.address.to_string();
    Transcript { client_nonce: client.into(), server_nonce: server.into(), address }
}

/// Checks that a client still waits with the same code.
async fn still_waits(firefox: &Firefox) {
    firefox.send_json(&json!({"type": "hello", "client_id": firefox.client_id()})).await.unwrap();
    firefox.expect("pairing_required").await.unwrap();
}

fn wrong(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

#[actix_rt::test]
async fn who_waits_may_say_hello_alone_holds_no_work_and_sees_nothing() {
    let daemon = Daemon::start(REQUIRED).await;
    let (caller, mut events) = (daemon.caller(), daemon.caller().follow().await);
    let (firefox, code) = waiting(&daemon, "ff").await;
    let told = events.expect("pairing").await.data;
    assert_eq!((&told["client_id"], &told["status"]), (&json!("ff"), &json!("waiting")));
    assert!(code.len() == 6 && !told.to_string().contains(&code), "{told}");
    for text in [
        r#"{"type":"state_request"}"#,
        r#"{"type":"credentials","platform":"claude","header_names":["a"]}"#,
        r#"{"type":"auth","proof":"00"}"#,
        r#"{"type":"api_response","id":"r","status":200}"#,
        "{",
    ] {
        firefox.send_text(text).await.unwrap();
        assert_eq!(firefox.expect("error").await.unwrap()["code"], "hello_required", "{text}");
    }
    firefox.send_json(&json!({"type": "hello", "client_id": "ff"})).await.unwrap();
    assert_eq!(shown(&firefox).await, code, "a second hello is answered again");
    firefox.send_json(&json!({"type": "hello", "client_id": "other"})).await.unwrap();
    assert_eq!(firefox.expect("error").await.unwrap()["code"], "invalid_message");
    let named = json!({"platform": "claude", "path": "/", "client_id": "ff"});
    assert_eq!(caller.request(&named).await.error(), (403, "pairing_required".into()));
    let action = json!({"action": "tab_open", "platform": "claude", "client_id": "ff"});
    assert_eq!(caller.post("/v1/browser/actions", &action).await.error(), (403, "pairing_required".into()));
    assert_eq!(caller.request(&ask("r", "/")).await.error_code(), "no_active_client");
    caller.post("/v1/system/pause", &json!({})).await.data();
    assert!(client_ids(&caller).await.is_empty());
    let kinds = ["pairing_required", "error"];
    assert!(firefox.received().iter().all(|m| kinds.contains(&m["type"].as_str().unwrap())));
    let entry = &list(&daemon).await[0];
    let expected = (json!("ff"), json!("waiting"), json!("none"));
    assert_eq!((&entry["client_id"], &entry["status"], &entry["origin"]), (&expected.0, &expected.1, &expected.2));
    assert!(entry["expires_at"].as_i64() > entry["requested_at"].as_i64() && entry.get("approved_at").is_none());
    assert!(!entry.to_string().contains(&code) && !daemon.stderr().contains(&code));
    drop(firefox);
    let told = until("event", async || Some(events.event().await).filter(|told| told.event == "pairing")).await;
    assert_eq!(told.data["status"], "left");
    assert!(list(&daemon).await.is_empty());
}

#[actix_rt::test]
async fn who_is_approved_gets_its_secret_once_and_works_at_once() {
    let daemon = Daemon::start(REQUIRED).await;
    let mut events = daemon.caller().follow().await;
    let (firefox, secret) = paired(&daemon, "ff").await;
    assert!(secret.len() == 64 && secret.bytes().all(|b| b"0123456789abcdef".contains(&b)));
    assert_eq!(events.expect("pairing").await.data["status"], "waiting");
    events.expect("client_connected").await;
    assert_eq!(events.expect("pairing").await.data["status"], "paired");
    firefox.expect("request_credentials").await.unwrap();
    let types: Vec<_> = firefox.received().iter().map(|m| m["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(types, ["pairing_required", "hello_ack", "state_snapshot", "request_credentials"]);
    let caller = daemon.caller();
    let mut answer = caller.begin(&ask("r", "/")).await;
    request_of(&firefox, "r").await.answer(200, json!("fine")).await.unwrap();
    assert_eq!(answer.answer(false).await.data()["response"], "fine");
    // An established client needs no further proof and does not receive its secret again.
    firefox.send_json(&json!({"type": "hello", "client_id": "ff"})).await.unwrap();
    assert!(firefox.expect("hello_ack").await.unwrap().get("client_secret").is_none());
    let list = list(&daemon).await;
    assert_eq!((&list[0]["status"], list.len()), (&json!("paired"), 1));
    assert!(list[0]["approved_at"].is_i64() && list[0].get("expires_at").is_none());
    assert!(!list[0].to_string().contains(&secret) && !daemon.stderr().contains(&secret));
}

#[actix_rt::test]
async fn a_wrong_code_is_refused_and_the_fifth_turns_the_client_away() {
    let daemon = Daemon::start(REQUIRED).await;
    let (firefox, code) = waiting(&daemon, "ff").await;
    let (other, _) = waiting(&daemon, "other").await;
    for _ in 0..5 {
        let answer = approve(&daemon, "ff", &wrong(&code)).await;
        assert_eq!(answer.error(), (403, "invalid_request".into()));
        assert_eq!(answer.json()["details"]["field"], "code");
    }
    assert_eq!(firefox.closed().await.unwrap(), unauthorized());
    assert_eq!(approve(&daemon, "ff", &code).await.error(), (404, "not_found".into()));
    still_waits(&other).await;
    let (again, code) = waiting(&daemon, "ff").await;
    for _ in 0..4 {
        approve(&daemon, "ff", &wrong(&code)).await;
    }
    assert_eq!(approve(&daemon, "ff", &code).await.status, 200, "four leave it where it is");
    again.expect("hello_ack").await.unwrap();
}

#[actix_rt::test]
async fn a_code_that_is_too_old_is_replaced_by_another() {
    let daemon = Daemon::start(&format!("{REQUIRED}\nbridge.pairing_code_ms = 50")).await;
    let (firefox, first) = waiting(&daemon, "ff").await;
    let mut last = first.clone();
    while last == first {
        last = shown(&firefox).await;
    }
    assert_eq!(approve(&daemon, "ff", &first).await.error().0, 403);
    // The code changes all the time, so the newest one is tried until one is still valid.
    until("approval by the code of now", async || {
        let all = firefox.received_of("pairing_required");
        let code = all.last().unwrap()["code"].as_str().unwrap().to_owned();
        (approve(&daemon, "ff", &code).await.status == 200).then_some(())
    })
    .await;
    firefox.expect("hello_ack").await.unwrap();
}

#[actix_rt::test]
async fn a_decision_that_cannot_be_made_names_why() {
    let daemon = Daemon::start(REQUIRED).await;
    let (firefox, code) = waiting(&daemon, "ff").await;
    for (body, field) in [
        (json!({}), "decision"),
        (json!({"decision": "maybe", "code": code}), "decision"),
        (json!({"decision": "approve"}), "code"),
    ] {
        let answer = decide(&daemon, "ff", body).await;
        assert_eq!(
            (answer.error(), &answer.json()["details"]["field"]),
            ((400, "invalid_request".into()), &json!(field))
        );
    }
    for name in ["unknown", "a%20b", "%2e%2e"] {
        let answer = approve(&daemon, name, &code).await;
        assert_eq!(answer.error(), (404, "not_found".into()), "{name}");
    }
    let answer = decide(&daemon, "ff", json!({"decision": "reject"})).await.data();
    assert_eq!(answer["status"], "rejected");
    assert_eq!(firefox.closed().await.unwrap(), unauthorized());
    assert!(list(&daemon).await.is_empty());
}

#[actix_rt::test]
async fn waiting_clients_are_bounded_and_two_of_one_name_differ_by_their_codes() {
    let daemon = Daemon::start(&format!("{REQUIRED}\nbridge.max_unpaired = 2")).await;
    let (first, one) = waiting(&daemon, "ff").await;
    let (second, two) = waiting(&daemon, "ff").await;
    assert_ne!(one, two);
    let third = dial(&daemon, profile("third", None)).await;
    assert_eq!(third.closed().await.unwrap(), ConnectionClosed { code: Some(1013), reason: "max_unpaired".into() });
    assert_eq!(list(&daemon).await.len(), 2);
    assert_eq!(approve(&daemon, "ff", &one).await.status, 200);
    first.expect("hello_ack").await.unwrap();
    assert_eq!(second.closed().await.unwrap(), unauthorized());
}

#[actix_rt::test]
async fn both_sides_prove_themselves_before_any_other_message() {
    let daemon = Daemon::start(REQUIRED).await;
    let (old, secret) = paired(&daemon, "ff").await;
    let mut silent = profile("ff", Some(&secret));
    (silent.behaviour.hello, silent.behaviour.proves) = (false, false);
    let new = dial(&daemon, silent).await;
    new.send_json(&json!({"type": "hello", "client_id": "ff", "nonce": "of-mine"})).await.unwrap();
    let challenge = new.expect("challenge").await.unwrap();
    let text = |field: &str| challenge[field].as_str().unwrap().to_owned();
    let transcript = transcript(&daemon, "of-mine", &text("nonce"));
    assert_eq!(text("proof"), proof(&secret, ProofSide::Server, &transcript));
    for body in [json!({"type": "state_request"}), json!({"type": "hello", "client_id": "ff", "nonce": "n"})] {
        new.send_json(&body).await.unwrap();
        new.expect("error").await.unwrap();
    }
    handled(&old).await;
    new.send_json(&json!({"type": "auth", "proof": proof(&secret, ProofSide::Client, &transcript)})).await.unwrap();
    assert!(new.expect("hello_ack").await.unwrap().get("client_secret").is_none());
    assert_eq!(old.closed().await.unwrap(), ConnectionClosed { code: Some(4001), reason: "replaced".into() });
    let kinds: Vec<_> = new.received().iter().map(|m| m["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds[..4], ["challenge", "error", "error", "hello_ack"]);
    // A recorded proof is not valid on another connection.
    let replayed = dial(&daemon, {
        let mut p = profile("ff", None);
        p.behaviour.hello = false;
        p
    })
    .await;
    replayed.send_json(&json!({"type": "hello", "client_id": "ff", "nonce": "of-mine"})).await.unwrap();
    replayed.expect("challenge").await.unwrap();
    replayed
        .send_json(&json!({"type": "auth", "proof": proof(&secret, ProofSide::Client, &transcript)}))
        .await
        .unwrap();
    assert_eq!(replayed.closed().await.unwrap(), unauthorized());
    handled(&new).await;
}

#[actix_rt::test]
async fn a_wrong_proof_or_none_is_closed_and_disturbs_no_other_connection() {
    let daemon = Daemon::start(&format!("{REQUIRED}\nbridge.proof_timeout_ms = 300")).await;
    let (firefox, secret) = paired(&daemon, "ff").await;
    type Wrong = fn(&str, &Transcript) -> Value;
    let wrongs: [(&str, Wrong); 7] = [
        ("another secret", |_, n| json!(proof(&"0".repeat(64), ProofSide::Client, n))),
        ("the daemon's own proof", |s, n| json!(proof(s, ProofSide::Server, n))),
        ("the secret", |s, _| json!(s)),
        ("cut", |s, n| json!(proof(s, ProofSide::Client, n)[2..])),
        ("empty", |_, _| json!("")),
        ("a number", |_, _| json!(7)),
        ("nothing", |_, _| Value::Null),
    ];
    for (how, wrong) in wrongs {
        let mut silent = profile("ff", None);
        silent.behaviour.hello = false;
        let peer = dial(&daemon, silent).await;
        peer.send_json(&json!({"type": "hello", "client_id": "ff", "nonce": "n"})).await.unwrap();
        let challenge = peer.expect("challenge").await.unwrap();
        let transcript = transcript(&daemon, "n", challenge["nonce"].as_str().unwrap());
        if how != "nothing" {
            peer.send_json(&json!({"type": "auth", "proof": wrong(&secret, &transcript)})).await.unwrap();
        }
        assert_eq!(peer.closed().await.unwrap(), unauthorized(), "{how}");
        assert!(peer.received_of("hello_ack").is_empty(), "{how}");
    }
    let caller = daemon.caller();
    let mut answer = caller.begin(&ask("r", "/")).await;
    request_of(&firefox, "r").await.answer(200, json!("undisturbed")).await.unwrap();
    assert_eq!(answer.answer(false).await.data()["response"], "undisturbed");
}

#[actix_rt::test]
async fn a_known_client_must_say_a_value_of_its_own() {
    let daemon = Daemon::start(REQUIRED).await;
    let (firefox, _) = paired(&daemon, "ff").await;
    let mut silent = profile("ff", None);
    silent.behaviour.hello = false;
    let peer = dial(&daemon, silent).await;
    for nonce in [Value::Null, json!(""), json!("a\nb")] {
        peer.send_json(&json!({"type": "hello", "client_id": "ff", "nonce": nonce})).await.unwrap();
        let error = peer.expect("error").await.unwrap();
        assert_eq!((&error["code"], &error["in_reply_to"]), (&json!("invalid_message"), &json!("hello")), "{nonce}");
    }
    peer.send_json(&json!({"type": "hello", "client_id": "ff", "nonce": "n"})).await.unwrap();
    peer.expect("challenge").await.unwrap();
    handled(&firefox).await;
}

#[actix_rt::test]
async fn a_client_comes_from_where_it_was_paired_or_not_at_all() {
    let daemon = Daemon::start(REQUIRED).await;
    let mut from = profile("ff", None);
    from.behaviour.origin = Some(MOZ.into());
    let firefox = dial(&daemon, from.clone()).await;
    let code = shown(&firefox).await;
    approve(&daemon, "ff", &code).await.data();
    firefox.expect("hello_ack").await.unwrap();
    assert_eq!(list(&daemon).await[0]["origin"], MOZ);
    from.secret = firefox.secret();
    for origin in [None, Some("moz-extension://99999999-1111-4222-8333-444455556666")] {
        let mut elsewhere = from.clone();
        elsewhere.behaviour.origin = origin.map(str::to_owned);
        let peer = dial(&daemon, elsewhere).await;
        assert_eq!(peer.closed().await.unwrap(), unauthorized(), "{origin:?}");
        assert!(peer.received().is_empty(), "not even a challenge: {origin:?}");
    }
    handled(&firefox).await;
    dial(&daemon, from).await.expect("hello_ack").await.unwrap();
}

#[actix_rt::test]
async fn who_is_forgotten_is_closed_and_a_stranger_again() {
    let daemon = Daemon::start(REQUIRED).await;
    let (caller, operator) = (daemon.caller(), operator(&daemon));
    let (firefox, secret) = paired(&daemon, "ff").await;
    let mut answer = caller.begin(&ask("r", "/")).await;
    request_of(&firefox, "r").await;
    let mut events = caller.follow().await;
    assert_eq!(operator.send("DELETE", &format!("{PAIRINGS}/ff"), None).await.data()["status"], "forgotten");
    assert_eq!(firefox.closed().await.unwrap(), unauthorized());
    assert_eq!(answer.answer(false).await.error_code(), "client_disconnected");
    until("event", async || (events.event().await.event == "pairing").then_some(())).await;
    no_client_left(&caller).await;
    let again = operator.send("DELETE", &format!("{PAIRINGS}/ff"), None).await;
    assert_eq!((again.error(), &again.json()["details"]["resource"]), ((404, "not_found".into()), &json!("pairing")));
    let stranger = dial(&daemon, profile("ff", Some(&secret))).await;
    shown(&stranger).await;
    assert_eq!(
        operator.send("DELETE", &format!("{PAIRINGS}/ff"), None).await.status,
        200,
        "who waits can be sent off too"
    );
    assert_eq!(stranger.closed().await.unwrap(), unauthorized());
}

#[actix_rt::test]
async fn a_pairing_outlives_the_daemon_and_a_forgotten_one_does_not() {
    let daemon = Daemon::start(REQUIRED).await;
    let (_, secret) = paired(&daemon, "ff").await;
    let (_, gone) = paired(&daemon, "gone").await;
    operator(&daemon).send("DELETE", &format!("{PAIRINGS}/gone"), None).await.data();
    // Written before it was reported, so it survives a power failure.
    let daemon = Daemon::start_in(daemon.kill().await, REQUIRED).await;
    dial(&daemon, profile("ff", Some(&secret))).await.expect("hello_ack").await.unwrap();
    shown(&dial(&daemon, profile("gone", Some(&gone))).await).await;
    let stored = std::fs::metadata(daemon.folder().state().join("conductor.db")).unwrap();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&stored.permissions()) & 0o777, 0o600);
}

#[actix_rt::test]
async fn a_waiting_client_learns_of_the_stop_and_does_not_delay_it() {
    let mut daemon = Daemon::start(REQUIRED).await;
    let (firefox, _) = waiting(&daemon, "ff").await;
    assert_eq!(daemon.stop().await, Some(0));
    assert_eq!(firefox.closed().await.unwrap().code, Some(1001));
}

#[actix_rt::test]
async fn the_commands_pair_show_and_forget() {
    let daemon = Daemon::start(REQUIRED).await;
    let (other, _) = waiting(&daemon, "other").await;
    let (firefox, code) = waiting(&daemon, "ff").await;
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
        command.args(arguments).arg("--state-dir").arg(daemon.folder().state());
        command.env_clear().env("HOME", daemon.folder().path());
        actix_rt::task::spawn_blocking(move || command.output().unwrap())
    };
    let failed = run(&["pair", &wrong(&code)]).await.unwrap();
    assert_eq!((failed.status.code(), &*failed.stdout), (Some(1), &b""[..]));
    let done = run(&["pair", &code]).await.unwrap();
    assert_eq!((done.status.code(), &*done.stdout), (Some(0), &b"paired ff from none\n"[..]), "{done:?}");
    firefox.expect("hello_ack").await.unwrap();
    still_waits(&other).await;
    let shown = run(&["pairings", "--json"]).await.unwrap();
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["count"], 2);
    let forgot = run(&["pairings", "forget", "ff"]).await.unwrap();
    assert_eq!(&*forgot.stdout, b"forgot ff\n");
    assert_eq!(firefox.closed().await.unwrap(), unauthorized());
}

#[actix_rt::test]
async fn the_greeting_says_whether_clients_have_to_be_paired() {
    for (settings, said) in [(REQUIRED, "required"), ("bridge.pairing = 'off'", "off")] {
        let daemon = Daemon::start(settings).await;
        let firefox = dial(&daemon, profile("ff", None)).await;
        if said == "required" {
            let code = shown(&firefox).await;
            approve(&daemon, "ff", &code).await.data();
        }
        assert_eq!(firefox.expect("hello_ack").await.unwrap()["pairing"], said);
    }
}
