//! What is left of a request whose exchange dies.

use super::*;
use crate::{
    events::Resume,
    platforms::registry::Registry,
    relay::Call,
    store::{Later, Store, StoreSettings},
    system::settings::Node,
    testing::frozen,
};
use std::path::Path;

async fn hub(events: Bus) -> Hub {
    let clock = Clock::starting_at(1_000);
    let identity = bridge::Identity {
        host: "h".into(),
        identity: "i".into(),
        ws_path: bridge::WS_PATH,
        ws_url: String::new(),
        local_api_base: String::new(),
        started_at: 0,
    };
    let settings = StoreSettings::default();
    let store = Store::open(Path::new(":memory:"), &settings).unwrap();
    let later = Later::start(store.clone(), &settings, &Default::default());
    let system = frozen(System::open(store, events.clone(), clock, Node::default())).await.unwrap();
    let bridge = bridge::Hub::new(bridge::Setup {
        settings: Arc::default(),
        login_state: bridge::settings::LoginState::default(),
        identity,
        registry: Arc::new(Registry::new(&Default::default())),
        clock,
        events: events.clone(),
        later,
        system: system.clone(),
    });
    let policy = policy::Hub::new(Arc::default(), clock, events.clone());
    let (journal, stall) = (Journal::off(), Duration::from_secs(30));
    Hub::new(Setup { bridge, policy, journal, events, system, clock, requests_max: 8, stall })
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn an_exchange_that_dies_is_told_as_done_before_its_id_is_free() {
    let bus = Bus::new(1, 16);
    let (hub, mut told) = (hub(bus.clone()).await, bus.subscribe(Resume::Live));
    let request = Request {
        id: RequestId::trusted("r"),
        platform: PlatformName::trusted("claude"),
        client_id: None,
        mode: ResponseMode::Buffered,
        call: Call::default(),
        timeout: None,
    };
    let mut phases = Phases::new(bus);
    phases.queued(&request, None, 1);
    let registration = Registration { hub: hub.clone(), id: request.id, phases, died: None };
    assert_eq!(told.told().len(), 1);
    let live = hub.live();
    let dying = std::thread::spawn(move || drop(registration));
    // It cannot free the id while this test holds the lock, and must have said its word by then.
    let last = (0..10_000).find_map(|_| {
        std::thread::sleep(Duration::from_millis(1));
        told.told().pop()
    });
    drop(live);
    dying.join().unwrap();
    let (name, data) = last.expect("told before the id is free");
    let said = |field: &str| data[field].as_str().unwrap().to_owned();
    assert_eq!((name, said("phase"), said("outcome")), ("request".into(), "done".into(), "failure".into()));
    assert_eq!(said("error_code"), "internal_error");
}
