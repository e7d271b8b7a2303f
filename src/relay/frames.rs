//! Frames of a relayed stream in the caller's format. Bodies are copied unchanged.

use super::request::RelayRequest;
use crate::{
    ids::ClientId,
    platforms::plan::{Conversation, Organization, ResolvedLocation},
    policy::Admission,
    sse,
    wire::{RawJson, StreamEvent},
};
use serde::Serialize;

/// Data of `stream_open`, in the order of the field names.
#[derive(Serialize)]
struct StreamOpenData<'a> {
    client_id: &'a ClientId,
    conversation: Option<&'a Conversation>,
    meta: &'a RawJson,
    organization: Option<&'a Organization>,
    platform: &'a str,
    policy: &'a Admission,
    request_id: &'a str,
    request_method: &'a str,
    request_mode: &'a str,
    request_path: Option<&'a str>,
    response_mode: &'static str,
    status: u16,
    stream_id: &'a str,
}

/// Properties of a stream that is opened, in addition to its request.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamOpening<'a> {
    pub(super) client_id: &'a ClientId,
    pub(super) request_mode: &'a str,
    pub(super) chosen: Option<&'a ResolvedLocation>,
    pub(super) admission: &'a Admission,
    pub(super) status: u16,
    pub(super) meta: &'a RawJson,
}

pub(super) fn open(request: &RelayRequest, opened: &StreamOpening<'_>) -> Vec<u8> {
    let meta = RawJson::trusted(opened.meta.line().into_owned());
    let data = StreamOpenData {
        client_id: opened.client_id,
        conversation: opened.chosen.map(|chosen| &chosen.conversation),
        meta: &meta,
        organization: opened.chosen.map(|chosen| &chosen.organization),
        platform: request.platform.as_str(),
        policy: opened.admission,
        request_id: request.id.as_str(),
        request_method: &request.call.method,
        request_mode: opened.request_mode,
        // The path of a template is known to the extension only.
        request_path: Some(request.call.path.as_str()).filter(|path| !path.is_empty()),
        response_mode: request.mode.name(),
        status: opened.status,
        stream_id: request.id.as_str(),
    };
    let mut frame = Vec::with_capacity(512 + meta.len());
    sse::frame(&mut frame, Some(0), "stream_open", |out| {
        serde_json::to_writer(out, &data).expect("our own values have string keys");
    });
    frame
}

pub(super) fn event(request: &RelayRequest, event: &StreamEvent) -> Vec<u8> {
    let id = request.id.as_str();
    let (data, name, raw) = (event.data.line(), event.event.line(), event.raw.line());
    let mut frame = Vec::with_capacity(data.len() + name.len() + raw.len() + 2 * id.len() + 128);
    sse::frame(&mut frame, Some(event.seq), "stream_event", |out| {
        let mut digits = itoa::Buffer::new();
        let seq = digits.format(event.seq);
        // Ids contain no characters that need escaping.
        for part in [
            "{\"data\":",
            &*data,
            ",\"event\":",
            &*name,
            ",\"raw\":",
            &*raw,
            ",\"request_id\":\"",
            id,
            "\",\"seq\":",
            seq,
            ",\"stream_id\":\"",
            id,
            "\"}",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
    });
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ids::{PlatformName, RequestId},
        relay::{RequestWork, ResponseMode, UpstreamCall},
    };

    #[test]
    fn an_event_is_one_line_and_keeps_what_it_carries() {
        let call = UpstreamCall { method: "GET".into(), path: "/".into(), ..UpstreamCall::default() };
        let request = RelayRequest {
            id: RequestId::trusted("r1"),
            platform: PlatformName::trusted("claude"),
            client_id: None,
            mode: ResponseMode::Sse,
            work: RequestWork::Call,
            call,
            timeout: None,
        };
        let given = StreamEvent {
            seq: 7,
            event: RawJson::trusted("\"completion\""),
            data: RawJson::trusted("{\n \"text\": \"a\\nb\"\r}"),
            raw: RawJson::default(),
        };
        let text = String::from_utf8(event(&request, &given)).unwrap();
        let line = text.strip_prefix("id: 7\nevent: stream_event\ndata: ").unwrap().strip_suffix("\n\n").unwrap();
        let data: serde_json::Value = serde_json::from_str(line).unwrap();
        let expected = serde_json::json!({"data": {"text": "a\nb"}, "event": "completion", "raw": null,
            "request_id": "r1", "seq": 7, "stream_id": "r1"});
        assert_eq!(data, expected);
    }
}
