//! The embedded Firefox extension: the files of `extension/` with the daemon's address.
//!
//! ```text
//! parts    paths that are packaged; the build script reads them too
//! xpi      the file that Firefox installs
//! folder   unpacked on disk, with the .xpi
//! ```
//!
//! Invariant: the output is the same, byte for byte, for the same binary and address.

mod folder;
mod parts;
mod xpi;

pub use folder::WriteError;

use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr},
};
use url::{Host, Url};

/// Id of the extension in Firefox.
pub const ID: &str = "baa-conductor@localhost";
/// Name of the packed extension.
pub const XPI: &str = "baa-conductor.xpi";

/// Name of the manifest.
const MANIFEST: &str = "manifest.json";
/// Name of the file with the daemon's address.
const CONFIG: &str = "config.js";
/// Start of the line that sets the address.
const ADDRESS_LINE_START: &str = "export const DAEMON_WS = ";

/// Name and bytes of every file, sorted by name.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/extension.rs"));

/// An invalid address for the extension.
#[derive(Debug, thiserror::Error)]
#[error("{address:?} is not the address of a daemon's WebSocket: {reason}")]
pub struct AddressError {
    address: String,
    reason: &'static str,
}

/// The extension for one daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    address: Url,
}

/// A file of the extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionFile {
    /// Path from the root of the extension, with slashes.
    pub name: &'static str,
    /// Content.
    pub bytes: Cow<'static, [u8]>,
}

impl Extension {
    /// Creates the extension for the daemon at `ws_url`, such as `ws://127.0.0.1:4317/ws/firefox`.
    ///
    /// # Errors
    ///
    /// Not such a URL, or one that a browser cannot connect to.
    pub fn new(ws_url: &str) -> Result<Self, AddressError> {
        let bad = |reason| AddressError { address: ws_url.to_owned(), reason };
        let mut address = Url::parse(ws_url).map_err(|_| bad("it is not a URL"))?;
        if address.scheme() != "ws" {
            return Err(bad("it must begin with ws://"));
        }
        if address.port() == Some(0) {
            return Err(bad("port 0 means any port"));
        }
        if !address.username().is_empty() || address.password().is_some() {
            return Err(bad("it must not contain a user name or password"));
        }
        if address.query().is_some() || address.fragment().is_some() {
            return Err(bad("nothing may follow its path"));
        }
        // A daemon that listens on all addresses is reachable on loopback; a browser needs one address.
        let loopback = match address.host() {
            Some(Host::Ipv4(ip)) if ip.is_unspecified() => Some(Ipv4Addr::LOCALHOST.into()),
            Some(Host::Ipv6(ip)) if ip.is_unspecified() => Some(Ipv6Addr::LOCALHOST.into()),
            _ => None,
        };
        if let Some(ip) = loopback {
            address.set_ip_host(ip).map_err(|()| bad("it has no host"))?;
        }
        Ok(Extension { address })
    }

    /// Returns the daemon's address.
    pub fn address(&self) -> &str {
        self.address.as_str()
    }

    /// Returns the files, sorted by name.
    pub fn files(&self) -> impl Iterator<Item = ExtensionFile> {
        FILES.iter().map(|&(name, bytes)| {
            let bytes = if name == CONFIG { Cow::Owned(self.config(bytes)) } else { Cow::Borrowed(bytes) };
            ExtensionFile { name, bytes }
        })
    }

    /// Returns the packed extension, which Firefox installs.
    pub fn xpi(&self) -> Vec<u8> {
        xpi::pack(self.files())
    }

    /// Returns the configuration file with the address set.
    fn config(&self, bytes: &[u8]) -> Vec<u8> {
        let text = std::str::from_utf8(bytes).expect("our own sources are UTF-8");
        let address = serde_json::Value::from(self.address());
        let line = |line: &str| match line.starts_with(ADDRESS_LINE_START) {
            true => format!("{ADDRESS_LINE_START}{address};\n"),
            false => format!("{line}\n"),
        };
        text.lines().map(line).collect::<String>().into_bytes()
    }
}

#[cfg(test)]
mod tests;
