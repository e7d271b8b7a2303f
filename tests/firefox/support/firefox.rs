//! A real Firefox: a fresh profile, the extension as the binary writes it, headless.

use super::{
    bidi::Bidi,
    shared::daemon::{Folder, exit_code},
    until,
};
use baa_conductor::extension::Extension;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Stdio},
};
use tokio::time::Instant;

/// Environment variable that names another browser than Debian's.
const PROGRAM: &str = "FIREFOX";
/// The id in the extension's manifest.
const ADDON: &str = "baa-conductor@localhost";
/// The extension's origin in the tests; normally Firefox draws it at random.
const ADDON_UUID: &str = "11111111-2222-4333-8444-555555555555";

/// A running browser; killed when dropped, and its profile is removed.
#[derive(Debug)]
pub(crate) struct Firefox {
    child: Child,
    /// Start time of the process.
    pub(crate) started: Instant,
    pub(crate) bidi: Bidi,
    folder: Folder,
}

impl Firefox {
    /// Starts a browser. `daemon`: the address for its extension; `tls`: the port of the web apps.
    pub(crate) async fn start(daemon: &str, tls: u16, domains: &[&str]) -> Self {
        let folder = fresh(tls, domains);
        Extension::new(daemon).unwrap().write(&extension(&folder)).unwrap();
        Self::start_in(folder).await
    }

    /// Starts a browser without the extension, for comparison.
    pub(crate) async fn start_bare(tls: u16, domains: &[&str]) -> Self {
        Self::launch(fresh(tls, domains)).await
    }

    /// Starts a browser on an existing profile.
    pub(crate) async fn start_in(folder: Folder) -> Self {
        let firefox = Self::launch(folder).await;
        assert_eq!(firefox.bidi.install(&extension(&firefox.folder)).await, ADDON);
        firefox
    }

    async fn launch(folder: Folder) -> Self {
        let port_file = profile(&folder).join("WebDriverBiDiServer.json");
        // Left by an earlier browser that was killed.
        fs::remove_file(&port_file).unwrap_or_default();
        let program = std::env::var_os(PROGRAM).unwrap_or_else(|| "firefox-esr".into());
        let log = fs::File::create(folder.state().join("stderr")).unwrap();
        let started = Instant::now();
        let child = Command::new(&program)
            .args(["--headless", "--no-remote", "--remote-debugging-port=0", "--remote-allow-system-access"])
            .arg("--profile")
            .arg(profile(&folder))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{}: {error}; tests/run installs it", program.display()));
        let port = until("port of the browser", async || {
            assert_eq!(child.try_wait().unwrap(), None, "the browser ended at once");
            let told = serde_json::from_str::<Value>(&fs::read_to_string(&port_file).ok()?).ok()?;
            told["ws_port"].as_u64()
        });
        let bidi = Bidi::open(port.await.try_into().unwrap()).await;
        Firefox { child, started, bidi, folder }
    }

    /// Installs another extension with these files.
    pub(crate) async fn install_other(&self, files: &[(&str, String)]) -> String {
        let folder = self.folder.state().join("other");
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        self.bidi.install(&folder).await
    }

    /// Quits like a user; returns the profile.
    pub(crate) async fn quit(mut self) -> Folder {
        self.bidi.quit().await;
        exit_code(&mut self.child).await;
        std::mem::replace(&mut self.folder, Folder::new())
    }

    /// Returns the tabs that show a page of the origin.
    pub(crate) async fn tabs_of(&self, origin: &str) -> Vec<String> {
        let tabs = self.bidi.tabs().await.into_iter();
        tabs.filter(|(_, url)| url.starts_with(origin)).map(|(tab, _)| tab).collect()
    }

    /// Waits for the only tab that shows a page of the origin.
    pub(crate) async fn tab_of(&self, origin: &str) -> String {
        until("tab", async || <[String; 1]>::try_from(self.tabs_of(origin).await).ok().map(|[tab]| tab)).await
    }

    /// Opens a page of the extension in a foreground tab; web pages cannot.
    pub(crate) async fn own_page(&self, path: &str) -> String {
        let url = format!("moz-extension://{ADDON_UUID}/{path}");
        self.window(&format!("openTrustedLinkIn({}, 'tab')", json!(url))).await;
        self.tab_of(&url).await
    }

    /// Confirms the daemon without pairing on the options page.
    pub(crate) async fn confirm_unpaired(&self) {
        let page = self.own_page("options/index.html").await;
        let asked = "document.querySelector('#confirm-unpaired')?.checkVisibility() ?? false";
        until("question", async || (self.bidi.evaluate(&page, asked).await == true).then_some(())).await;
        self.bidi.click(&page, "#confirm-unpaired").await;
        let state = "document.querySelector('#state').textContent === 'Connected'";
        until("connection", async || (self.bidi.evaluate(&page, state).await == true).then_some(())).await;
        self.bidi.close(&page).await;
    }

