//! Rows of the endpoints that a page requests: each endpoint once, with the times of its first and last sighting.

use super::view::HookEntry;
use crate::{clock::WallMs, store::logins::StoredEndpoint};

/// Returns the rows of a report. An endpoint without its own times was seen when the list changed; no time is later than
/// `now`.
pub(super) fn rows(entry: &HookEntry, now: WallMs) -> Vec<StoredEndpoint> {
    let seen = entry.updated_at.min(now);
    let mut rows: Vec<StoredEndpoint> = Vec::with_capacity(entry.endpoints.len());
    let listed = entry.endpoints.iter().map(|endpoint| {
        let (method, path) = endpoint.split_once(' ').unwrap_or(("", endpoint));
        (method, path.trim_start())
    });
    let described = entry.endpoint_metadata.iter().map(|reported| (&*reported.method, &*reported.path));
    let mut places = foldhash::HashMap::default();
    for (method, path) in listed.chain(described) {
        places.entry((method, path)).or_insert_with(|| {
            let (method, path) = (method.to_owned(), path.to_owned());
            rows.push(StoredEndpoint { method, path, first_seen_at: seen, last_seen_at: seen });
            rows.len() - 1
        });
    }
    let mut described = foldhash::HashSet::default();
    for reported in &entry.endpoint_metadata {
        let Some(place) = places.get(&(&*reported.method, &*reported.path)) else { continue };
        let row = &mut rows[*place];
        let last = reported.last_seen_at.or(reported.first_seen_at).unwrap_or(seen).min(now);
        let first = reported.first_seen_at.unwrap_or(last).min(last);
        // If an endpoint is described twice, both descriptions hold.
        let again = !described.insert(*place);
        row.first_seen_at = if again { row.first_seen_at.min(first) } else { first };
        row.last_seen_at = if again { row.last_seen_at.max(last) } else { last };
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::EndpointMetadata;

    fn reported(endpoints: &[&str], metadata: &[(&str, &str, Option<WallMs>, Option<WallMs>)]) -> HookEntry {
        HookEntry {
            platform: "claude".into(),
            account: None,
            credential_fingerprint: None,
            endpoint_count: endpoints.len(),
            endpoints: endpoints.iter().map(ToString::to_string).collect(),
            endpoint_metadata: metadata
                .iter()
                .map(|(method, path, first_seen_at, last_seen_at)| EndpointMetadata {
                    method: (*method).into(),
                    path: (*path).into(),
                    first_seen_at: *first_seen_at,
                    last_seen_at: *last_seen_at,
                })
                .collect(),
            last_verified_at: 100,
            updated_at: 50,
            prompt_template: false,
        }
    }

    fn shown(entry: &HookEntry) -> Vec<(String, WallMs, WallMs)> {
        rows(entry, 100)
            .into_iter()
            .map(|row| (format!("{} {}", row.method, row.path), row.first_seen_at, row.last_seen_at))
            .collect()
    }

    #[test]
    fn an_endpoint_has_its_own_times_or_those_of_its_list() {
        let entry = reported(
            &["GET /a", "POST /b", "GET /a"],
            &[("POST", "/b", Some(10), Some(40)), ("GET", "/only-described", None, Some(70))],
        );
        let wanted = [("GET /a", 50, 50), ("POST /b", 10, 40), ("GET /only-described", 70, 70)];
        assert_eq!(shown(&entry), wanted.map(|(name, first, last)| (name.to_owned(), first, last)));
    }

    #[test]
    fn an_endpoint_that_is_described_twice_has_the_widest_times() {
        let entry = reported(&[], &[("GET", "/a", Some(20), Some(40)), ("GET", "/a", Some(30), Some(35))]);
        assert_eq!(shown(&entry), [("GET /a".to_owned(), 20, 40)]);
    }

    #[test]
    fn no_time_is_in_the_future_and_the_first_is_not_after_the_last() {
        let entry =
            reported(&["GET /a", "GET /b"], &[("GET", "/a", Some(900), Some(900)), ("GET", "/b", Some(80), Some(20))]);
        assert_eq!(shown(&entry), [("GET /a".to_owned(), 100, 100), ("GET /b".to_owned(), 20, 20)]);
    }
}
