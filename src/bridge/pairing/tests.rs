//! Pairing with a real store and real connections, whose sockets record what is sent.

use super::*;
use crate::{
    bridge::hub::BridgeHub,
    bridge::{
        BridgeParts, DaemonIdentity, FinalMessageSink, ReceivedFinalMessage, SocketMeter, WS_PATH,
        connection::{SocketCommand, SocketEvent},
    },
    platforms::registry::PlatformRegistry,
    store::{LoginStateSettings, StoreSettings, WriteBehind},
    system::{SystemControl, settings::NodeSettings},
    testing::frozen,
};
use actix::prelude::*;
use serde_json::{Value, json};
use std::{path::Path, time::Duration};
use tokio::sync::mpsc;

/// A socket that records what is sent.
struct RecordingSocket(mpsc::UnboundedSender<Result<Value, u16>>);

impl Actor for RecordingSocket {
    type Context = Context<Self>;
}

impl Handler<SocketCommand> for RecordingSocket {
    type Result = ();

    fn handle(&mut self, message: SocketCommand, _: &mut Self::Context) {
        let sent = match message {
            SocketCommand::Text(text) => Ok(serde_json::from_str(&text).unwrap()),
            SocketCommand::Close(code, _) => Err(code),
            SocketCommand::Ping => return,
        };
        // The test may have stopped reading.
        let _ = self.0.send(sent);
    }
}

struct TestPeer {
    connection: Addr<Connection>,
    sent: mpsc::UnboundedReceiver<Result<Value, u16>>,
}

impl TestPeer {
    async fn next(&mut self) -> Result<Value, u16> {
        self.sent.recv().await.expect("the socket lives")
    }

    async fn code(&mut self) -> String {
        let sent = self.next().await.unwrap();
        assert_eq!(sent["type"], "pairing_required");
        sent["code"].as_str().unwrap().to_owned()
    }

    fn say(&self, message: &Value) {
        self.connection.do_send(SocketEvent::Reassembled(message.to_string().into()));
    }
}

/// Ignores all final messages.
#[derive(Debug)]
struct IgnoredMessages;

impl FinalMessageSink for IgnoredMessages {
    fn on_final_message(&self, _: ReceivedFinalMessage) {}
}

async fn hub(store: &Store, settings: BridgeSettings) -> BridgeHub {
    let (clock, events) = (Clock::starting_at(1_000), EventBus::new(1, 16));
    let pairings = frozen(Pairings::open(store.clone(), &settings, events.clone(), clock)).await.unwrap();
    let identity = DaemonIdentity {
        host: "h".into(),
        identity: "i".into(),
        ws_path: WS_PATH,
        ws_url: String::new(),
        local_api_base: String::new(),
        started_at: 0,
    };
    let system =
        frozen(SystemControl::open(store.clone(), events.clone(), clock, NodeSettings::default())).await.unwrap();
    let write_behind = WriteBehind::start(store.clone(), &StoreSettings::default(), &LoginStateSettings::default());
    let registry = Arc::new(PlatformRegistry::new(&Default::default()));
    let (settings, login_state) = (Arc::new(settings), LoginStateSettings::default());
    let final_messages = Arc::new(IgnoredMessages);
    BridgeHub::new(BridgeParts {
        metrics: Default::default(),
        pairings,
        settings,
        login_state,
        identity,
        registry,
        clock,
        events,
        write_behind,
        system,
        final_messages,
    })
}

fn store() -> Store {
    Store::open(Path::new(":memory:"), &StoreSettings::default()).unwrap()
}

fn connect(hub: &BridgeHub) -> TestPeer {
    let (sender, sent) = mpsc::unbounded_channel();
    let meter = Arc::new(SocketMeter::new(1 << 16, 1 << 16, None));
    TestPeer {
        connection: hub.connect(
            meter,
            RecordingSocket(sender).start().recipient(),
            SocketPeer { origin: NO_ORIGIN.into(), address: "127.0.0.1:4317".into(), is_own_user: true },
        ),
        sent,
    }
}

