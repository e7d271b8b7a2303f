//! The hops of this machine, which can be looked at with and without a daemon: configuration, environment, state folder,
//! token, port, database, sandbox. Nothing is changed.

use super::finding::Finding;
use crate::{
    app,
    bridge::settings::PairingMode,
    cli::{CommandContext, CommandError},
    config::Config,
    host::{self, HostOperations, settings::SandboxLevel},
    http::settings::LocalTrust,
    secret::Secret,
    state_folder::{self, DaemonInfo, StateError},
    store::audit::AuditTrail,
};
use rustix::process::geteuid;
use std::{
    ffi::OsString,
    fs, io,
    net::TcpListener,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Variables without `__` that mean something.
const KNOWN_VARIABLES: [&str; 3] = ["BAA_CONDUCTOR_LOCAL_API", "BAA_SHARED_TOKEN", "BAA_CODEXD_LOCAL_API_BASE"];
/// One that is for measuring alone.
const NO_JOURNAL: &str = "BAA_BENCH_NO_JOURNAL";
/// The address of the older conductor's control plane.
const CONTROL_API: &str = "BAA_CONTROL_API_BASE";

/// A line for each fault, or one that says where the values came from.
pub(super) fn configuration(prepared: &Result<CommandContext, CommandError>) -> Vec<Finding> {
    let name = "configuration";
    match prepared {
        Ok(context) => {
            let keys = crate::config::explain::leaves(&context.config);
            let set =
                keys.iter().filter(|(key, _)| *context.origins.of(key) != crate::config::ValueOrigin::Default).count();
            let warnings = context.warnings.iter().map(|warning| Finding::warning(name, warning.to_string()));
            std::iter::once(Finding::ok(name, format!("{set} of {} settings are not at their default", keys.len())))
                .chain(warnings)
                .collect()
        }
        Err(CommandError::Configuration(faults)) => {
            let line = |fault: &crate::config::ConfigError| {
                Finding::failure(name, fault.to_string())
                    .advise("`baa-conductor config` shows all of it once it is right")
            };
            faults.iter().map(line).collect()
        }
        Err(CommandError::Failure(error)) => vec![Finding::failure(name, format!("{error:#}"))],
    }
}

/// A line for each variable that looks as if it were meant for the daemon and is not.
pub(super) fn environment(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<Finding> {
    let mut names: Vec<_> = variables.filter_map(|(name, _)| name.into_string().ok()).collect();
    names.sort();
    let stray =
        |name: &String| name.starts_with("BAA_") && !name.contains("__") && !KNOWN_VARIABLES.contains(&name.as_str());
    let found: Vec<_> = names
        .into_iter()
        .filter(stray)
        .map(|name| match name.as_str() {
            NO_JOURNAL => Finding::warning("environment", format!("{name} is set: with 1, requests leave no trace"))
                .advise("unset it"),
            CONTROL_API => {
                Finding::warning("environment", format!("{name} is of the older conductor and means nothing here"))
                    .advise("unset it; there is one daemon and one address, server.listen (docs/migrating.md)")
            }
            _ => Finding::warning("environment", format!("{name} means nothing to this daemon"))
                .advise("unset it; a setting is BAA_ and its path with __ between its parts, as in BAA_SERVER__LISTEN"),
        })
        .collect();
    if found.is_empty() { vec![Finding::ok("environment", "no variable that means nothing")] } else { found }
}

/// What a daemon stands on.
pub(super) struct LocalChecks<'a> {
    pub(super) config: &'a Config,
    pub(super) state_dir: &'a Path,
}

impl LocalChecks<'_> {
    /// Whether the folder is this user's alone, and log files can be written where they are wanted.
    pub(super) fn state_folder(&self) -> Vec<Finding> {
        let (name, path) = ("state folder", self.state_dir);
        let shown = path.display();
        let mut findings = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return vec![Finding::ok(name, format!("{shown} is made at the first start"))];
            }
            Err(error) => return vec![Finding::failure(name, format!("{shown} cannot be read: {error}"))],
            Ok(found) if !found.is_dir() => {
                return vec![Finding::failure(name, StateError::NotAFolder { path: path.to_owned() }.to_string())];
            }
            Ok(found) if found.uid() != geteuid().as_raw() => {
                let (owner, own) = (found.uid(), geteuid().as_raw());
                let error = StateError::Foreign { path: path.to_owned(), owner, own };
                vec![Finding::failure(name, error.to_string()).advise("use another one with --state-dir")]
            }
            Ok(found) if found.mode() & 0o077 != 0 => {
                let mode = found.mode() & 0o7777;
                vec![
                    Finding::warning(name, format!("{shown} has mode {mode:04o}, which lets others in"))
                        .advise("the next start makes it 0700"),
                ]
            }
            Ok(_) => vec![Finding::ok(name, format!("{shown} is this user's alone"))],
        };
        if rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_err() {
            findings.push(Finding::failure(name, format!("{shown} cannot be written")));
        }
        findings
    }

    /// The token that this command shows; what is wrong with it is added to the findings.
    pub(super) fn token(&self, findings: &mut Vec<Finding>) -> Option<Secret> {
        let name = "token";
        match state_folder::client_token(self.state_dir, &self.config.auth) {
            Ok(Some(token)) => {
                let place = match (&self.config.auth.token, &self.config.auth.token_file) {
                    (Some(_), _) => "auth.token".to_owned(),
                    (None, Some(path)) => path.display().to_string(),
                    (None, None) => state_folder::token_file(self.state_dir).display().to_string(),
                };
                findings.push(Finding::ok(name, format!("there, in {place}")));
                Some(token)
            }
            Ok(None) => {
                findings.push(Finding::ok(name, "made at the first start"));
                None
            }
            Err(error) => {
                let advice = "make it 0600 and this user's, or have a new one with `baa-conductor token --rotate`";
                findings.push(Finding::failure(name, error.to_string()).advise(advice));
                None
            }
        }
    }

    /// Who needs no token here, and by which tunnels others get in that cannot be told from them.
    pub(super) fn local_trust(&self) -> Finding {
        let name = "local trust";
        let advice = "set auth.local_trust = \"none\" where such a tunnel leads to the daemon";
        if let Some(warning) = self.config.local_trust_warning() {
            return Finding::warning(name, warning).advise("remove auth.local_trust, or set it to \"none\"");
        }
        let whose = match self.config.auth.local_trust {
            LocalTrust::None => return Finding::ok(name, "none: every caller shows the token"),
            LocalTrust::SameUser => "same_user: programs of this user need no token",
            LocalTrust::Loopback => "loopback: programs of every user of this machine need no token",
        };
        let tunnel = "nor does whoever comes by a raw TCP tunnel (ssh -R, socat) that runs as this user";
        Finding::ok(name, format!("{whose}, {tunnel}")).advise(advice)
    }

    /// Whether instructions may run, and on whose word.
    pub(super) fn instructions(&self) -> Finding {
        let name = "instructions";
        let live = self.config.instructions.live;
        if !state_folder::instructions_enabled(self.state_dir) {
            return Finding::warning(name, "off: the database in which it stood what had run was lost or replaced")
                .advise("`baa-conductor instructions enable` lets them run again, also what ran before");
        }
        if live && self.config.bridge.pairing == PairingMode::Off {
            let why =
                "instructions.live is on and bridge.pairing is off: any program of this user can speak as a model";
            return Finding::warning(name, why).advise("pair your Firefox and remove bridge.pairing");
        }
        Finding::ok(name, if live { "live: a model's messages are acted on" } else { "not live" })
    }

    /// Whether a daemon could listen.
    pub(super) fn free_port(&self) -> Finding {
        let name = "port";
        let Some(address) = self.config.server.address() else {
            return Finding::failure(name, "server.listen is not an address");
        };
        match TcpListener::bind(address) {
            Ok(_) if address.port() == 0 => Finding::ok(name, "a free one at each start (server.listen has port 0)"),
            Ok(_) => Finding::ok(name, format!("{address} is free")),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::failure(
                name,
                format!("{address} is in use by another program, or by a daemon on another state folder"),
            )
            .advise("end that one, or choose another server.listen"),
            Err(error) => Finding::failure(name, format!("{address} cannot be listened on: {error}")),
        }
    }

    /// Where the daemon listens, and whether that is where it is expected.
    pub(super) fn daemon_port(&self, daemon: &DaemonInfo) -> Finding {
        let wanted = self.config.server.address().filter(|address| address.port() != 0);
        let expected = wanted.map(|address| format!("http://{address}")).filter(|wanted| *wanted != daemon.http);
        let aside = expected.map(|wanted| format!(" (the configuration seen here says {wanted})")).unwrap_or_default();
        Finding::ok("port", format!("the daemon listens at {}{aside}", daemon.http))
    }

    /// Whether the database of a daemon that does not run can be opened.
    pub(super) fn database(&self) -> Finding {
        let (name, path) = ("store", self.database_path());
        if !path.exists() {
            return Finding::ok(name, format!("{} is made at the first start", path.display()));
        }
        match AuditTrail::open(&path, self.config.store.busy_timeout_ms) {
            Ok(_) => Finding::ok(name, format!("{} can be opened", path.display())),
            Err(error) => Finding::failure(name, error.to_string()),
        }
    }

    fn database_path(&self) -> PathBuf {
        self.config.store.file(self.state_dir)
    }

    /// Whether the sandboxes that are configured can be had here.
    pub(super) fn sandbox(&self) -> Finding {
        let host = HostOperations::new(app::host_setup(self.config, self.state_dir));
        let level = |origin| SandboxState {
            name: sandbox_name(host.sandbox(origin)),
            available: host.check_sandbox(origin).is_ok(),
            limit: host.sandbox_limit(origin),
        };
        sandbox_finding(
            &level(host::OperationOrigin::Operator),
            &level(host::OperationOrigin::Model),
            host.has_bubblewrap(),
        )
    }
}

