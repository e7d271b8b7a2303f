//! At most once, whatever ends the daemon: it is killed at any moment of a batch, restarted, and given the same
//! message.

use super::{SETTINGS, batch, lines, message, submit};
use crate::support::{Daemon, Folder, until};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tokio::time::{Duration, sleep};

/// Instructions of the batch.
const BLOCKS: usize = 4;
/// Rounds, and those of the slow suite.
const ROUNDS: u64 = 20;
const ROUNDS_SLOW: u64 = 200;

fn text(folder: &Path) -> String {
    let block = |index| {
        let file = file(folder, index);
        // A pause in the middle, so that there is a moment to be killed in.
        super::block(&format!("@system::exec\necho x >> {0}; sleep 0.01; echo done >> {0}.end", file.display()))
    };
    (0..BLOCKS).map(block).collect()
}

fn file(folder: &Path, index: usize) -> PathBuf {
    folder.join(index.to_string())
}

/// Moments spread over the duration of a batch, the same in each run, so that a failure can be repeated.
fn moment(round: u64) -> Duration {
    Duration::from_micros(round.wrapping_mul(0x9E37_79B9_7F4A_7C15) % 160_000)
}

async fn round(number: u64) {
    let folder = Folder::new();
    let here = folder.path().to_owned();
    let daemon = Daemon::start_in(folder, SETTINGS).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let sent = caller.begin_at("/v1/instructions/messages", &message("m", &text(&here))).await;
    // The kill comes at an arbitrary moment, so no condition is awaited.
    sleep(moment(number)).await;
    let folder = daemon.kill().await;
    drop(sent);

    let daemon = Daemon::start_in(folder, SETTINGS).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let replay = submit(&caller, "m", &text(&here)).await.data();
    let batches = caller.get("/v1/instructions").await.data();
    let first = batches["batches"].as_array().unwrap().last().unwrap()["batch_id"].as_str().unwrap().to_owned();
    let ended = until("end of the batch", async || {
        let shown = batch(&caller, &first).await;
        (shown["status"] == "executed" || shown["status"] == "interrupted").then_some(shown)
    })
    .await;
    for index in 0..BLOCKS {
        let (began, status) = (lines(&file(&here, index)), &ended["runs"][index]["status"]);
        let told: Vec<&Value> =
            ended["executions"].as_array().unwrap().iter().filter(|one| one["block_index"] == index).collect();
        let what = format!("round {number}, block {index}: {began} lines, {ended}, replayed: {replay}");
        match status.as_str().unwrap() {
            "succeeded" => assert_eq!((began, told.len(), &told[0]["ok"]), (1, 1, &true.into()), "{what}"),
            "interrupted" => {
                assert_eq!((began <= 1, told.len(), &told[0]["error"]), (true, 1, &"interrupted".into()), "{what}")
            }
            "cancelled" => assert_eq!((began, told.len()), (0, 0), "{what}"),
            _ => panic!("{what}"),
        }
    }
    let again = submit(&caller, "m", &text(&here)).await.data();
    assert_eq!(again["status"], "duplicate_only", "round {number}");
    for index in 0..BLOCKS {
        assert!(lines(&file(&here, index)) <= 1, "round {number}, block {index}");
    }
}

#[actix_rt::test]
async fn no_instruction_begins_twice_whenever_the_daemon_is_killed() {
    let rounds = if std::env::var_os("BAA_SLOW").is_some() { ROUNDS_SLOW } else { ROUNDS };
    for number in 0..rounds {
        round(number).await;
    }
}

#[actix_rt::test]
async fn a_stop_lets_the_instruction_finish_and_begins_no_other() {
    let mut daemon = Daemon::start(SETTINGS).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let here = daemon.folder().path().to_owned();
    let (began, go) = (here.join("began"), here.join("go"));
    let waits =
        format!("@system::exec\ntouch {}\nwhile [ ! -e {} ]; do sleep 0.01; done", began.display(), go.display());
    let text = format!("{}{}", super::block(&waits), super::leaves_a_line(&here.join("second")));
    let mut sent = caller.begin_at("/v1/instructions/messages", &message("m", &text)).await;
    until("begin of the first", async || began.exists().then_some(())).await;
    daemon.signal(rustix::process::Signal::TERM);
    until("the stop", async || daemon.stderr().contains("stopping").then_some(())).await;
    std::fs::write(&go, "").unwrap();
    let answer = sent.answer(false).await.data();
    assert_eq!(answer["status"], "interrupted");
    assert_eq!((answer["executions"].as_array().unwrap().len(), &answer["executions"][0]["ok"]), (1, &true.into()));
    assert_eq!(daemon.exit_code().await, Some(0));
    assert!(!here.join("second").exists());
}
