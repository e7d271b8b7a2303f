//! `baa-conductor demo`: the whole path in one command. Starts a daemon on a new folder and a free port and a simulated
//! Firefox with a simulated web app, and streams one request from an HTTP caller through both.

use super::{
    CommandContext,
    client::DaemonClient,
    journal::JournalEntry,
    serve::{ShutdownSignals, start},
    terminal, text,
};
use crate::{
    api::policy::Admission,
    app::DamagedDatabase,
    bridge::settings::PairingMode,
    config::{Config, ValueOrigin, ValueOrigins},
    ids::RequestId,
    policy::settings::Jitter,
    simulator::{Firefox, FirefoxProfile, WebApp},
    telemetry::settings::LogSettings,
};
use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// The pause of the simulated web app between two words.
const WORD_INTERVAL: Duration = Duration::from_millis(40);
const CLIENT: &str = "demo-firefox";
const PATH: &str = "/api/organizations/org-1/chat_conversations/conv-1/completion";
const PROMPT: &str = "What does baa-conductor do?";
const ANSWER: &str = "It is the long-running local service between the web apps that you are logged in to in your \
                      Firefox and the programs on the same machine. A script, a command-line tool or an agent asks \
                      over HTTP; the request travels through a Firefox, where it is performed inside the page with \
                      the page's own login; and the answer streams back word by word, as this one just did.";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor demo
  baa-conductor demo --once

The demo uses its own temporary state folder and a free port, and changes nothing of yours.

Exit codes: 0 the request succeeded; 1 it failed.")]
pub(super) struct DemoArguments {
    /// Exit after the request; by default the daemon runs until Ctrl-C.
    #[arg(long)]
    pub(super) once: bool,
}

pub(super) fn run(context: CommandContext, arguments: DemoArguments) -> anyhow::Result<ExitCode> {
    let folder = TemporaryFolder::new();
    let config = Arc::new(demo_config(&context.config, &context.origins));
    let context = CommandContext { config, state_dir: folder.path.clone(), ..context };
    actix_rt::System::new().block_on(run_demo(&context, arguments.once))
}

/// The demo's configuration: the defaults with the user's log settings and the address from the command line.
///
/// Any local program can connect to the demo as a client. So it must not execute clients' instructions, and must not use
/// the user's roots, sandboxes, platforms, origins or tokens.
fn demo_config(config: &Config, origins: &ValueOrigins) -> Config {
    let mut own = Config {
        log: LogSettings { file: false, ..config.log.clone() },
        node: config.node.clone(),
        // Keeps files with the user's token out of reach of this daemon's routes too.
        files: config.files.clone(),
        ..Config::default()
    };
    // Only the command line is about the demo; all other sources are about the user's daemon.
    own.server.listen = match origins.of("server.listen") {
        ValueOrigin::Option(_) => config.server.listen.clone(),
        _ => "127.0.0.1:0".to_owned(),
    };
    own.bridge.pairing = PairingMode::Off;
    own.policy.jitter = Jitter { min_ms: 0, max_ms: 0, mu_ms: 0, sigma_ms: 0 };
    own
}

async fn run_demo(context: &CommandContext, once: bool) -> anyhow::Result<ExitCode> {
    let mut signals = ShutdownSignals::new()?;
    let daemon = start(context, DamagedDatabase::Refuse).await?;
    let shown = tokio::select! {
        shown = perform_demo(context, once) => shown.map(|()| ExitCode::SUCCESS),
        () = signals.next() => Ok(ExitCode::SUCCESS),
    };
    tokio::select! {
        () = daemon.stop() => shown,
        () = signals.next() => Ok(ExitCode::FAILURE),
    }
}

async fn perform_demo(context: &CommandContext, once: bool) -> anyhow::Result<()> {
    let found = crate::state_folder::DaemonInfo::find(&context.state_dir)?;
    print_line(&format!("daemon     {} (state in {})", found.http, context.state_dir.display()))?;
    let app = WebApp::new().with_pace(WORD_INTERVAL).with_answer(ANSWER);
    let firefox = Firefox::connect(&found.ws, FirefoxProfile { app, ..FirefoxProfile::new(CLIENT) }).await?;
    firefox.ready().await.context("the simulated Firefox did not become ready")?;
    print_line(&format!("firefox    {CLIENT}, simulated, is connected and logged in"))?;
    let client = DaemonClient::find(context)?;
    stream_prompt(&client).await?;
    if once {
        return Ok(());
    }
    print_examples(&found.http, &context.state_dir)?;
    std::future::pending().await
}

