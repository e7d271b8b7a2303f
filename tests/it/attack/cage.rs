//! What a command in a sandbox can reach outside of it: some two hundred attempts of `cage.py`, in each sandbox and as
//! each kind of user, also without user namespaces. A control run shows that they succeed without a sandbox.

use crate::{
    exec::{ANY_USER, run},
    support::{
        Answer, Caller, Connection, Daemon, Folder, skipped, until,
        users::{Home, OWNER, has_other_users, through},
    },
};
use serde_json::{Value, json};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

const PROBE: &str = include_str!("cage.py");
const PYTHON: &str = "/usr/bin/python3";
/// Fewest attempts in a run.
const LEAST: usize = 60;
/// Commands that the attempts are spread over: each must end in time.
const PARTS: usize = 4;

/// The user that runs the daemon, and so its commands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Owner,
    Root,
}

/// Whether a daemon can create user namespaces.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Namespaces {
    There,
    /// It cannot, and the system announces that.
    Denied,
    /// It cannot, which shows only when it tries.
    Exhausted,
}

/// A system folder, visible in the sandboxes, with a file of the daemon's user.
struct Visible(PathBuf);

impl Visible {
    fn new(name: &str, owner: impl Fn(&Path)) -> Self {
        let path = Path::new("/opt").join(name);
        fs::create_dir_all(&path).unwrap();
        let file = path.join("file");
        fs::write(&file, "visible").unwrap();
        rustix::fs::setxattr(&file, "user.there", b"x", rustix::fs::XattrFlags::empty()).unwrap();
        for one in [&*path, &*file] {
            owner(one);
        }
        Visible(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("file")
    }
}

impl Drop for Visible {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap_or_default();
    }
}

/// A process of the same user with much that could be reached from outside a sandbox.
struct Victim {
    child: Child,
    stdout: BufReader<ChildStdout>,
    made: Value,
}

impl Victim {
    fn new(by: By, script: &Path, folder: &Path, root: &Path) -> Self {
        let mut command = match by {
            By::Owner => OWNER.command(PYTHON),
            By::Root => Command::new(PYTHON),
        };
        command.arg(script).arg("victim").arg(folder).env("ROOT", root).current_dir("/");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        Victim { child, stdout, made: serde_json::from_str(&line).unwrap() }
    }

    /// Returns how the process ended.
    fn after(mut self) -> Value {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).unwrap();
        self.child.wait().unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

/// A daemon with a sandbox, and the targets around it.
struct Stand {
    daemon: Daemon,
    caller: Caller,
    victim: Victim,
    visible: Visible,
    root: PathBuf,
    outside: PathBuf,
}

impl Stand {
    async fn new(level: &str, by: By, namespaces: Namespaces) -> Self {
        let settings = |root: &Path| format!("{ANY_USER}host_ops.sandbox = {level:?}\nhost_ops.roots = [{root:?}]");
        let (home, folder) = match by {
            By::Owner => (Some(Home::new(OWNER)), None),
            By::Root => (None, Some(Folder::new())),
        };
        let base = home.as_ref().map_or_else(|| folder.as_ref().unwrap().path(), Home::path).to_owned();
        let give = |path: &Path| home.as_ref().map_or((), |home| home.give(path));
        let (root, outside, script) = (base.join("root"), base.join("outside"), base.join("root/cage.py"));
        fs::create_dir(&root).unwrap();
        fs::write(&outside, "outside").unwrap();
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&script, PROBE).unwrap();
        for one in [&*root, &*outside, &*script] {
            give(one);
        }
        let name = base.file_name().unwrap().to_str().unwrap();
        let visible = Visible::new(&format!("cage-{name}"), give);
        let victim = Victim::new(by, &script, &base, &root);
        // The process that starts the daemon may pass on descriptors of its own.
        let mut words: Vec<_> = ["sh", "-c", "exec 7<\"$0\" 8<>/dev/null && exec \"$@\""].map(str::to_owned).into();
        words.push(outside.to_str().unwrap().to_owned());
        match namespaces {
            Namespaces::There => {}
            Namespaces::Denied => words.extend(OWNER.without_namespaces(true)),
            Namespaces::Exhausted => words.extend(OWNER.without_namespaces(false)),
        }
        let daemon = match (home, folder) {
            (Some(home), _) => home.daemon_through(&words, &settings(&root)).await,
            (None, folder) => {
                let folder = folder.unwrap();
                let command = through(&words, &folder.command(&settings(&root)));
                Daemon::spawn(folder, command).await
            }
        };
        let caller = daemon.caller().bearer(&daemon.token());
        Stand { daemon, caller, victim, visible, root, outside }
    }

