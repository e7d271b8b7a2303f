//! Claude's steps: which organization, which conversation, then what the caller wants there.

use super::{
    AppId, Call, Conversation, Known, Organization, PlanError, Step, Then, Unusable, conversation, organization,
};
use crate::{platforms::json, wire::Raw};
use serde::Serialize;
use std::borrow::Cow;

/// What the caller named of the place where a plan goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Which organization.
    pub organization_id: Option<AppId>,
    /// Which conversation; taken as it is.
    pub conversation_id: Option<AppId>,
}

/// Where in the app a plan's last step goes; serializes as the answer shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Chosen {
    /// In this organization.
    pub organization: Organization,
    /// In this conversation.
    pub conversation: Conversation,
}

/// The body of a completion that says `prompt`.
pub fn prompt_body(prompt: &str) -> Raw {
    #[derive(Serialize)]
    struct Body<'a> {
        prompt: &'a str,
    }
    Raw::of(&Body { prompt })
}

/// A plan between two steps.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    goal: Goal,
    asked: Asked,
    for_what: For,
}

#[derive(Debug, PartialEq, Eq)]
enum Goal {
    Prompt { headers: Raw, body: Raw },
    Current,
}

/// What the next answer is about.
#[derive(Debug, PartialEq, Eq)]
enum For {
    Organizations,
    Conversations(Organization),
    NewConversation(Organization),
}

impl Waiting {
    pub(super) fn prompt(asked: Asked, headers: Raw, body: Raw) -> Self {
        Waiting { goal: Goal::Prompt { headers, body }, asked, for_what: For::Organizations }
    }

    pub(super) fn current(asked: Asked) -> Self {
        Waiting { goal: Goal::Current, asked, for_what: For::Organizations }
    }

    pub(super) fn begin(self, known: Option<Known>) -> Step {
        match known {
            Some(Known { organization, conversation }) => self.within(organization, conversation),
            None => before(get("/api/organizations".to_owned()), self),
        }
    }

    pub(super) fn answered(self, body: &Raw) -> Result<Step, PlanError> {
        let body = json::of(body);
        match self.for_what {
            For::Organizations => {
                let organization = organization::choose(&body, self.asked.organization_id.as_ref())?;
                Ok(Waiting { for_what: For::Organizations, ..self }.within(organization, None))
            }
            For::Conversations(organization) => match (conversation::choose(&body)?, &self.goal) {
                (Some(conversation), _) => Ok(last(self.goal, organization, conversation)),
                (None, Goal::Current) => Err(PlanError::ConversationNotFound),
                (None, Goal::Prompt { .. }) => {
                    let body = Some(Raw::trusted("{}"));
                    let headers = Raw::trusted("{\"content-type\":\"application/json\"}");
                    let create = Call { method: "POST".into(), headers, body, ..get(conversations(&organization)) };
                    Ok(before(create, Waiting { for_what: For::NewConversation(organization), ..self }))
                }
            },
            For::NewConversation(organization) => {
                let conversation = conversation::told(&body).ok_or(Unusable::NotCreated)?;
                Ok(last(self.goal, organization, conversation))
            }
        }
    }

    /// Goes on in this organization; what the caller named counts before what is known.
    fn within(self, organization: Organization, known: Option<Conversation>) -> Step {
        match self.asked.conversation_id.clone().map(Conversation::from).or(known) {
            Some(conversation) => last(self.goal, organization, conversation),
            None => {
                let list = get(conversations(&organization));
                before(list, Waiting { for_what: For::Conversations(organization), ..self })
            }
        }
    }
}

fn before(call: Call, waiting: Waiting) -> Step {
    Step::Before { call, then: Then(waiting) }
}

fn last(goal: Goal, organization: Organization, conversation: Conversation) -> Step {
    let mut path = conversations(&organization);
    path.push('/');
    conversation.conversation_id.push_onto(&mut path);
    let call = match goal {
        Goal::Current => get(path),
        Goal::Prompt { headers, body } => {
            path.push_str("/completion");
            Call { method: Cow::Borrowed("POST"), path, headers, body: Some(body) }
        }
    };
    Step::Last { call, chosen: Some(Chosen { organization, conversation }) }
}

fn conversations(organization: &Organization) -> String {
    let mut path = "/api/organizations/".to_owned();
    organization.organization_id.push_onto(&mut path);
    path.push_str("/chat_conversations");
    path
}

fn get(path: String) -> Call {
    Call { method: Cow::Borrowed("GET"), path, headers: Raw::trusted("{}"), body: None }
}
