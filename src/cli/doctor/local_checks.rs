//! The checks of this machine, with and without a daemon: configuration, environment, state folder, token, port,
//! database, sandbox. They change nothing.

use super::finding::Finding;
use crate::{
    app,
    bridge::settings::PairingMode,
    cli::{CommandContext, CommandError},
    config::Config,
    host::{self, HostOperations},
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

/// Known variables without `__`.
const KNOWN_VARIABLES: [&str; 3] = ["BAA_CONDUCTOR_LOCAL_API", "BAA_SHARED_TOKEN", "BAA_CODEXD_LOCAL_API_BASE"];
/// A variable for benchmarks only.
const NO_JOURNAL: &str = "BAA_BENCH_NO_JOURNAL";
/// The control plane's address of the previous conductor.
const CONTROL_API: &str = "BAA_CONTROL_API_BASE";

/// Returns a finding per fault, or the number of settings that differ from their default.
pub(super) fn configuration(prepared: &Result<CommandContext, CommandError>) -> Vec<Finding> {
    let name = "configuration";
    match prepared {
        Ok(context) => {
            let keys = crate::config::explain::leaves(&context.config);
            let set =
                keys.iter().filter(|(key, _)| *context.origins.of(key) != crate::config::ValueOrigin::Default).count();
            let warnings = context.warnings.iter().map(|warning| Finding::warning(name, warning.to_string()));
            std::iter::once(Finding::ok(name, format!("{set} of {} settings differ from their default", keys.len())))
                .chain(warnings)
                .collect()
        }
        Err(CommandError::Configuration(faults)) => {
            let line = |fault: &crate::config::ConfigError| {
                Finding::failure(name, fault.to_string()).advise("correct it, then check with `baa-conductor config`")
            };
            faults.iter().map(line).collect()
        }
        Err(CommandError::Failure(error)) => vec![Finding::failure(name, format!("{error:#}"))],
    }
}

/// Returns a finding per variable that starts with `BAA_` and has no effect.
pub(super) fn environment(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<Finding> {
    let mut names: Vec<_> = variables.filter_map(|(name, _)| name.into_string().ok()).collect();
    names.sort();
    let stray =
        |name: &String| name.starts_with("BAA_") && !name.contains("__") && !KNOWN_VARIABLES.contains(&name.as_str());
    let found: Vec<_> = names
        .into_iter()
        .filter(stray)
        .map(|name| match name.as_str() {
            NO_JOURNAL => Finding::warning("environment", format!("{name} is set; with 1, requests are not recorded"))
                .advise("unset it"),
            CONTROL_API => {
                Finding::warning("environment", format!("{name} belongs to the previous conductor and has no effect"))
                    .advise("unset it; the daemon has one address, server.listen (docs/migrating.md)")
            }
            _ => Finding::warning("environment", format!("{name} has no effect"))
                .advise("unset it; a variable for a setting is BAA_ and its path with __ between the parts, such as BAA_SERVER__LISTEN"),
        })
        .collect();
    if found.is_empty() { vec![Finding::ok("environment", "no unknown variables")] } else { found }
}

pub(super) struct LocalChecks<'a> {
    pub(super) config: &'a Config,
    pub(super) state_dir: &'a Path,
}

impl LocalChecks<'_> {
    /// Checks that the state folder is private to this user and writable.
    pub(super) fn state_folder(&self) -> Vec<Finding> {
        let (name, path) = ("state folder", self.state_dir);
        let shown = path.display();
        let mut findings = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return vec![Finding::ok(name, format!("{shown} is created at the first start"))];
            }
            Err(error) => return vec![Finding::failure(name, format!("{shown} cannot be read: {error}"))],
            Ok(found) if !found.is_dir() => {
                return vec![Finding::failure(name, StateError::NotAFolder { path: path.to_owned() }.to_string())];
            }
            Ok(found) if found.uid() != geteuid().as_raw() => {
                let (owner, own) = (found.uid(), geteuid().as_raw());
                let error = StateError::Foreign { path: path.to_owned(), owner, own };
                vec![Finding::failure(name, error.to_string()).advise("choose another folder with --state-dir")]
            }
            Ok(found) if found.mode() & 0o077 != 0 => {
                let mode = found.mode() & 0o7777;
                vec![
                    Finding::warning(name, format!("{shown} has mode {mode:04o} and is accessible to other users"))
                        .advise("the daemon sets it to 0700 at its next start"),
                ]
            }
            Ok(_) => vec![Finding::ok(name, format!("{shown} is private to this user"))],
        };
        if rustix::fs::access(path, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_err() {
            findings.push(Finding::failure(name, format!("{shown} cannot be written")));
        }
        findings
    }

    /// Returns the token that this command uses, and adds a finding about it.
    pub(super) fn token(&self, findings: &mut Vec<Finding>) -> Option<Secret> {
        let name = "token";
        match state_folder::client_token(self.state_dir, &self.config.auth) {
            Ok(Some(token)) => {
                let location = match (&self.config.auth.token, &self.config.auth.token_file) {
                    (Some(_), _) => "auth.token".to_owned(),
                    (None, Some(path)) => path.display().to_string(),
                    (None, None) => state_folder::token_file(self.state_dir).display().to_string(),
                };
                findings.push(Finding::ok(name, format!("found in {location}")));
                Some(token)
            }
            Ok(None) => {
                findings.push(Finding::ok(name, "created at the first start"));
                None
            }
            Err(error) => {
                let advice = "set its mode to 0600 and its owner to this user, or create a new one with `baa-conductor token --rotate`";
                findings.push(Finding::failure(name, error.to_string()).advise(advice));
                None
            }
        }
    }

    /// Reports which callers need no token, and which tunnels are indistinguishable from them.
    pub(super) fn local_trust(&self) -> Finding {
        let name = "local trust";
        let advice = "set auth.local_trust = \"none\" if such a tunnel leads to the daemon";
        if let Some(warning) = self.config.local_trust_warning() {
            return Finding::warning(name, warning).advise("remove auth.local_trust, or set it to \"none\"");
        }
        let trust = match self.config.auth.local_trust {
            LocalTrust::None => return Finding::ok(name, "none: every caller needs the token"),
            LocalTrust::SameUser => "same_user: programs of this user need no token",
            LocalTrust::Loopback => "loopback: programs of all users of this machine need no token",
        };
        let tunnel = "nor do callers through a raw TCP tunnel (ssh -R, socat) that runs as this user";
        Finding::ok(name, format!("{trust}, {tunnel}")).advise(advice)
    }

    /// Reports whether instructions may run, and whether models' messages are executed.
    pub(super) fn instructions(&self) -> Finding {
        let name = "instructions";
        let live = self.config.instructions.live;
        if !state_folder::instructions_enabled(self.state_dir) {
            return Finding::warning(
                name,
                "off, since the database with the record of executed instructions was lost or replaced",
            )
            .advise(
                "enable them with `baa-conductor instructions enable`; instructions that ran before may then run again",
            );
        }
        if live && self.config.bridge.pairing == PairingMode::Off {
            let why = "instructions.live is on and bridge.pairing is off: any program of this user can pose as a model";
            return Finding::warning(name, why).advise("pair Firefox and remove bridge.pairing from the configuration");
        }
        Finding::ok(name, if live { "live: instructions in models' messages are executed" } else { "not live" })
    }

    /// Checks that a daemon could listen on the configured address.
    pub(super) fn free_port(&self) -> Finding {
        let name = "port";
        let Some(address) = self.config.server.address() else {
            return Finding::failure(name, "server.listen is not an address");
        };
        match TcpListener::bind(address) {
            Ok(_) if address.port() == 0 => Finding::ok(name, "a free port at each start (server.listen has port 0)"),
            Ok(_) => Finding::ok(name, format!("{address} is free")),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::failure(
                name,
                format!("{address} is in use by another program, or by a daemon on another state folder"),
            )
            .advise("stop it, or choose another server.listen"),
            Err(error) => Finding::failure(name, format!("cannot listen on {address}: {error}")),
        }
    }

    /// Reports the daemon's address, and the configured one if it differs.
    pub(super) fn daemon_port(&self, daemon: &DaemonInfo) -> Finding {
        let wanted = self.config.server.address().filter(|address| address.port() != 0);
        let expected = wanted.map(|address| format!("http://{address}")).filter(|wanted| *wanted != daemon.http);
        let difference = expected.map(|wanted| format!(" (the local configuration has {wanted})")).unwrap_or_default();
        Finding::ok("port", format!("the daemon listens on {}{difference}", daemon.http))
    }

    /// Checks that the database can be opened while no daemon is running.
    pub(super) fn database(&self) -> Finding {
        let (name, path) = ("store", self.database_path());
        if !path.exists() {
            return Finding::ok(name, format!("{} is created at the first start", path.display()));
        }
        match AuditTrail::open(&path, self.config.store.busy_timeout_ms) {
            Ok(_) => Finding::ok(name, format!("{} can be opened", path.display())),
            Err(error) => Finding::failure(name, error.to_string()),
        }
    }

    fn database_path(&self) -> PathBuf {
        self.config.store.file(self.state_dir)
    }

    /// Checks that the configured sandboxes are available.
    pub(super) fn sandbox(&self) -> Finding {
        let host = HostOperations::new(app::host_setup(self.config, self.state_dir));
        let level = |origin| SandboxState {
            name: host.sandbox(origin).name().to_owned(),
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

/// A configured sandbox and its availability.
pub(super) struct SandboxState {
    pub(super) name: String,
    /// Whether the system provides it.
    pub(super) available: bool,
    /// A limitation of commands in it.
    pub(super) limit: Option<String>,
}

/// Reports the sandboxes of the operator's and of models' commands. `has_bubblewrap`: whether Bubblewrap is available.
pub(super) fn sandbox_finding(operator: &SandboxState, model: &SandboxState, has_bubblewrap: bool) -> Finding {
    let name = "sandbox";
    let levels = format!("host_ops.sandbox is {}, instructions.sandbox is {}", operator.name, model.name);
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
            Some(limit) => Finding::warning(name, format!("{levels}; {limit}")),
            None => Finding::ok(name, levels),
        };
        return match (better.is_empty(), limit) {
            (false, _) => finding.advise(format!("Bubblewrap is installed and recommended: set {}", better.join(", "))),
            (true, Some(_)) => {
                finding.advise("allow user namespaces, or install Bubblewrap with the permission to create them")
            }
            (true, None) => finding,
        };
    }
    Finding::warning(
        name,
        format!("not available on this system: {}; commands that need this sandbox are refused", missing.join(", ")),
    )
    .advise("landlock needs Linux 6.2 with Landlock enabled, bubblewrap needs bwrap and user namespaces")
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
    fn unknown_variables_are_warnings_and_known_ones_are_not() {
        let fine =
            ["PATH", "BAA_SHARED_TOKEN", "BAA_CONDUCTOR_LOCAL_API", "BAA_CODEXD_LOCAL_API_BASE", "BAA_BRIDGE__PAIRING"];
        assert_eq!(verdicts(&fine), [(FindingVerdict::Ok, "no unknown variables".to_owned())]);
        let found = verdicts(&["BAA_SOMETHING", "BAA_CONTROL_API_BASE", "BAA_BENCH_NO_JOURNAL", "BAA_SHARED_TOKEN"]);
        assert!(found.iter().all(|(verdict, _)| *verdict == FindingVerdict::Warning) && found.len() == 3, "{found:?}");
        for (finding, wanted) in found.iter().zip(["not recorded", "server.listen", "BAA_SERVER__LISTEN"]) {
            assert!(finding.1.contains(wanted), "{finding:?}");
        }
    }

    #[test]
    fn an_unavailable_sandbox_is_a_warning_that_names_its_key() {
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
    fn tunnels_are_named_wherever_local_callers_are_trusted() {
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
    fn a_used_port_is_a_failure_and_a_free_one_is_not() {
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