    async fn described(&self) -> Value {
        self.caller.get("/describe/control").await.data()["host_operations"].clone()
    }

    /// The files that must not change.
    fn files(&self) -> Vec<(i64, i64, u32, u32)> {
        let token = self.daemon.folder().state().join("token");
        let state = |path: &Path| {
            let found = fs::metadata(path).unwrap();
            (found.ctime(), found.ctime_nsec(), found.mode(), found.uid())
        };
        [&self.outside, &self.visible.file(), &token].map(|path| state(path)).into()
    }

    /// A command that runs beside the others until the daemon ends; where it has a secret of its own.
    async fn neighbour(&self) -> (Connection, String) {
        let command =
            "echo secret > \"$HOME/secret\" && printf %s \"$HOME/secret\" > .where && mv .where where && sleep 600";
        let body = json!({"command": command, "timeout_ms": 600_000}).to_string();
        let mut connection = self.caller.open().await;
        connection.write(&self.caller.head("POST", "/v1/exec", Some(body.as_bytes()))).await;
        let place = self.root.join("where");
        (connection, until("a command beside", async || fs::read_to_string(&place).ok()).await)
    }

    /// Returns every attempt and its outcome.
    async fn attempts(&self) -> Vec<(String, String)> {
        let (daemon, folder) = (&self.daemon, self.daemon.folder().path());
        let mut targets = self.victim.made.clone();
        for (name, path) in [
            ("outside", &self.outside),
            ("visible", &self.visible.file()),
            ("state", &daemon.folder().state()),
            ("folder", &folder.to_owned()),
            ("root", &self.root),
        ] {
            targets[name] = path.to_str().into();
        }
        let (_neighbour, secret) = self.neighbour().await;
        targets["scratch"] = secret.into();
        targets["daemon"] = daemon.pid().into();
        targets["port"] = daemon.address.port().into();
        let mut lines = Vec::new();
        for part in 0..PARTS {
            targets["part"] = json!([part, PARTS]);
            let command = [PYTHON, "cage.py", "probe", &targets.to_string()];
            let answer = run(&self.caller, json!({"command": command, "timeout_ms": 60_000})).await;
            assert_eq!(answer["result"]["exit_code"], 0, "{answer}");
            let stdout = answer["result"]["stdout"].as_str().unwrap();
            lines.extend(stdout.lines().map(|line| {
                let (name, what) = line.split_once(": ").unwrap();
                (name.to_owned(), what.to_owned())
            }));
        }
        lines
    }

    async fn holds(self) {
        let before = self.files();
        let attempts = self.attempts().await;
        let leaked: Vec<_> = attempts.iter().filter(|(_, what)| !what.starts_with("held")).collect();
        assert!(leaked.is_empty(), "{leaked:#?}");
        assert!(attempts.len() >= LEAST, "{} attempts", attempts.len());
        assert_eq!(before, self.files(), "a file outside was changed");
        let after = self.victim.after();
        let processors = std::thread::available_parallelism().unwrap().get();
        for (name, wanted) in [
            ("reached", json!([])),
            ("shared", json!("0000000000000000")),
            ("nice", json!(0)),
            ("scheduler", json!(0)),
            ("processors", json!(processors)),
            ("limits", json!([-1, -1])),
        ] {
            assert_eq!(after[name], wanted, "{name}: {after}");
        }
        assert_eq!(self.caller.get("/readyz").await.status, 200);
    }
}

