//! The checks of one web app: its tab, its login and the policy's decision about a request. Pure.

use super::finding::Finding;
use crate::{
    api::{
        browser::{BrowserState, PlatformState},
        policy::{ExplainedReason, ExplainedRequest, PredictedOutcome},
        records::{LoginRecord, LoginStatus, RecordView},
    },
    clock::WallMs,
    wire::ShellRuntime,
};

/// A fetch is not tried if the policy would delay it longer than this.
const WAIT_MAX_MS: u64 = 10_000;

/// Whether to try a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FetchDecision {
    Send,
    Skip,
}

/// Checks a platform. `named`: it was requested by name, so it is checked even if it is not in use.
pub(super) fn check_platform(
    browser: &BrowserState<'_>,
    state: &PlatformState,
    explained: Option<&ExplainedRequest>,
    named: bool,
    now: WallMs,
) -> (Vec<Finding>, FetchDecision) {
    if browser.bridge.clients.is_empty() {
        // The missing Firefox is reported already and explains everything else.
        return (Vec::new(), FetchDecision::Skip);
    }
    let platform = state.platform.as_str();
    let tabs: Vec<_> = browser
        .bridge
        .clients
        .iter()
        .flat_map(|client| client.session.shell_runtime.iter().map(move |tab| (client.client_id.as_str(), tab)))
        .filter(|(_, tab)| tab.platform == platform)
        .collect();
    let records: Vec<_> = browser.records.iter().filter(|record| record.platform == platform).collect();
    if !named
        && !state.ready
        && records.is_empty()
        && !tabs.iter().any(|(_, tab)| tab.desired.exists || tab.actual.exists)
    {
        let unused = Finding::ok(platform, "not in use")
            .advise(format!("to use it, run `baa-conductor action tab_open --platform {platform}`"));
        return (vec![unused], FetchDecision::Skip);
    }
    let mut findings = vec![check_tab(platform, &tabs), check_login(browser, state, &records)];
    findings.extend((state.extractor_drift > 0).then(|| {
        let count = state.extractor_drift;
        Finding::warning(
            format!("{platform} messages"),
            format!("the app's traffic had an unknown format {count} times"),
        )
        .advise("final messages may be missing; update to a newer version")
    }));
    let policy = explained.map(|explained| check_policy(browser, state, explained, now));
    let is_soon = explained.is_none_or(|explained| is_soon(explained, now));
    findings.extend(policy);
    (findings, if state.ready && is_soon { FetchDecision::Send } else { FetchDecision::Skip })
}

fn check_tab(platform: &str, tabs: &[(&str, &ShellRuntime)]) -> Finding {
    let name = format!("{platform} tab");
    let open = |finding: Finding| finding.advise(format!("run `baa-conductor action tab_open --platform {platform}`"));
    // One usable tab suffices: any Firefox can perform a request.
    if let Some((client, _)) = tabs.iter().find(|(_, tab)| tab.actual.exists && tab.actual.healthy != Some(false)) {
        return Finding::ok(name, format!("open in {client}"));
    }
    if let Some((client, tab)) = tabs.iter().find(|(_, tab)| tab.actual.exists) {
        let issue = tab.problem().map(|issue| format!(": {issue}")).unwrap_or_default();
        return Finding::warning(name, format!("open in {client}, but not usable{issue}")).advise(format!(
            "check the tab, or reload it with `baa-conductor action tab_reload --platform {platform}`"
        ));
    }
    match tabs.iter().find(|(_, tab)| tab.desired.exists) {
        Some((client, _)) => open(Finding::warning(name, format!("missing in {client}"))),
        // The extension opens a tab when a request needs one; other extensions may not report tabs at all.
        None => open(Finding::warning(name, "no tab is reported")),
    }
}