/// A sandbox that is configured.
pub(super) struct SandboxState {
    pub(super) name: String,
    /// Whether it can be had.
    pub(super) available: bool,
    /// What commands in it cannot do.
    pub(super) limit: Option<String>,
}

fn sandbox_name(level: SandboxLevel) -> String {
    match level {
        SandboxLevel::Off => "off",
        SandboxLevel::Landlock => "landlock",
        SandboxLevel::Bubblewrap => "bubblewrap",
    }
    .to_owned()
}

/// What confines the operator's commands and what confines a model's. `has_bubblewrap`: whether that could be had.
pub(super) fn sandbox_finding(operator: &SandboxState, model: &SandboxState, has_bubblewrap: bool) -> Finding {
    let name = "sandbox";
    let said = format!("host_ops.sandbox is {}, instructions.sandbox is {}", operator.name, model.name);
    let both = [("host_ops.sandbox", operator), ("instructions.sandbox", model)];
    let missing: Vec<_> = both
        .into_iter()
        .filter(|(_, level)| !level.available)
        .map(|(key, level)| format!("{key} = {}", level.name))
        .collect();
    if missing.is_empty() {
        let better: Vec<_> = both
            .into_iter()
            .filter(|(_, level)| has_bubblewrap && level.name == "landlock")
            .map(|(key, _)| format!("{key} = \"bubblewrap\""))
            .collect();
        let limit = both.into_iter().find_map(|(key, level)| Some(format!("{key}: {}", level.limit.as_ref()?)));
        let finding = match &limit {
            Some(limit) => Finding::warning(name, format!("{said}; {limit}")),
            None => Finding::ok(name, said),
        };
        return match (better.is_empty(), limit) {
            (false, _) => {
                finding.advise(format!("Bubblewrap is installed and confines by itself: {}", better.join(", ")))
            }
            (true, Some(_)) => finding.advise("allow user namespaces, or install Bubblewrap where it may make them"),
            (true, None) => finding,
        };
    }
    Finding::warning(
        name,
        format!("this system has no such sandbox: {}; what is to run in it is refused", missing.join(", ")),
    )
    .advise("landlock needs Linux 6.2 with Landlock switched on, bubblewrap needs bwrap and user namespaces")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::FindingVerdict;

    fn verdicts(names: &[&str]) -> Vec<(FindingVerdict, String)> {
        let variables = names.iter().map(|name| ((*name).into(), "x".into()));
        environment(variables).into_iter().map(|finding| (finding.verdict, finding.to_line())).collect()
    }

    #[test]
    fn variables_that_mean_nothing_are_told_and_ours_are_not() {
        let fine =
            ["PATH", "BAA_SHARED_TOKEN", "BAA_CONDUCTOR_LOCAL_API", "BAA_CODEXD_LOCAL_API_BASE", "BAA_BRIDGE__PAIRING"];
        assert_eq!(verdicts(&fine), [(FindingVerdict::Ok, "no variable that means nothing".to_owned())]);
        let told = verdicts(&["BAA_SOMETHING", "BAA_CONTROL_API_BASE", "BAA_BENCH_NO_JOURNAL", "BAA_SHARED_TOKEN"]);
        assert!(told.iter().all(|(verdict, _)| *verdict == FindingVerdict::Warning) && told.len() == 3, "{told:?}");
        for (told, wanted) in told.iter().zip(["no trace", "server.listen", "BAA_SERVER__LISTEN"]) {
            assert!(told.1.contains(wanted), "{told:?}");
        }
    }

    #[test]
    fn a_sandbox_that_cannot_be_had_is_a_warning_that_names_its_key() {
        let level = |name: &str, available| SandboxState { name: name.to_owned(), available, limit: None };
        let fine = sandbox_finding(&level("off", true), &level("landlock", true), false);
        assert_eq!((fine.verdict, fine.advice), (FindingVerdict::Ok, None));
        let missing = sandbox_finding(&level("off", true), &level("landlock", false), true);
        assert!(
            missing.verdict == FindingVerdict::Warning && missing.message.contains("instructions.sandbox = landlock"),
            "{missing:?}"
        );
        assert!(!missing.message.contains("host_ops.sandbox"), "{missing:?}");
    }

    #[test]
    fn what_passes_for_a_local_caller_is_said_wherever_anything_does() {
        let of = |hosts: &[&str], trust| {
            let mut config = Config::default();
            config.server.allowed_hosts = hosts.iter().map(|&host| host.to_owned()).collect();
            config.auth.local_trust = trust;
            LocalChecks { config: &config, state_dir: Path::new("/nowhere") }.local_trust()
        };
        for trust in [LocalTrust::SameUser, LocalTrust::Loopback] {
            let (plain, named) = (of(&[], trust), of(&["box.lan"], trust));
            assert_eq!((plain.verdict, named.verdict), (FindingVerdict::Ok, FindingVerdict::Warning));
            for finding in [plain, named] {
                assert!(finding.message.contains("raw TCP tunnel (ssh -R, socat)"), "{finding:?}");
            }
        }
        assert_eq!(of(&["box.lan"], LocalTrust::None).verdict, FindingVerdict::Ok);
    }

    #[test]
    fn bubblewrap_is_recommended_where_it_is_installed_and_landlock_is_configured() {
        let level = |name: &str, limit: Option<&str>| SandboxState {
            name: name.to_owned(),
            available: true,
            limit: limit.map(str::to_owned),
        };
        let sentence =
            |operator: &SandboxState, model: &SandboxState, has| sandbox_finding(operator, model, has).to_line();
        let (off, bubblewrap) = (level("off", None), level("bubblewrap", None));
        let advised = sentence(&off, &level("landlock", None), true);
        assert!(advised.contains("instructions.sandbox = \"bubblewrap\"") && !advised.contains("host_ops.sandbox ="));
        for (model, has) in [(level("landlock", None), false), (bubblewrap, true)] {
            assert_eq!(sandbox_finding(&off, &model, has).advice, None);
        }
        let limited = sandbox_finding(&off, &level("landlock", Some("no modes")), false);
        assert!(limited.verdict == FindingVerdict::Warning && limited.to_line().contains("no modes"), "{limited:?}");
    }

    #[test]
    fn a_port_that_somebody_has_is_a_failure_and_a_free_one_is_not() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = Config::default();
        let mut port = |listen: String| {
            config.server.listen = listen;
            LocalChecks { config: &config, state_dir: Path::new("/nowhere") }.free_port()
        };
        assert_eq!(port("127.0.0.1:0".into()).verdict, FindingVerdict::Ok);
        let failure = port(taken.local_addr().unwrap().to_string());
        assert!(failure.verdict == FindingVerdict::Failure && failure.message.contains("is in use"), "{failure:?}");
    }
}
