//! Registry of platforms: section `platforms`, validated and with defaults applied.
//!
//! Built-in and user-defined platforms are the same data: the built-in ones are the section's default, so that a
//! configuration can change single keys of them.

use super::credential_paths::CredentialPath;
use crate::{
    config::section::{ValidationErrors, settings},
    ids::PlatformName,
};
use serde::{Deserialize, Serialize, Serializer};
use std::{collections::BTreeMap, fmt, sync::Arc};
use url::{Host, Url};

/// Section `platforms`: every platform by its name, the built-in ones included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlatformsSettings(pub BTreeMap<String, PlatformSettings>);

settings! {
    /// A platform, built-in or of your own.
    PlatformSettings {
        /// The title for people; empty = its name.
        title: String = String::new(),
        /// The page that the extension opens; `https://`, or `http://` on loopback. Its scheme and port also apply to
        /// requests. A platform of your own needs it.
        shell_url: String = String::new(),
        /// Hosts that requests may address, `*.x` for any subdomain of `x`; they must cover the host of `shell_url`, and
        /// empty = that host.
        hosts: Vec<String> = Vec::new(),
        /// The supported response modes.
        modes: Vec<PlatformMode> = vec![PlatformMode::Buffered, PlatformMode::Sse],
        /// The extractor of final messages and of the text of answers: `"claude"`, `"chatgpt"` or `"gemini"`; empty = none.
        final_message: FinalMessageExtractor = FinalMessageExtractor::None,
        /// Further hosts whose answers to the page may be final messages, each exact, without `*.`; the host of `shell_url`
        /// always may.
        answer_hosts: Vec<String> = Vec::new(),
        /// Paths, on any of the hosts, whose answers contain credentials: each exact, or a prefix that ends with `*`. A
        /// request for one is refused in every spelling. A list for a built-in platform replaces its own.
        credential_paths: Vec<String> = Vec::new(),
        /// How a prompt without a path is sent: `"template"`, as the extension learned it from a message of yours (on claude
        /// also `"claude"`); empty = not supported.
        prompt: PromptMethod = PromptMethod::None,
    }
}

/// A response mode of a platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum PlatformMode {
    /// The whole answer at once.
    Buffered,
    /// Event by event.
    Sse,
}

impl PlatformMode {
    /// Returns the name as written in the configuration.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Extracts the assistant's complete messages from a platform's own traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalMessageExtractor {
    /// Nothing.
    #[serde(rename = "")]
    None,
    /// The one for Claude.
    Claude,
    /// The one for ChatGPT.
    Chatgpt,
    /// The one for Gemini.
    Gemini,
}

impl FinalMessageExtractor {
    /// Returns whether the app's assistant answers at this path.
    pub fn answers_at(self, path: &str) -> bool {
        match self {
            FinalMessageExtractor::Claude => path.ends_with("/completion"),
            FinalMessageExtractor::Chatgpt => {
                path.ends_with("/backend-api/conversation") || path.ends_with("/backend-api/f/conversation")
            }
            FinalMessageExtractor::Gemini => path.ends_with("/StreamGenerate"),
            FinalMessageExtractor::None => false,
        }
    }
}

/// The way of sending a prompt without a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptMethod {
    /// Not at all.
    #[serde(rename = "")]
    None,
    /// By the steps of Claude's own API.
    Claude,
    /// By the template that the extension learned from the user.
    Template,
}

impl Default for PlatformsSettings {
    fn default() -> Self {
        toml::from_str(include_str!("builtin.toml")).expect("a test reads the built-in platforms")
    }
}

/// A host that belongs to a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// This host.
    Exact(String),
    /// Every subdomain of this host, but not the host itself.
    Below(String),
}

