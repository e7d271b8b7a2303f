//! Processes that cannot be ended, and file systems that never answer: only their caller is affected.

use crate::{
    exec::{ANY_USER, run},
    support::{
        Daemon, skipped, until,
        users::{Home, OWNER, has_other_users},
        within,
    },
};
use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::{Pid, Signal, kill_process},
};
use serde_json::json;
use std::{
    ffi::CString,
    fs::{self, File},
    os::{fd::AsRawFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

/// A program of another user that the daemon's user may start and not end.
struct Unkillable {
    program: PathBuf,
    pid_file: PathBuf,
}

impl Unkillable {
    fn new(home: &Home) -> Option<Self> {
        let (program, told) = (home.path().join("root-python"), home.path().join("told"));
        fs::create_dir(&told).unwrap();
        home.give(&told);
        fs::copy("/usr/bin/python3", &program).ok()?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
        Some(Unkillable { program, pid_file: told.join("pid") })
    }

    fn command(&self) -> String {
        let (program, file) = (self.program.display(), self.pid_file.display());
        let code = format!(
            "import os,time; os.setresuid(0,0,0); open(\"{file}.new\",\"w\").write(str(os.getpid())); \
             os.rename(\"{file}.new\",\"{file}\"); time.sleep(1000)"
        );
        format!("{program} -c '{code}' & while [ ! -e {file} ]; do sleep 0.01; done; kill -9 $PPID; wait")
    }
}

impl Drop for Unkillable {
    fn drop(&mut self) {
        let pid = fs::read_to_string(&self.pid_file).ok().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

#[actix_rt::test]
async fn a_process_that_cannot_be_ended_delays_no_other_call() {
    if !has_other_users() {
        return;
    }
    let home = Home::new(OWNER);
    let Some(unkillable) = Unkillable::new(&home) else { return skipped("there is no python3 to run as root") };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemon = home.daemon_with("", &[("PATH", Path::new(&path))]).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let mut stuck = caller.begin_at("/v1/exec", &json!({"command": unkillable.command()})).await;
    until("its process", async || unkillable.pid_file.exists().then_some(())).await;
    // While ending it is attempted, and after that was given up.
    assert_eq!(run(&caller, json!({"command": "true"})).await["ok"], true);
    assert_eq!(caller.get("/health").await.status, 200);
    assert_eq!(within("an answer", stuck.answer(false)).await.data()["error"]["code"], "io_error");
    let again = json!({"command": "kill -9 $PPID; sleep 1000"});
    assert_eq!(run(&caller, again).await["error"]["code"], "io_error");
    assert_eq!(run(&caller, json!({"command": "true"})).await["ok"], true);
    assert_eq!(caller.get("/readyz").await.status, 200);
}

/// A file system that never answers.
struct Silent {
    place: PathBuf,
    /// Its end fails everything that waits for an answer.
    device: Option<File>,
}

impl Silent {
    fn at(place: PathBuf) -> Option<Self> {
        fs::create_dir(&place).unwrap();
        let device = File::options().read(true).write(true).open("/dev/fuse").ok()?;
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("silent", &place, "fuse", flags, &*CString::new(options).unwrap()).ok()?;
        Some(Silent { place, device: Some(device) })
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.device = None;
        let _ = unmount(&self.place, UnmountFlags::DETACH);
    }
}

#[actix_rt::test]
async fn files_that_never_answer_are_given_up() {
    if !has_other_users() {
        return;
    }
    let daemon = Daemon::start(&format!("{ANY_USER}host_ops.file_timeout_ms = 300")).await;
    let caller = daemon.caller().bearer(&daemon.token());
    let Some(silent) = Silent::at(daemon.folder().path().join("silent")) else {
        return skipped("no file system of our own can be mounted");
    };
    let file = json!({"path": silent.place.join("x/y")});
    let well = daemon.folder().path().join("well");
    fs::write(&well, "well").unwrap();
    for attempt in 0..9 {
        let answer = within("an answer", caller.post("/v1/files/read", &file)).await.data();
        let wanted = if attempt < 8 { "io_error" } else { "busy" };
        assert_eq!(answer["error"]["code"], wanted, "{attempt}: {answer}");
        if attempt < 7 {
            let other = within("an answer", caller.post("/v1/files/read", &json!({"path": well}))).await.data();
            assert_eq!(other["result"]["content"], "well");
        }
    }
    drop(silent);
    until("a turn", async || {
        let answer = caller.post("/v1/files/read", &json!({"path": well})).await.data();
        (answer["ok"] == true).then_some(())
    })
    .await;
    assert_eq!(caller.get("/readyz").await.status, 200);
}
