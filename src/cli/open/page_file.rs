//! A file that redirects a browser to the status page, so that the address with its login code is in no process's
//! arguments, which all users of the machine can read.
//!
//! Invariant: only its user can read the file (mode 0600, newly created, never through a link), and it is removed when its
//! code expires. The next command removes files that a killed command left.

use crate::host::socket_owner;
use anyhow::Context as _;
use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::{
        fs::{MetadataExt, OpenOptionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// Prefix and suffix of the file name. No leading dot, since browsers installed as snaps cannot read such files.
const NAME_PARTS: (&str, &str) = ("baa-conductor-open-", ".html");
/// Hexadecimal digits between them.
const DIGITS: usize = 16;
/// Age from which a file counts as left behind; a code is valid for a minute by default.
const STALE_AFTER: Duration = Duration::from_secs(15 * 60);
/// Minimum and maximum delay before the removal.
const REMOVE_AFTER_SECONDS: (u64, u64) = (1, 60 * 60);
/// Shell script that waits and removes the file; its arguments are not secret.
const REMOVE_SCRIPT: &str = "sleep \"$1\"; rm -f -- \"$2\"";

/// An existing login file.
#[derive(Debug)]
pub(super) struct LoginPageFile {
    path: PathBuf,
}

impl LoginPageFile {
    /// Writes a file that redirects to `url`: into the state folder, or into the home folder if snaps are in use, which
    /// can read no other suitable folder.
    pub(super) fn write(url: &str, state_dir: &Path, home: Option<&Path>) -> anyhow::Result<Self> {
        let is_own = |home: &&Path| fs::metadata(home).is_ok_and(|found| found.uid() == socket_owner::own_user());
        let snaps = home.filter(is_own).filter(|home| home.join("snap").is_dir());
        for folder in [Some(state_dir), home].into_iter().flatten() {
            remove_stale_files(folder);
        }
        let path = snaps.unwrap_or(state_dir).join(random_name()?);
        create(&path, &html(url)?).with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(LoginPageFile { path })
    }

    /// The path of the file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Starts a separate process, which outlives this one, that removes the file after `time`.
    pub(super) fn remove_after(&self, time: Duration) -> io::Result<()> {
        let seconds = time.as_secs().saturating_add(1).clamp(REMOVE_AFTER_SECONDS.0, REMOVE_AFTER_SECONDS.1);
        let mut command = Command::new("/bin/sh");
        command.args(["-c", REMOVE_SCRIPT, "sh", &seconds.to_string()]).arg(&self.path).current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        command.spawn().map(drop)
    }

    /// Removes the file.
    pub(super) fn remove(self) {
        // A later command removes it otherwise; its code has expired by then.
        let _ = fs::remove_file(&self.path);
    }
}

fn random_name() -> anyhow::Result<String> {
    let mut bits = [0; DIGITS / 2];
    getrandom::fill(&mut bits).map_err(|_| anyhow::anyhow!("the system provides no random numbers"))?;
    let digits: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}{digits}{}", NAME_PARTS.0, NAME_PARTS.1))
}

fn is_name(name: &str) -> bool {
    let digits = name.strip_prefix(NAME_PARTS.0).and_then(|rest| rest.strip_suffix(NAME_PARTS.1));
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A page that redirects to the address at once and does not stay in the browser's history.
fn html(url: &str) -> anyhow::Result<String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/.#=[]_-".contains(&byte);
    anyhow::ensure!(
        url.bytes().all(plain),
        "the daemon's address contains characters that are not allowed in the page"
    );
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>baa-conductor</title>\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <noscript><meta http-equiv=\"refresh\" content=\"0; url={url}\"></noscript>\n\
         <script>location.replace(\"{url}\")</script>\n\
         <p><a href=\"{url}\">The status page of baa-conductor</a></p>\n"
    ))
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes()).inspect_err(|_| drop(fs::remove_file(path)))
}

/// Removes this user's login files in a folder that are older than [`STALE_AFTER`].
fn remove_stale_files(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.filter_map(Result::ok) {
        let ours = entry.file_name().to_str().is_some_and(is_name);
        // Metadata of the entry itself, without following a link.
        let Some(found) = ours.then(|| entry.metadata().ok()).flatten() else { continue };
        let is_old = found.modified().ok().and_then(|at| at.elapsed().ok()).is_some_and(|age| age > STALE_AFTER);
        if found.is_file() && found.uid() == socket_owner::own_user() && is_old {
            // Another command may have removed it already.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_login_files_are_removed() {
        assert!(is_name(&random_name().unwrap()) && random_name().unwrap() != random_name().unwrap());
        for other in ["baa-conductor-open-.html", "baa-conductor-open-0123456789abcdeg.html", "index.html", "token"] {
            assert!(!is_name(other), "{other}");
        }
    }

    #[test]
    fn an_address_with_markup_is_not_written() {
        let url = "http://[::1]:4317/v1/status/ui#code=0a1b";
        assert_eq!(html(url).unwrap().matches(url).count(), 3);
        for bad in ["http://x/\"><script>", "http://x/'", "http://x/\\", "http://x/ y", "http://x/&", "http://x/\n"] {
            assert!(html(bad).is_err(), "{bad}");
        }
    }
}