    /// Evaluates an expression in the browser's own window.
    pub(crate) async fn window(&self, expression: &str) -> Value {
        let tree = self.bidi.command("browsingContext.getTree", json!({"maxDepth": 0, "moz:scope": "chrome"})).await;
        self.bidi.evaluate(tree["contexts"][0]["context"].as_str().unwrap(), expression).await
    }

    /// Sets the preferred colour scheme of pages.
    pub(crate) async fn set_dark(&self, is_dark: bool) {
        let scheme = if is_dark { 0 } else { 1 };
        let set = format!("Services.prefs.setIntPref('layout.css.prefers-color-scheme.content-override', {scheme})");
        self.window(&set).await;
    }

    /// Crashes the process of a site's pages.
    pub(crate) async fn crash(&self, site: &str) {
        let site = json!(site.trim_end_matches('/'));
        let process = format!(
            "ChromeUtils.requestProcInfo().then(all => all.children.find(child => child.origin == {site})?.pid)"
        );
        let pid = self.window(&process).await.as_i64().and_then(|pid| i32::try_from(pid).ok());
        kill_process(pid.and_then(Pid::from_raw).expect("a process of the site"), Signal::KILL).unwrap();
    }

    /// Returns the private memory of all processes of the browser in bytes, except the preallocated one for the next tab.
    pub(crate) async fn memory(&self) -> u64 {
        let tree = "ChromeUtils.requestProcInfo().then(all => all.children\
             .filter(child => child.type != 'preallocated')\
             .reduce((sum, child) => sum + child.memory, all.memory))";
        self.window(tree).await.as_u64().unwrap()
    }

    /// Returns the bytes of that which are freed but not yet reclaimed by the kernel.
    pub(crate) async fn given_back(&self) -> u64 {
        let sum = "new Promise(done => {\
             let sum = 0;\
             const add = (process, path, kind, unit, bytes) => {\
                 if (path == 'heap/decommitted/unused-pages/madvised') sum += bytes;\
             };\
             const all = Cc['@mozilla.org/memory-reporter-manager;1'].getService(Ci.nsIMemoryReporterManager);\
             all.getReports(add, null, () => done(sum), null, false) })";
        self.window(sum).await.as_u64().unwrap()
    }

    /// Collects garbage in every process, twice, because the first round leaves some of it.
    pub(crate) async fn tidy(&self) {
        let tidied = "new Promise(done => {\
             const all = Cc['@mozilla.org/memory-reporter-manager;1'].getService(Ci.nsIMemoryReporterManager);\
             all.minimizeMemoryUsage(() => all.minimizeMemoryUsage(() => done(true))) })";
        self.window(tidied).await;
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        // A process that ended already cannot be killed; its children end with it.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// Creates a folder with a fresh profile.
fn fresh(tls: u16, domains: &[&str]) -> Folder {
    let folder = Folder::new();
    fs::create_dir_all(profile(&folder)).unwrap();
    fs::write(profile(&folder).join("user.js"), preferences(tls, domains)).unwrap();
    folder
}

fn profile(folder: &Folder) -> PathBuf {
    folder.state().join("profile")
}

fn extension(folder: &Folder) -> PathBuf {
    folder.state().join("extension")
}

/// Preferences: the names of the web apps resolve to this machine and port; background activity of Firefox is off.
fn preferences(tls: u16, domains: &[&str]) -> String {
    let uuids = json!({ADDON: ADDON_UUID}).to_string();
    let values = [
        ("network.dns.localDomains", json!(domains.join(","))),
        ("network.socket.forcePort", json!(format!("443={tls}"))),
        ("datareporting.policy.dataSubmissionEnabled", json!(false)),
        ("extensions.webextensions.uuids", json!(uuids)),
        // JSON is shown as text, not in the browser's viewer.
        ("devtools.jsonview.enabled", json!(false)),
        // The click on the extension's button also accepts Firefox's question.
        ("extensions.webextOptionalPermissionPrompts", json!(false)),
        // A temporary extension keeps its storage like a signed one.
        ("extensions.webextensions.keepStorageOnUninstall", json!(true)),
        ("extensions.webextensions.keepUuidOnUninstall", json!(true)),
    ];
    values.iter().map(|(name, value)| format!("user_pref({}, {value});\n", json!(name))).collect()
}
