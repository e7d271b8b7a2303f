//! The clients: one that stays, some that connect and disconnect in every way, and one that sends no valid messages.

use crate::support::{Daemon, Dice, connect, raw_frame};
use baa_conductor::simulator::{Firefox, FirefoxProfile};
use serde_json::json;
use std::{cell::Cell, rc::Rc, time::Duration};
use tokio::task::{JoinHandle, spawn_local};

/// Client names; the last one stays.
pub(crate) const CLIENTS: [&str; 4] = ["c0", "c1", "c2", "rock"];

/// Starts all clients.
pub(crate) async fn come_and_go(daemon: &Daemon, dice: &mut Dice, over: &Rc<Cell<bool>>) -> Vec<JoinHandle<()>> {
    let url = daemon.ws_url();
    let mut tasks = Vec::new();
    for name in &CLIENTS[..3] {
        tasks.push(spawn_local(restless(url.clone(), name, Dice::new(dice.next()), Rc::clone(over))));
    }
    tasks.push(spawn_local(idle_client(url.clone(), Dice::new(dice.next()), Rc::clone(over))));
    // It reconnects from time to time, since its record of received messages grows.
    let mut rock = connect(daemon, FirefoxProfile::new(CLIENTS[3])).await;
    let over = Rc::clone(over);
    tasks.push(spawn_local(async move {
        while !over.get() {
            for _ in 0..30 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if over.get() {
                    break;
                }
                send_reports(&rock).await;
            }
            rock = Firefox::connect(&url, FirefoxProfile::new(CLIENTS[3])).await.unwrap();
        }
        let _ = rock.close(1000, "bye").await;
    }));
    tasks
}

/// Sends the reports of an extension in use.
async fn send_reports(firefox: &Firefox) {
    for message in [
        json!({"type": "credentials", "platform": "claude", "account": "a", "credential_fingerprint": "f", "freshness": "fresh"}),
        json!({"type": "api_endpoints", "platform": "claude", "account": "a", "endpoints": ["GET /api/organizations"]}),
        json!({"type": "client_log", "level": "info", "message": "still here"}),
    ] {
        let _ = firefox.send_json(&message).await; // the connection may be closed
    }
}

async fn restless(url: String, name: &'static str, mut dice: Dice, over: Rc<Cell<bool>>) {
    while !over.get() {
        let mut profile = FirefoxProfile::new(name);
        profile.behaviour.obeys_cancel = dice.percent(70);
        let firefox = Firefox::connect(&url, profile).await.unwrap();
        dice.pause(3_000).await;
        send_reports(&firefox).await;
        match dice.below(5) {
            0 => drop(firefox.drop_connection().await),
            1 => drop(firefox.close(1000, "bye").await),
            2 => drop(firefox.send_raw(b"\x81\x02{}").await),
            3 => drop(firefox.send_raw(&raw_frame(0x81, b"\xff")).await),
            _ => drop(firefox), // like a killed process
        }
        dice.pause(1_000).await;
    }
}

/// Connects and sends nothing, or random bytes.
async fn idle_client(url: String, mut dice: Dice, over: Rc<Cell<bool>>) {
    while !over.get() {
        let mut profile = FirefoxProfile::manual("idle");
        (profile.behaviour.hello, profile.behaviour.credentials) = (false, false);
        let firefox = Firefox::connect(&url, profile).await.unwrap();
        let bytes: Vec<u8> = (0..dice.below(300)).map(|_| dice.next().to_le_bytes()[0]).collect();
        let _ = firefox.send_raw(&bytes).await; // the connection may close meanwhile
        dice.pause(2_000).await;
    }
}
