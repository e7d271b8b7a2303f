//! The plans: which steps follow from which answers, and what no answer can make them do.

use super::*;
use serde_json::{Value, json};

mod hostile;
mod lists;
mod transcripts;

fn id(text: &str) -> AppId {
    AppId::parse(text).unwrap()
}

fn asked(organization: Option<&str>, conversation: Option<&str>) -> RequestedLocation {
    RequestedLocation { organization_id: organization.map(id), conversation_id: conversation.map(id) }
}

fn prompt(asked: RequestedLocation) -> RequestPlan {
    RequestPlan::ClaudePrompt { asked, headers: RawJson::of(&json!({"x-a": "1"})), body: prompt_body("Hi \"you\"") }
}

fn current(asked: RequestedLocation) -> RequestPlan {
    RequestPlan::ClaudeCurrent { asked }
}

/// Drives a plan through these answers; every call as `METHOD path body`, and how it ended.
fn drive(
    plan: RequestPlan,
    known: Option<CachedLocation>,
    answers: &[Value],
) -> (Vec<String>, Result<Option<ResolvedLocation>, PlanError>) {
    let mut answers = answers.iter();
    let mut calls = Vec::new();
    let mut step = plan.begin(known);
    loop {
        let (PlanStep::Intermediate { call, .. } | PlanStep::Final { call, .. }) = &step;
        let body = call.body.as_ref().map_or("", RawJson::text);
        calls.push(format!("{} {} {body}", call.method, call.path).trim_end().to_owned());
        step = match step {
            PlanStep::Final { chosen, .. } => {
                assert_eq!(answers.next(), None, "every answer was asked for");
                return (calls, Ok(chosen));
            }
            PlanStep::Intermediate { then, .. } => {
                match then.answered(&RawJson::of(answers.next().expect("a step too many"))) {
                    Ok(step) => step,
                    Err(error) => return (calls, Err(error)),
                }
            }
        };
    }
}

const ORGANIZATIONS: &str = "GET /api/organizations";
const LIST: &str = "GET /api/organizations/o1/chat_conversations";
const CREATE: &str = "POST /api/organizations/o1/chat_conversations {}";
const COMPLETION: &str = r#"POST /api/organizations/o1/chat_conversations/c1/completion {"prompt":"Hi \"you\""}"#;
const READ: &str = "GET /api/organizations/o1/chat_conversations/c1";

fn organizations() -> Value {
    json!([{"uuid": "o1", "name": "One"}, {"uuid": "o2"}])
}

fn conversations() -> Value {
    json!([{"uuid": "c1", "name": "First", "created_at": "2025-06-29T12:00:00Z", "updated_at": 1_751_198_400}])
}

#[test]
fn the_steps_of_a_plan_depend_on_what_is_asked_and_what_is_there() {
    let (none, both) = (asked(None, None), asked(Some("o1"), Some("c1")));
    let (os, cs, empty) = (organizations(), conversations(), json!([]));
    let new = json!({"uuid": "c1"});
    for (plan, answers, calls) in [
        (prompt(none.clone()), vec![&os, &cs], vec![ORGANIZATIONS, LIST, COMPLETION]),
        (prompt(none.clone()), vec![&os, &empty, &new], vec![ORGANIZATIONS, LIST, CREATE, COMPLETION]),
        (prompt(asked(Some("o1"), None)), vec![&os, &cs], vec![ORGANIZATIONS, LIST, COMPLETION]),
        (prompt(asked(None, Some("c1"))), vec![&os], vec![ORGANIZATIONS, COMPLETION]),
        (prompt(both.clone()), vec![&os], vec![ORGANIZATIONS, COMPLETION]),
        (current(none), vec![&os, &cs], vec![ORGANIZATIONS, LIST, READ]),
        (current(both), vec![&os], vec![ORGANIZATIONS, READ]),
    ] {
        let answers: Vec<_> = answers.into_iter().cloned().collect();
        let (called, ended) = drive(plan, None, &answers);
        assert_eq!(called, calls);
        let chosen = ended.unwrap().unwrap();
        assert_eq!((chosen.organization.organization_id, chosen.conversation.conversation_id), (id("o1"), id("c1")));
    }
}

