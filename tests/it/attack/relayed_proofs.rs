//! A program of another user on another port that forwards the messages of a paired Firefox and the daemon: proofs are bound
//! to the address that the Firefox connected to, so neither side accepts the other's proof.

use crate::support::{
    Case, Connection, Daemon, Firefox, Peer, handled,
    peer::KEY,
    text_frame,
    users::{STRANGER, has_other_users},
};
use baa_conductor::{
    simulator::{ConnectError, FirefoxProfile},
    wire::proof::{ProofSide, Transcript, hex, proof},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

const REQUIRED: &str = "bridge.pairing = 'required'\nbridge.proof_timeout_ms = 300";

/// A forwarding program; it ends when dropped.
struct Relay {
    address: SocketAddr,
    work: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.work.abort();
    }
}

impl Relay {
    /// Forwards every connection to the daemon; `rewrite` changes the head of the upgrade.
    async fn start(daemon: &Daemon, rewrite: impl Fn(String) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, target) = (listener.local_addr().unwrap(), daemon.address);
        let is_other = has_other_users();
        let work = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(near.read_u8().await.unwrap());
                }
                let far =
                    if is_other { STRANGER.connects(target) } else { std::net::TcpStream::connect(target).unwrap() };
                far.set_nonblocking(true).unwrap();
                let mut far = TcpStream::from_std(far).unwrap();
                far.write_all(rewrite(String::from_utf8(head).unwrap()).as_bytes()).await.unwrap();
                tokio::spawn(
                    async move { copy_bidirectional(&mut near, &mut far).await.map(drop).unwrap_or_default() },
                );
            }
        });
        Relay { address, work }
    }

    fn ws_url(&self) -> String {
        format!("ws://{}/ws/firefox", self.address)
    }
}

fn profile(secret: Option<&str>) -> FirefoxProfile {
    let mut profile = FirefoxProfile::manual("ff");
    profile.behaviour.credentials = false;
    profile.secret = secret.map(str::to_owned);
    profile
}

/// Connects and approves a Firefox at the daemon's own address. Returns it with its secret.
async fn paired(daemon: &Daemon) -> (Firefox, String) {
    let firefox = Firefox::dial(&daemon.ws_url(), profile(None)).await.unwrap();
    let code = firefox.expect("pairing_required").await.unwrap()["code"].clone();
    let operator = daemon.caller().bearer(&daemon.token());
    let decision = json!({"decision": "approve", "code": code});
    assert_eq!(operator.post("/v1/browser/pairings/ff", &decision).await.status, 200);
    firefox.expect("hello_ack").await.unwrap();
    let secret = firefox.secret().unwrap();
    (firefox, secret)
}

/// Replaces the line of one header, or the request line under the name `""`.
fn with_line(head: &str, name: &str, line: &str) -> String {
    let lines = head.split("\r\n").enumerate().map(|(at, old)| {
        let is_it = if name.is_empty() { at == 0 } else { old.to_ascii_lowercase().starts_with(&format!("{name}:")) };
        if is_it { line } else { old }
    });
    lines.collect::<Vec<_>>().join("\r\n")
}

#[actix_rt::test]
async fn through_another_port_neither_side_believes_the_other() {
    let daemon = Daemon::start(REQUIRED).await;
    let (owner, secret) = paired(&daemon).await;
    let port = daemon.address.port();
    for host in
        [daemon.address.to_string(), format!("localhost:{port}"), format!("LocalHost:{port}"), format!("[::1]:{port}")]
    {
        let case = Case::new(&host);
        let host = host.clone();
        let relay = Relay::start(&daemon, move |head| with_line(&head, "host", &format!("host: {host}"))).await;
        let firefox = Firefox::dial(&relay.ws_url(), profile(Some(&secret))).await.unwrap();
        assert_eq!(firefox.closed().await.unwrap().code, Some(4003));
        assert_eq!(firefox.received_of("challenge").len(), 1, "the relay does get the daemon's proof");
        assert_eq!(firefox.received().len(), 1, "and the Firefox does not take it, so it proves nothing itself");
        handled(&owner).await;
        case.passed();
    }
    drop(owner);
    unharmed_after_pairing(&daemon, &secret).await;
}

#[actix_rt::test]
async fn a_relay_that_keeps_the_dialled_host_is_not_let_in() {
    for settings in ["", "server.allowed_hosts = ['127.0.0.1', 'localhost', '[::1]']"] {
        let daemon = Daemon::start(&format!("{REQUIRED}\n{settings}")).await;
        let (owner, secret) = paired(&daemon).await;
        let own = daemon.address;
        type Rewrite = Box<dyn Fn(String) -> String + Send + Sync>;
        let rows: [(&str, Rewrite); 4] = [
            ("as it is", Box::new(|head| head)),
            (
                "absolute target",
                Box::new(move |head| with_line(&head, "", &format!("GET http://{own}/ws/firefox HTTP/1.1"))),
            ),
            ("two hosts", Box::new(move |head| head.replacen("\r\n", &format!("\r\nhost: {own}\r\n"), 1))),
            ("forwarded", Box::new(move |head| head.replacen("\r\n", &format!("\r\nx-forwarded-host: {own}\r\n"), 1))),
        ];
        for (name, rewrite) in rows {
            let case = Case::new(name);
            let relay = Relay::start(&daemon, rewrite).await;
            let refused = Firefox::dial(&relay.ws_url(), profile(Some(&secret))).await.map(drop);
            assert!(
                matches!(refused, Err(ConnectError::Refused { status: 400 | 403 })),
                "{name} with {settings}: {refused:?}"
            );
            case.passed();
        }
        handled(&owner).await;
    }
}

