//! `/v1/instructions`: messages handed in, batches shown, a person's word on them; for the bearer of the token alone.

use super::{
    endpoint::ApiCall,
    error::{ApiError, Code},
    paging::{PageInfo, PageLimit, before_cursor},
    reply::{ApiReply, ResponseGuard, SuccessEnvelope},
};
use crate::{
    instructions::{
        AssistantMessage, BatchDetails, DecisionError, IngestError, InstructionExecution, InstructionRun,
        MessageSubmission, NAME_BYTES_MAX, OperatorDecision, PlanParts,
    },
    store::batches::{self, BatchRow, BatchStatus},
    wire::{FieldError, JsonObject, RawJson, json},
};
use serde::Serialize;
use std::borrow::Cow;

const LIMIT: PageLimit = PageLimit { default: 20, max: 100 };
/// Most characters of a reason.
const REASON_CHARS_MAX: usize = 500;

/// What became of a message.
#[derive(Serialize)]
struct SubmissionView<'a> {
    /// `null` after a dry run, of which nothing is kept.
    batch_id: Option<&'a str>,
    status: &'a str,
    #[serde(flatten)]
    parts: PlanParts,
    executions: &'a [InstructionExecution],
}

/// `POST /v1/instructions/messages`. Answers when everything ran that may run without a person.
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
            Err(_) => {} // the service stops: it is as the store says
        }
        if let Some(details) = call.core.instructions.show(&accepted.batch_id).await? {
            status = details.batch.row.status;
        }
    }
    let batch_id = (accepted.status != BatchStatus::Planned).then_some(accepted.batch_id.as_str());
    let view =
        SubmissionView { batch_id, status: &status, parts: PlanParts::of(&accepted.plan), executions: &executions };
    let mut text = SuccessEnvelope::begin(&call.id, 1_024);
    json::write(&mut text, &view);
    Ok(ApiReply::Guarded(SuccessEnvelope::end(text), ResponseGuard::Operation(shutdown_guard)))
}

fn submission(fields: &JsonObject<'_>) -> Result<MessageSubmission, ApiError> {
    let name = |names: &[&'static str]| -> Result<String, FieldError> {
        let text = fields.required_text(names)?;
        if text.len() > NAME_BYTES_MAX {
            return Err(FieldError::new(names[0], format!("must not be longer than {NAME_BYTES_MAX} bytes")));
        }
        Ok(text.into_owned())
    };
    let text = fields.verbatim(&["text"])?.ok_or_else(|| FieldError::new("text", "is required"))?;
    let message = AssistantMessage {
        platform: name(&["platform"])?,
        conversation_id: Some(name(&["conversation_id", "conversationId"])?),
        assistant_message_id: name(&["assistant_message_id", "assistantMessageId"])?,
        text: text.into_owned(),
    };
    let flag = |names: &[&'static str]| fields.boolean(names).map(Option::unwrap_or_default);
    let (require_approval, dry_run) = (flag(&["require_approval", "requireApproval"])?, flag(&["dry_run", "dryRun"])?);
    Ok(MessageSubmission::from_operator(message, require_approval, dry_run))
}

#[derive(Serialize)]
struct BatchList {
    batches: Vec<BatchRow>,
    #[serde(flatten)]
    page_info: PageInfo,
}

/// `GET /v1/instructions`: without what stands in the messages.
pub(super) async fn list(call: ApiCall) -> Result<ApiReply, ApiError> {
    let named = |name: String| BatchStatus::named(&name).ok_or_else(bad_status);
    let filter = batches::BatchFilter {
        status: call.query(&["status"]).map(named).transpose()?,
        platform: call.query(&["platform"]),
        before: before_cursor(&call)?,
        limit: LIMIT.requested(&call)?,
    };
    let page = call.core.store.read(move |conn| batches::list(conn, &filter)).await?;
    let page_info = PageInfo { count: page.rows.len(), next_before: page.next_before };
    Ok(call.success(&BatchList { batches: page.rows, page_info }))
}

fn bad_status() -> ApiError {
    let names = BatchStatus::ALL.map(BatchStatus::name).join(", ");
    ApiError::field("status", format!("\"status\" must be one of {names}."))
}

#[derive(Serialize)]
struct BatchView<'a> {
    #[serde(flatten)]
    row: &'a BatchRow,
    #[serde(flatten)]
    parts: PlanParts,
    runs: Vec<InstructionRun>,
    executions: Vec<RawJson>,
    /// Why nothing of it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<RawJson>,
}

impl<'a> BatchView<'a> {
    fn of(details: &'a BatchDetails) -> Self {
        let batch = &details.batch;
        BatchView {
            row: &batch.row,
            parts: PlanParts::of(&batch.plan),
            runs: details.runs(),
            executions: details.executions(),
            rejection: batch.rejection.clone().map(RawJson::trusted),
        }
    }
}

/// `GET /v1/instructions/{batch_id}`: with exactly what runs, or ran, and what came of it.
pub(super) async fn one(call: ApiCall) -> Result<ApiReply, ApiError> {
    let details = call.core.instructions.show(call.part("batch_id")).await?;
    let details = details.ok_or_else(no_batch)?;
    Ok(call.success(&BatchView::of(&details)))
}

/// `POST /v1/instructions/{batch_id}/approve`. It runs when its turn comes.
pub(super) async fn approve(call: ApiCall) -> Result<ApiReply, ApiError> {
    decide(call, true).await
}

/// `POST /v1/instructions/{batch_id}/reject`.
pub(super) async fn reject(call: ApiCall) -> Result<ApiReply, ApiError> {
    decide(call, false).await
}

async fn decide(call: ApiCall, approve: bool) -> Result<ApiReply, ApiError> {
    let fields = call.fields()?;
    let reason = fields.text(&["reason"])?.map(Cow::into_owned);
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
        return Err(FieldError::new("reason", format!("must not be longer than {REASON_CHARS_MAX} characters")).into());
    }
    let digest = fields.text(&["digest"])?.map(Cow::into_owned);
    let decision = OperatorDecision { approve, digest, by: "bearer", reason };
    let row = call.core.instructions.decide(call.part("batch_id"), decision).await?;
    Ok(call.success(&row))
}

fn no_batch() -> ApiError {
    ApiError::not_found("instruction_batch", "There is no batch of this id.")
}

impl From<IngestError> for ApiError {
    fn from(refused: IngestError) -> Self {
        match refused {
            IngestError::Rejected { batch_id, rejection } => {
                let mut message = format!("Nothing of this message runs: {rejection}");
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
                let message = "Instructions are off: the database in which it stood what had run was lost or replaced. \
                               \"baa-conductor instructions enable\" lets them run again.";
                ApiError::new(Code::StoreUnavailable, message)
            }
            IngestError::Crowded(most) => {
                let message = format!("{most} batches wait for a decision or for their turn, as many as may.");
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
                let message = format!("The batch is {} and waits for no decision.", status.name());
                ApiError::new(Code::ApprovalStale, message).with("status", status.name())
            }
            DecisionError::Differs => {
                ApiError::new(Code::ApprovalStale, "The batch is not what was shown; look at it again.")
            }
            DecisionError::Confined(_) => {
                let message = format!("The batch cannot be approved any more: {undecided}.");
                ApiError::new(Code::ApprovalStale, message)
            }
            DecisionError::Store(fault) => fault.into(),
        }
    }
}
