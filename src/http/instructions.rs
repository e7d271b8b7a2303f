//! `/v1/instructions`: submission of messages, their batches, and decisions about them. Requires the token.

use super::{
    endpoint::ApiCall,
    error::{ApiError, Code},
    fields,
    paging::{PageLimit, before_cursor},
    reply::{ApiReply, ResponseGuard, SuccessEnvelope},
};
use crate::{
    api::instructions::{
        BatchList, InstructionBatch, InstructionDecisionRequest, InstructionListParameters, InstructionMessageRequest,
        InstructionSubmission, PlanParts,
    },
    instructions::{AssistantMessage, DecisionError, IngestError, MessageSubmission, NAME_BYTES_MAX, OperatorDecision},
    store::batches::{self, BatchStatus},
    wire::{FieldError, JsonObject, json},
};
use std::borrow::Cow;
use strum::VariantNames;

const LIMIT: PageLimit = PageLimit { default: 20, max: 100 };

/// `POST /v1/instructions/messages`. Responds after everything has run that needs no approval.
pub(super) async fn submit(call: ApiCall) -> Result<ApiReply, ApiError> {
    let submission = submission(&call.fields()?)?;
    let shutdown_guard = call.core.host.delay_shutdown();
    let submitted = call.core.instructions.submit(submission).await?;
    let accepted = submitted.taken;
    let mut executions = Vec::new();
    let mut status = accepted.status.name().to_owned();
    if let Some(ran) = submitted.ran {
        match ran.await {
            Ok(Ok(ran)) => executions = ran,
            Ok(Err(fault)) => return Err(ApiError::from(fault).with("batch_id", &accepted.batch_id)),
            Err(_) => {} // the service is stopping; the store has the status
        }
        if let Some(details) = call.core.instructions.show(&accepted.batch_id).await? {
            status = details.batch.row.status;
        }
    }
    let batch_id = Some(accepted.batch_id).filter(|_| accepted.status != BatchStatus::Planned);
    let view = InstructionSubmission { batch_id, status, parts: PlanParts::of(&accepted.plan), executions };
    let mut text = SuccessEnvelope::begin(&call.id, 1_024);
    json::write(&mut text, &view);
    Ok(ApiReply::Guarded(SuccessEnvelope::end(text), ResponseGuard::Operation(shutdown_guard)))
}

