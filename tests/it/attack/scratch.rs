//! What a confined command leaves in its own folder is removed, whatever it is, by whichever process is left to do it.

use crate::{
    exec::ANY_USER,
    support::{
        Caller, Daemon, Folder, until,
        users::{Home, OWNER, User, has_other_users},
        within,
    },
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const CONFINED: &str = "host_ops.sandbox = \"landlock\"";

/// Makes nested folders from the innermost on, so that no path is ever long.
const DEEP: &str = "import os\nos.chdir(os.environ['TMPDIR']); os.mkdir('d')\nfor n in range(20000):\n os.mkdir('t'); os.rename('d', 't/d'); os.rename('t', 'd')\n";

/// A daemon whose commands are confined, with a folder of its own for temporary files.
struct Scene {
    /// `None` after it was killed.
    daemon: Option<Daemon>,
    caller: Caller,
    place: PathBuf,
}

impl Scene {
    async fn start(settings: &str) -> Self {
        Self::on(Folder::new(), settings).await
    }

    async fn on(folder: Folder, settings: &str) -> Self {
        let place = place(folder.path());
        let mut command = folder.command(&format!("{ANY_USER}{CONFINED}\n{settings}"));
        command.env("TMPDIR", &place).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let daemon = Daemon::spawn(folder, command).await;
        Self::of(daemon, place)
    }

    /// One that runs as an ordinary user, who may not open folders with closed modes.
    async fn of_user(user: User, settings: &str) -> Self {
        let home = Home::new(user);
        let place = place(home.path());
        home.give(&place);
        let daemon = home.daemon_with(&format!("{CONFINED}\n{settings}"), &[("TMPDIR", &place)]).await;
        Self::of(daemon, place)
    }

    fn of(daemon: Daemon, place: PathBuf) -> Self {
        let caller = daemon.caller().bearer(&daemon.token());
        Scene { daemon: Some(daemon), caller, place }
    }

    /// Kills the daemon; its folders are used by another one.
    async fn killed(mut self) -> (PathBuf, Folder) {
        (self.place.clone(), self.daemon.take().unwrap().kill().await)
    }

    async fn run(&self, command: Value) -> Value {
        let body = json!({"command": command, "timeout_ms": 60_000});
        within("command", self.caller.post("/v1/exec", &body)).await.data()
    }

    fn left(&self) -> Vec<PathBuf> {
        left(&self.place)
    }

    async fn emptied(&self) {
        until("removal", async || self.left().is_empty().then_some(())).await;
    }

    /// A command that runs until it is ended.
    async fn lasting(&self, before: &str) -> crate::support::Connection {
        let command = format!("cd $TMPDIR; {before}; touch $HOME/begun; sleep 1000; :");
        let connection = self.caller.begin_at("/v1/exec", &json!({"command": command})).await;
        until("its beginning", async || {
            self.left().iter().any(|folder| folder.join("home/begun").exists()).then_some(())
        })
        .await;
        connection
    }

    /// Returns the supervisor of a command: it has children of its own, where a sweeper has none.
    fn supervisor(&self) -> Pid {
        let daemon = i32::try_from(self.daemon.as_ref().unwrap().pid()).unwrap();
        children(daemon).into_iter().find(|pid| !children(pid.as_raw_pid()).is_empty()).unwrap()
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // One that holds a resource belongs to another test.
        let _ = fs::remove_dir(&self.place);
    }
}

fn children(parent: i32) -> Vec<Pid> {
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let of = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse::<i32>().ok()?;
        (of == parent).then(|| entry.file_name().to_str()?.parse().ok()).flatten()
    });
    all.filter_map(Pid::from_raw).collect()
}

/// In memory, if there is such a file system: the test is not about disks.
fn place(within: &Path) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let place = match memory.is_dir() {
        true => memory.join(format!("baa-{}-{}", std::process::id(), within.file_name().unwrap().to_string_lossy())),
        false => within.join("temporary"),
    };
    fs::create_dir_all(&place).unwrap();
    place
}

