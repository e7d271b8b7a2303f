//! The database cannot be written in the middle of a batch: the caller is told, relays go on, and the batch goes on by
//! itself when it can be written again.

use super::{SETTINGS, block, leaves_a_line, lines, message, submit};
use crate::support::{Daemon, ask, automatic, until};
use baa_conductor::store::{Store, StoreSettings};
use diesel::connection::SimpleConnection;
use std::path::Path;
use tokio::sync::oneshot;

/// Holds the database until the sender is dropped, as another process would.
async fn held(database: &Path) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let (release, released) = oneshot::channel::<()>();
    let (locked, is_locked) = oneshot::channel();
    let store = Store::open(database, &StoreSettings::default()).unwrap();
    let holding = actix_rt::spawn(async move {
        let hold = store.run(move |conn| {
            conn.batch_execute("BEGIN IMMEDIATE").unwrap();
            locked.send(()).unwrap();
            // Ends when the test lets go.
            let _ = released.blocking_recv();
            Ok(conn.batch_execute("COMMIT")?)
        });
        hold.await.unwrap();
        store.close().await.unwrap_or_default();
    });
    is_locked.await.unwrap();
    (release, holding)
}

#[actix_rt::test]
async fn a_batch_waits_for_a_store_that_cannot_be_written_and_runs_each_instruction_once() {
    let settings = format!("{SETTINGS}store.busy_timeout_ms = 20\nstore.retry_ms = 20");
    let daemon = Daemon::start(&settings).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let _firefox = automatic(&daemon, "ff").await;
    let here = daemon.folder().path().to_owned();
    let (began, go, second) = (here.join("began"), here.join("go"), here.join("second"));
    let waits =
        format!("@system::exec\necho x >> {}\nwhile [ ! -e {} ]; do sleep 0.01; done", began.display(), go.display());
    let text = format!("{}{}", block(&waits), leaves_a_line(&second));
    let mut sent = caller.begin_at("/v1/instructions/messages", &message("m", &text)).await;
    until("begin of the first", async || began.exists().then_some(())).await;
    let (release, holding) = held(&daemon.folder().state().join("conductor.db")).await;
    std::fs::write(&go, "").unwrap();

    let stalled = sent.answer(false).await;
    assert_eq!(stalled.error(), (503, "store_unavailable".into()));
    let batch_id = stalled.json()["details"]["batch_id"].as_str().unwrap().to_owned();
    assert_eq!(submit(&caller, "n", &text).await.error(), (503, "store_unavailable".into()), "nothing is taken on");
    assert_eq!(caller.post("/v1/exec", &serde_json::json!({"command": "true"})).await.error().0, 503, "or done unseen");
    assert_eq!(caller.request(&ask("r", "/api/organizations")).await.status, 200, "relays go on");
    until("the probe", async || (caller.get("/readyz").await.status == 503).then_some(())).await;
    assert_eq!((lines(&began), second.exists()), (1, false));

    drop(release);
    holding.await.unwrap();
    let shown = until("end of the batch", async || {
        let shown = super::batch(&caller, &batch_id).await;
        (shown["status"] == "executed").then_some(shown)
    })
    .await;
    assert_eq!(shown["executions"].as_array().unwrap().len(), 2);
    assert_eq!((lines(&began), lines(&second)), (1, 1));
    until("the probe", async || (caller.get("/readyz").await.status == 200).then_some(())).await;
}