/// Sends one streamed request and prints its progress.
async fn stream_prompt(client: &DaemonClient) -> anyhow::Result<()> {
    let id = RequestId::generate();
    let body = json!({"platform": "claude", "request_id": id, "response_mode": "sse", "method": "POST", "path": PATH,
        "body": {"prompt": PROMPT}});
    print_line(&format!("caller     POST /v1/browser/request, platform claude, sse, {id}"))?;
    let asked = Instant::now();
    let mut frames = client.stream("/v1/browser/request", &body).await?;
    let (mut opened, mut events) = (asked, 0u32);
    while let Some(frame) = frames.next().await? {
        let data: Value = serde_json::from_str(&frame.data).context("the data of a frame is not JSON")?;
        match &*frame.event {
            "stream_open" => {
                opened = Instant::now();
                let admission = Admission::deserialize(&data["policy"])?;
                let waited = admission.admitted_at - admission.requested_at;
                print_line(&format!(
                    "policy     admitted after {waited} ms, circuit {}",
                    super::api_name(&admission.circuit_state)
                ))?;
                let ms = (opened - asked).as_millis();
                print_line(&format!("stream     open after {ms} ms, status {}\n\n  > {PROMPT}\n", data["status"]))?;
            }
            "stream_event" => {
                events += 1;
                print_piece(data.pointer("/data/completion").and_then(Value::as_str).unwrap_or_default())?;
            }
            "stream_end" => {
                let seconds = opened.elapsed().as_secs_f64();
                let rate = f64::from(events) / seconds.max(0.001);
                print_line(&format!("\n\nstream     end: {events} events in {seconds:.1} s, {rate:.0} a second"))?;
                let entry: JournalEntry = client.fetch(&format!("/v1/browser/requests/{id}")).await?;
                print_line(&format!("journal    {id}: {}", entry.outcome.as_deref().unwrap_or("?")))?;
                return Ok(());
            }
            _ => bail!("the stream failed: {}", text::line(&frame.data)),
        }
    }
    bail!("the stream ended without its last frame")
}

fn print_line(line: &str) -> io::Result<()> {
    terminal::print(&format!("{line}\n"))
}

fn print_piece(piece: &str) -> io::Result<()> {
    terminal::print(&text::StreamedText::whole(piece))
}

fn print_examples(http: &str, state: &Path) -> anyhow::Result<()> {
    let state = state.display();
    let body = format!(
        r#"{{"platform":"claude","response_mode":"sse","method":"POST","path":"{PATH}","body":{{"prompt":"Hello"}}}}"#
    );
    print_line(&format!(
        "\nThe daemon keeps running; Ctrl-C stops it. Try these commands:\n\n  \
         curl -N {http}/v1/browser/request -H 'content-type: application/json' -d '{body}'\n  \
         curl {http}/v1/browser\n  \
         curl {http}/v1/browser/requests\n  \
         baa-conductor --state-dir {state} open\n  \
         baa-conductor --state-dir {state} status\n  \
         baa-conductor --state-dir {state} request --platform claude --path /echo\n"
    ))?;
    Ok(())
}

struct TemporaryFolder {
    path: PathBuf,
}

impl TemporaryFolder {
    fn new() -> Self {
        TemporaryFolder { path: std::env::temp_dir().join(format!("baa-conductor-demo-{}", RequestId::generate())) }
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // If removal fails, the system's cleanup of temporary files removes the folder.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{ConfigOptions, ConfigSources, LoadedConfig, load},
        http::settings::AuthSettings,
    };

    const USER_CONFIG: &str = r#"
        store.path = "/home/me/conductor.db"
        store.readers = 3
        server.listen = "127.0.0.1:4400"
        server.status_listen = "127.0.0.1:4401"
        log.file = true
        log.filter = "debug"
        platforms.mine = { title = "Mine", shell_url = "https://mine.example/", hosts = ["mine.example"] }
        instructions = { live = true, sandbox = "off", auto_approve = ["read", "exec"], exec_allow = [["git"]] }
        host_ops = { roots = ["/home/me"], allow_root = true, env_allow = ["SECRET"] }
        bridge.pairing = "required"
        codex.base_url = "http://127.0.0.1:4319"
    "#;

    fn loaded(auth: &str, environment: &[(&str, &str)], listen: Option<&str>) -> LoadedConfig {
        let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let options = ConfigOptions { listen: listen.map(str::to_owned), ..ConfigOptions::default() };
        let files = vec![("/etc/x/conductor.toml".into(), format!("{USER_CONFIG}{auth}"))];
        load(&ConfigSources { files, environment, options, host_name: "here".into(), ..ConfigSources::default() })
            .unwrap()
    }

    #[test]
    fn the_demo_uses_nothing_of_the_user() {
        for auth in ["auth.token = \"the-users-own-token\"", "auth.token_file = \"/home/me/token\""] {
            let LoadedConfig { config, origins, .. } = loaded(auth, &[], None);
            assert_ne!(config.auth, AuthSettings::default(), "the user has a token");
            let own = demo_config(&config, &origins);
            assert_eq!(own.auth, AuthSettings::default(), "{auth}");
            assert_eq!(own.store.file(Path::new("/demo")), Path::new("/demo/conductor.db"));
            assert_eq!((own.server.listen.as_str(), own.server.status_listen), ("127.0.0.1:0", None));
            assert_eq!((own.log.file, own.log.filter.as_str()), (false, "debug"));
            // Every other section has its default.
            let plain = Config::default();
            assert_eq!(
                (&own.instructions, &own.host_ops, &own.codex),
                (&plain.instructions, &plain.host_ops, &plain.codex)
            );
            assert_eq!((&own.store, &own.platforms), (&plain.store, &plain.platforms));
            assert!(!own.instructions.live && own.files == config.files);
        }
    }

    #[test]
    fn only_the_command_line_chooses_the_port() {
        let listen = |environment: &[(&str, &str)], option: Option<&str>| {
            let LoadedConfig { config, origins, .. } = loaded("", environment, option);
            demo_config(&config, &origins).server.listen
        };
        assert_eq!(listen(&[("BAA_SERVER__LISTEN", "127.0.0.1:4402")], None), "127.0.0.1:0");
        assert_eq!(listen(&[], Some("127.0.0.1:4403")), "127.0.0.1:4403");
        assert_eq!(listen(&[], Some("127.0.0.1:4317")), "127.0.0.1:4317", "even if it equals the default");
    }
}
