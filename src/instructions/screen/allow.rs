//! Rules for which live messages are processed.

use crate::instructions::settings::AllowRule;

/// Identity of an observed message.
#[derive(Clone, Copy, Debug)]
pub struct ObservedMessage<'a> {
    /// Platform.
    pub platform: &'a str,
    /// Client.
    pub client_id: &'a str,
    /// Conversation, if the platform reports it.
    pub conversation_id: Option<&'a str>,
}

/// Whether any of the rules matches.
pub fn is_allowed(rules: &[AllowRule], observed: ObservedMessage<'_>) -> bool {
    rules.iter().any(|rule| fits(rule, observed))
}

fn fits(rule: &AllowRule, observed: ObservedMessage<'_>) -> bool {
    rule.platform == observed.platform
        && rule.client_id.as_deref().is_none_or(|client| client == observed.client_id)
        && rule.conversation_id.as_deref().is_none_or(|wanted| is_conversation(wanted, observed.conversation_id))
}

fn is_conversation(wanted: &str, observed: Option<&str>) -> bool {
    let Some(observed) = observed else { return false };
    match wanted.strip_suffix('*') {
        Some(beginning) => observed.starts_with(beginning),
        None => observed == wanted,
    }
}
