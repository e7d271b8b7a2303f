//! `/v1/exec`: what a command gets and answers, and that nothing of it outlives its call, however that ends.

use crate::support::{Answer, Caller, Daemon, Folder, fault, until, within};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    fs,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// The tests may run as root.
pub(crate) const ANY_USER: &str = "host_ops.allow_root = true\n";

pub(crate) async fn start(settings: &str) -> (Daemon, Caller) {
    let daemon = Daemon::start(&format!("{ANY_USER}{settings}")).await;
    let caller = daemon.caller().bearer(&daemon.token());
    (daemon, caller)
}

pub(crate) async fn run(caller: &Caller, body: Value) -> Value {
    within("command", caller.post("/v1/exec", &body)).await.data()
}

/// A unique number of seconds to sleep, which identifies one command.
fn nap() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{}.{:03}", 100_000 + std::process::id(), NUMBER.fetch_add(1, Relaxed))
}

/// The processes whose command line holds the mark.
fn marked(mark: &str) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let holds = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.windows(mark.len()).any(|part| part == mark.as_bytes()))
    };
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(holds).filter_map(Pid::from_raw).collect()
}

async fn started(mark: &str) {
    until("the command", async || (!marked(mark).is_empty()).then_some(())).await;
}

async fn gone(mark: &str) {
    until("the end of the command", async || marked(mark).is_empty().then_some(())).await;
}

fn problem(answer: &Value) -> &str {
    assert_eq!(answer["ok"], false, "{answer}");
    assert!(answer.get("result").is_none(), "{answer}");
    answer["error"]["code"].as_str().unwrap()
}

#[actix_rt::test]
async fn a_command_is_answered_with_all_that_became_of_it() {
    let (_daemon, caller) = start("").await;
    let answer = run(&caller, json!({"command": "printf out; printf err >&2; exit 3", "env": {"A": "1"}})).await;
    let result = &answer["result"];
    assert_eq!((&answer["operation"], &answer["ok"]), (&json!("exec"), &json!(false)));
    assert_eq!(answer["input"]["env"]["A"], "1");
    assert_eq!(answer["input"]["timeout_ms"], 30_000);
    for (field, value) in [
        ("stdout", json!("out")),
        ("stderr", json!("err")),
        ("exit_code", json!(3)),
        ("signal", Value::Null),
        ("timed_out", json!(false)),
        ("cancelled", json!(false)),
        ("stdout_truncated", json!(false)),
        ("stderr_bytes", json!(3)),
    ] {
        assert_eq!(result[field], value, "{field}");
    }
    assert!(result["started_at"].as_i64() <= result["finished_at"].as_i64());
    let killed = run(&caller, json!({"command": "kill -TERM $$"})).await;
    assert_eq!((&killed["result"]["signal"], &killed["result"]["exit_code"]), (&json!("SIGTERM"), &Value::Null));
}

#[actix_rt::test]
async fn input_reaches_the_command_and_ends_and_without_any_there_is_none() {
    let (_daemon, caller) = start("").await;
    let long = "ü".repeat(300_000);
    let answer = run(&caller, json!({"command": ["wc", "-c"], "stdin": long})).await;
    assert_eq!(answer["result"]["stdout"].as_str().unwrap().trim(), "600000");
    assert!(answer["input"].get("stdin").is_none());
    assert_eq!(answer["input"]["stdin_bytes"], 600_000);
    assert_eq!(run(&caller, json!({"command": "cat"})).await["result"]["stdout"], "");
    // One that reads nothing of it is no failure.
    assert_eq!(run(&caller, json!({"command": "true", "stdin": long})).await["ok"], true);
}

#[actix_rt::test]
async fn what_cannot_be_started_says_why() {
    let (daemon, caller) = start("").await;
    let file = daemon.folder().state().join("token");
    for (body, code) in [
        (json!({"command": ["/no/such/program"]}), "spawn_failed"),
        (json!({"command": ["no-such-program"]}), "spawn_failed"),
        (json!({"command": "true", "cwd": "/no/such/folder"}), "cwd_not_found"),
        (json!({"command": "true", "cwd": file}), "cwd_not_found"),
        (json!({"command": [file]}), "permission_denied"),
    ] {
        assert_eq!(problem(&run(&caller, body.clone()).await), code, "{body}");
    }
}

