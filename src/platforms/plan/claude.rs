//! Claude's steps: which organization, which conversation, then what the caller wants there.

use super::{
    AppId, CachedLocation, Conversation, Organization, PlanError, PlanStep, UnusableAnswer, UpstreamCall, conversation,
    organization,
};
use crate::{platforms::json, wire::RawJson};
use serde::Serialize;
use std::borrow::Cow;

/// Location that the caller named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestedLocation {
    /// Id of the organization.
    pub organization_id: Option<AppId>,
    /// Id of the conversation; used without a check.
    pub conversation_id: Option<AppId>,
}

/// Where in the app a plan's last step goes; serializes as the answer shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResolvedLocation {
    /// In this organization.
    pub organization: Organization,
    /// In this conversation.
    pub conversation: Conversation,
}

/// Returns the body of a completion with `prompt`.
pub fn prompt_body(prompt: &str) -> RawJson {
    #[derive(Serialize)]
    struct Body<'a> {
        prompt: &'a str,
    }
    RawJson::of(&Body { prompt })
}

/// A plan that waits for the answer to a step.
#[derive(Debug, PartialEq, Eq)]
pub struct PendingPlan {
    goal: ClaudeGoal,
    asked: RequestedLocation,
    awaited: AwaitedAnswer,
}

#[derive(Debug, PartialEq, Eq)]
enum ClaudeGoal {
    Prompt { headers: RawJson, body: RawJson },
    Current,
}

/// The answer that the plan waits for.
#[derive(Debug, PartialEq, Eq)]
enum AwaitedAnswer {
    Organizations,
    Conversations(Organization),
    NewConversation(Organization),
}

impl PendingPlan {
    pub(super) fn prompt(asked: RequestedLocation, headers: RawJson, body: RawJson) -> Self {
        PendingPlan { goal: ClaudeGoal::Prompt { headers, body }, asked, awaited: AwaitedAnswer::Organizations }
    }

    pub(super) fn current(asked: RequestedLocation) -> Self {
        PendingPlan { goal: ClaudeGoal::Current, asked, awaited: AwaitedAnswer::Organizations }
    }

    pub(super) fn begin(self, known: Option<CachedLocation>) -> PlanStep {
        match known {
            Some(CachedLocation { organization, conversation }) => self.within(organization, conversation),
            None => before(get("/api/organizations".to_owned()), self),
        }
    }

    /// Continues the plan with the answer to the step.
    pub fn answered(self, body: &RawJson) -> Result<PlanStep, PlanError> {
        let body = json::of(body);
        match self.awaited {
            AwaitedAnswer::Organizations => {
                let organization = organization::choose(&body, self.asked.organization_id.as_ref())?;
                Ok(PendingPlan { awaited: AwaitedAnswer::Organizations, ..self }.within(organization, None))
            }
            AwaitedAnswer::Conversations(organization) => match (conversation::choose(&body)?, &self.goal) {
                (Some(conversation), _) => Ok(last(self.goal, organization, conversation)),
                (None, ClaudeGoal::Current) => Err(PlanError::ConversationNotFound),
                (None, ClaudeGoal::Prompt { .. }) => {
                    let body = Some(RawJson::trusted("{}"));
                    let headers = RawJson::trusted("{\"content-type\":\"application/json\"}");
                    let create =
                        UpstreamCall { method: "POST".into(), headers, body, ..get(conversations(&organization)) };
                    Ok(before(create, PendingPlan { awaited: AwaitedAnswer::NewConversation(organization), ..self }))
                }
            },
            AwaitedAnswer::NewConversation(organization) => {
                let conversation = conversation::from_answer(&body).ok_or(UnusableAnswer::NotCreated)?;
                Ok(last(self.goal, organization, conversation))
            }
        }
    }

    /// Continues in this organization; a requested conversation takes precedence over a known one.
    fn within(self, organization: Organization, known: Option<Conversation>) -> PlanStep {
        match self.asked.conversation_id.clone().map(Conversation::from).or(known) {
            Some(conversation) => last(self.goal, organization, conversation),
            None => {
                let list = get(conversations(&organization));
                before(list, PendingPlan { awaited: AwaitedAnswer::Conversations(organization), ..self })
            }
        }
    }
}

fn before(call: UpstreamCall, waiting: PendingPlan) -> PlanStep {
    PlanStep::Intermediate { call, then: waiting }
}

fn last(goal: ClaudeGoal, organization: Organization, conversation: Conversation) -> PlanStep {
    let mut path = conversations(&organization);
    path.push('/');
    conversation.conversation_id.push_onto(&mut path);
    let call = match goal {
        ClaudeGoal::Current => get(path),
        ClaudeGoal::Prompt { headers, body } => {
            path.push_str("/completion");
            UpstreamCall { method: Cow::Borrowed("POST"), path, headers, body: Some(body) }
        }
    };
    PlanStep::Final { call, chosen: Some(ResolvedLocation { organization, conversation }) }
}

fn conversations(organization: &Organization) -> String {
    let mut path = "/api/organizations/".to_owned();
    organization.organization_id.push_onto(&mut path);
    path.push_str("/chat_conversations");
    path
}

fn get(path: String) -> UpstreamCall {
    UpstreamCall { method: Cow::Borrowed("GET"), path, headers: RawJson::trusted("{}"), body: None }
}
