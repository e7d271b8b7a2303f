//! `baa-conductor open`: opens the status page of the running daemon, logged in.

mod page_file;

use super::{
    CommandContext,
    client::{DaemonClient, REPLY_TIMEOUT},
    terminal,
};
use crate::{
    api::session::SessionCode,
    clock::{Clock, WallMs},
    http::STATUS_PAGE,
};
use anyhow::{Context as _, bail};
use page_file::LoginPageFile;
use serde_json::json;
use std::{
    env,
    path::{Path, PathBuf},
    process::{ExitCode, Stdio},
    time::Duration,
};
use tokio::{process::Command, time::timeout};

/// How long a browser launcher is watched for an error exit; one still running after that has opened the page.
const EXIT_WAIT: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor open
  baa-conductor open --print

The address logs in one browser of this user, once and within a minute. The part after the # is sent only to this daemon
and is useless to other users. The browser is started with a file that redirects to the address, since all users can read
the arguments of a program. If the browser may not read the file (snap, flatpak), open the printed address yourself.")]
pub(super) struct OpenArguments {
    /// Print the address without opening it.
    #[arg(long)]
    print: bool,
}

/// Runs the command. If no browser can be opened, it prints a note to stderr and still succeeds.
pub(super) fn run(context: CommandContext, arguments: OpenArguments) -> anyhow::Result<ExitCode> {
    actix::System::new().block_on(async {
        let page = LoginPage::request(&DaemonClient::find(&context)?).await?;
        let code = super::print(&format!("{}\n", page.url))?;
        if !arguments.print
            && let Err(error) = page.open(&context.state_dir).await
        {
            terminal::print_error(&format!(
                "baa-conductor: {error:#}; open the printed address in a browser of this user"
            ));
        }
        Ok(code)
    })
}

/// The address of the status page with a login code.
#[derive(Debug)]
struct LoginPage {
    url: String,
    expires_at: WallMs,
}

impl LoginPage {
    /// Requests a code through the address that is then opened, since the code is bound to the user of that connection.
    async fn request(client: &DaemonClient) -> anyhow::Result<Self> {
        let data = client.post("/v1/session/codes", &json!({}), Some(REPLY_TIMEOUT)).await?;
        let SessionCode { code, expires_at } = client.parse(&data)?;
        if code.is_empty() || !code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            bail!("the daemon returned an invalid login code");
        }
        Ok(LoginPage { url: format!("{}{STATUS_PAGE}#code={code}", client.base()), expires_at })
    }

    /// Opens the page in a browser through a file, which is removed when the code expires.
    async fn open(&self, state_dir: &Path) -> anyhow::Result<()> {
        let home = env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let file = LoginPageFile::write(&self.url, state_dir, home.as_deref())?;
        let left = u64::try_from(self.expires_at.saturating_sub(Clock::System.now_ms())).unwrap_or(0);
        if let Err(error) = file.remove_after(Duration::from_millis(left)) {
            file.remove();
            return Err(error).context("the process that removes the login file cannot be started");
        }
        if open_with_any(open::commands(file.path()).into_iter().map(Command::from), EXIT_WAIT).await {
            return Ok(());
        }
        file.remove();
        bail!("no browser could be opened")
    }
}

/// Tries the programs in turn and returns whether one opened the page. One still running after `exit_wait` has.
async fn open_with_any(programs: impl Iterator<Item = Command>, exit_wait: Duration) -> bool {
    for mut program in programs {
        // A separate process group, so that Ctrl-C does not end the browser.
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let Ok(mut child) = program.spawn() else { continue };
        match timeout(exit_wait, child.wait()).await {
            Ok(Ok(status)) if !status.success() => {}
            Ok(Err(_)) => {}
            Ok(Ok(_)) | Err(_) => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::stub_daemon::{StubDaemon, json};

    #[actix_rt::test]
    async fn the_address_is_the_status_page_with_a_code_after_the_hash() {
        let stub = StubDaemon::new(|_| json(200, r#"{"ok":true,"data":{"code":"0a1b","expires_at":9}}"#));
        let client = DaemonClient::new(&stub.base, None).unwrap();
        let page = LoginPage::request(&client).await.unwrap();
        assert_eq!((page.url, page.expires_at), (format!("{}/v1/status/ui#code=0a1b", stub.base), 9));
        assert_eq!(stub.received()[0].line, "POST /v1/session/codes");
    }

    #[actix_rt::test]
    async fn an_invalid_code_is_not_passed_to_a_browser() {
        for code in ["", "a b", "a&b", "--help", "$(x)"] {
            let body = json!({"ok": true, "data": {"code": code, "expires_at": 9}}).to_string();
            let stub = StubDaemon::new(move |_| json(200, &body));
            assert!(LoginPage::request(&DaemonClient::new(&stub.base, None).unwrap()).await.is_err(), "{code}");
        }
        let stub = StubDaemon::new(|_| json(401, r#"{"ok":false,"error":"unauthorized","message":"No."}"#));
        let error = LoginPage::request(&DaemonClient::new(&stub.base, None).unwrap()).await.unwrap_err();
        assert_eq!(error.to_string(), "unauthorized: No.");
    }

    #[actix_rt::test]
    async fn programs_are_tried_until_one_opens_the_page() {
        let program = |name: &str| Command::new(name);
        const LONG: Duration = Duration::from_secs(60);
        let fail = || [program("/no/such/program"), program("false")].into_iter();
        assert!(open_with_any(fail().chain([program("true")]), LONG).await);
        assert!(!open_with_any(fail(), LONG).await);
        let mut stays = program("sleep");
        stays.arg("60").kill_on_drop(true);
        assert!(open_with_any(std::iter::once(stays), Duration::ZERO).await, "a running launcher has opened it");
    }
}
