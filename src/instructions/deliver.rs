//! Results on their way back: the next prompt of the conversation that asked, on the client that saw it.

mod report;

use super::{center::Outside, execution::Execution, hub::Shared, settings::Deliver};
use crate::{
    clock::WallMs,
    ids::{ClientId, PlatformName, RequestId},
    platforms::{
        plan::{AppId, Asked, Plan, prompt_body},
        registry::Prompt,
    },
    relay::{Call, Request, ResponseMode, Work},
    store::batches::{self, BatchRow, Delivery},
    wire::Raw,
};
use std::sync::{Arc, PoisonError};

const HOUR_MS: WallMs = 60 * 60 * 1_000;

/// Sends the results of a live batch back, where that is wished, on a task of its own: the next batch does not wait.
pub(super) fn start(shared: &Arc<Shared>, outside: &Outside, row: BatchRow, executions: &[Execution]) {
    let settings = &shared.setup.settings;
    if settings.deliver == Deliver::Off || executions.is_empty() {
        return;
    }
    let prompt = report::write(executions, settings.deliver_max_bytes);
    let (shared, outside) = (Arc::clone(shared), outside.clone());
    let tracked = shared.under_way.clone();
    actix_rt::spawn(tracked.track_future(async move {
        let (delivery, why) = deliver(&shared, &outside, &row, &prompt).await;
        let (batch_id, now) = (row.batch_id.clone(), shared.setup.clock.now_ms());
        let note = move |conn: &mut _| batches::deliver(conn, &batch_id, delivery, &why, now);
        if let Err(error) = shared.insist(|_| (), note).await {
            tracing::error!(batch.id = row.batch_id, %error, "what became of a delivery was not written");
        }
        if let Some(row) = shared.row(&row.batch_id).await {
            shared.publish(&row);
        }
    }));
}

async fn deliver(shared: &Shared, outside: &Outside, row: &BatchRow, prompt: &str) -> (Delivery, String) {
    let failed = |why: &dyn std::fmt::Display| (Delivery::Failed, why.to_string());
    let Some(request) = request(outside, row, prompt) else {
        return (Delivery::NotSupported, "no prompt of this platform can name a conversation".to_owned());
    };
    let round = Round::begin(shared, row);
    match rounds(shared, row).await.map(|ended| ended + round.others) {
        Ok(rounds) if rounds >= shared.setup.settings.deliver_max_rounds_per_hour as u64 => {
            return failed(&format!("{rounds} within an hour, as many as may be"));
        }
        Ok(_) => {}
        Err(error) => return failed(&error),
    }
    match outside.relay.buffered(request) {
        Ok(taken) => match taken.answer().await.0 {
            Ok(_) => (Delivery::Delivered, String::new()),
            Err(failure) => failed(&failure.cause.message()),
        },
        Err(refused) => failed(&format!("{refused:?}").to_lowercase()),
    }
}

/// A delivery under way, counted among those of its conversation while this lives.
struct Round<'a> {
    shared: &'a Shared,
    conversation: (String, String),
    /// How many were under way before.
    others: u64,
}

impl<'a> Round<'a> {
    fn begin(shared: &'a Shared, row: &BatchRow) -> Self {
        let conversation = (row.message.platform.clone(), row.message.conversation_id.clone().unwrap_or_default());
        let mut delivering = shared.delivering.lock().unwrap_or_else(PoisonError::into_inner);
        let count = delivering.entry(conversation.clone()).or_default();
        let others = *count as u64;
        *count += 1;
        Round { shared, conversation, others }
    }
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        let mut delivering = self.shared.delivering.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = delivering.get_mut(&self.conversation) {
            *count -= 1;
            if *count == 0 {
                delivering.remove(&self.conversation);
            }
        }
    }
}

/// Deliveries of the conversation that ended within the last hour.
async fn rounds(shared: &Shared, row: &BatchRow) -> Result<u64, crate::store::StoreError> {
    let since = shared.setup.clock.now_ms().saturating_sub(HOUR_MS);
    let (platform, conversation) = (row.message.platform.clone(), row.message.conversation_id.clone());
    let count = move |conn: &mut _| {
        let conversation = conversation.as_deref().unwrap_or_default();
        batches::deliveries(conn, &platform, conversation, since)
    };
    shared.setup.store.run(count).await.map(|count| u64::try_from(count).unwrap_or(0))
}

/// The prompt as a request; nothing where the platform's prompts cannot name a conversation.
fn request(outside: &Outside, row: &BatchRow, prompt: &str) -> Option<Request> {
    let platform = outside.registry.get(&row.message.platform)?;
    if platform.prompt != Prompt::Claude {
        return None;
    }
    let conversation_id = AppId::parse(row.message.conversation_id.as_deref()?).ok()?;
    let asked = Asked { organization_id: None, conversation_id: Some(conversation_id) };
    let headers = Raw::trusted(r#"{"content-type":"application/json"}"#);
    Some(Request {
        id: RequestId::generate(),
        platform: PlatformName::trusted(row.message.platform.as_str()),
        client_id: row.message.client_id.as_deref().map(ClientId::trusted),
        mode: ResponseMode::Buffered,
        work: Work::Plan(Plan::ClaudePrompt { asked, headers, body: prompt_body(prompt) }),
        call: Call { method: "POST".into(), ..Call::default() },
        timeout: None,
    })
}