fn hello() -> Value {
    json!({"type": "hello", "client_id": "ff", "nonce": "n"})
}

async fn approve(hub: &BridgeHub, code: &str) -> Result<Pairing, PairingError> {
    frozen(hub.decide(ClientId::trusted("ff"), PairingDecision::Approve { code: code.into() })).await
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_code_expires_and_a_client_may_wait_longer_than_the_hello_timeout() {
    let hub = hub(&store(), BridgeSettings::default()).await;
    let mut peer = connect(&hub);
    peer.say(&hello());
    let first = peer.code().await;
    // The paused clock jumps to the next timer; heartbeats are answered meanwhile.
    let second = loop {
        tokio::time::sleep(Duration::from_secs(10)).await;
        peer.connection.do_send(SocketEvent::Activity);
        if let Ok(sent) = peer.sent.try_recv() {
            break sent.unwrap();
        }
    };
    assert_eq!(second["type"], "pairing_required");
    let view = &hub.pairings()[0];
    assert_eq!((view.requested_at, view.expires_at), (1_000, Some(601_000)));
    assert_eq!(approve(&hub, &first).await, Err(PairingError::WrongCode));
    assert_eq!(approve(&hub, second["code"].as_str().unwrap()).await.unwrap().status, PairingStatus::Paired);
    assert_eq!(peer.next().await.unwrap()["type"], "hello_ack");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_pairing_that_cannot_be_written_fails_and_can_be_retried() {
    let store = store();
    let hub = hub(&store, BridgeSettings::default()).await;
    let mut peer = connect(&hub);
    peer.say(&hello());
    let code = peer.code().await;
    let rename = |from: &str, to: &str| format!("ALTER TABLE {from} RENAME TO {to}");
    let run = async |statement: String| {
        let run = move |conn: &mut store::SqliteConnection| Ok(store::tests::execute(conn, &statement));
        frozen(store.run(run)).await.unwrap();
    };
    run(rename("pairings", "elsewhere")).await;
    assert!(matches!(approve(&hub, &code).await, Err(PairingError::Store(_))));
    assert_eq!(hub.pairings()[0].status, PairingStatus::Waiting);
    run(rename("elsewhere", "pairings")).await;
    assert_eq!(approve(&hub, &code).await.unwrap().status, PairingStatus::Paired);
    assert!(peer.next().await.unwrap()["client_secret"].is_string());
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_key_that_was_not_delivered_is_not_valid() {
    let store = store();
    let hub = hub(&store, BridgeSettings { max_clients: 1, ..BridgeSettings::default() }).await;
    let mut first = connect(&hub);
    first.say(&hello());
    let code = first.code().await;
    approve(&hub, &code).await.unwrap();
    let mut second = connect(&hub);
    second.say(&json!({"type": "hello", "client_id": "second"}));
    let code = second.code().await;
    let decision = PairingDecision::Approve { code };
    let refused = frozen(hub.decide(ClientId::trusted("second"), decision)).await;
    assert_eq!(refused, Err(PairingError::ClientLeft), "bridge.max_clients is reached");
    assert_eq!(second.next().await, Err(1013));
    assert_eq!(hub.pairings().len(), 1);
    let stored = frozen(store.read(store::pairings::all)).await.unwrap();
    assert_eq!(stored.iter().map(|row| row.client_id.as_str()).collect::<Vec<_>>(), ["ff"]);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_proof_has_a_timeout_of_its_own_beside_that_of_hello() {
    let hub = hub(&store(), BridgeSettings { hello_timeout_ms: 1_000, ..BridgeSettings::default() }).await;
    let mut peer = connect(&hub);
    peer.say(&hello());
    let code = peer.code().await;
    approve(&hub, &code).await.unwrap();
    let mut again = connect(&hub);
    again.say(&hello());
    assert_eq!(again.next().await.unwrap()["type"], "challenge");
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    assert!(again.sent.try_recv().is_err());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(again.next().await, Err(4003));
}
