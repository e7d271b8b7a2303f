//! The text of answers: the shared cases, single events of each app, and malicious answers.

use super::*;
use serde_json::{Value, json};
use std::{fs, path::Path};

mod hostile;

const APPS: [(&str, FinalMessageExtractor); 3] = [
    ("chatgpt", FinalMessageExtractor::Chatgpt),
    ("claude", FinalMessageExtractor::Claude),
    ("gemini", FinalMessageExtractor::Gemini),
];

#[derive(Debug)]
struct Case {
    name: String,
    app: FinalMessageExtractor,
    answer: String,
    /// What the daemon reads: a text, or a drift.
    expected: Result<String, String>,
}

/// Returns the shared cases, which the extension's tests read too.
fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/platforms");
    let mut cases = Vec::new();
    for (folder, app) in APPS {
        for file in fs::read_dir(root.join(folder)).unwrap() {
            let path = file.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            let Some(case) = file.strip_suffix(".response.txt") else { continue };
            let expected = fs::read_to_string(path.with_file_name(format!("{case}.expected.json"))).unwrap();
            let daemon = &serde_json::from_str::<Value>(&expected).unwrap()["daemon"];
            let expected = match daemon["text"].as_str() {
                Some(text) => Ok(text.to_owned()),
                None => Err(daemon["drift"].as_str().unwrap().to_owned()),
            };
            let answer = fs::read_to_string(&path).unwrap();
            cases.push(Case { name: format!("{folder}/{case}"), app, answer, expected });
        }
    }
    assert!(cases.len() > 80, "the cases are where they are looked for");
    cases
}

fn read(app: FinalMessageExtractor, answer: &str) -> Result<String, &'static str> {
    full_text(app, answer).expect("an app that is known").map_err(AnswerDrift::reason)
}

#[test]
fn the_shared_cases_are_read_as_they_say() {
    for Case { name, app, answer, expected } in cases() {
        assert_eq!(read(app, &answer).map_err(str::to_owned), expected, "{name}");
    }
}

#[test]
fn an_unknown_app_has_no_text() {
    assert_eq!(full_text(FinalMessageExtractor::None, "data: {\"completion\":\"x\"}\n\n"), None);
    assert!(
        FullTextReader::of(FinalMessageExtractor::None).is_none()
            && FullTextReader::of(FinalMessageExtractor::Gemini).is_none()
    );
}

/// Returns the text after each event.
fn growing(app: FinalMessageExtractor, answer: &str) -> Vec<Result<String, &'static str>> {
    let mut reader = FullTextReader::of(app).unwrap();
    let mut texts = Vec::new();
    for event in events(answer) {
        reader.event(&event);
        texts.push(reader.text().map(std::borrow::Cow::into_owned).map_err(AnswerDrift::reason));
    }
    texts
}

#[test]
fn the_text_so_far_is_known_after_each_event() {
    let ok = |text: &str| Ok(text.to_owned());
    let text = |index: u64, text: &str| json!({"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}});
    let thought =
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}});
    let tool = json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use"}});
    let start = json!({"type": "message_start", "message": {"role": "assistant"}});
    let claude = [
        json!({"type": "new"}),
        start,
        thought,
        text(1, "a"),
        text(1, "b"),
        tool,
        text(3, "c"),
        json!({"type": "completion"}),
    ];
    let texts =
        [Err("unknown_events"), ok(""), ok(""), ok("a"), ok("ab"), ok("ab"), ok("ab\n\nc"), Err("completion_shape")];
    assert_eq!(growing(FinalMessageExtractor::Claude, &stream(&claude)), texts);
    let part = "/message/content/parts/0";
    let chatgpt = [
        json!({"p": "", "o": "add", "v": answer("a", ""), "c": 0}),
        json!({"p": part, "o": "append", "v": "1"}),
        json!({"v": "2"}),
        json!({"p": part, "o": "replace", "v": "3"}),
    ];
    assert_eq!(growing(FinalMessageExtractor::Chatgpt, &stream(&chatgpt)), [ok(""), ok("1"), ok("12"), ok("3")]);
}

