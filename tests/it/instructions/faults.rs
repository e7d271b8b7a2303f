//! A database that cannot be written in the middle of a batch: the caller gets an error, requests are relayed, and the
//! batch continues by itself when writing works again.

use super::{SETTINGS, block, leaves_a_line, lines, message, submit};
use crate::faults::{fragile, limit};
use crate::support::{Daemon, Folder, ask, automatic, until};
use baa_conductor::store::{Store, StoreSettings};
use diesel::connection::SimpleConnection;
use rustix::process::Resource;
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use tokio::sync::oneshot;

/// Locks the database until the sender is dropped, as another process would.
async fn held(database: &Path) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let (release, released) = oneshot::channel::<()>();
    let (locked, is_locked) = oneshot::channel();
    let store = Store::open(database, &StoreSettings::default()).unwrap();
    let holding = actix_rt::spawn(async move {
        let hold = store.run(move |conn| {
            conn.batch_execute("BEGIN IMMEDIATE").unwrap();
            locked.send(()).unwrap();
            // Ends when the sender is dropped.
            let _ = released.blocking_recv();
            Ok(conn.batch_execute("COMMIT")?)
        });
        hold.await.unwrap();
        store.close().await.unwrap_or_default();
    });
    is_locked.await.unwrap();
    (release, holding)
}

/// What keeps the database from being written.
enum Fault {
    /// Another process holds its lock.
    Held(oneshot::Sender<()>, tokio::task::JoinHandle<()>),
    /// Its file may not grow.
    Full,
    /// Its files may not be written any more, as on a file system that the kernel has remounted read-only.
    ReadOnly(Frozen),
}

/// Files that cannot be written, not even through existing descriptors.
struct Frozen(Vec<PathBuf>);

impl Frozen {
    /// Freezes files; `None` if this user or file system cannot.
    fn of(files: Vec<PathBuf>) -> Option<Self> {
        // Created first, so that dropping it thaws those that were frozen before one failed.
        let frozen = Frozen(files);
        chattr("+i", &frozen.0).then_some(frozen)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        chattr("-i", &self.0); // they cannot be removed otherwise
    }
}

fn chattr(change: &str, files: &[PathBuf]) -> bool {
    Command::new("chattr").arg(change).args(files).output().is_ok_and(|done| done.status.success())
}

impl Fault {
    async fn held(daemon: &Daemon) -> Self {
        let (release, holding) = held(&daemon.folder().state().join("conductor.db")).await;
        Fault::Held(release, holding)
    }

    fn full(daemon: &Daemon) -> Self {
        limit(daemon, Resource::Fsize, Some(1));
        Fault::Full
    }

    fn read_only(daemon: &Daemon) -> Option<Self> {
        let file = |name| daemon.folder().state().join(name);
        Frozen::of(["conductor.db", "conductor.db-wal"].map(file).into()).map(Fault::ReadOnly)
    }

    async fn lift(self, daemon: &Daemon) {
        match self {
            Fault::Held(release, holding) => {
                drop(release);
                holding.await.unwrap();
            }
            Fault::Full => limit(daemon, Resource::Fsize, None),
            Fault::ReadOnly(frozen) => drop(frozen),
        }
    }
}

#[actix_rt::test]
async fn a_batch_waits_while_another_process_holds_the_store() {
    a_batch_waits(async |daemon| Fault::held(daemon).await).await;
}

#[actix_rt::test]
async fn a_batch_waits_while_the_disk_is_full() {
    a_batch_waits(async |daemon| Fault::full(daemon)).await;
}

#[actix_rt::test]
async fn a_batch_waits_while_the_database_is_read_only() {
    let probe = Folder::new();
    let file = probe.path().join("probe");
    std::fs::write(&file, "").unwrap();
    if Frozen::of(vec![file]).is_none() {
        crate::support::skipped("this user may not freeze files here");
        return;
    }
    a_batch_waits(async |daemon| Fault::read_only(daemon).unwrap()).await;
}

async fn a_batch_waits(fault: impl AsyncFnOnce(&Daemon) -> Fault) {
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
    let fault = fault(&daemon).await;
    std::fs::write(&go, "").unwrap();

    let stalled = sent.answer(false).await;
    assert_eq!(stalled.error(), (503, "store_unavailable".into()));
    let batch_id = stalled.json()["details"]["batch_id"].as_str().unwrap().to_owned();
    assert_eq!(submit(&caller, "n", &text).await.error(), (503, "store_unavailable".into()), "nothing is taken on");
    assert_eq!(caller.post("/v1/exec", &json!({"command": "true"})).await.error().0, 503, "or done unseen");
    assert_eq!(caller.request(&ask("r", "/api/organizations")).await.status, 200, "relays go on");
    until("the probe", async || (caller.get("/readyz").await.status == 503).then_some(())).await;
    assert_eq!((lines(&began), second.exists()), (1, false));

    fault.lift(&daemon).await;
    let shown = until("end of the batch", async || {
        let shown = super::batch(&caller, &batch_id).await;
        (shown["status"] == "executed").then_some(shown)
    })
    .await;
    assert_eq!(shown["executions"].as_array().unwrap().len(), 2);
    assert_eq!((lines(&began), lines(&second)), (1, 1));
    until("the probe", async || (caller.get("/readyz").await.status == 200).then_some(())).await;
}

