//! Commands that take all they can get: memory, processes, files, processor time, the process beside them.

use crate::{
    exec::{ANY_USER, run, start},
    support::{
        Caller, Daemon, Folder, skipped,
        users::{Home, OWNER, has_other_users},
        within,
    },
};
use serde_json::{Value, json};
use std::{path::Path, process::Command};

const SANDBOXES: [&str; 3] = ["off", "landlock", "bubblewrap"];

/// Small limits, in each sandbox that exists.
fn bounds(sandbox: &str) -> String {
    format!(
        "host_ops.sandbox = {sandbox:?}\nhost_ops.max_memory_bytes = 134217728\nhost_ops.max_processes = 40\n\
         host_ops.max_file_bytes = 1000000\nhost_ops.max_cpu_ms = 60000"
    )
}

/// Returns whether this machine can confine commands like this; reports if not.
async fn is_to_be_had(caller: &Caller, sandbox: &str) -> bool {
    let there = caller.get("/describe/control").await.data()["host_operations"]["sandbox_available"] == true;
    if !there {
        skipped(&format!("this system has no {sandbox}"));
    }
    there
}

fn limit(answer: &Value) -> &str {
    assert_eq!(answer["ok"], false, "{answer}");
    answer["result"]["limit_exceeded"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

/// Checks how a command ends that has started others. In a sandbox they end with it; without one they are left behind.
fn last_word(sandbox: &str) -> &'static str {
    if sandbox == "off" { "exit 0" } else { "wait" }
}

async fn holds(daemon: &Daemon, caller: &Caller, sandbox: &str) {
    for (name, command, exceeded) in [
        // It stops by itself at a thousand, so that a missing limit harms nothing else.
        (
            "a fork bomb",
            json!("f() { [ $1 = 0 ] || { f $(($1 - 1)) | f $(($1 - 1)) & }; sleep 20; }; f 9"),
            "max_processes",
        ),
        ("sleepers", json!("for n in $(seq 100); do sleep 1000 & done; wait"), "max_processes"),
        (
            "threads",
            json!([
                "python3",
                "-c",
                "import threading,time\nthreading.stack_size(65536)\nwhile True:\n threading.Thread(target=time.sleep,args=(1000,)).start()"
            ]),
            "max_processes",
        ),
        (
            "one that sets its own sessions",
            json!("for n in $(seq 100); do setsid sleep 1000 & done; wait"),
            "max_processes",
        ),
        (
            "what is left behind",
            json!(format!("trap '' TERM; (for n in $(seq 100); do sleep 1000 & done; wait) & {}", last_word(sandbox))),
            "max_processes",
        ),
        (
            "memory of many",
            json!(
                "for n in 1 2 3 4; do python3 -c 'import time; x = bytearray(60 << 20); time.sleep(1000)' & done; wait"
            ),
            "max_memory_bytes",
        ),
        (
            "memory that is shared",
            json!([
                "python3",
                "-c",
                "import mmap,time\nm = mmap.mmap(-1, 200 << 20)\nfor n in range(0, 200 << 20, 4096): m[n] = 1\ntime.sleep(1000)"
            ]),
            "max_memory_bytes",
        ),
        ("a file", json!("cd $HOME; exec head -c 2000000 /dev/zero > big"), "max_file_bytes"),
        ("a file of a child", json!("cd $HOME; head -c 2000000 /dev/zero > big; exit $?"), "max_file_bytes"),
    ] {
        let body = json!({"command": command, "timeout_ms": 60_000});
        let answer = run(caller, body).await;
        assert_eq!(limit(&answer), exceeded, "{name}: {answer}");
    }
    // The kernel refuses some at once, without a check; a check finds what began before the kernel's limits were set.
    let answer = run(caller, json!({"command": ["python3", "-c", "bytearray(1 << 30)"]})).await;
    let (refused, found) = (&answer["result"]["exit_code"], &answer["result"]["limit_exceeded"]);
    assert_eq!(answer["ok"], false, "{answer}");
    assert!(*refused == 1 || (sandbox != "off" && *found == "max_memory_bytes"), "{answer}");
    let raised =
        run(caller, json!({"command": "ulimit -c; ulimit -f unlimited; ulimit -d unlimited; ulimit -Hc"})).await;
    assert!(raised["result"]["stdout"].as_str().unwrap().starts_with("0\n"), "{raised}");
    // A command within the limits runs.
    let answer =
        run(caller, json!({"command": "seq 100 | xargs -n 1 echo | wc -l; head -c 900000 /dev/zero | wc -c"})).await;
    assert_eq!((&answer["ok"], &answer["result"]["limit_exceeded"]), (&json!(true), &Value::Null), "{answer}");
    assert_eq!(caller.get("/readyz").await.status, 200);
    assert!(!daemon.stderr().contains("panicked"), "{}", daemon.stderr());
}

#[actix_rt::test]
async fn a_command_has_so_much_time_on_processors_and_no_more() {
    for sandbox in SANDBOXES {
        let (_daemon, caller) = start(&format!("host_ops.sandbox = {sandbox:?}\nhost_ops.max_cpu_ms = 300")).await;
        if !is_to_be_had(&caller, sandbox).await {
            continue;
        }
        for (name, command) in [
            ("at once", "while :; do :; done".to_owned()),
            ("by turns", "while :; do sh -c 'n=0; while [ $n -lt 1000 ]; do n=$((n + 1)); done'; done".to_owned()),
            ("of its own session", "setsid sh -c 'while :; do :; done' & wait".to_owned()),
            (
                "by many without a parent that waits",
                "f() { n=0; while [ $n -lt 1000 ]; do n=$((n + 1)); done; }; while :; do (f & f &); sleep 0.01; done"
                    .to_owned(),
            ),
            ("left behind", format!("trap '' TERM; (while :; do :; done) & {}", last_word(sandbox))),
        ] {
            let answer = run(&caller, json!({"command": command, "timeout_ms": 60_000})).await;
            assert_eq!(limit(&answer), "max_cpu_ms", "{sandbox}, {name}: {answer}");
        }
    }
}

#[actix_rt::test]
async fn a_command_takes_no_more_than_it_may() {
    for sandbox in SANDBOXES {
        let (daemon, caller) = start(&bounds(sandbox)).await;
        if is_to_be_had(&caller, sandbox).await {
            holds(&daemon, &caller, sandbox).await;
        }
    }
}

#[actix_rt::test]
async fn nor_does_an_ordinary_users() {
    if !has_other_users() {
        return;
    }
    for sandbox in SANDBOXES {
        let home = Home::new(OWNER);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let daemon = home.daemon_with(&bounds(sandbox), &[("PATH", Path::new(&path))]).await;
        let caller = daemon.caller().bearer(&daemon.token());
        if is_to_be_had(&caller, sandbox).await {
            holds(&daemon, &caller, sandbox).await;
        }
    }
}

#[actix_rt::test]
async fn a_command_has_its_three_streams_and_no_other_file() {
    for sandbox in SANDBOXES {
        // A shell that starts the daemon may have left descriptors open.
        let folder = Folder::new();
        let plain = folder.command(&format!("{ANY_USER}host_ops.sandbox = {sandbox:?}"));
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec 7</etc/passwd 9<\"$HOME\"; exec \"$0\" \"$@\""]);
        command.arg(plain.get_program()).args(plain.get_args()).env_clear().env("HOME", folder.path());
        let daemon = Daemon::spawn(folder, command).await;
        let caller = daemon.caller().bearer(&daemon.token());
        if !is_to_be_had(&caller, sandbox).await {
            continue;
        }
        // The listing itself opens one more.
        let command = json!([
            "python3",
            "-c",
            "import os\nfor n in range(3, 1024):\n try: os.fstat(n); print(n)\n except OSError: pass"
        ]);
        let answer = run(&caller, json!({"command": command})).await;
        assert_eq!((&answer["ok"], &answer["result"]["stdout"]), (&json!(true), &json!("")), "{sandbox}: {answer}");
    }
}

