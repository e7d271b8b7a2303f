//! What is left of a request whose exchange dies.

use super::*;
use crate::{
    events::ResumePoint,
    platforms::registry::PlatformRegistry,
    relay::UpstreamCall,
    store::{Store, StoreSettings, WriteBehind},
    system::settings::NodeSettings,
    testing::frozen,
};
use std::{future::poll_fn, path::Path, sync::mpsc};

async fn hub(events: EventBus) -> RelayHub {
    let clock = Clock::starting_at(1_000);
    let identity = bridge::DaemonIdentity {
        host: "h".into(),
        identity: "i".into(),
        ws_path: bridge::WS_PATH,
        ws_url: String::new(),
        local_api_base: String::new(),
        started_at: 0,
    };
    let settings = StoreSettings::default();
    let store = Store::open(Path::new(":memory:"), &settings).unwrap();
    let write_behind = WriteBehind::start(store.clone(), &settings, &Default::default());
    let memory = frozen(policy::PolicyMemory::open(&store, write_behind.clone(), clock, 8)).await.unwrap();
    let system =
        frozen(SystemControl::open(store.clone(), events.clone(), clock, NodeSettings::default())).await.unwrap();
    let of_bridge = bridge::settings::BridgeSettings::default();
    let pairings = frozen(bridge::Pairings::open(store, &of_bridge, events.clone(), clock)).await.unwrap();
    let bridge = bridge::BridgeHub::new(bridge::BridgeParts {
        pairings,
        settings: Arc::new(of_bridge),
        login_state: crate::store::LoginStateSettings::default(),
        identity,
        registry: Arc::new(PlatformRegistry::new(&Default::default())),
        clock,
        events: events.clone(),
        write_behind,
        system: system.clone(),
        metrics: Default::default(),
        final_messages: Arc::new(IgnoringSink),
    });
    let policy = policy::PolicyHub::new(policy::PolicyParts {
        settings: Arc::default(),
        clock,
        events: events.clone(),
        memory,
        observer: policy::PolicyObserver::default(),
    });
    let (journal, stall) = (RequestJournal::off(), Duration::from_secs(30));
    RelayHub::new(RelayParts {
        bridge,
        policy,
        journal,
        events,
        system,
        clock,
        requests_max: 8,
        stall,
        metrics: Default::default(),
    })
}

/// An observer that ignores messages.
#[derive(Debug)]
struct IgnoringSink;

impl bridge::FinalMessageSink for IgnoringSink {
    fn on_final_message(&self, _: bridge::ReceivedFinalMessage) {}
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn an_exchange_that_dies_is_told_as_done_before_its_id_is_free() {
    let bus = EventBus::new(1, 16);
    let (hub, mut told) = (hub(bus.clone()).await, bus.subscribe(ResumePoint::Live));
    let request = RelayRequest {
        work: crate::relay::RequestWork::Call,
        id: RequestId::trusted("r"),
        platform: PlatformName::trusted("claude"),
        client_id: None,
        mode: ResponseMode::Buffered,
        call: UpstreamCall::default(),
        timeout: None,
    };
    let mut events = RequestEvents::new(bus.clone(), Default::default());
    events.queued(&request, None, 1);
    let registration = LiveRegistration { hub: hub.clone(), id: request.id, events, died: None };
    assert_eq!(told.told().len(), 1);
    let mut waiting = bus.subscribe(ResumePoint::Live);
    let (locked, is_locked) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let holder = std::thread::spawn(move || {
        let live = hub.shared.live.lock();
        locked.send(()).unwrap();
        let _ = released.recv(); // until the sender is gone
        drop(live);
    });
    is_locked.recv().unwrap();
    let dying = std::thread::spawn(move || drop(registration));
    // It cannot free the id while the lock is held, and says its word all the same: else this waits for ever.
    frozen(poll_fn(|cx| waiting.poll_next(cx))).await.unwrap();
    let (name, data) = told.told().pop().unwrap();
    drop(release);
    holder.join().unwrap();
    dying.join().unwrap();
    let said = |field: &str| data[field].as_str().unwrap().to_owned();
    assert_eq!((name, said("phase"), said("outcome")), ("request".into(), "done".into(), "failure".into()));
    assert_eq!(said("error_code"), "internal_error");
}
