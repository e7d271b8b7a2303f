//! The demo beside a configuration that lets a model run commands: a client of the demo gets none of it.

use crate::{
    instructions::{block, live::say},
    support::{Caller, Folder, handled, until, within},
};
use baa_conductor::simulator::{Firefox, FirefoxProfile};
use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Settings that run a client's instructions at once.
const RECKLESS: &str = r#"
host_ops.allow_root = true
instructions.live = true
instructions.sandbox = "off"
instructions.allow = [{ platform = "claude" }]
instructions.auto_approve = ["read", "exec", "file_read", "file_write"]
instructions.exec_allow = [["touch"]]
instructions.max_live_batches_per_minute = 1000
"#;

/// A running demo; ended when dropped.
struct Demo {
    child: Child,
    http: String,
    state: PathBuf,
}

impl Demo {
    /// Starts one with this configuration, with its temporary files in the folder.
    async fn start(folder: &Folder, settings: &str) -> Self {
        let config = folder.path().join("demo.toml");
        fs::write(&config, settings).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_baa-conductor"));
        command.arg("demo").arg("--config").arg(config).env_clear();
        command.env("HOME", folder.path()).env("TMPDIR", folder.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = tokio::task::spawn_blocking(move || {
            let first = lines.next().unwrap().unwrap();
            // Reads the rest, so that the demo is never blocked by its output.
            std::thread::spawn(move || lines.for_each(drop));
            first
        });
        let first = within("the demo's first line", first).await.unwrap();
        let mut words = first.split_whitespace();
        let http = words.nth(1).unwrap().to_owned();
        let state = words.last().unwrap().trim_end_matches(')').into();
        Demo { child, http, state }
    }

    fn caller(&self) -> Caller {
        let token = fs::read_to_string(self.state.join("token")).unwrap();
        Caller::new(self.http.strip_prefix("http://").unwrap().parse().unwrap()).bearer(token.trim())
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

fn touch(file: &Path) -> String {
    block(&format!("@conductor::exec::touch {}", file.display()))
}

#[actix_rt::test]
async fn the_demo_runs_nothing_of_what_the_users_own_daemon_would() {
    let folder = Folder::new();
    let demo = Demo::start(&folder, RECKLESS).await;
    let (caller, file) = (demo.caller(), folder.path().join("made-by-a-client"));
    let url = format!("{}/ws/firefox", demo.http.replace("http://", "ws://"));
    let firefox = Firefox::connect(&url, FirefoxProfile::manual("stranger")).await.unwrap();
    say(&firefox, "m", &touch(&file)).await;
    handled(&firefox).await;
    let stored = until("the stored message", async || {
        let list = caller.get("/v1/browser/messages").await.data();
        list["messages"].as_array().unwrap().iter().find(|one| one["assistant_message_id"] == "m").cloned()
    })
    .await;
    assert!(stored.get("batch_id").is_none(), "nothing was decided about it: {stored}");
    assert_eq!(caller.get("/v1/instructions").await.data()["count"], 0);
    let described = caller.get("/describe/control").await.data();
    assert_eq!(described["host_operations"]["instructions_sandbox"], "landlock", "{described}");
    assert!(!file.exists());
}

#[actix_rt::test]
async fn nothing_of_what_the_user_has_set_for_the_machine_is_the_demos() {
    let folder = Folder::new();
    let settings = format!("host_ops.roots = [{:?}]\nhost_ops.max_concurrent = 7\n", folder.path());
    let demo = Demo::start(&folder, &format!("{settings}codex.base_url = \"http://127.0.0.1:9\"")).await;
    let described = demo.caller().get("/describe/control").await.data();
    let host = &described["host_operations"];
    assert_eq!((&host["confined_to_roots"], &host["max_concurrent"]), (&false.into(), &4.into()), "{host}");
    assert_ne!(described["codex"]["enabled"], true, "{described}");
}