#[actix_rt::test]
async fn a_command_that_stops_its_supervisor_is_ended_at_once() {
    let (_daemon, caller) = start("").await;
    let body = json!({"command": "kill -STOP $PPID; while :; do :; done", "timeout_ms": 600_000});
    assert_eq!(run(&caller, body).await["error"]["code"], "io_error");
}

#[actix_rt::test]
async fn a_command_that_signals_what_it_can_in_its_cage_is_ended_at_its_time() {
    for sandbox in &SANDBOXES[1..] {
        let (_daemon, caller) = start(&format!("host_ops.sandbox = {sandbox:?}")).await;
        if !is_to_be_had(&caller, sandbox).await {
            continue;
        }
        for signal in ["STOP", "KILL", "TERM", "CONT"] {
            let command = format!("kill -{signal} $PPID; kill -{signal} 1; echo on; sleep 1000");
            let answer = run(&caller, json!({"command": command, "timeout_ms": 300})).await;
            let result = &answer["result"];
            assert_eq!(
                (&result["timed_out"], &result["stdout"]),
                (&json!(true), &json!("on\n")),
                "{sandbox}: {answer}"
            );
        }
        // Every process in it but the one that answers.
        let command = "kill -STOP -1; sleep 1000";
        let answer = run(&caller, json!({"command": command, "timeout_ms": 300})).await;
        assert_eq!(answer["result"]["timed_out"], true, "{sandbox}: {answer}");
    }
}

#[actix_rt::test]
async fn a_supervisor_cannot_be_looked_into() {
    if !has_other_users() {
        return;
    }
    let daemon = Home::new(OWNER).daemon("").await;
    let caller = daemon.caller().bearer(&daemon.token());
    let command = "sleep 0.2; ls /proc/$PPID/fd; cat /proc/$PPID/maps; cat /proc/$PPID/environ";
    let answer = within("an answer", caller.post("/v1/exec", &json!({"command": command}))).await.data();
    assert_eq!((&answer["ok"], &answer["result"]["stdout"]), (&json!(false), &json!("")), "{answer}");
}