/// Returns whether this machine has what these tests need; reports if not, which fails in continuous integration.
fn can_be_tested() -> bool {
    let missing = [PYTHON, "/usr/bin/bwrap", "/opt"].into_iter().find(|path| !Path::new(path).exists());
    if let Some(missing) = missing {
        skipped(&format!("{missing} is missing"));
    }
    missing.is_none() && has_other_users()
}

#[actix_rt::test]
async fn nothing_leaks_out_of_landlock() {
    if can_be_tested() {
        Stand::new("landlock", By::Owner, Namespaces::There).await.holds().await;
    }
}

#[actix_rt::test]
async fn nothing_leaks_out_of_landlock_as_root() {
    if can_be_tested() {
        Stand::new("landlock", By::Root, Namespaces::There).await.holds().await;
    }
}

#[actix_rt::test]
async fn nothing_leaks_out_of_landlock_without_namespaces() {
    if can_be_tested() {
        let stand = Stand::new("landlock", By::Owner, Namespaces::Denied).await;
        let described = stand.described().await;
        assert_eq!((&described["sandbox"], &described["sandbox_available"]), (&json!("landlock"), &json!(true)));
        assert!(described["sandbox_limit"].as_str().is_some_and(|limit| limit.contains("namespaces")), "{described}");
        let echoed =
            run(&stand.caller, json!({"command": "echo a | tr a b > x; cat x; rm x; sleep 9 & kill $!"})).await;
        assert_eq!((&echoed["ok"], &echoed["result"]["stdout"]), (&json!(true), &json!("b\n")), "{echoed}");
        stand.holds().await;
    }
}

#[actix_rt::test]
async fn nothing_leaks_out_of_landlock_where_namespaces_are_used_up() {
    if can_be_tested() {
        Stand::new("landlock", By::Owner, Namespaces::Exhausted).await.holds().await;
    }
}

#[actix_rt::test]
async fn nothing_leaks_out_of_bubblewrap() {
    if can_be_tested() {
        Stand::new("bubblewrap", By::Owner, Namespaces::There).await.holds().await;
    }
}

#[actix_rt::test]
async fn nothing_leaks_out_of_bubblewrap_as_root() {
    if can_be_tested() {
        Stand::new("bubblewrap", By::Root, Namespaces::There).await.holds().await;
    }
}

#[actix_rt::test]
async fn bubblewrap_without_namespaces_refuses() {
    if !can_be_tested() {
        return;
    }
    for namespaces in [Namespaces::Denied, Namespaces::Exhausted] {
        let stand = Stand::new("bubblewrap", By::Owner, namespaces).await;
        let refused = |answer: Answer| assert_eq!(answer.error(), (503, "sandbox_unavailable".into()));
        refused(stand.caller.post("/v1/exec", &json!({"command": "touch ran"})).await);
        assert!(!stand.root.join("ran").exists(), "it ran in something less");
        let described = stand.described().await;
        assert_eq!(described["sandbox"], "bubblewrap");
        if namespaces == Namespaces::Denied {
            assert_eq!(described["sandbox_available"], false, "{described}");
            refused(stand.caller.post("/v1/files/read", &json!({"path": "cage.py"})).await);
        }
    }
}

#[actix_rt::test]
async fn without_a_sandbox_the_same_attempts_succeed() {
    if can_be_tested() {
        let stand = Stand::new("off", By::Owner, Namespaces::There).await;
        let attempts = stand.attempts().await;
        let leaked = attempts.iter().filter(|(_, what)| what.starts_with("LEAKED")).count();
        assert!(leaked > attempts.len() / 2, "{leaked} of {}: {attempts:#?}", attempts.len());
        let after = stand.victim.after();
        assert!(after["reached"].as_array().is_some_and(|reached| reached.len() >= 6), "{after}");
    }
}