/// A platform, ready for use; serializes as `hello_ack.platforms[]` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Platform {
    /// Name of the platform.
    #[serde(rename = "platform")]
    pub name: PlatformName,
    /// Display name.
    pub title: String,
    /// The page that the extension opens.
    #[serde(serialize_with = "as_text")]
    pub shell_url: Url,
    /// Hosts of its pages; never empty.
    pub hosts: Vec<HostPattern>,
    /// The supported response modes; never empty.
    pub modes: Vec<PlatformMode>,
    /// Extractor of final messages.
    pub final_message: FinalMessageExtractor,
    /// Hosts beside that of `shell_url` whose answers may be final messages; each exact.
    pub answer_hosts: Vec<HostPattern>,
    /// Paths, on any of its hosts, that no request may ask for: their answers hand out credentials.
    pub credential_paths: Vec<CredentialPath>,
    /// The way of sending a prompt without a path.
    pub prompt: PromptMethod,
}

/// Every platform that requests may name, sorted by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlatformRegistry {
    platforms: Vec<Arc<Platform>>,
}

impl PlatformRegistry {
    /// Creates the registry of a validated configuration.
    pub fn new(settings: &PlatformsSettings) -> Self {
        PlatformRegistry::checked(settings, &mut ValidationErrors::default())
    }

    /// Creates the registry of the valid platforms, and reports each invalid value.
    pub fn checked(settings: &PlatformsSettings, errors: &mut ValidationErrors) -> Self {
        // A `BTreeMap` is sorted.
        let platform = |(name, settings): (&String, &PlatformSettings)| {
            let section = crate::config::section::quoted(name);
            let Some(name) =
                PlatformName::parse(name).ok().filter(|_| !name.contains(|c: char| c.is_ascii_uppercase()))
            else {
                errors.add(&section, "a platform's name has 1 to 128 characters of a-z 0-9 . _ : -");
                return None;
            };
            errors.in_section(&section, |errors| settings.resolve(name, errors)).map(Arc::new)
        };
        PlatformRegistry { platforms: settings.0.iter().filter_map(platform).collect() }
    }

    /// Returns the platform with this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Platform>> {
        let at = self.platforms.binary_search_by(|platform| platform.name.as_str().cmp(name)).ok()?;
        self.platforms.get(at)
    }

    /// Returns all platforms, sorted by name.
    pub fn all(&self) -> &[Arc<Platform>] {
        &self.platforms
    }

    /// Returns all names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &PlatformName> {
        self.platforms.iter().map(|platform| &platform.name)
    }
}

impl PlatformSettings {
    /// Applies the defaults; returns `None` if a value is invalid, and reports it.
    fn resolve(&self, name: PlatformName, errors: &mut ValidationErrors) -> Option<Platform> {
        if self.modes.is_empty() {
            errors.add("modes", "must name at least one of \"buffered\" and \"sse\"");
        }
        if self.prompt == PromptMethod::Claude && name.as_str() != "claude" {
            errors.add("prompt", "\"claude\" is for the platform claude only; use \"template\" or \"\"");
        }
        let shell_url = shell_url(&self.shell_url).map_err(|reason| errors.add("shell_url", reason)).ok()?;
        let mut hosts = Vec::new();
        for text in &self.hosts {
            match HostPattern::parse(text) {
                Ok(host) if shell_url.scheme() == "http" && !host.is_loopback() => {
                    errors.add("hosts", format!("{text:?} is not on loopback, where http:// alone may go"));
                }
                Ok(host) => hosts.push(host),
                Err(reason) => errors.add("hosts", format!("{text:?} {reason}")),
            }
        }
        let home = shell_url.host_str().expect("shell_url() checked it");
        if self.hosts.is_empty() {
            hosts.push(HostPattern::Exact(home.to_owned()));
        } else if hosts.len() == self.hosts.len() && !hosts.iter().any(|host| host.matches(home)) {
            errors.add("hosts", format!("must cover {home}, the host of shell_url"));
        }
        let mut answer_hosts = Vec::new();
        for text in &self.answer_hosts {
            match HostPattern::parse(text) {
                Ok(HostPattern::Below(_)) => errors.add("answer_hosts", format!("{text:?} must be one exact host")),
                Ok(host) if shell_url.scheme() == "http" && !host.is_loopback() => {
                    errors.add("answer_hosts", format!("{text:?} is not on loopback, where http:// alone may go"));
                }
                Ok(host) => answer_hosts.push(host),
                Err(reason) => errors.add("answer_hosts", format!("{text:?} {reason}")),
            }
        }
        let credential_paths = CredentialPath::read(&self.credential_paths, errors);
        let title = if self.title.trim().is_empty() { name.to_string() } else { self.title.clone() };
        let modes = self.modes.iter().enumerate().filter(|(at, mode)| !self.modes[..*at].contains(mode));
        let modes = modes.map(|(_, mode)| *mode).collect();
        let (final_message, prompt) = (self.final_message, self.prompt);
        Some(Platform { name, title, shell_url, hosts, modes, final_message, answer_hosts, credential_paths, prompt })
    }
}