/// Returns an event stream of these events.
fn stream(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

#[test]
fn unexpected_claude_events_are_a_drift() {
    let start = json!({"type": "message_start", "message": {"role": "assistant"}});
    let block = |kind: &str| json!({"type": "content_block_start", "index": 1, "content_block": {"type": kind}});
    let text = json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "a"}});
    let other = json!({"type": "content_block_delta", "index": 1, "delta": {"type": "new_delta", "text": "a"}});
    let piece = json!({"type": "completion", "completion": "a"});
    for (events, drift) in [
        (vec![json!({"type": "message_start"})], "message_start_shape"),
        (vec![json!({"type": "message_start", "message": {"role": "user"}})], "message_role"),
        (vec![block("text")], "content_block_start_shape"),
        (vec![start.clone(), json!({"type": "content_block_start"})], "content_block_start_shape"),
        (
            vec![
                start.clone(),
                text.clone(),
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "b"}}),
            ],
            "content_block_order",
        ),
        (vec![text.clone()], "content_block_delta_shape"),
        (vec![start.clone(), block("text"), other.clone()], "unknown_delta"),
        (vec![start.clone(), other.clone()], "unknown_delta"),
        (vec![start.clone(), block("tool_use"), text.clone()], "text_in_other_block"),
        (vec![start.clone(), json!({"type": "content_block_delta", "index": -1, "delta": {}})], "content_block_index"),
        (
            vec![start.clone(), json!({"type": "content_block_delta", "index": 10_001, "delta": {}})],
            "content_block_index",
        ),
        (
            vec![start.clone(), json!({"type": "content_block_delta", "delta": {"type": "text_delta"}})],
            "text_delta_shape",
        ),
        (vec![start.clone(), piece.clone()], "completion_shape"),
        (vec![json!({"type": "completion", "completion": 7})], "completion_shape"),
        (vec![json!({"type": "completion"})], "completion_shape"),
        (vec![json!({"type": "new"}), json!({"type": "message_stop"})], "unknown_events"),
        (vec![json!({"text": "a"})], "event_without_type"),
        (vec![json!(["a"])], "event_not_json"),
    ] {
        assert_eq!(read(FinalMessageExtractor::Claude, &stream(&events)), Err(drift), "{events:?}");
    }
    for (events, text) in [
        (vec![piece.clone(), json!({"type": "completion", "stop_reason": "stop_sequence"})], "a"),
        (vec![start.clone(), block("tool_use"), other], ""),
        (vec![start.clone(), text.clone(), start.clone()], ""),
        (vec![start, text, json!({"type": "new"}), json!({"type": "ping"})], "a"),
    ] {
        assert_eq!(read(FinalMessageExtractor::Claude, &stream(&events)).as_deref(), Ok(text), "{events:?}");
    }
    assert_eq!(
        read(FinalMessageExtractor::Claude, "event: completion\ndata: {\"completion\":\"a\"}\n\n").as_deref(),
        Ok("a")
    );
}

/// Returns a document with an answer of this text.
fn answer(id: &str, text: &str) -> Value {
    let content = json!({"content_type": "text", "parts": [text]});
    json!({"message": {"id": id, "author": {"role": "assistant"}, "content": content}})
}

#[test]
fn chatgpt_operations_change_the_message() {
    let add = json!({"p": "", "o": "add", "v": answer("a", "1"), "c": 0});
    let part = "/message/content/parts/0";
    for (operations, text) in [
        (vec![json!({"p": part, "o": "append", "v": "2"}), json!({"v": "3"})], Ok("123")),
        (vec![json!({"p": part, "o": "replace", "v": "2"})], Ok("2")),
        (vec![json!({"p": "/message/content/parts/1", "o": "append", "v": "2"})], Ok("12")),
        (vec![json!({"p": "/message/content/parts/-", "o": "add", "v": "2"})], Ok("12")),
        (vec![json!({"p": "/message/content/parts", "o": "append", "v": ["2", "3"]})], Ok("123")),
        (vec![json!({"p": "/message/content/parts", "o": "append", "v": "2"})], Ok("12")),
        (vec![json!({"p": "/message/content/parts", "o": "replace", "v": ["2"]})], Ok("2")),
        (vec![json!({"p": "/message/content", "o": "append", "v": {"parts": ["2"]}})], Ok("2")),
        (vec![json!({"p": "/message", "o": "append", "v": {"channel": "final"}})], Ok("1")),
        (vec![json!({"p": "/message", "o": "append", "v": {"channel": "analysis"}})], Ok("")),
        (vec![json!({"p": "/message/channel", "o": "replace", "v": "commentary"})], Ok("")),
        (vec![json!({"p": "/message/channel", "o": "replace", "v": 7})], Ok("")),
        (vec![json!({"p": "/message/recipient", "o": "append", "v": "web"})], Ok("")),
        (vec![json!({"p": "/message/author/role", "o": "replace", "v": "tool"})], Ok("")),
        (vec![json!({"p": "/message/metadata/is_hidden", "o": "add", "v": true})], Ok("")),
        (vec![json!({"p": "/message/metadata", "o": "add", "v": {"hidden_x": true}})], Ok("")),
        (
            vec![
                json!({"p": "/message/metadata", "o": "append", "v": {"hidden": true, "hiddenness": true}}),
                json!({"p": "/message/metadata/hidden", "o": "replace", "v": false}),
            ],
            Ok("1"),
        ),
        (vec![json!({"p": "/message/metadata/x/y/z", "o": "splice", "v": 1})], Ok("1")),
        (vec![json!({"p": "/conversation_id", "o": "add", "v": "c"})], Ok("1")),
        (vec![json!({"p": "/message", "o": "replace", "v": {"author": {"role": "tool"}}})], Ok("1")),
        (vec![json!({"p": "/message", "o": "replace", "v": answer("b", "2")["message"]})], Ok("2")),
        (vec![json!({"p": "", "o": "add", "v": {"message": null}})], Ok("1")),
        (vec![json!({"v": answer("b", "2"), "c": 1}), json!({"p": part, "o": "append", "v": "!", "c": 0})], Ok("2")),
        (vec![json!({"p": "/message/content/content_type", "o": "replace", "v": "code"})], Ok("")),
        (vec![json!({"p": "/message/content/content_type", "o": "replace", "v": "verse"})], Err("content_type")),
        (vec![json!({"p": "/message/content/parts/-", "o": "add", "v": {}})], Err("content_parts")),
        (vec![json!({"p": "/message/content/parts/7", "o": "add", "v": "2"})], Err("delta_path")),
        (vec![json!({"p": "/message/content/parts/x", "o": "add", "v": "2"})], Err("delta_path")),
        (vec![json!({"p": "/message/content/parts/0/x", "o": "add", "v": "2"})], Err("delta_path")),
        (vec![json!({"p": "/message/content/verses/0", "o": "add", "v": "2"})], Err("delta_path")),
        (vec![json!({"p": "/message/channel/x", "o": "add", "v": "2"})], Err("delta_path")),
        (vec![json!({"p": part, "o": "append", "v": 2})], Err("delta_path")),
        (vec![json!({"p": "", "o": "append", "v": {}})], Err("delta_path")),
        (vec![json!({"p": "/message/author", "o": "replace", "v": {}})], Err("message_author")),
        (vec![json!({"p": "/message/content", "o": "replace", "v": 7})], Err("message_content")),
        (vec![json!({"p": 7, "v": "2"})], Err("delta_shape")),
        (vec![json!({"c": "0", "v": "2"})], Err("delta_shape")),
        (vec![json!({"p": "", "o": "patch", "v": {}})], Err("delta_patch_shape")),
        (vec![json!({"p": "", "o": "patch", "v": [7]})], Err("delta_patch_shape")),
        (vec![json!({"p": "", "o": "patch", "v": [{"p": part, "v": "2"}]})], Err("delta_shape")),
        (vec![json!({"p": "", "o": "add", "v": "2"})], Err("delta_document_shape")),
    ] {
        let events: Vec<_> = [add.clone()].into_iter().chain(operations).collect();
        assert_eq!(read(FinalMessageExtractor::Chatgpt, &stream(&events)).as_deref(), text.as_deref(), "{events:?}");
    }
}