#[actix_rt::test]
async fn after_a_store_was_lost_nothing_runs_until_a_person_says_so() {
    let mut daemon = Daemon::start(SETTINGS).await;
    assert_eq!(daemon.stop().await, Some(0));
    let folder = daemon.into_folder();
    std::fs::write(folder.state().join("conductor.db"), b"garbage".repeat(5_000)).unwrap();
    let mut command = folder.command(SETTINGS);
    command.arg("--new-store");
    let daemon = Daemon::spawn(folder, command).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let file = daemon.folder().path().join("lost");
    let refused = submit(&caller, "m", &leaves_a_line(&file)).await;
    assert_eq!(refused.error(), (503, "store_unavailable".into()));
    assert!(refused.json()["message"].as_str().unwrap().contains("instructions enable"), "{refused:?}");
    let planned = super::submit_with(&caller, "m", &leaves_a_line(&file), "dry_run", true).await;
    assert_eq!(planned.data()["status"], "planned", "a plan runs nothing");

    let enable = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
        command.args(["instructions", "enable", "--state-dir"]).arg(daemon.folder().state());
        let output = command.env_clear().env("HOME", daemon.folder().path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(enable(), (Some(0), "instructions are enabled again\n".into()));
    assert_eq!(submit(&caller, "m", &leaves_a_line(&file)).await.data()["status"], "executed");
    assert_eq!((lines(&file), enable()), (1, (Some(0), "instructions were already enabled\n".into())));
}

#[actix_rt::test]
async fn a_panic_interrupts_its_batch_and_the_waiting_caller_is_notified() {
    let (daemon, faults) = fragile(SETTINGS).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let file = daemon.folder().path().join("after");
    faults.panic("instruction");
    let told = submit(&caller, "m", &[leaves_a_line(&file), leaves_a_line(&file)].concat()).await.data();
    assert_eq!((&told["status"], lines(&file)), (&json!("interrupted"), 0));
    let shown = super::batch(&caller, &super::id_of(&told)).await;
    let task_id = shown["task_id"].as_str().unwrap();
    assert_eq!(caller.get(&format!("/v1/tasks/{task_id}")).await.data()["status"], "interrupted");
    let runs = caller.get(&format!("/v1/runs?task_id={task_id}")).await.data();
    let statuses: Vec<_> = runs["runs"].as_array().unwrap().iter().map(|run| run["status"].clone()).collect();
    assert_eq!(statuses, ["cancelled", "interrupted"], "the newest first");
    assert_eq!(submit(&caller, "n", &leaves_a_line(&file)).await.data()["status"], "executed");
    assert_eq!(lines(&file), 1);
}

#[actix_rt::test]
async fn a_panic_of_the_center_loses_no_batch() {
    let (daemon, faults) = fragile(SETTINGS).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let file = daemon.folder().path().join("kept");
    faults.panic("center");
    let told = submit(&caller, "m", &leaves_a_line(&file)).await;
    assert!(!faults.is_set("center"), "it was come by");
    let batch_id = told.json()["data"]["batch_id"].as_str().map(str::to_owned).unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!(submit(&caller, "n", &leaves_a_line(&file)).await.data()["status"], "executed");
    assert_eq!((super::batch(&caller, &batch_id).await["status"].clone(), lines(&file)), (json!("executed"), 2));
}

#[actix_rt::test]
async fn a_batch_with_inconsistent_rows_does_not_block_others() {
    let daemon = Daemon::start(SETTINGS).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let here = daemon.folder().path().to_owned();
    let (began, file) = (here.join("began"), here.join("made"));
    let waits = block(&format!("@system::exec\necho x >> {}\nsleep 60", began.display()));
    let _first = caller.begin_at("/v1/instructions/messages", &message("a", &waits)).await;
    until("begin of the first", async || began.exists().then_some(())).await;
    let _second = caller.begin_at("/v1/instructions/messages", &message("b", &leaves_a_line(&file))).await;
    let queued = until("the second in line", async || {
        let listed = caller.get("/v1/instructions?status=queued").await.data();
        listed["batches"][0]["batch_id"].as_str().map(str::to_owned)
    })
    .await;
    let folder = daemon.kill().await;
    let store = Store::open(&folder.state().join("conductor.db"), &StoreSettings::default()).unwrap();
    let spoil = |conn: &mut _| {
        Ok(SimpleConnection::batch_execute(conn, "UPDATE tasks SET status = 'expired' WHERE status = 'queued'")?)
    };
    store.run(spoil).await.unwrap();
    store.close().await.unwrap();

    let daemon = Daemon::start_in(folder, SETTINGS).await;
    let caller = daemon.caller().bearer(&daemon.token());
    assert_eq!(submit(&caller, "c", &leaves_a_line(&file)).await.data()["status"], "executed");
    assert_eq!((super::batch(&caller, &queued).await["status"].clone(), lines(&file)), (json!("interrupted"), 1));
}