/// Connects a raw peer with this `Host`, which is challenged as the paired Firefox.
async fn challenged(daemon: &Daemon, host: &str) -> (Peer, String) {
    let mut connection = Connection::open(daemon.address).await;
    let head = format!(
        "GET /ws/firefox HTTP/1.1\r\nhost: {host}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-key: {KEY}\r\nsec-websocket-version: 13\r\n\r\n"
    );
    connection.write(head.as_bytes()).await;
    assert_eq!(connection.head().await.status, 101, "{host}");
    let mut peer = Peer { connection };
    say(&mut peer, &json!({"type": "hello", "client_id": "ff", "nonce": "n"})).await;
    let nonce = peer.message("challenge").await["nonce"].as_str().unwrap().to_owned();
    (peer, nonce)
}

async fn say(peer: &mut Peer, message: &Value) {
    peer.connection.write(&text_frame(&message.to_string())).await;
}

#[actix_rt::test]
async fn a_proof_of_a_client_counts_at_the_address_of_its_handshake_alone() {
    let settings = "server.allowed_hosts = ['box.lan', 'other.lan:99', '127.0.0.1:9']";
    let daemon = Daemon::start(&format!("{REQUIRED}\n{settings}")).await;
    let (owner, secret) = paired(&daemon).await;
    drop(owner);
    let port = daemon.address.port();
    let own = daemon.address.to_string();
    let (localhost, six) = (format!("localhost:{port}"), format!("[::1]:{port}"));
    let rows: Vec<(String, &str, bool)> = vec![
        (own.clone(), &own, true),
        (format!("LOCALHOST:{port}"), &localhost, true),
        (six.clone(), &six, true),
        ("box.lan".into(), "box.lan", true),
        ("Box.Lan:80".into(), "box.lan", true),
        ("box.lan:8443".into(), "box.lan:8443", true),
        ("127.0.0.1:9".into(), "127.0.0.1:9", true),
        (own.clone(), "127.0.0.1:1", false),
        (own.clone(), "127.0.0.1", false),
        (own.clone(), &localhost, false),
        (localhost.clone(), &own, false),
        (six.clone(), &localhost, false),
        ("box.lan".into(), &own, false),
        ("box.lan:8443".into(), "box.lan", false),
        ("box.lan:80".into(), "box.lan:80", false),
        ("other.lan:99".into(), "other.lan", false),
        (own.clone(), "", false),
    ];
    for (host, address, is_taken) in rows {
        let case = Case::new(&host);
        let (mut peer, nonce) = challenged(&daemon, &host).await;
        let transcript = Transcript { client_nonce: "n".into(), server_nonce: nonce, address: address.to_owned() };
        say(&mut peer, &json!({"type": "auth", "proof": proof(&secret, ProofSide::Client, &transcript)})).await;
        if is_taken {
            peer.message("hello_ack").await;
        } else {
            assert_eq!(peer.close().await, (Some(4003), "unauthorized".into()), "{host} with {address:?}");
        }
        case.passed();
    }
    // The transcript of earlier versions, without the address.
    let (mut peer, nonce) = challenged(&daemon, &own).await;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("client\nn\n{nonce}").as_bytes());
    say(&mut peer, &json!({"type": "auth", "proof": hex(&mac.finalize().into_bytes())})).await;
    assert_eq!(peer.close().await.0, Some(4003));
    for odd in ["box.lan:x", "box.lan:80@127.0.0.1", "a@box.lan:80", "box.lan:80/x:9", "box.lan:\t80", "box.lan:99999"]
    {
        let mut connection = Connection::open(daemon.address).await;
        let head = format!(
            "GET /ws/firefox HTTP/1.1\r\nhost: {odd}\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-key: {KEY}\r\nsec-websocket-version: 13\r\n\r\n"
        );
        connection.write(head.as_bytes()).await;
        let status = connection.head().await.status;
        assert!(status == 400 || status == 403, "{odd}: {status}");
    }
}

#[actix_rt::test]
async fn a_client_that_rejects_the_daemons_proof_is_logged() {
    let daemon = Daemon::start(REQUIRED).await;
    let (owner, _) = paired(&daemon).await;
    let (peer, _) = challenged(&daemon, &daemon.address.to_string()).await;
    drop(peer);
    crate::support::until("the line", async || {
        let log = daemon.stderr();
        (log.contains("did not accept this daemon's proof") && log.contains("baa-conductor extension")).then_some(())
    })
    .await;
    handled(&owner).await;
}

/// Checks that the paired Firefox still works.
async fn unharmed_after_pairing(daemon: &Daemon, secret: &str) {
    let back = Firefox::dial(&daemon.ws_url(), profile(Some(secret))).await.unwrap();
    back.expect("hello_ack").await.unwrap();
    assert_eq!(daemon.caller().get("/readyz").await.status, 200);
    assert!(!daemon.stderr().contains("panicked"), "{}", daemon.stderr());
}
