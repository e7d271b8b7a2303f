//! A real Firefox: a profile of its own, the extension as the binary hands it out, and nobody's screen.

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

/// Which browser, when it is not Debian's.
const PROGRAM: &str = "FIREFOX";
/// The id in the extension's manifest.
const ADDON: &str = "baa-conductor@localhost";
/// The origin Firefox gives it here; in real life it is drawn at random.
const ADDON_UUID: &str = "11111111-2222-4333-8444-555555555555";

/// A running browser; killed when dropped, its profile with it.
#[derive(Debug)]
pub(crate) struct Firefox {
    child: Child,
    /// When its process was started.
    pub(crate) started: Instant,
    pub(crate) bidi: Bidi,
    folder: Folder,
}

impl Firefox {
    /// Starts one. `daemon`: where its extension finds the daemon; `tls`: the port behind which the web apps are.
    pub(crate) async fn start(daemon: &str, tls: u16, domains: &[&str]) -> Self {
        let folder = fresh(tls, domains);
        Extension::new(daemon).unwrap().write(&extension(&folder)).unwrap();
        Self::start_in(folder).await
    }

    /// Starts one without the extension, to be compared with.
    pub(crate) async fn start_bare(tls: u16, domains: &[&str]) -> Self {
        Self::launch(fresh(tls, domains)).await
    }

    /// Starts one on the profile of an earlier one.
    pub(crate) async fn start_in(folder: Folder) -> Self {
        let firefox = Self::launch(folder).await;
        assert_eq!(firefox.bidi.install(&extension(&firefox.folder)).await, ADDON);
        firefox
    }

    async fn launch(folder: Folder) -> Self {
        let port_file = profile(&folder).join("WebDriverBiDiServer.json");
        // What an earlier one left, which was killed.
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

    /// Installs another extension, made of these files.
    pub(crate) async fn install_other(&self, files: &[(&str, String)]) -> String {
        let folder = self.folder.state().join("other");
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        self.bidi.install(&folder).await
    }

    /// Ends it as its user does; its profile is for another one.
    pub(crate) async fn quit(mut self) -> Folder {
        self.bidi.quit().await;
        exit_code(&mut self.child).await;
        std::mem::replace(&mut self.folder, Folder::new())
    }

    /// The tabs that show something of that origin.
    pub(crate) async fn tabs_of(&self, origin: &str) -> Vec<String> {
        let tabs = self.bidi.tabs().await.into_iter();
        tabs.filter(|(_, url)| url.starts_with(origin)).map(|(tab, _)| tab).collect()
    }

    /// The one tab that shows something of that origin, once there is one.
    pub(crate) async fn tab_of(&self, origin: &str) -> String {
        until("tab", async || <[String; 1]>::try_from(self.tabs_of(origin).await).ok().map(|[tab]| tab)).await
    }

    /// Opens a page of the extension in a tab in front, which no web page may.
    pub(crate) async fn own_page(&self, path: &str) -> String {
        let url = format!("moz-extension://{ADDON_UUID}/{path}");
        self.window(&format!("openTrustedLinkIn({}, 'tab')", json!(url))).await;
        self.tab_of(&url).await
    }

    /// Lets the daemon in without pairing, as its user does on the extension's page.
    pub(crate) async fn confirm_unpaired(&self) {
        let page = self.own_page("options/index.html").await;
        let asked = "document.querySelector('#confirm-unpaired')?.checkVisibility() ?? false";
        until("question", async || (self.bidi.evaluate(&page, asked).await == true).then_some(())).await;
        self.bidi.click(&page, "#confirm-unpaired").await;
        let state = "document.querySelector('#state').textContent === 'Connected'";
        until("connection", async || (self.bidi.evaluate(&page, state).await == true).then_some(())).await;
        self.bidi.close(&page).await;
    }

    /// What an expression comes to in the browser's own window.
    pub(crate) async fn window(&self, expression: &str) -> Value {
        let tree = self.bidi.command("browsingContext.getTree", json!({"maxDepth": 0, "moz:scope": "chrome"})).await;
        self.bidi.evaluate(tree["contexts"][0]["context"].as_str().unwrap(), expression).await
    }

    /// Has pages believe that their user likes it dark, or light.
    pub(crate) async fn set_dark(&self, is_dark: bool) {
        let scheme = if is_dark { 0 } else { 1 };
        let set = format!("Services.prefs.setIntPref('layout.css.prefers-color-scheme.content-override', {scheme})");
        self.window(&set).await;
    }

    /// Ends the process in which pages of that site live, as a fault in it would.
    pub(crate) async fn crash(&self, site: &str) {
        let site = json!(site.trim_end_matches('/'));
        let process = format!(
            "ChromeUtils.requestProcInfo().then(all => all.children.find(child => child.origin == {site})?.pid)"
        );
        let pid = self.window(&process).await.as_i64().and_then(|pid| i32::try_from(pid).ok());
        kill_process(pid.and_then(Pid::from_raw).expect("a process of the site"), Signal::KILL).unwrap();
    }

    /// Bytes of memory that the browser with all its processes has for itself, but for one it keeps ready for the next tab,
    /// which comes and goes.
    pub(crate) async fn memory(&self) -> u64 {
        let tree = "ChromeUtils.requestProcInfo().then(all => all.children\
             .filter(child => child.type != 'preallocated')\
             .reduce((sum, child) => sum + child.memory, all.memory))";
        self.window(tree).await.as_u64().unwrap()
    }

    /// Bytes of that which the browser has given back, and which the kernel has not taken yet: it does when it needs them.
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

    /// Has every process throw away what it can do without; twice, as the first round leaves some of it.
    pub(crate) async fn tidy(&self) {
        let tidied = "new Promise(done => {\
             const all = Cc['@mozilla.org/memory-reporter-manager;1'].getService(Ci.nsIMemoryReporterManager);\
             all.minimizeMemoryUsage(() => all.minimizeMemoryUsage(() => done(true))) })";
        self.window(tidied).await;
    }
}

impl Drop for Firefox {
    fn drop(&mut self) {
        // One that ended already cannot be killed; its children end with it.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

/// A folder with a profile that nobody has used.
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

/// The web apps' real names lead to this machine, whatever port they say; what Firefox would do by itself stays undone.
fn preferences(tls: u16, domains: &[&str]) -> String {
    let uuids = json!({ADDON: ADDON_UUID}).to_string();
    let values = [
        ("network.dns.localDomains", json!(domains.join(","))),
        ("network.socket.forcePort", json!(format!("443={tls}"))),
        ("datareporting.policy.dataSubmissionEnabled", json!(false)),
        ("extensions.webextensions.uuids", json!(uuids)),
        // JSON is shown as the text that it is, not by a page of the browser's own.
        ("devtools.jsonview.enabled", json!(false)),
        // A click on the extension's own button stands for the one on Firefox' question behind it.
        ("extensions.webextOptionalPermissionPrompts", json!(false)),
        // A temporary extension keeps what a signed one would keep.
        ("extensions.webextensions.keepStorageOnUninstall", json!(true)),
        ("extensions.webextensions.keepUuidOnUninstall", json!(true)),
    ];
    values.iter().map(|(name, value)| format!("user_pref({}, {value});\n", json!(name))).collect()
}
