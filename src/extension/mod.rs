//! The Firefox extension inside the binary: its files as they are in `extension/`, with the daemon's address set.
//!
//! ```text
//! parts    which files belong to it; read by the build script too
//! xpi      as the one file that Firefox installs
//! folder   unpacked on disk, with the .xpi beside
//! ```
//!
//! Invariant: what is given out is the same, byte for byte, for the same binary and address.

mod folder;
mod parts;
mod xpi;

pub use folder::WriteError;

use std::{
    borrow::Cow,
    net::{Ipv4Addr, Ipv6Addr},
};
use url::{Host, Url};

/// The id under which Firefox knows the extension.
pub const ID: &str = "baa-conductor@localhost";
/// The file that holds all of it.
pub const XPI: &str = "baa-conductor.xpi";

/// The file that Firefox reads first.
const MANIFEST: &str = "manifest.json";
/// The file that holds the address.
const CONFIG: &str = "config.js";
/// How the one line begins that sets it.
const ADDRESS_LINE_START: &str = "export const DAEMON_WS = ";

/// Name and bytes of every file, sorted by name.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/extension.rs"));

/// Why an address cannot be set.
#[derive(Debug, thiserror::Error)]
#[error("{address:?} is no address of a daemon's WebSocket: {reason}")]
pub struct AddressError {
    address: String,
    reason: &'static str,
}

/// The extension for one daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    address: Url,
}

/// One of its files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtensionFile {
    /// Its path from the root of the extension, with slashes.
    pub name: &'static str,
    /// What is in it.
    pub bytes: Cow<'static, [u8]>,
}

impl Extension {
    /// The extension for the daemon at `ws_url`, such as `ws://127.0.0.1:4317/ws/firefox`.
    ///
    /// # Errors
    ///
    /// It is no such address, or one that cannot be connected to.
    pub fn new(ws_url: &str) -> Result<Self, AddressError> {
        let bad = |reason| AddressError { address: ws_url.to_owned(), reason };
        let mut address = Url::parse(ws_url).map_err(|_| bad("it is no URL"))?;
        if address.scheme() != "ws" {
            return Err(bad("it must begin with ws://"));
        }
        if address.port() == Some(0) {
            return Err(bad("port 0 stands for any port"));
        }
        if !address.username().is_empty() || address.password().is_some() {
            return Err(bad("it must not hold a name or password"));
        }
        if address.query().is_some() || address.fragment().is_some() {
            return Err(bad("nothing may follow its path"));
        }
        // One that listens on all addresses is on loopback too; a browser connects to one address.
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

    /// The daemon's address in it.
    pub fn address(&self) -> &str {
        self.address.as_str()
    }

    /// Its files, sorted by name.
    pub fn files(&self) -> impl Iterator<Item = ExtensionFile> {
        FILES.iter().map(|&(name, bytes)| {
            let bytes = if name == CONFIG { Cow::Owned(self.config(bytes)) } else { Cow::Borrowed(bytes) };
            ExtensionFile { name, bytes }
        })
    }

    /// All of it as the one file that Firefox installs.
    pub fn xpi(&self) -> Vec<u8> {
        xpi::pack(self.files())
    }

    /// Its configuration with the address set.
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
