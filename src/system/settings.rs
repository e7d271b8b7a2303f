//! Section `node`: the name of this daemon.

use crate::config::section::{ValidationErrors, settings};

settings! {
    /// What this daemon is called.
    NodeSettings {
        /// Name of this node; empty = the host's.
        id: String = String::new(),
        /// Name of the host, shown with login records; empty = the one of the system.
        host: String = String::new(),
        /// Role of this node, as shown.
        role: String = "primary".into(),
    }
}

impl NodeSettings {
    /// Fills in blank values.
    pub(crate) fn named(&mut self, host_name: &str) {
        if self.host.is_empty() {
            self.host = host_name.to_owned();
        }
        if self.id.is_empty() {
            self.id.clone_from(&self.host);
        }
    }

    /// Reports every invalid value.
    pub fn validate(&self, errors: &mut ValidationErrors) {
        for (key, text) in [("id", &self.id), ("host", &self.host), ("role", &self.role)] {
            if text.chars().count() > 255 || text.contains(char::is_control) {
                errors.add(key, "must have at most 255 characters and no control characters");
            }
        }
        if self.role.is_empty() {
            errors.add("role", "must not be empty");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::section::validation_errors;

    #[test]
    fn a_node_is_called_like_its_host_unless_told_otherwise() {
        let mut node = NodeSettings::default();
        node.named("box");
        assert_eq!((node.id.as_str(), node.host.as_str()), ("box", "box"));
        let mut node = NodeSettings { id: "n1".into(), ..NodeSettings::default() };
        node.named("box");
        assert_eq!((node.id.as_str(), node.host.as_str()), ("n1", "box"));
    }

    #[test]
    fn impossible_names_are_faults() {
        let node = NodeSettings { id: "x".repeat(256), host: "a\nb".into(), role: String::new() };
        assert_eq!(validation_errors(|errors| node.validate(errors)).len(), 3);
    }
}
