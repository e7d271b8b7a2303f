//! Sandboxes: what a confined command reaches and what not, and that one which cannot be had refuses.

use crate::{
    exec::{ANY_USER, run, start},
    support::{
        Caller, Daemon, Folder,
        users::{Home, OWNER, has_other_users},
        within,
    },
};
use serde_json::{Value, json};
use std::{fs, net::UdpSocket};

/// A daemon whose commands run in this sandbox, with a root beside its state folder; `None` where the sandbox is not
/// available. `home` is that of the daemon's user; `None`: the user who runs the tests.
async fn confined(level: &str, home: Option<Home>) -> Option<(Daemon, Caller)> {
    let folder = home.map_or_else(|| Ok(Folder::new()), Err);
    let root = folder.as_ref().map_or_else(Home::path, Folder::path).join("root");
    fs::create_dir_all(&root).unwrap();
    let settings = format!("{ANY_USER}host_ops.sandbox = {level:?}\nhost_ops.roots = [{root:?}]");
    let daemon = match folder {
        Err(home) => {
            home.give(&root);
            let words = ["env", "BAA_NODE__ID=secret-of-the-daemon"].map(str::to_owned);
            home.daemon_through(&words, &settings).await
        }
        Ok(folder) => {
            let mut command = folder.command(&settings);
            command.env("BAA_NODE__ID", "secret-of-the-daemon");
            command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
            Daemon::spawn(folder, command).await
        }
    };
    let caller = daemon.caller().bearer(&daemon.token());
    let described = caller.get("/describe/control").await.data();
    let host = &described["host_operations"];
    assert_eq!(host["sandbox"], level);
    if host["sandbox_available"] == true {
        return Some((daemon, caller));
    }
    // What cannot be had refuses; it is not run in anything less.
    for (path, body) in [("/v1/exec", json!({"command": "true"})), ("/v1/files/read", json!({"path": root.join("x")}))]
    {
        assert_eq!(caller.post(path, &body).await.error(), (503, "sandbox_unavailable".into()));
    }
    crate::support::skipped(&format!("this system has no {level}"));
    None
}

async fn output(caller: &Caller, command: &str) -> String {
    let answer = run(caller, json!({"command": command, "timeout_ms": 5_000})).await;
    format!("{}{}", answer["result"]["stdout"].as_str().unwrap(), answer["result"]["stderr"].as_str().unwrap())
}

async fn succeeds(caller: &Caller, command: &str) {
    let answer = run(caller, json!({"command": command})).await;
    assert_eq!(answer["ok"], true, "{command}: {answer}");
}

async fn fails(caller: &Caller, command: &str) {
    let answer = run(caller, json!({"command": command, "timeout_ms": 5_000})).await;
    assert_ne!(answer["result"]["exit_code"], 0, "{command}: {answer}");
}