#[test]
fn the_callers_headers_and_body_are_those_of_the_last_step_alone() {
    let PlanStep::Intermediate { call, then } = prompt(asked(None, Some("c1"))).begin(None) else {
        panic!("not the last")
    };
    assert_eq!((call.headers, call.body), (RawJson::trusted("{}"), None));
    let PlanStep::Final { call, .. } = then.answered(&RawJson::of(&organizations())).unwrap() else {
        panic!("the last")
    };
    assert_eq!(call.headers.text(), r#"{"x-a":"1"}"#);
    let body = RawJson::trusted(r#"{"prompt": "p", "model": "m"}"#);
    let own =
        RequestPlan::ClaudePrompt { asked: asked(None, Some("c1")), headers: RawJson::default(), body: body.clone() };
    let PlanStep::Intermediate { then, .. } = own.begin(None) else { panic!("not the last") };
    let PlanStep::Final { call, .. } = then.answered(&RawJson::of(&organizations())).unwrap() else {
        panic!("the last")
    };
    assert_eq!(call.body, Some(body), "as it came");
}

#[test]
fn what_is_known_saves_its_steps_and_never_for_a_look_at_the_current_conversation() {
    let known = |conversation: Option<&str>| {
        let organization = Organization { organization_id: id("o1"), name: None };
        Some(CachedLocation { organization, conversation: conversation.map(|text| Conversation::from(id(text))) })
    };
    let (os, cs) = (organizations(), conversations());
    for (plan, known, answers, calls) in [
        (prompt(asked(None, None)), known(Some("c1")), vec![], vec![COMPLETION]),
        (prompt(asked(None, Some("c1"))), known(Some("other")), vec![], vec![COMPLETION]),
        (prompt(asked(None, Some("c1"))), known(None), vec![], vec![COMPLETION]),
        (prompt(asked(None, None)), known(None), vec![cs.clone()], vec![LIST, COMPLETION]),
        (current(asked(None, None)), known(Some("other")), vec![os, cs], vec![ORGANIZATIONS, LIST, READ]),
    ] {
        assert_eq!(drive(plan, known, &answers).0, calls);
    }
}

#[test]
fn what_was_chosen_is_shown_with_what_the_app_tells_of_it() {
    let (_, chosen) = drive(prompt(asked(None, None)), None, &[organizations(), conversations()]);
    let at = 1_751_198_400_000_i64;
    let conversation = json!({"conversation_id": "c1", "title": "First", "created_at": at, "updated_at": at});
    let shown = json!({"organization": {"organization_id": "o1", "name": "One"}, "conversation": conversation});
    assert_eq!(serde_json::to_value(chosen.unwrap()).unwrap(), shown);
    let (_, chosen) = drive(prompt(asked(None, Some("c9"))), None, &[organizations()]);
    let shown = json!({"conversation_id": "c9", "title": null, "created_at": null, "updated_at": null});
    assert_eq!(serde_json::to_value(chosen.unwrap().unwrap().conversation).unwrap(), shown, "as it is");
}

#[test]
fn a_plan_that_cannot_go_on_says_why() {
    let (os, cs) = (organizations(), conversations());
    let wanted = |organization| asked(Some(organization), None);
    for (plan, answers, error) in [
        (prompt(wanted("o3")), vec![os.clone()], PlanError::OrganizationNotFound),
        (prompt(wanted("o3")), vec![json!([])], PlanError::OrganizationNotFound),
        (current(wanted("O1")), vec![os.clone()], PlanError::OrganizationNotFound),
        (prompt(wanted("o1")), vec![json!({})], UnusableAnswer::NoOrganizations.into()),
        (prompt(asked(None, None)), vec![json!([])], UnusableAnswer::NoOrganization.into()),
        (prompt(asked(None, None)), vec![os.clone(), json!(null)], UnusableAnswer::NoConversations.into()),
        (prompt(asked(None, None)), vec![os.clone(), json!([{"name": "x"}])], UnusableAnswer::NoConversation.into()),
        (prompt(asked(None, None)), vec![os.clone(), json!([]), json!({})], UnusableAnswer::NotCreated.into()),
        (current(asked(None, None)), vec![os.clone(), json!([])], PlanError::ConversationNotFound),
        (
            current(asked(None, None)),
            vec![os, json!({"chat_conversations": cs[0]})],
            UnusableAnswer::NoConversations.into(),
        ),
    ] {
        assert_eq!(drive(plan, None, &answers).1, Err(error), "{answers:?}");
    }
    assert_eq!(PlanError::OrganizationNotFound.resource(), Some("claude_organization"));
    assert_eq!(PlanError::ConversationNotFound.resource(), Some("claude_conversation"));
    assert_eq!(PlanError::from(UnusableAnswer::NotCreated).resource(), None);
}