#[actix_rt::test]
async fn a_double_fork_into_a_session_of_its_own_is_dead_after_the_timeout() {
    let (_daemon, caller) = start("").await;
    let nap = nap();
    // The one that stays ignores SIGTERM and has neither parent nor group in common with the command.
    let command = format!("(setsid sh -c 'trap \"\" TERM HUP; sh -c \"sleep {nap}; :\" & wait' &) ; sleep {nap}");
    let body = json!({"command": command, "timeout_ms": 300});
    let answer = run(&caller, body).await;
    assert_eq!((&answer["result"]["timed_out"], &answer["ok"]), (&json!(true), &json!(false)));
    assert!(marked(&nap).is_empty(), "{:?}", marked(&nap));
}

#[actix_rt::test]
async fn what_a_command_leaves_in_the_background_ends_with_it() {
    let (_daemon, caller) = start("").await;
    let nap = nap();
    let answer = run(&caller, json!({"command": format!("setsid sleep {nap} & sleep {nap} & echo started")})).await;
    assert_eq!((&answer["result"]["stdout"], &answer["result"]["exit_code"]), (&json!("started\n"), &json!(0)));
    assert_eq!(answer["ok"], true);
    assert!(marked(&nap).is_empty());
}

#[actix_rt::test]
async fn a_command_ends_when_its_caller_leaves() {
    let (_daemon, caller) = start("").await;
    let nap = nap();
    let connection = caller.begin_at("/v1/exec", &json!({"command": format!("setsid sleep {nap}; :")})).await;
    started(&nap).await;
    drop(connection);
    gone(&nap).await;
}

#[actix_rt::test]
async fn a_command_ends_when_the_daemon_is_killed() {
    let (daemon, caller) = start("").await;
    let nap = nap();
    let _connection = caller.begin_at("/v1/exec", &json!({"command": format!("setsid sleep {nap}; :")})).await;
    started(&nap).await;
    daemon.kill().await;
    gone(&nap).await;
}

#[actix_rt::test]
async fn a_command_that_kills_its_supervisor_ends_with_it() {
    let (_daemon, caller) = start("").await;
    let (nap, others) = (nap(), nap());
    let other = caller.begin_at("/v1/exec", &json!({"command": format!("setsid sleep {others}; :")})).await;
    started(&others).await;
    let answer = run(&caller, json!({"command": format!("setsid sleep {nap} & kill -9 $PPID; sleep {nap}")})).await;
    assert_eq!(problem(&answer), "io_error");
    assert!(marked(&nap).is_empty(), "{:?}", marked(&nap));
    assert!(!marked(&others).is_empty(), "another command is left alone");
    drop(other);
    gone(&others).await;
}

#[actix_rt::test]
async fn yes_for_a_second_costs_the_daemon_at_most_the_cap() {
    let (daemon, caller) = start("").await;
    run(&caller, json!({"command": "true"})).await;
    let before = daemon.resident_bytes();
    let answer = run(&caller, json!({"command": "yes", "timeout_ms": 1_000, "max_output_bytes": 65_536})).await;
    let result = &answer["result"];
    assert_eq!(result["stdout"].as_str().unwrap().len(), 65_536);
    assert_eq!((&result["stdout_truncated"], &result["timed_out"]), (&json!(true), &json!(true)));
    let all = result["stdout_bytes"].as_u64().unwrap();
    let cost = daemon.resident_bytes().saturating_sub(before);
    assert!(all > 16 << 20 && cost < 4 << 20, "{all} bytes came, {cost} were kept");
}

#[actix_rt::test]
async fn nothing_of_the_output_may_be_kept() {
    let (_daemon, caller) = start("").await;
    let answer = run(&caller, json!({"command": "echo x; echo yy >&2", "maxBufferBytes": 0})).await;
    let result = &answer["result"];
    assert_eq!((&result["stdout"], &result["stderr_bytes"]), (&json!(""), &json!(3)));
    assert_eq!((&result["stdout_truncated"], &result["stderr_truncated"]), (&json!(true), &json!(true)));
}

#[actix_rt::test]
async fn a_command_sees_neither_the_daemons_variables_nor_its_files() {
    let folder = Folder::new();
    let mut command = folder.command(&format!("{ANY_USER}host_ops.env_allow = [\"ALLOWED\"]"));
    for (name, value) in
        [("BAA_SHARED_TOKEN", "hush-hush-hush-hush"), ("SECRET", "hush"), ("ALLOWED", "yes"), ("TZ", "UTC")]
    {
        command.env(name, value);
    }
    let daemon = Daemon::spawn(folder, command).await;
    let caller = daemon.caller().bearer("hush-hush-hush-hush");
    let answer =
        run(&caller, json!({"command": "env; cat /proc/$PPID/environ; ls -l /proc/$PPID/fd", "env": {"MINE": "1"}}))
            .await;
    let shown = answer["result"]["stdout"].as_str().unwrap();
    assert!(shown.contains("ALLOWED=yes") && shown.contains("MINE=1") && shown.contains("TZ=UTC"), "{shown}");
    assert!(!shown.contains("hush") && !shown.contains("SECRET") && !shown.contains("BAA_"), "{shown}");
    assert!(!shown.contains("conductor.db"), "{shown}");
}