#[test]
fn the_path_of_a_patch_is_prepended_to_those_of_its_steps() {
    let add = json!({"p": "", "o": "add", "v": answer("a", "1"), "c": 0});
    let append = json!({"p": "/parts/0", "o": "append", "v": "2"});
    let patch = json!({"p": "/message/content", "o": "patch", "v": [append, {"o": "patch", "v": [append]}]});
    assert_eq!(read(FinalMessageExtractor::Chatgpt, &stream(&[add, patch])).as_deref(), Ok("122"));
}

#[test]
fn unexpected_gemini_frames_are_a_drift() {
    let frame = |entries: Value| format!(")]}}'\n\n{entries}");
    let inner = |inner: Value| frame(json!([["wrb.fr", null, inner.to_string()]]));
    for (answer, text) in [
        (frame(json!([])), Ok("")),
        (inner(json!([null, ["c"], null, null, [["rc", ["a"]], ["rc2", ["b"]]]])), Ok("a")),
        (inner(json!([null, null, null, null, [[null, ["a"]]]])), Ok("a")),
        (inner(json!([null, null, null, null, [["rc", []]]])), Ok("")),
        (frame(json!([["wrb.fr", "[null,null,null,null,[[0,[\"a\"]]]]"]])), Ok("a")),
        (")]}'".to_owned(), Ok("")),
        (")]".to_owned(), Ok("")),
        (String::new(), Ok("")),
        (frame(json!([7])), Err("frame_entry")),
        (frame(json!([[7]])), Err("frame_entry")),
        (frame(json!([["wrb.fr", null, "text"]])), Err("answer_shape")),
        (frame(json!([["wrb.fr", null, "[1"]])), Err("answer_shape")),
        (inner(json!([null, null, null, null, "a"])), Err("candidates_shape")),
        (inner(json!([null, null, null, null, ["a"]])), Err("candidate_shape")),
        (inner(json!([null, null, null, null, [["rc", "a"]]])), Err("candidate_text")),
        (inner(json!([null, null, null, null, [["rc", [7]]]])), Err("candidate_text")),
        (")]}'\n12345678901\n[]".to_owned(), Ok("")),
        (")]}'\n12 []".to_owned(), Ok("")),
        (")]}'\nx".to_owned(), Err("frame_not_array")),
        (")]}'\n5\n7".to_owned(), Err("frame_not_array")),
        (")]}'\n5\n[}".to_owned(), Err("frame_not_json")),
    ] {
        assert_eq!(read(FinalMessageExtractor::Gemini, &answer).as_deref(), text.as_deref(), "{answer}");
    }
}
