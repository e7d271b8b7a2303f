//! Rendered metrics: each sample once, with bounded labels.

use super::*;
use tokio::time::Instant;

fn platforms() -> [PlatformName; 2] {
    ["claude", "gemini"].map(PlatformName::trusted)
}

fn metrics() -> Metrics {
    Metrics::new(platforms().iter())
}

fn text(metrics: &Metrics) -> String {
    metrics.render(&GaugeValues::default()).unwrap()
}

/// Returns the value of a sample.
fn sample(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn a_request_is_in_flight_from_its_dispatch_to_its_end() {
    let (metrics, [claude, _]) = (metrics(), platforms());
    let out = || sample(&text(&metrics), "baa_browser_in_flight{platform=\"claude\"}");
    let mut request = metrics.relay.begin(&claude);
    assert_eq!(out(), Some(0.0));
    request.admitted();
    request.dispatched();
    request.dispatched();
    assert_eq!(out(), Some(1.0), "a second step belongs to the same request");
    request.done("success", None);
    assert_eq!(out(), Some(0.0));
    let mut vanishes = metrics.relay.begin(&claude);
    vanishes.dispatched();
    drop(vanishes);
    assert_eq!(out(), Some(0.0));
    assert_eq!(
        sample(&text(&metrics), "baa_browser_requests_total{outcome=\"success\",platform=\"claude\"}"),
        Some(1.0)
    );
}

#[test]
fn unknown_label_values_are_counted_as_other() {
    let metrics = metrics();
    metrics.relay.begin(&PlatformName::trusted("elsewhere")).done("failure", Some("its_own_code"));
    metrics.wire.received(Some("made_up"));
    metrics.wire.received(None);
    metrics.wire.sent("{\"type\":\"made_up\"}");
    metrics.http.answered(None, "BREW", "404", Instant::now());
    metrics.instructions.entered("made_up");
    let text = text(&metrics);
    for (name, count) in [
        ("baa_browser_requests_total{outcome=\"failure\",platform=\"other\"}", 1.0),
        ("baa_stream_errors_total{code=\"other\"}", 1.0),
        ("baa_ws_messages_total{direction=\"inbound\",type=\"other\"}", 2.0),
        ("baa_ws_messages_total{direction=\"outbound\",type=\"other\"}", 1.0),
        ("baa_http_requests_total{method=\"other\",route=\"other\",status=\"404\"}", 1.0),
        ("baa_instructions_total{status=\"other\"}", 1.0),
    ] {
        assert_eq!(sample(&text, name), Some(count), "{name}");
    }
    assert!(!text.contains("made_up") && !text.contains("its_own_code") && !text.contains("elsewhere"));
}

#[test]
fn sent_frames_are_counted_by_their_type() {
    let metrics = metrics();
    metrics.wire.sent("{\"type\":\"api_request\",\"id\":\"r\"}");
    let name = "baa_ws_messages_total{direction=\"outbound\",type=\"api_request\"}";
    assert_eq!(sample(&text(&metrics), name), Some(1.0));
}

#[test]
fn gauges_have_the_values_of_the_moment() {
    let (metrics, [claude, gemini]) = (metrics(), platforms());
    let waiting = vec![(claude.clone(), 0), (gemini, 0), (claude.clone(), 2), (claude.clone(), 1)];
    let circuits = vec![("ff\"1".to_owned(), claude, 2)];
    let text = metrics.render(&GaugeValues { clients: 3, waiting, circuits }).unwrap();
    for (name, gauge_value) in [
        ("baa_bridge_clients", 3.0),
        ("baa_policy_waiting{platform=\"claude\"}", 3.0),
        ("baa_policy_waiting{platform=\"gemini\"}", 0.0),
        ("baa_policy_circuit_state{client_id=\"ff\\\"1\",platform=\"claude\"}", 2.0),
    ] {
        assert_eq!(sample(&text, name), Some(gauge_value), "{name} in {text}");
    }
    assert!(!metrics.render(&GaugeValues::default()).unwrap().contains("circuit_state{"), "removed with its target");
}
