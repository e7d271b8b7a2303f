//! Checks the `path` of a request against the platform.
//!
//! The extension joins the path to the platform's address with the browser's URL parser, which forgives a lot: it drops
//! tabs and newlines, takes `\` for `/` and `https:/x` for `https://x`. So the text is judged first as it stands and
//! then again as that parser (the `url` crate follows the same standard) understands it; both must agree.

use super::{credential_paths::covers_any, registry::Platform};
use url::Url;

/// Why a request may not go there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path is empty.
    #[error("must not be empty")]
    Empty,
    /// A tab, a line break or the like.
    #[error("must not hold control characters")]
    Control,
    /// A backslash, which browsers read as a slash.
    #[error("must not hold backslashes")]
    Backslash,
    /// `//host`, or something that becomes it.
    #[error("must begin with exactly one slash")]
    NetworkPath,
    /// Neither a path nor an absolute URL.
    #[error("must be a path that begins with one slash or an absolute URL of the platform")]
    Malformed,
    /// `user@` or `user:password@`.
    #[error("must not hold a user or password")]
    UserInfo,
    /// Another scheme than the platform's.
    #[error("must have the platform's scheme")]
    Scheme,
    /// Another port than the platform's.
    #[error("must have the platform's port")]
    Port,
    /// A host that is not the platform's.
    #[error("must be on one of the platform's hosts")]
    Host,
    /// An entry of `credential_paths`, however it is spelled.
    #[error(
        "must not be one of the platform's credential_paths: its answer would hand out credentials, and those stay in \
         the browser"
    )]
    Credentials,
}

/// Checks that `path` is a same-origin path, or an absolute URL with the platform's scheme and port on one of its hosts, and
/// that its answer hands out no credentials.
pub fn check_path(platform: &Platform, path: &str) -> Result<(), PathError> {
    if path.is_empty() {
        return Err(PathError::Empty);
    }
    if path.contains(char::is_control) {
        return Err(PathError::Control);
    }
    if path.contains('\\') {
        return Err(PathError::Backslash);
    }
    if path.starts_with("//") {
        return Err(PathError::NetworkPath);
    }
    // Without plain or encoded dot segments, joining changes nothing; this is the common case.
    if path.starts_with('/') && !path.contains("/.") && !path.contains('%') {
        let plain = path.split(['?', '#']).next().unwrap_or_default();
        return if covers_any(&platform.credential_paths, plain) { Err(PathError::Credentials) } else { Ok(()) };
    }
    let url = if path.starts_with('/') {
        let url = platform.shell_url.join(path).map_err(|_| PathError::Malformed)?;
        if url.origin() != platform.shell_url.origin() {
            return Err(PathError::Host);
        }
        url
    } else {
        absolute(platform, path)?
    };
    // `/.//evil` is on this origin, but its normal form `//evil` would be elsewhere when joined once more.
    if url.path().starts_with("//") {
        return Err(PathError::NetworkPath);
    }
    if covers_any(&platform.credential_paths, url.path()) {
        return Err(PathError::Credentials);
    }
    Ok(())
}

fn absolute(platform: &Platform, text: &str) -> Result<Url, PathError> {
    let (scheme, rest) = text.split_once(':').ok_or(PathError::Malformed)?;
    let scheme_like = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    if !scheme_like {
        return Err(PathError::Malformed);
    }
    if !scheme.eq_ignore_ascii_case(platform.shell_url.scheme()) {
        return Err(PathError::Scheme);
    }
    let rest = rest.strip_prefix("//").ok_or(PathError::Malformed)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(PathError::UserInfo);
    }
    // A percent sign would hide the characters of the host.
    if authority.is_empty() || authority.contains(|c: char| c == '%' || c.is_whitespace()) {
        return Err(PathError::Malformed);
    }
    let url = Url::parse(text).map_err(|_| PathError::Malformed)?;
    if url.scheme() != platform.shell_url.scheme() {
        return Err(PathError::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(PathError::UserInfo);
    }
    if !url.host_str().is_some_and(|host| platform.owns(host)) {
        return Err(PathError::Host);
    }
    if url.port_or_known_default() != platform.shell_url.port_or_known_default() {
        return Err(PathError::Port);
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
