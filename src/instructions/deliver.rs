//! Delivery of results: as the next prompt of the conversation, on the client that observed the message.

mod report;

use super::{
    center::InstructionServices, execution::InstructionExecution, hub::InstructionShared, settings::DeliveryMode,
};
use crate::{
    clock::WallMs,
    ids::{ClientId, PlatformName, RequestId},
    platforms::{
        plan::{AppId, RequestPlan, RequestedLocation, prompt_body},
        registry::PromptMethod,
    },
    relay::{RelayRequest, RequestWork, ResponseMode, UpstreamCall},
    store::batches::{self, BatchSummary, DeliveryStatus},
    wire::RawJson,
};
use std::sync::Arc;

const HOUR_MS: WallMs = 60 * 60 * 1_000;

/// Delivers the results of a live batch if enabled. Runs as a task of its own, so that the next batch does not wait.
pub(super) fn start(
    shared: &Arc<InstructionShared>,
    services: &InstructionServices,
    row: BatchSummary,
    executions: &[InstructionExecution],
) {
    let settings = &shared.setup.settings;
    if settings.deliver == DeliveryMode::Off || executions.is_empty() {
        return;
    }
    let prompt = report::write(executions, settings.deliver_max_bytes);
    let (shared, services) = (Arc::clone(shared), services.clone());
    let tracked = shared.under_way.clone();
    actix_rt::spawn(tracked.track_future(async move {
        let (delivery, why) = deliver(&shared, &services, &row, &prompt).await;
        let (batch_id, now) = (row.batch_id.clone(), shared.setup.clock.now_ms());
        let note = move |conn: &mut _| batches::deliver(conn, &batch_id, delivery, &why, now);
        if let Err(error) = shared.retry_until_committed(|_| (), note).await {
            tracing::error!(batch.id = row.batch_id, %error, "the outcome of a delivery was not recorded");
        }
        if let Some(row) = shared.row(&row.batch_id).await {
            shared.publish(&row);
        }
    }));
}

async fn deliver(
    shared: &InstructionShared,
    services: &InstructionServices,
    row: &BatchSummary,
    prompt: &str,
) -> (DeliveryStatus, String) {
    let failed = |why: &dyn std::fmt::Display| (DeliveryStatus::Failed, why.to_string());
    let Some(request) = request(services, row, prompt) else {
        return (DeliveryStatus::NotSupported, "no prompt of this platform can name a conversation".to_owned());
    };
    let round = DeliveryRound::begin(shared, row);
    match rounds(shared, row).await.map(|ended| ended + round.others) {
        Ok(rounds) if rounds >= shared.setup.settings.deliver_max_rounds_per_hour as u64 => {
            return failed(&format!(
                "{rounds} deliveries within the last hour, the maximum (instructions.deliver_max_rounds_per_hour)"
            ));
        }
        Ok(_) => {}
        Err(error) => return failed(&error),
    }
    match services.relay.buffered(request) {
        Ok(taken) => match taken.answer().await.0 {
            Ok(_) => (DeliveryStatus::Delivered, String::new()),
            Err(failure) => failed(&failure.cause.message()),
        },
        Err(refused) => failed(&format!("{refused:?}").to_lowercase()),
    }
}

/// A delivery in progress; counted for its conversation until dropped.
struct DeliveryRound<'a> {
    shared: &'a InstructionShared,
    conversation: (String, String),
    /// Deliveries of the conversation already in progress.
    others: u64,
}

impl<'a> DeliveryRound<'a> {
    fn begin(shared: &'a InstructionShared, row: &BatchSummary) -> Self {
        let conversation = (row.message.platform.clone(), row.message.conversation_id.clone().unwrap_or_default());
        let mut delivering = shared.delivering.lock();
        let count = delivering.entry(conversation.clone()).or_default();
        let others = *count as u64;
        *count += 1;
        DeliveryRound { shared, conversation, others }
    }
}

impl Drop for DeliveryRound<'_> {
    fn drop(&mut self) {
        let mut delivering = self.shared.delivering.lock();
        if let Some(count) = delivering.get_mut(&self.conversation) {
            *count -= 1;
            if *count == 0 {
                delivering.remove(&self.conversation);
            }
        }
    }
}

/// Returns the number of the conversation's deliveries within the last hour.
async fn rounds(shared: &InstructionShared, row: &BatchSummary) -> Result<u64, crate::store::StoreError> {
    let since = shared.setup.clock.now_ms().saturating_sub(HOUR_MS);
    let (platform, conversation) = (row.message.platform.clone(), row.message.conversation_id.clone());
    let count = move |conn: &mut _| {
        let conversation = conversation.as_deref().unwrap_or_default();
        batches::deliveries(conn, &platform, conversation, since)
    };
    shared.setup.store.run(count).await.map(|count| u64::try_from(count).unwrap_or(0))
}

/// Returns the request for the prompt, or `None` if the platform's prompts cannot name a conversation.
fn request(services: &InstructionServices, row: &BatchSummary, prompt: &str) -> Option<RelayRequest> {
    let platform = services.registry.get(&row.message.platform)?;
    if platform.prompt != PromptMethod::Claude {
        return None;
    }
    let conversation_id = AppId::parse(row.message.conversation_id.as_deref()?).ok()?;
    let asked = RequestedLocation { organization_id: None, conversation_id: Some(conversation_id) };
    let headers = RawJson::trusted(r#"{"content-type":"application/json"}"#);
    Some(RelayRequest {
        id: RequestId::generate(),
        platform: PlatformName::trusted(row.message.platform.as_str()),
        client_id: row.message.client_id.as_deref().map(ClientId::trusted),
        mode: ResponseMode::Buffered,
        work: RequestWork::Plan(RequestPlan::ClaudePrompt { asked, headers, body: prompt_body(prompt) }),
        call: UpstreamCall { method: "POST".into(), ..UpstreamCall::default() },
        timeout: None,
    })
}
