//! Those that never finish: heads, bodies and handshakes that trickle. They cost their own time and nobody else's.

use super::{Bystander, unharmed};
use crate::support::{Connection, Daemon, Peer, ask, within};

const MANY: usize = 60;

#[actix_rt::test]
async fn heads_bodies_and_hellos_that_never_end_are_ended() {
    let daemon =
        Daemon::start("server.head_timeout_ms = 400\nserver.body_timeout_ms = 400\nbridge.hello_timeout_ms = 400")
            .await;
    let caller = daemon.caller();
    let others = Bystander::watching(&daemon).await;
    let whole = caller.head("POST", "/v1/browser/request", Some(ask("never", "/").to_string().as_bytes()));
    let head = whole.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
    let mut heads = Vec::new();
    let mut bodies = Vec::new();
    let mut silent = Vec::new();
    for n in 0..MANY {
        let mut connection = Connection::open(daemon.address).await;
        connection.write(&whole[..1 + n % head]).await;
        heads.push(connection);
        let mut connection = Connection::open(daemon.address).await;
        connection.write(&whole[..whole.len() - 1 - n % 20]).await;
        bodies.push(connection);
        silent.push(Peer::upgraded(&daemon).await);
    }
    for mut connection in heads {
        assert_eq!(connection.answer(false).await.status, 408);
        within("end of the connection", async { while connection.read().await {} }).await;
    }
    for mut connection in bodies {
        assert_eq!(connection.answer(false).await.error(), (408, "body_timeout".into()));
    }
    for mut peer in silent {
        assert_eq!(peer.close().await, (Some(4002), "hello_timeout".to_owned()));
    }
    others.tell("slow heads, bodies and hellos").await;
    unharmed(&daemon).await;
}

#[actix_rt::test]
async fn a_trickle_within_the_time_is_served() {
    let daemon = Daemon::start("").await;
    let caller = daemon.caller();
    let mut connection = Connection::open(daemon.address).await;
    for byte in caller.head("GET", "/version", None) {
        connection.write(&[byte]).await;
    }
    assert_eq!(connection.answer(false).await.status, 200);
}