impl Platform {
    /// Returns whether the mode is supported.
    pub fn supports(&self, mode: PlatformMode) -> bool {
        self.modes.contains(&mode)
    }

    /// Returns whether pages of `host` belong to the platform. `host` is in the form of the `url` crate.
    pub fn owns(&self, host: &str) -> bool {
        self.hosts.iter().any(|pattern| pattern.matches(host))
    }
}

impl HostPattern {
    /// Reads `host` or `*.host` and brings it into the form in which the `url` crate writes hosts.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (below, host) = match text.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, text),
        };
        let odd =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '%' | '/' | '\\' | '@' | '?' | '#');
        let host = match Host::parse(host) {
            _ if host.contains(odd) || host.ends_with('.') => return Err("is not a host name without port"),
            Ok(host) => host,
            Err(_) => return Err("is not a host name without port"),
        };
        match host {
            Host::Domain(name) if below && !name.contains('.') && name != "localhost" => {
                Err("would cover a whole top-level domain")
            }
            Host::Domain(name) if below => Ok(HostPattern::Below(name)),
            _ if below => Err("is an address, which has no subdomains"),
            host => Ok(HostPattern::Exact(host.to_string())),
        }
    }

    /// Returns whether the pattern covers `host`, which is in the form of the `url` crate.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            HostPattern::Exact(own) => own == host,
            HostPattern::Below(own) => host
                .strip_suffix(own.as_str())
                .and_then(|rest| rest.strip_suffix('.'))
                .is_some_and(|sub| !sub.is_empty()),
        }
    }

    fn is_loopback(&self) -> bool {
        let (HostPattern::Exact(host) | HostPattern::Below(host)) = self;
        Host::parse(host).is_ok_and(|host| is_loopback(&host))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostPattern::Exact(host) => f.write_str(host),
            HostPattern::Below(host) => write!(f, "*.{host}"),
        }
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn as_text<S: Serializer>(url: &Url, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(url.as_str())
}

fn is_loopback<S: AsRef<str>>(host: &Host<S>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref() == "localhost" || name.as_ref().ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// Checks a page's address; `https` anywhere, `http` on loopback only.
fn shell_url(text: &str) -> Result<Url, &'static str> {
    if text.is_empty() {
        return Err("is required, such as \"https://app.example/\"");
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("must not hold blanks, control characters or backslashes");
    }
    let url = Url::parse(text).map_err(|_| "is not an absolute URL")?;
    match (url.scheme(), url.host()) {
        _ if !url.username().is_empty() || url.password().is_some() => Err("must not hold a user or password"),
        (_, Some(Host::Domain(name))) if name.ends_with('.') => Err("must not have a host that ends with a dot"),
        ("https", Some(_)) => Ok(url),
        ("http", Some(host)) if is_loopback(&host) => Ok(url),
        ("http", Some(_)) => Err("must be https:// (http:// is for loopback alone)"),
        _ => Err("must be an https:// address"),
    }
}

#[cfg(test)]
mod tests;