#[actix_rt::test]
async fn no_more_than_so_many_run_at_once() {
    let (_daemon, caller) = start("host_ops.max_concurrent = 1").await;
    let nap = nap();
    let first = caller.begin_at("/v1/exec", &json!({"command": format!("sleep {nap}")})).await;
    started(&nap).await;
    let refused = run(&caller, json!({"command": "true", "timeout_ms": 50})).await;
    assert_eq!(problem(&refused), "busy");
    let mut waits = caller.begin_at("/v1/exec", &json!({"command": "echo turn"})).await;
    drop(first);
    assert_eq!(within("its turn", waits.answer(false)).await.data()["result"]["stdout"], "turn\n");
}

#[actix_rt::test]
async fn a_stop_lets_commands_finish_and_ends_those_that_do_not() {
    let (mut daemon, caller) = start("server.shutdown_timeout_ms = 300").await;
    let nap = nap();
    let mut endless =
        caller.begin_at("/v1/exec", &json!({"command": format!("trap '' TERM; sleep {nap}; sleep {nap}")})).await;
    started(&nap).await;
    daemon.signal(Signal::TERM);
    let answer = within("its end", endless.answer(false)).await.data();
    assert_eq!((&answer["result"]["cancelled"], &answer["ok"]), (&json!(true), &json!(false)));
    assert_eq!(within("exit", daemon.exit_code()).await, Some(0));
    assert!(marked(&nap).is_empty());

    let (mut daemon, caller) = start("server.shutdown_timeout_ms = 60000").await;
    let mut short = caller.begin_at("/v1/exec", &json!({"command": format!("sleep {nap}; echo done")})).await;
    // The sleep alone: the shell around it goes on.
    let is_sleep = |pid: &Pid| {
        fs::read_to_string(format!("/proc/{}/comm", pid.as_raw_pid())).is_ok_and(|name| name.trim() == "sleep")
    };
    let sleeps = until("the sleep", async || marked(&nap).into_iter().find(is_sleep)).await;
    daemon.signal(Signal::TERM);
    kill_process(sleeps, Signal::KILL).unwrap();
    assert_eq!(within("its end", short.answer(false)).await.data()["result"]["stdout"], "done\n");
    assert_eq!(within("exit", daemon.exit_code()).await, Some(0));
}

#[actix_rt::test]
async fn host_operations_need_the_token_valid_fields_and_to_be_enabled() {
    let (daemon, caller) = start("").await;
    let body = json!({"command": "true", "path": "/etc/hostname", "content": ""});
    for path in ["/v1/exec", "/v1/files/read", "/v1/files/write"] {
        assert_eq!(daemon.caller().post(path, &body).await.error(), (401, "unauthorized".into()), "{path}");
    }
    for (body, field) in [(json!({}), "command"), (json!({"command": "x", "timeout_ms": 600_001}), "timeout_ms")] {
        let answer: Answer = caller.post("/v1/exec", &body).await;
        assert_eq!((answer.error().0, fault(&answer)), (400, field.to_owned()));
    }
    let off = Daemon::start("host_ops.enabled = false").await;
    let off_caller = off.caller().bearer(&off.token());
    for path in ["/v1/exec", "/v1/files/read", "/v1/files/write"] {
        assert_eq!(off_caller.post(path, &body).await.error(), (404, "not_found".into()), "{path}");
    }
    let control = off_caller.get("/describe/control").await.data();
    assert_eq!(
        (&control["host_operations"]["enabled"], &control["host_operations"]["routes"]),
        (&json!(false), &json!([]))
    );
}

#[actix_rt::test]
async fn as_root_commands_run_only_when_that_is_allowed() {
    let daemon = Daemon::start("").await;
    let answer = daemon.caller().bearer(&daemon.token()).post("/v1/exec", &json!({"command": "true"})).await;
    if rustix::process::geteuid().is_root() {
        assert_eq!(answer.error(), (403, "root_refused".into()));
    } else {
        assert_eq!(answer.data()["ok"], true);
    }
}
