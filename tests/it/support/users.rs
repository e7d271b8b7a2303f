//! Other users of this machine: sockets that belong to them, and programs that run as them. Only root can become
//! another user; otherwise tests of several users are skipped with a message.

use super::{Caller, Connection, Daemon, Folder};
use rustix::{
    fs::{Gid, Uid, chown},
    process::geteuid,
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use std::{
    fs,
    io::Read,
    net::SocketAddr,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// An ordinary user without an account: files and sockets only need ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User(u32);

/// The user of a daemon that does not run as root.
pub(crate) const OWNER: User = User(61_001);
/// Another unprivileged user.
pub(crate) const STRANGER: User = User(61_002);

/// Returns whether the tests can become other users; reports if not. Continuous integration runs as root.
pub(crate) fn has_other_users() -> bool {
    let root = geteuid().is_root();
    if !root {
        super::skipped("only root can become another user");
    }
    root
}

impl User {
    /// Returns one of many further users.
    pub(crate) fn numbered(n: u32) -> Self {
        User(61_100 + n)
    }

    /// Makes a program run as this user, without root's privileges.
    pub(crate) fn command(self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        // Supplementary groups are dropped by the standard library together with root's id.
        command.uid(self.0).gid(self.0);
        command
    }

    /// Runs `make` on a thread with this user's id: the kernel records the creator of a socket.
    pub(crate) fn makes<T: Send + 'static>(self, make: impl FnOnce() -> T + Send + 'static) -> T {
        let as_user = move || {
            let (uid, gid) = (Uid::from_raw(self.0), Gid::from_raw(self.0));
            // These calls change this thread only.
            set_thread_groups(&[]).unwrap();
            set_thread_res_gid(gid, gid, gid).unwrap();
            set_thread_res_uid(uid, uid, uid).unwrap();
            make()
        };
        std::thread::spawn(as_user).join().unwrap()
    }

    /// Opens a connection that belongs to this user.
    pub(crate) fn connects(self, address: SocketAddr) -> std::net::TcpStream {
        let stream = self.makes(move || std::net::TcpStream::connect(address)).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }

    /// The same for requests by hand.
    pub(crate) fn opens(self, address: SocketAddr) -> Connection {
        Connection::from_std(self.connects(address))
    }

    /// Sends one request of a caller as this user.
    pub(crate) async fn sends(self, caller: &Caller, method: &str, path: &str, body: Option<&[u8]>) -> super::Answer {
        let mut connection = self.opens(caller.address());
        connection.write(&caller.head(method, path, body)).await;
        connection.answer(method == "HEAD").await
    }

    /// Returns whether this user can read a file.
    pub(crate) fn reads(self, path: &Path) -> bool {
        let path = path.to_owned();
        self.makes(move || fs::File::open(path).and_then(|mut file| file.read(&mut [0; 1])).is_ok())
    }
}

/// A folder of an ordinary user, in the system's folder for temporary files, since the path to the build folder may be
/// closed to others; with a copy of the binary that everyone may execute.
#[derive(Debug)]
pub(crate) struct Home {
    user: User,
    path: PathBuf,
}

impl Home {
    pub(crate) fn new(user: User) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("baa-it-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let binary = path.join("baa-conductor");
        let built = Path::new(env!("CARGO_BIN_EXE_baa-conductor"));
        // A hard link costs nothing, but needs both on one file system.
        fs::hard_link(built, &binary).or_else(|_| fs::copy(built, &binary).map(drop)).unwrap();
        let home = Home { user, path };
        home.give(home.path());
        home
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives a file or folder to this user.
    pub(crate) fn give(&self, path: &Path) {
        chown(path, Some(Uid::from_raw(self.user.0)), Some(Gid::from_raw(self.user.0))).unwrap();
    }

    /// Returns the path of the binary's copy.
    pub(crate) fn binary(&self) -> PathBuf {
        self.path.join("baa-conductor")
    }

    /// Starts a daemon as this user, with `settings` over the defaults.
    pub(crate) async fn daemon(self, settings: &str) -> Daemon {
        self.daemon_through(&[], settings).await
    }

    /// The same through a program that gets the daemon's command line as its last arguments.
    pub(crate) async fn daemon_through(self, program: &[String], settings: &str) -> Daemon {
        self.start(program, settings, &[]).await
    }

    /// The same with these variables.
    pub(crate) async fn daemon_with(self, settings: &str, variables: &[(&str, &Path)]) -> Daemon {
        self.start(&[], settings, variables).await
    }

    async fn start(self, program: &[String], settings: &str, variables: &[(&str, &Path)]) -> Daemon {
        let (user, binary) = (self.user, self.binary());
        let folder = Folder::of(self.path.clone());
        // The folder's own `Drop` removes everything.
        std::mem::forget(self);
        let mut plain = folder.command_of(&binary, settings);
        let number = Some(Uid::from_raw(user.0));
        chown(folder.path().join("conductor.toml"), number, None).unwrap();
        plain.envs(variables.iter().copied());
        Daemon::spawn(folder, user.same(&through(program, &plain))).await
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.path).unwrap_or_default();
    }
}

/// A command that runs another one.
pub(crate) fn through(program: &[String], plain: &Command) -> Command {
    let words = program.iter().map(Into::into).chain([plain.get_program().to_owned()]);
    let mut words = words.chain(plain.get_args().map(ToOwned::to_owned));
    let mut command = Command::new(words.next().unwrap());
    command.args(words).env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(std::process::Stdio::null());
    command
}

impl User {
    /// A launcher that runs commands as this user where no user namespaces can be created. `told`: whether the system
    /// announces that.
    pub(crate) fn without_namespaces(self, told: bool) -> Vec<String> {
        let user = self.0;
        let words = if told {
            format!(
                "unshare --user --map-user={user} --map-group={user} --keep-caps sh -c \
                 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --inh-caps=-all --ambient-caps=-all \"$@\"' sh \"$@\""
            )
        } else {
            format!(
                "unshare --user --map-root-user sh -c 'echo 1 > /proc/sys/user/max_user_namespaces && exec unshare --user \
                 --map-user={user} --map-group={user} \"$@\"' sh \"$@\""
            )
        };
        ["sh", "-c", &format!("exec {words}"), "sh"].map(str::to_owned).into()
    }

    /// The same command as this user.
    pub(crate) fn same(self, plain: &Command) -> Command {
        let mut command = self.command(plain.get_program());
        command.args(plain.get_args()).env_clear();
        for (name, value) in plain.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command.stdin(std::process::Stdio::null());
        command
    }
}

#[actix_rt::test]
async fn the_kernel_knows_whose_daemon_and_whose_connection_it_is() {
    if !has_other_users() {
        return;
    }
    let daemon = Home::new(OWNER).daemon("").await;
    assert!(!STRANGER.reads(&daemon.folder().state().join("token")), "the token is the owner's");
    assert!(OWNER.reads(&daemon.folder().state().join("token")));
    let caller = daemon.caller();
    assert_eq!(OWNER.sends(&caller, "GET", "/v1/browser", None).await.status, 200);
    assert_eq!(STRANGER.sends(&caller, "GET", "/v1/browser", None).await.error(), (401, "unauthorized".into()));
}