/// Reads a submitted message.
pub(super) fn submission(fields: &JsonObject<'_>) -> Result<MessageSubmission, ApiError> {
    let name = |names: &[&'static str]| -> Result<String, FieldError> {
        let text = fields.required_text(names)?;
        if text.len() > NAME_BYTES_MAX {
            return Err(FieldError::new(names[0], format!("must not be longer than {NAME_BYTES_MAX} bytes")));
        }
        Ok(text.into_owned())
    };
    let text =
        fields.verbatim(InstructionMessageRequest::text())?.ok_or_else(|| FieldError::new("text", "is required"))?;
    let message = AssistantMessage {
        platform: name(InstructionMessageRequest::platform())?,
        conversation_id: Some(name(InstructionMessageRequest::conversation_id())?),
        assistant_message_id: name(InstructionMessageRequest::assistant_message_id())?,
        text: text.into_owned(),
    };
    let flag = |names: &[&'static str]| fields.boolean(names).map(Option::unwrap_or_default);
    let (require_approval, dry_run) =
        (flag(InstructionMessageRequest::require_approval())?, flag(InstructionMessageRequest::dry_run())?);
    Ok(MessageSubmission::from_operator(message, require_approval, dry_run))
}

/// `GET /v1/instructions`, without the contents of messages.
pub(super) async fn list(call: ApiCall) -> Result<ApiReply, ApiError> {
    let named = |name: String| name.parse::<BatchStatus>().map_err(|_| bad_status());
    let filter = batches::BatchFilter {
        status: call.query(InstructionListParameters::status()).map(named).transpose()?,
        platform: call.query(InstructionListParameters::platform()),
        before: before_cursor(&call)?,
        limit: LIMIT.requested(&call)?,
    };
    let page = call.core.store.read(move |conn| batches::list(conn, &filter)).await?;
    Ok(call.success(&BatchList { page_info: page.page_info(), batches: page.rows }))
}

fn bad_status() -> ApiError {
    let names = BatchStatus::VARIANTS.join(", ");
    ApiError::field("status", format!("\"status\" must be one of {names}."))
}

/// `GET /v1/instructions/{batch_id}`: with the exact instructions and their results.
pub(super) async fn one(call: ApiCall) -> Result<ApiReply, ApiError> {
    let details = call.core.instructions.show(call.part("batch_id")).await?;
    let details = details.ok_or_else(no_batch)?;
    Ok(call.success(&InstructionBatch {
        parts: PlanParts::of(&details.batch.plan),
        runs: details.runs(),
        executions: details.executions(),
        rejection: details.batch.rejection.as_deref().and_then(|stored| serde_json::from_str(stored).ok()),
        summary: details.batch.row,
    }))
}

/// `POST /v1/instructions/{batch_id}/approve`. The batch is queued.
pub(super) async fn approve(call: ApiCall) -> Result<ApiReply, ApiError> {
    decide(call, true).await
}

/// `POST /v1/instructions/{batch_id}/reject`.
pub(super) async fn reject(call: ApiCall) -> Result<ApiReply, ApiError> {
    decide(call, false).await
}

async fn decide(call: ApiCall, approve: bool) -> Result<ApiReply, ApiError> {
    let (reason, digest) = decision(&call.fields()?)?;
    let decision = OperatorDecision { approve, digest, by: "bearer", reason };
    let row = call.core.instructions.decide(call.part("batch_id"), decision).await?;
    Ok(call.success(&row))
}

/// Reads the reason and the digest of a decision.
pub(super) fn decision(fields: &JsonObject<'_>) -> Result<(Option<String>, Option<String>), ApiError> {
    let reason = fields::short_reason(fields, InstructionDecisionRequest::reason())?;
    Ok((reason, fields.text(InstructionDecisionRequest::digest())?.map(Cow::into_owned)))
}

fn no_batch() -> ApiError {
    ApiError::not_found("instruction_batch", "There is no batch with this id.")
}

impl From<IngestError> for ApiError {
    fn from(refused: IngestError) -> Self {
        match refused {
            IngestError::Rejected { batch_id, rejection } => {
                let mut message = format!("The message was rejected: {rejection}");
                message.push('.');
                let error = ApiError::new(Code::InstructionRejected, message)
                    .with("stage", rejection.stage)
                    .with("code", rejection.code);
                let error = match rejection.block_index {
                    Some(index) => error.with("block_index", index),
                    None => error,
                };
                match batch_id {
                    Some(batch_id) => error.with("batch_id", batch_id),
                    None => error,
                }
            }
            IngestError::Off => {
                let message = "Instructions are disabled: the database that recorded which of them had run was lost or replaced. \
                               \"baa-conductor instructions enable\" enables them.";
                ApiError::new(Code::StoreUnavailable, message)
            }
            IngestError::Crowded(most) => {
                let message = format!("Too many batches wait for a decision or for their turn (at most {most}).");
                ApiError::new(Code::Overloaded, message).retry_after(1)
            }
            IngestError::Store(fault) => fault.into(),
        }
    }
}

impl From<DecisionError> for ApiError {
    fn from(undecided: DecisionError) -> Self {
        match undecided {
            DecisionError::NotFound => no_batch(),
            DecisionError::Stale(status) => {
                let message = format!("The batch is {} and no longer waits for a decision.", status.name());
                ApiError::new(Code::ApprovalStale, message).with("status", status.name())
            }
            DecisionError::Differs => ApiError::new(
                Code::ApprovalStale,
                "The digest does not match the batch. Read the batch again before you decide.",
            ),
            DecisionError::Confined(_) => {
                let message = format!("The batch can no longer be approved: {undecided}.");
                ApiError::new(Code::ApprovalStale, message)
            }
            DecisionError::Store(fault) => fault.into(),
        }
    }
}
