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

/// A daemon whose commands run in this sandbox, with a root beside its state folder; nothing where that is not to be had.
/// `home`: of the user whose daemon it is; none = whoever runs the tests.
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
