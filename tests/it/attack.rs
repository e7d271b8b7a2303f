//! Attacks: from a web page, from another local program, as a client, as a caller.
//!
//! Every attempt is a row with a name, or a crowd. Afterwards the daemon must be unharmed: nothing happened that is not
//! allowed, nothing panicked, and others were served meanwhile.
//!
//! `BAA_SLOW=1` runs the crowds and the random frames at their full size.

mod bodies;
mod cage;
mod codes;
mod commands;
mod credentials;
mod crowds;
mod demo;
mod ended;
mod fairness;
mod guesses;
mod heads;
mod hosts;
mod kept;
mod lost_database;
mod models_word;
mod noise;
mod paths;
mod peers;
mod relayed_proofs;
mod roots;
mod scratch;
mod slow;
mod smuggling;
mod stolen_cookie;
mod successor;
mod terminal;
mod trusted_files;
mod tunnels;
mod unpaired;
mod wedged;

use crate::support::{Caller, Connection, Daemon, Firefox, ask, automatic};
use baa_conductor::simulator::FirefoxProfile;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Duration,
};
use tokio::{sync::oneshot, time::Instant};

/// Returns whether the slow suite runs.
fn at_full_size() -> bool {
    std::env::var_os("BAA_SLOW").is_some_and(|on| on == "1")
}

/// Settings with short timeouts, so that incomplete requests are not awaited for long.
const SHORT: &str = "server.head_timeout_ms = 2000\nserver.body_timeout_ms = 2000";

/// Sends bytes on a connection of its own; returns everything that comes back until the daemon closes it.
async fn raw(daemon: &Daemon, bytes: &[u8]) -> String {
    let mut connection = Connection::open(daemon.address).await;
    // The connection may be refused before all bytes were written.
    let _ = connection.try_write(bytes).await;
    String::from_utf8_lossy(&connection.rest().await).into_owned()
}

/// Returns the statuses of the responses in `text`.
fn statuses(text: &str) -> Vec<u16> {
    text.match_indices("HTTP/1.").filter_map(|(at, _)| text.get(at + 9..at + 12)?.parse().ok()).collect()
}

/// Checks that the daemon serves as before and that nothing panicked.
async fn unharmed(daemon: &Daemon) {
    let caller = daemon.caller();
    assert_eq!(caller.get("/readyz").await.status, 200);
    let firefox: Firefox = automatic(daemon, "afterwards").await;
    let request = serde_json::json!({"platform": "claude", "path": "/echo", "client_id": "afterwards"});
    assert_eq!(caller.request(&request).await.data()["response"]["path"], "/echo");
    firefox.close(1000, "").await.unwrap();
    assert!(!daemon.stderr().contains("panicked"), "{}", daemon.stderr());
}

/// A bystander that uses the daemon meanwhile and measures its response times, on a thread of its own, so that the
/// attack's own cost is not measured.
struct Bystander {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Bystander {
    async fn watching(daemon: &Daemon) -> Self {
        let (address, url) = (daemon.address, daemon.ws_url());
        let over = Arc::new(AtomicBool::new(false));
        let (tell, begun) = oneshot::channel();
        let is_over = Arc::clone(&over);
        let watch = async move || {
            let firefox = Firefox::connect(&url, FirefoxProfile::new("bystander")).await.unwrap();
            firefox.ready().await.unwrap();
            tell.send(()).unwrap();
            let caller = Caller::new(address);
            let mut connection = caller.open().await;
            let mut taken = Vec::new();
            while !is_over.load(Relaxed) {
                taken.push(once(&caller, &mut connection, taken.len()).await);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            firefox.close(1000, "").await.unwrap();
            taken
        };
        let thread = std::thread::spawn(|| actix_rt::System::new().block_on(watch()));
        crate::support::within("the bystander", begun).await.unwrap();
        Bystander { over, thread }
    }

    /// Prints how long its requests took; the acceptable time depends on the machine's load.
    async fn tell(self, what: &str) {
        self.over.store(true, Relaxed);
        let joined = tokio::task::spawn_blocking(|| self.thread.join());
        let mut taken = crate::support::within("the bystander's end", joined).await.unwrap().unwrap();
        taken.sort_unstable();
        let at = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize];
        eprintln!("{what}: {} requests of others, p50 {:?}, p99 {:?}", taken.len(), at(0.5), at(0.99));
    }
}

/// Relays one complete request.
async fn once(caller: &Caller, connection: &mut Connection, n: usize) -> Duration {
    let mut body = ask(&format!("bystander-{n}"), "/echo");
    body["client_id"] = "bystander".into();
    let began = Instant::now();
    connection.write(&caller.head("POST", "/v1/browser/request", Some(body.to_string().as_bytes()))).await;
    assert_eq!(connection.answer(false).await.data()["response"]["path"], "/echo");
    began.elapsed()
}