/// Ordinary uses of commands, which must work.
const USEFUL: &[(&str, &str)] = &[
    ("pipes", "printf 'b\\na\\n' | sort | head -1 | grep -q a"),
    ("processes", "sleep 600 & kill $! && wait; timeout 5 true && nice -n 1 true && nproc && ps > /dev/null"),
    ("substitution", "exec bash -c 'diff <(echo a) <(echo a) && cat <(echo a) > >(cat)'"),
    ("devices", "echo x > /dev/null && head -c 9 /dev/urandom > /dev/null && test ! -s /dev/null && cat < /dev/null"),
    (
        "modes",
        "echo 'echo ran' > s && chmod 700 s && ./s && chmod -R u+rwX,go-rwx . && touch -d 2001-01-01 s && ln s t",
    ),
    (
        "copies",
        "mkdir -p c/d && echo x > c/f && chmod 751 c/d && cp -p s c/s && cp -a c e && tar cpf c.tar c && mkdir u && \
                tar xpf c.tar -C u && test \"$(stat -c '%a %Y' u/c/s)\" = \"$(stat -c '%a %Y' s)\"",
    ),
    ("scratch", "echo x > /tmp/x && echo x > \"$TMPDIR/y\" && echo x > ~/z && mktemp && test -e /tmp/y"),
    ("python", "/usr/bin/python3 -c 'import multiprocessing as m; assert m.Pool(2).map(abs, [-1]) == [1]'"),
    (
        "building",
        "printf 'int main(){return 0;}' > m.c && printf 'm: m.c\\n\\tcc -o m m.c\\n' > Makefile && make -s && ./m",
    ),
    (
        "git",
        "git init -q g && cd g && git config user.email a@b.c && git config user.name n && echo x > f && git add f && \
             git commit -qm m && git clone -q . ../h && test -e ../h/f",
    ),
];

#[actix_rt::test]
async fn what_people_have_commands_for_goes_on_working() {
    if !can_be_tested() {
        return;
    }
    for level in ["landlock", "bubblewrap"] {
        let stand = Stand::new(level, By::Owner, Namespaces::There).await;
        for (name, command) in USEFUL {
            let answer = run(&stand.caller, json!({"command": command, "timeout_ms": 60_000})).await;
            assert_eq!(answer["ok"], true, "{name} in {level}: {answer}");
        }
    }
}

#[actix_rt::test]
async fn variables_of_a_command_load_nothing_outside() {
    if !can_be_tested() {
        return;
    }
    for level in ["landlock", "bubblewrap"] {
        let stand = Stand::new(level, By::Owner, Namespaces::There).await;
        let escaped = stand.daemon.folder().path().join("escaped");
        let source = format!(
            "#include <fcntl.h>\n__attribute__((constructor)) static void run(void) {{ creat({:?}, 0600); creat(\"loaded\", 0600); }}",
            escaped.to_str().unwrap()
        );
        fs::write(stand.root.join("evil.c"), source).unwrap();
        let built = run(&stand.caller, json!({"command": "cc -shared -fPIC -o evil.so evil.c"})).await;
        assert_eq!(built["ok"], true, "{built}");
        let library = stand.root.join("evil.so");
        let answer = run(&stand.caller, json!({"command": "true", "env": {"LD_PRELOAD": library}})).await;
        assert_eq!(answer["ok"], true, "{answer}");
        assert!(stand.root.join("loaded").exists(), "{level}: the command itself has its variables");
        assert!(!escaped.exists(), "{level}: a library was loaded outside");
    }
}

#[actix_rt::test]
async fn no_file_that_runs_as_its_owner_is_written() {
    if !can_be_tested() {
        return;
    }
    let stand = Stand::new("landlock", By::Owner, Namespaces::There).await;
    for mode in ["4755", "2755", "6777"] {
        let body = json!({"path": "program", "content": "x", "mode": mode});
        let answer = stand.caller.post("/v1/files/write", &body).await.data();
        assert_eq!(answer["error"]["code"], "permission_denied", "{answer}");
        assert!(!stand.root.join("program").exists());
    }
    let program = stand.root.join("cage.py");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let body = json!({"path": "cage.py", "content": "x", "overwrite": true});
    assert_eq!(stand.caller.post("/v1/files/write", &body).await.data()["ok"], true);
    assert_eq!(fs::metadata(program).unwrap().mode() & 0o7777, 0o755);
}
