//! A parsed frame as JSON again. Every struct is taken apart by name, so that a new field cannot be forgotten here.

use crate::wire::{
    ActionRequest, ActionResult, ActionTarget, ApiEndpoints, ApiResponse, Credentials, FinalMessage, Hello,
    InboundFrame, PlatformStatus, RequestReport, ResponseHeaders, StreamEvent,
};
use serde_json::{Value, json};

/// Returns the fields of a frame under the names of the protocol; absent ones are left out.
pub(super) fn of(frame: &InboundFrame<'_>) -> Value {
    let mut view = fields(frame);
    view["type"] = frame.kind().into();
    without_nulls(view)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().filter(|(_, v)| !v.is_null()).map(|(name, v)| (name, without_nulls(v))).collect()
        }
        Value::Array(list) => list.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

fn fields(frame: &InboundFrame<'_>) -> Value {
    match frame {
        InboundFrame::Hello(hello) => hello_fields(hello),
        InboundFrame::Auth { proof } => json!({"proof": proof}),
        InboundFrame::StateRequest => json!({}),
        InboundFrame::ActionRequest(ActionRequest { action, request_id }) => {
            json!({"action": action, "request_id": request_id})
        }
        InboundFrame::Credentials(credentials) => credentials_fields(credentials),
        InboundFrame::ApiEndpoints(endpoints) => endpoints_fields(endpoints),
        InboundFrame::Request { id, report } => {
            let mut fields = report_fields(report);
            fields["id"] = json!(id);
            fields
        }
        InboundFrame::PlatformStatus(PlatformStatus { platform, extractor_drift, last_drift_at }) => {
            json!({"platform": platform, "extractor_drift": extractor_drift, "last_drift_at": last_drift_at})
        }
        InboundFrame::ActionResult(result) => action_fields(result),
        InboundFrame::FinalMessage(message) => {
            let FinalMessage { platform, conversation_id, assistant_message_id, raw_text, observed_at } = message;
            json!({
                "platform": platform, "conversation_id": conversation_id, "raw_text": raw_text,
                "assistant_message_id": assistant_message_id, "observed_at": observed_at,
            })
        }
        InboundFrame::ClientLog { level, message } => json!({"level": level, "message": message}),
    }
}

fn hello_fields(hello: &Hello) -> Value {
    let Hello { client_id, node_type, node_category, node_platform, protocol, extension_version, nonce } = hello;
    json!({
        "client_id": client_id, "node_type": node_type, "node_category": node_category,
        "node_platform": node_platform, "protocol": protocol, "extension_version": extension_version, "nonce": nonce,
    })
}

fn credentials_fields(credentials: &Credentials) -> Value {
    let Credentials { platform, account, credential_fingerprint, freshness, captured_at, .. } = credentials;
    let Credentials { last_seen_at, header_count, timestamp, shell_runtime, .. } = credentials;
    json!({
        "platform": platform, "account": account, "credential_fingerprint": credential_fingerprint,
        "freshness": freshness, "captured_at": captured_at, "last_seen_at": last_seen_at,
        "header_count": header_count, "timestamp": timestamp, "shell_runtime": shell_runtime,
    })
}

fn endpoints_fields(seen: &ApiEndpoints) -> Value {
    let ApiEndpoints { platform, account, credential_fingerprint, updated_at, endpoints, .. } = seen;
    let ApiEndpoints { endpoint_metadata, prompt_template, prompt_accepted, shell_runtime, .. } = seen;
    json!({
        "platform": platform, "account": account, "credential_fingerprint": credential_fingerprint,
        "updated_at": updated_at, "endpoints": endpoints, "endpoint_metadata": endpoint_metadata,
        "prompt_template": prompt_template, "prompt_accepted": prompt_accepted, "shell_runtime": shell_runtime,
    })
}

fn report_fields(report: &RequestReport) -> Value {
    match report {
        RequestReport::Answer(ApiResponse { ok, status, body, error, headers }) => json!({
            "ok": ok, "status": status, "body": body, "error": error, "headers": headers_fields(headers),
        }),
        RequestReport::Open { status, meta, headers } => {
            json!({"status": status, "meta": meta, "headers": headers_fields(headers)})
        }
        RequestReport::Event(StreamEvent { seq, event, data, raw }) => {
            json!({"seq": seq, "event": event, "data": data, "raw": raw})
        }
        RequestReport::End { status } => json!({"status": status}),
        RequestReport::Error { status, code, message } => json!({"status": status, "code": code, "message": message}),
        RequestReport::Progress => json!({}),
    }
}

fn headers_fields(headers: &ResponseHeaders) -> Value {
    let ResponseHeaders { content_type, retry_after } = headers;
    json!({"content-type": content_type, "retry-after": retry_after})
}

fn action_fields(done: &ActionResult) -> Value {
    let ActionResult { request_id, action, command_type, accepted, completed, failed, reason, .. } = done;
    let ActionResult { target, result, results, shell_runtime, .. } = done;
    let ActionTarget { platform, requested_client_id, requested_platform } = target;
    json!({
        "request_id": request_id, "action": action, "command_type": command_type,
        "accepted": accepted, "completed": completed, "failed": failed, "reason": reason,
        "target": {
            "platform": platform, "requested_client_id": requested_client_id,
            "requested_platform": requested_platform,
        },
        "result": result, "results": results, "shell_runtime": shell_runtime,
    })
}
