//! Malicious answers: cut anywhere, deep, wide, long.

use super::*;

/// Returns some byte positions of an answer; they differ per answer, so that together they cover all kinds.
fn positions(number: usize, answer: &str) -> impl Iterator<Item = usize> {
    (number % 13..answer.len()).step_by(13)
}

#[test]
fn an_answer_cut_anywhere_yields_a_prefix_or_a_drift() {
    for (number, Case { name, app, answer, .. }) in cases().into_iter().enumerate() {
        // A snapshot replaces, so only what is put together from deltas grows.
        let grows = name.starts_with("claude/") || name == "chatgpt/deltas";
        let whole = read(app, &answer);
        for at in positions(number, &answer).filter(|at| answer.is_char_boundary(*at)) {
            if let (Ok(text), Ok(whole), true) = (read(app, &answer[..at]), &whole, grows) {
                assert!(whole.starts_with(&text), "{name}: {text:?} at {at}");
            }
        }
    }
}

#[test]
fn an_answer_with_any_byte_changed_does_not_panic() {
    for (number, Case { app, answer, .. }) in cases().into_iter().enumerate() {
        for (nth, at) in positions(number, &answer).enumerate() {
            let mut bytes = answer.clone().into_bytes();
            bytes[at] = b"\"[{}:,0\n\\"[nth % 9];
            if let Ok(text) = String::from_utf8(bytes) {
                let _ = full_text(app, &text);
            }
        }
    }
}

fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn deep_nesting_is_read_without_recursion() {
    let deep = nested(200_000);
    let start = r#"{"type":"message_start","message":{"role":"assistant"}}"#;
    let claude = format!("data: {start}\n\ndata: {{\"type\":\"ping\",\"x\":{deep}}}\n\n");
    assert_eq!(read(FinalMessageExtractor::Claude, &claude).as_deref(), Ok(""));
    let chatgpt = |value: &str| {
        format!(
            "data: {{\"v\":{},\"c\":0}}\n\ndata: {{\"p\":\"/message/metadata/x\",\"o\":\"add\",\"v\":{value}}}\n\n",
            answer("a", "1")
        )
    };
    assert_eq!(read(FinalMessageExtractor::Chatgpt, &chatgpt(&deep)).as_deref(), Ok("1"));
    let gemini = format!(")]}}'\n{deep}");
    assert_eq!(read(FinalMessageExtractor::Gemini, &gemini), Err("frame_entry"));
    let patches = (0..50_000).fold(String::new(), |all, _| all + r#"[{"o":"patch","v":"#) + "[]" + &"}]".repeat(50_000);
    let patch =
        format!("data: {{\"v\":{}}}\n\ndata: {{\"p\":\"\",\"o\":\"patch\",\"v\":{patches}}}\n\n", answer("a", "1"));
    assert_eq!(read(FinalMessageExtractor::Chatgpt, &patch), Err("delta_patch_shape"));
}

#[test]
fn everything_kept_besides_the_text_is_bounded() {
    let many = |count: usize, one: &dyn Fn(usize) -> Value| stream(&(0..count).map(one).collect::<Vec<_>>());
    let documents = |count| many(count, &|at| json!({"p": "", "o": "add", "v": {"message": null}, "c": at}));
    assert_eq!(read(FinalMessageExtractor::Chatgpt, &documents(256)), Err("unknown_events"));
    assert_eq!(read(FinalMessageExtractor::Chatgpt, &documents(257)), Err("too_large"));
    let answers = |count| many(count, &|at| answer(&format!("a{at}"), "x"));
    assert_eq!(read(FinalMessageExtractor::Chatgpt, &answers(257)).as_deref(), Ok("x"));
    assert_eq!(read(FinalMessageExtractor::Chatgpt, &answers(258)), Err("too_large"));
    let parts = |count| {
        let add = json!({"p": "", "o": "add", "v": answer("a", "x")});
        let append = json!({"p": "/message/content/parts", "o": "append", "v": vec![""; count]});
        read(FinalMessageExtractor::Chatgpt, &stream(&[add, append]))
    };
    assert_eq!((parts(1_023).as_deref(), parts(1_024)), (Ok("x"), Err("too_large")));
    let path = |length: usize| {
        let append = json!({"p": format!("/x{}", "y".repeat(length - 2)), "o": "append", "v": 1});
        read(FinalMessageExtractor::Chatgpt, &stream(&[json!({"p": "", "o": "add", "v": answer("a", "x")}), append]))
    };
    assert_eq!((path(512).as_deref(), path(513)), (Ok("x"), Err("delta_path")));
    let fields = (0..300).map(|at| format!("\"f{at}\":0,")).collect::<String>();
    let wide = format!("data: {{{fields}\"type\":\"ping\"}}\n\n");
    assert_eq!(read(FinalMessageExtractor::Claude, &wide), Err("event_not_json"));
}

#[test]
fn half_a_surrogate_pair_is_a_drift() {
    let start = r#"data: {"type":"message_start","message":{}}"#;
    let delta = r#"data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"a\ud83d"}}"#;
    assert_eq!(read(FinalMessageExtractor::Claude, &format!("{start}\n\n{delta}\n\n")), Err("text_delta_shape"));
    let gemini = r#")]}' [["wrb.fr",null,"[0,null,0,0,[[0,[\"\\ud83d\"]]]]"]]"#;
    assert_eq!(read(FinalMessageExtractor::Gemini, gemini), Err("candidate_text"));
    let part =
        r#"data: {"message":{"author":{"role":"assistant"},"content":{"content_type":"text","parts":["\ud83d"]}}}"#;
    assert_eq!(read(FinalMessageExtractor::Chatgpt, &format!("{part}\n\n")), Err("content_parts"));
}