async fn holds(daemon: &Daemon, caller: &Caller) {
    let (state, folder) = (daemon.folder().state(), daemon.folder().path().to_owned());
    let (state, token, pid) = (state.display(), daemon.token(), daemon.pid());
    fs::write(folder.join("beside"), "beside-the-root").unwrap();

    // What it must not reach.
    for command in [
        format!("cat {state}/token {state}/conductor.db {state}/daemon.json"),
        format!("cat /proc/{pid}/environ; tr '\\0' ' ' < /proc/{pid}/environ; ls /proc/{pid}/fd/; cat /proc/{pid}/mem"),
        format!("cat {state}/../state/token; cd {state} && cat token"),
        format!("cat {}/beside", folder.display()),
        format!("ln {state}/token hard; cat hard; ln -s {state}/token soft; cat soft; cp {state}/token copy; cat copy"),
    ] {
        let shown = output(caller, &command).await;
        for secret in [&*token, "SQLite format", "secret-of-the-daemon", "beside-the-root", "\"pid\""] {
            assert!(!shown.contains(secret), "{command}: {shown}");
        }
    }
    for command in [
        format!("echo x > {state}/token"),
        format!("echo x > {state}/new"),
        format!("truncate -s 0 {state}/conductor.db"),
        format!("rm {state}/token"),
        "echo x > /etc/new-file".to_owned(),
        "echo x > /usr/new-file".to_owned(),
        "echo x > /tmp/../var/tmp/new-file".to_owned(),
        format!("kill -9 {pid}"),
        format!("exec 3<>/dev/tcp/127.0.0.1/{}", daemon.address.port()),
    ] {
        fails(caller, &command).await;
    }
    let listener = UdpSocket::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let (tcp, udp) = (daemon.address.port(), listener.local_addr().unwrap().port());
    for (kind, port) in [("SOCK_STREAM", tcp), ("SOCK_DGRAM", udp)] {
        let connect = format!(
            "import socket; s = socket.socket(socket.AF_INET, socket.{kind}); s.connect(('127.0.0.1', {port})); s.send(b'x')"
        );
        let answer = run(caller, json!({"command": ["python3", "-c", connect]})).await;
        assert!(kind == "SOCK_DGRAM" || answer["ok"] == false, "{answer}");
    }
    assert!(listener.recv(&mut [0; 8]).is_err(), "a datagram came out");
    // A sandbox may have such a place of its own; what is written there is nowhere else.
    run(caller, json!({"command": format!("echo x > {}/new", folder.display())})).await;
    assert!(!folder.join("new").exists() && !daemon.folder().state().join("new").exists());
    assert_eq!(daemon.token(), token);

    // What it has.
    succeeds(caller, "cat /etc/passwd > /dev/null && ls /usr/bin > /dev/null").await;
    succeeds(caller, "pwd | grep -q root$ && echo x > written && mkdir -p a/b && mv written a/b/ && cat a/b/written")
        .await;
    succeeds(caller, "test \"$(pwd)\" != \"$HOME\" && echo x > $HOME/x && echo y > $TMPDIR/y && touch ~/z").await;
    succeeds(caller, "test ! -e $HOME/x && test ! -e $TMPDIR/y").await;
    succeeds(caller, "sleep 1000 & kill $! && wait; sh -c 'exit 0' | cat").await;
    assert_eq!(run(caller, json!({"command": "exit 7"})).await["result"]["exit_code"], 7);
    let missing = run(caller, json!({"command": ["/no/such/program"]})).await;
    assert_eq!(missing["error"]["code"], "spawn_failed", "{missing}");
    let timed_out = run(caller, json!({"command": "setsid sleep 1000 & sleep 1000", "timeout_ms": 100})).await;
    assert_eq!(timed_out["result"]["timed_out"], true, "{timed_out}");

    // Files follow the same bounds.
    let read = |path: &str| json!({"path": path});
    for path in [format!("{state}/token"), format!("{}/beside", folder.display())] {
        assert_eq!(caller.post("/v1/files/read", &read(&path)).await.error(), (403, "outside_roots".into()), "{path}");
    }
    assert_eq!(caller.post("/v1/files/read", &read("/etc/passwd")).await.data()["ok"], true);
    let write = |path: &str| json!({"path": path, "content": "x"});
    assert_eq!(caller.post("/v1/files/write", &write("/etc/new")).await.error(), (403, "outside_roots".into()));
    assert_eq!(caller.post("/v1/files/write", &write("new")).await.data()["ok"], true);
}

#[actix_rt::test]
async fn landlock_holds() {
    if let Some((daemon, caller)) = confined("landlock", None).await {
        holds(&daemon, &caller).await;
    }
}

#[actix_rt::test]
async fn landlock_holds_an_ordinary_user() {
    if has_other_users()
        && let Some((daemon, caller)) = confined("landlock", Some(Home::new(OWNER))).await
    {
        holds(&daemon, &caller).await;
    }
}

#[actix_rt::test]
async fn bubblewrap_holds_an_ordinary_user() {
    if has_other_users()
        && let Some((daemon, caller)) = confined("bubblewrap", Some(Home::new(OWNER))).await
    {
        holds(&daemon, &caller).await;
    }
}

#[actix_rt::test]
async fn bubblewrap_holds() {
    if let Some((daemon, caller)) = confined("bubblewrap", None).await {
        holds(&daemon, &caller).await;
    }
}

#[actix_rt::test]
async fn a_root_that_holds_the_daemons_own_files_refuses() {
    let folder = Folder::new();
    let settings = format!("{ANY_USER}host_ops.sandbox = \"landlock\"\nhost_ops.roots = [{:?}]", folder.path());
    let daemon = Daemon::start_in(folder, &settings).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let answer = caller.post("/v1/exec", &json!({"command": "true"})).await;
    assert_eq!(answer.error(), (503, "sandbox_unavailable".into()));
    assert_eq!(caller.get("/describe/control").await.data()["host_operations"]["sandbox_available"], false);
}

#[actix_rt::test]
async fn a_root_that_is_gone_refuses() {
    let (_daemon, caller) = start("host_ops.sandbox = \"landlock\"\nhost_ops.roots = [\"/no/such/root\"]").await;
    let answer = within("an answer", caller.post("/v1/exec", &json!({"command": "true"}))).await;
    assert_eq!(answer.error(), (503, "sandbox_unavailable".into()));
}

#[actix_rt::test]
async fn the_description_shows_that_no_sandbox_is_configured() {
    let (_daemon, caller) = start("").await;
    let described: Value = caller.get("/describe/control").await.data()["host_operations"].clone();
    assert_eq!((&described["sandbox"], &described["sandbox_available"]), (&json!("off"), &json!(true)));
    assert_eq!(described["instructions_sandbox"], "landlock");
    assert_eq!(described["routes"].as_array().unwrap().len(), 3);
}