fn check_login(browser: &BrowserState<'_>, state: &PlatformState, records: &[&LoginRecord<'_>]) -> Finding {
    let name = format!("{} login", state.platform);
    let log_in = |finding: Finding| finding.advise(format!("log in to {} in the tab", state.shell_url));
    let connected = |record: &&&LoginRecord<'_>| {
        record.view != RecordView::PersistedOnly
            && browser.bridge.clients.iter().any(|client| client.client_id.as_str() == record.client_id)
    };
    let live: Vec<_> = records.iter().filter(connected).collect();
    let best = live.iter().filter(|record| record.status != LoginStatus::Lost).min_by_key(|record| record.status);
    match (state.ready, best, live.first()) {
        (true, Some(record), _) => {
            let account = record.account.as_ref().map(|account| format!(" as {account}")).unwrap_or_default();
            let active = if record.is_active_client { "" } else { ", which is not the active one" };
            Finding::ok(name, format!("{}{account} in {}{active}", record.status.name(), record.client_id))
        }
        (true, None, _) => Finding::ok(name, "reported by a connected Firefox"),
        (false, _, Some(record)) => {
            log_in(Finding::warning(name, format!("logged out in {} ({})", record.client_id, record.status.name())))
        }
        (false, _, None) => {
            let earlier =
                records.first().map(|record| format!(" connected Firefox, but earlier by {}", record.client_id));
            let by = earlier.unwrap_or_else(|| " Firefox".to_owned());
            log_in(Finding::warning(name, format!("logged out: reported by no{by}")))
        }
    }
}

/// Whether a request made now would be dispatched within [`WAIT_MAX_MS`].
fn is_soon(explained: &ExplainedRequest, now: WallMs) -> bool {
    explained.would != PredictedOutcome::Refuse
        && explained.reasons.iter().all(|reason| wait_ms(reason, now) <= WAIT_MAX_MS)
}

fn wait_ms(reason: &ExplainedReason, now: WallMs) -> u64 {
    reason.until.map(|until| u64::try_from(until - now).unwrap_or_default()).or(reason.delay_ms).unwrap_or_default()
}

/// Describes a reason, without advice.
fn describe(reason: &ExplainedReason, now: WallMs) -> String {
    let what = match &*reason.rule {
        "slot" => "all slots are in use",
        "queue_full" => "the queue is full",
        "circuit_probe" => "the circuit is half open and a probe is in progress",
        "circuit_open" => "the circuit is open",
        "backoff" => "back-off after an error",
        "rate_limit" => "the rate limit is reached",
        "jitter" => "a random pause",
        "waiter_timeout" => "the wait would exceed its time limit",
        "system_draining" => "the daemon is draining",
        "overloaded" => "too many requests are in progress",
        other => other,
    };
    let span = match wait_ms(reason, now) {
        0 => String::new(),
        ms => format!(", about {} s", ms.div_ceil(1_000)),
    };
    let place = reason.position.map(|place| format!(", position {place} in the queue")).unwrap_or_default();
    format!("{what}{place}{span}")
}

fn check_policy(
    browser: &BrowserState<'_>,
    state: &PlatformState,
    explained: &ExplainedRequest,
    now: WallMs,
) -> Finding {
    let name = format!("{} policy", state.platform);
    let reasons: Vec<_> = explained.reasons.iter().map(|reason| describe(reason, now)).collect();
    let reasons = reasons.join("; ");
    match explained.would {
        PredictedOutcome::Admit => Finding::ok(name, "a request would be dispatched immediately"),
        PredictedOutcome::Wait => Finding::ok(name, format!("a request would wait: {reasons}")),
        PredictedOutcome::Refuse => {
            let target = browser.policy.targets.iter().find(|target| {
                target.platform == state.platform && Some(&target.client_id) == explained.client_id.as_ref()
            });
            let after = target.filter(|target| target.consecutive_failures > 0).map(|target| {
                let last = target.last_error.as_deref().unwrap_or("unknown");
                let last = last.strip_prefix("http_").unwrap_or(last);
                format!(", after {} consecutive errors, most recently {last}", target.consecutive_failures)
            });
            Finding::warning(name, format!("a request would be refused: {reasons}{}", after.unwrap_or_default()))
                .advise("check the app in its tab and wait, or reset the policy with POST /v1/browser/policy/reset")
        }
    }
}

#[cfg(test)]
mod tests;
