//! `/v1/browser/pairings`: paired and waiting clients, and the operator's decisions about them.

use super::{
    body,
    endpoint::ApiCall,
    error::{ApiError, Code},
    reply::ApiReply,
};
use crate::{
    api::pairings::{PairingDecisionRequest, PairingList},
    bridge::{PairingDecision, PairingError},
    ids::ClientId,
    wire::FieldError,
};

/// `GET /v1/browser/pairings`: latest request first; without codes and secrets.
pub(super) async fn list(call: ApiCall) -> Result<ApiReply, ApiError> {
    let pairings = call.core.bridge.pairings();
    Ok(call.success(&PairingList { count: pairings.len(), pairings }))
}

/// `POST /v1/browser/pairings/{client_id}`.
pub(super) async fn decide(call: ApiCall) -> Result<ApiReply, ApiError> {
    let (client_id, decision) = (client_id(&call)?, decision(&call.body)?);
    let view = call.core.bridge.decide(client_id, decision).await.map_err(of_pairing_error)?;
    Ok(call.success(&view))
}

/// `DELETE /v1/browser/pairings/{client_id}`.
pub(super) async fn forget(call: ApiCall) -> Result<ApiReply, ApiError> {
    let view = call.core.bridge.forget(client_id(&call)?).await.map_err(of_pairing_error)?;
    Ok(call.success(&view))
}

fn client_id(call: &ApiCall) -> Result<ClientId, ApiError> {
    ClientId::parse(call.part("client_id")).map_err(|_| of_pairing_error(PairingError::UnknownClient))
}

/// Reads a decision.
pub(super) fn decision(text: &str) -> Result<PairingDecision, ApiError> {
    let fields = body::parse_object(text)?;
    match &*fields.required_text(PairingDecisionRequest::decision())? {
        "approve" => {
            Ok(PairingDecision::Approve { code: fields.required_text(PairingDecisionRequest::code())?.into_owned() })
        }
        "reject" => Ok(PairingDecision::Reject),
        _ => Err(FieldError::new("decision", "must be approve or reject").into()),
    }
}

fn of_pairing_error(error: PairingError) -> ApiError {
    match error {
        PairingError::UnknownClient => {
            ApiError::not_found("pairing", "No client with this id is paired or waiting for approval.")
        }
        PairingError::ClientLeft => {
            ApiError::not_found("pairing", "The client disconnected before the decision reached it.")
        }
        PairingError::WrongCode => {
            ApiError::field("code", "Field \"code\" is not the code that this client shows.").status(403)
        }
        PairingError::Store(error) => error.into(),
        PairingError::NoRandom => ApiError::new(Code::InternalError, "The system provides no random numbers."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> String {
        let error = decision(body).unwrap_err();
        assert_eq!(error.code(), Code::InvalidRequest);
        error.details()["field"].as_str().unwrap().to_owned()
    }

    #[test]
    fn a_decision_approves_by_code_or_rejects() {
        let approve = PairingDecision::Approve { code: "012345".into() };
        assert_eq!(decision(r#"{"decision":"approve","code":" 012345 "}"#), Ok(approve));
        for body in [r#"{"decision":"reject"}"#, r#"{"decision":"reject","code":"1"}"#] {
            assert_eq!(decision(body), Ok(PairingDecision::Reject));
        }
    }

    #[test]
    fn the_error_names_the_missing_or_wrong_field() {
        for (body, field) in [
            ("{}", "decision"),
            (r#"{"decision":"maybe","code":"123456"}"#, "decision"),
            (r#"{"decision":true}"#, "decision"),
            (r#"{"decision":"approve"}"#, "code"),
            (r#"{"decision":"approve","code":" "}"#, "code"),
            (r#"{"decision":"approve","code":123456}"#, "code"),
        ] {
            assert_eq!(refused(body), field, "{body}");
        }
    }

    #[test]
    fn a_wrong_code_is_403_and_not_400() {
        let error = of_pairing_error(PairingError::WrongCode);
        assert_eq!((error.status_code(), error.name()), (403, "invalid_request"));
        assert_eq!(error.details()["field"], "code");
    }
}
