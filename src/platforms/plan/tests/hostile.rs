//! Ids and bodies that were made to do harm.

use super::*;
use crate::platforms::{
    registry::{PlatformRegistry, PlatformsSettings},
    request_path::check_path,
};
use url::Url;

/// Texts that end where their pieces meet: every pair of these.
const PIECES: &[&str] = &[
    "",
    ".",
    "..",
    "...",
    "/",
    "\\",
    "//",
    "?",
    "#",
    "%",
    "%2e",
    "%2E%2e",
    "%2f",
    "%252f",
    "%00",
    "\0",
    "\n",
    "\r\n",
    "\t",
    " ",
    "@",
    ":",
    ";",
    "&",
    "=",
    "+",
    "*",
    "'",
    "\"",
    "<",
    "|",
    "^",
    "`",
    "{",
    "ü",
    "\u{202e}",
    "\u{feff}",
    "／",
    "．",
    "😀",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "a",
    "A-z_0~9",
    "completion",
    "https://evil.example/",
    "user@host",
];

fn ids() -> impl Iterator<Item = String> {
    let pairs = PIECES.iter().flat_map(|a| PIECES.iter().map(move |b| format!("{a}{b}")));
    let triples = PIECES.iter().flat_map(|a| PIECES.iter().map(move |b| format!("{a}x{b}")));
    pairs.chain(triples)
}

/// The segments of a path as a server sees them after the browser's URL parser, decoded once.
fn segments(path: &str) -> Vec<String> {
    let url = Url::parse("https://claude.ai/").unwrap().join(path).unwrap();
    assert_eq!(
        (url.host_str(), url.query(), url.fragment(), url.username()),
        (Some("claude.ai"), None, None, ""),
        "{path}"
    );
    assert_eq!(url.path(), path, "the parser changes nothing");
    url.path_segments().unwrap().map(decoded).collect()
}

fn decoded(segment: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = segment.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let digits = std::str::from_utf8(&tail[..2]).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn no_id_changes_which_path_is_asked_for() {
    let registry = PlatformRegistry::new(&PlatformsSettings::default());
    let claude = registry.get("claude").unwrap();
    let (mut safe, mut refused) = (0, 0);
    for text in ids() {
        let Ok(id) = AppId::parse(&text) else {
            refused += 1;
            continue;
        };
        safe += 1;
        let asked = RequestedLocation { organization_id: None, conversation_id: Some(id) };
        let organizations = RawJson::of(&json!([{"uuid": text}]));
        for (plan, tail) in [(prompt(asked.clone()), &["completion"][..]), (current(asked), &[])] {
            let PlanStep::Intermediate { then, .. } = plan.begin(None) else { panic!("not the last") };
            let PlanStep::Final { call, .. } = then.answered(&organizations).unwrap() else { panic!("the last") };
            let mut wanted = vec!["api", "organizations", &text, "chat_conversations", &text];
            wanted.extend(tail);
            assert_eq!(segments(&call.path), wanted, "{text:?}");
            assert!(call.path.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
            assert_eq!(check_path(claude, &call.path), Ok(()), "{text:?}");
        }
    }
    assert!(safe > 1_000 && refused > 500, "{safe} safe, {refused} refused");
}

#[test]
fn an_id_that_is_refused_is_no_id_wherever_it_comes_from() {
    for text in ids().filter(|text| AppId::parse(text).is_err()) {
        let list = json!([{"uuid": text}]);
        let (_, ended) = drive(prompt(asked(None, None)), None, std::slice::from_ref(&list));
        assert_eq!(ended, Err(UnusableAnswer::NoOrganization.into()), "{text:?}");
        let (_, ended) = drive(prompt(asked(None, None)), None, &[organizations(), list]);
        assert_eq!(ended, Err(UnusableAnswer::NoConversation.into()), "{text:?}");
        let (_, ended) = drive(prompt(asked(None, None)), None, &[organizations(), json!([]), json!({"uuid": text})]);
        assert_eq!(ended, Err(UnusableAnswer::NotCreated.into()), "{text:?}");
    }
}

#[test]
fn no_body_makes_a_plan_panic_or_go_where_it_should_not() {
    let whole = r#"{"data":{"items":[{"uuid":"o\u00fc","name":"n","is_default":true,"updated_at":1e9}]},"uuid":"c","chat_messages":[{"sender":"human","content":[{"type":"text","text":"x"}]}]}"#;
    let fields = (0..300).map(|at| format!("\"f{at}\":0,")).collect::<String>();
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    let mut bodies: Vec<String> = (0..=whole.len()).filter_map(|at| whole.get(..at)).map(str::to_owned).collect();
    bodies.extend(
        ["]", "[}", "[,]", "[{\"uuid\":\"\\ud800\"}]", "[1e999]", "\u{feff}[]", "nul", "[\"\0\"]"].map(str::to_owned),
    );
    bodies.extend([
        format!("{{{fields}\"uuid\":\"x\"}}"),
        deep.clone(),
        format!("{{\"data\":{deep}}}"),
        "[{}".repeat(9_999),
    ]);
    for text in bodies {
        // As text it need not be JSON at all.
        let body = RawJson::of(&text);
        for plan in [prompt(asked(None, None)), current(asked(None, None)), prompt(asked(Some("o"), None))] {
            let mut step = Ok(plan.begin(None));
            for _ in 0..3 {
                step = match step {
                    Ok(PlanStep::Intermediate { call, then }) => {
                        assert!(call.path.starts_with("/api/organizations"), "{text}");
                        then.answered(&body)
                    }
                    other => other,
                };
            }
            assert!(
                !matches!(step, Ok(PlanStep::Intermediate { .. })),
                "no plan has more steps than three and the last"
            );
        }
        let organization = Organization { organization_id: id("o"), name: None };
        let chosen = ResolvedLocation { organization, conversation: Conversation::from(id("c")) };
        let is_whole = text == whole;
        assert_eq!(Transcript::read(&body, chosen).is_ok(), is_whole, "{text}");
    }
}