fn left(place: &Path) -> Vec<PathBuf> {
    fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

async fn leaves_nothing(scene: &Scene) {
    // Closed from within: a folder's mode also binds the process that removes it.
    for (name, command) in [
        ("deep", json!(["python3", "-c", DEEP])),
        (
            "deep and closed",
            json!([
                "python3",
                "-c",
                "import os\nos.chdir(os.environ['HOME'])\nfor n in range(300):\n os.mkdir('d'); os.chdir('d')\nfor n in range(300):\n os.chdir('..'); os.chmod('d', 0)\n"
            ]),
        ),
        (
            "closed",
            json!("mkdir -p $TMPDIR/a/b/c; touch $TMPDIR/a/b/c/f; chmod 000 $TMPDIR/a/b/c $TMPDIR/a/b $TMPDIR/a"),
        ),
        // The folder around both is the command's own, or, if it has a file system of its own, one that cannot be
        // changed.
        ("closed itself", json!("touch $TMPDIR/f; own=$(dirname $HOME); chmod 000 $TMPDIR $HOME; chmod 000 $own; :")),
        (
            "not to be written",
            json!("mkdir -p $TMPDIR/a/b; touch $TMPDIR/a/b/f; chmod 500 $TMPDIR/a/b; chmod 400 $TMPDIR/a"),
        ),
        (
            "odd names",
            json!(
                "cd $TMPDIR; mkdir -- -r ' ' \"$(printf 'a\\nb')\" \"$(printf '\\377')\"; touch -- ./-rf; ln -s / root; mkfifo fifo"
            ),
        ),
        ("wide", json!("cd $TMPDIR; seq 1 5000 | xargs mkdir; seq 1 5000 | sed 's/$/\\/f/' | xargs touch")),
    ] {
        let answer = scene.run(command).await;
        assert_eq!(answer["ok"], true, "{name}: {answer}");
        scene.emptied().await;
    }
    assert_eq!(scene.caller.get("/readyz").await.status, 200);
}

#[actix_rt::test]
async fn nothing_that_a_command_leaves_stays_and_the_daemon_lives() {
    let scene = Scene::start("").await;
    leaves_nothing(&scene).await;
}

#[actix_rt::test]
async fn nor_where_the_daemon_may_not_open_what_is_closed() {
    if !has_other_users() {
        return;
    }
    let scene = Scene::of_user(OWNER, "").await;
    leaves_nothing(&scene).await;
}

#[actix_rt::test]
async fn links_lead_the_removal_nowhere() {
    let folder = Folder::new();
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("closed")).unwrap();
    fs::write(root.join("kept"), "x").unwrap();
    fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o500)).unwrap();
    let scene = Scene::on(folder, &format!("host_ops.roots = [{root:?}]")).await;
    let command = format!(
        "cd $TMPDIR; ln -s {0} a; ln -s {0}/closed b; ln {0}/kept c; mkdir d; ln -s .. d/up; chmod 000 d",
        root.display()
    );
    assert_eq!(scene.run(json!(command)).await["ok"], true);
    scene.emptied().await;
    assert_eq!(fs::read_to_string(root.join("kept")).unwrap(), "x");
    assert_eq!(fs::metadata(root.join("closed")).unwrap().permissions().mode() & 0o777, 0o500);
}

#[actix_rt::test]
async fn what_a_killed_daemon_and_supervisor_leave_goes_at_the_next_start() {
    let scene = Scene::start("").await;
    let connection = scene.lasting("mkdir -p a/b/c; chmod 000 a/b/c a/b a").await;
    let supervisor = scene.supervisor();
    let commands = children(supervisor.as_raw_pid());
    // Neither may see the other's end.
    kill_process(supervisor, Signal::STOP).unwrap();
    let (place, folder) = scene.killed().await;
    kill_process(supervisor, Signal::KILL).unwrap();
    drop(connection);
    for command in commands {
        rustix::process::kill_process_group(command, Signal::KILL).unwrap();
    }
    assert_eq!(left(&place).len(), 1, "no process was left to remove it");
    let scene = Scene::on(folder, "").await;
    scene.emptied().await;
}

#[actix_rt::test]
async fn what_a_killed_daemon_leaves_goes_with_the_command() {
    let scene = Scene::start("").await;
    let connection = scene.lasting("mkdir -p a/b; chmod 000 a").await;
    let (place, _folder) = scene.killed().await;
    until("removal", async || left(&place).is_empty().then_some(())).await;
    drop(connection);
}

#[actix_rt::test]
async fn what_a_killed_supervisor_leaves_goes_without_a_start() {
    let scene = Scene::start("").await;
    let mut connection = scene.lasting("mkdir -p a/b; chmod 000 a").await;
    kill_process(scene.supervisor(), Signal::KILL).unwrap();
    let answer = within("an answer", connection.answer(false)).await.data();
    assert_eq!(answer["error"]["code"], "io_error", "{answer}");
    scene.emptied().await;
}

#[actix_rt::test]
async fn another_daemon_leaves_the_folder_of_a_living_command_alone() {
    let scene = Scene::start("").await;
    let connection = scene.lasting("mkdir a").await;
    // An old one beside it shows that a sweep took place.
    let old = scene.place.join("baa-conductor-command-0123456789abcdef01234567");
    fs::create_dir_all(old.join("tmp/x")).unwrap();
    let others = Folder::new();
    let mut command = others.command(ANY_USER);
    command.env("TMPDIR", &scene.place);
    let _other = Daemon::spawn(others, command).await;
    until("the sweep", async || (!old.exists()).then_some(())).await;
    assert!(scene.left().iter().all(|folder| folder.join("tmp/a").is_dir()), "{:?}", scene.left());
    drop(connection);
    scene.emptied().await;
}

#[actix_rt::test]
async fn what_is_not_the_users_or_no_commands_stays() {
    if !has_other_users() {
        return;
    }
    let folder = Folder::new();
    let place = place(folder.path());
    let names = ["baa-conductor-command-0123456789abcdef01234567", "baa-conductor-command-demo", "other"];
    for name in names {
        fs::create_dir_all(place.join(name).join("x")).unwrap();
    }
    rustix::fs::chown(place.join(names[0]), Some(rustix::fs::Uid::from_raw(61_002)), None).unwrap();
    let mine = place.join("baa-conductor-command-ffffffffffffffffffffffff");
    fs::create_dir_all(mine.join("x")).unwrap();
    let _scene = Scene::on(folder, "").await;
    until("the sweep", async || (!mine.exists()).then_some(())).await;
    for name in names {
        assert!(place.join(name).join("x").is_dir(), "{name}");
    }
    fs::remove_dir_all(&place).unwrap();
}
