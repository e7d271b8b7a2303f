//! Every command against a daemon that answers with nothing but hostile text: none of it reaches the terminal
//! unescaped.

use super::command;
use crate::support::{Folder, Terminal};
use baa_conductor::state_folder::{Announcement, StateFolder};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
};

/// Escapes that clear, conceal, recolour and rename; a carriage return; deceptive characters of every kind; a line in
/// the program's own style; and a stack of combining marks.
pub(super) const HOSTILE: &str = "begins\u{1b}[2J\u{1b}[8m\u{1b}]0;title\u{7}\u{9b}31m\u{8}\u{7f}\r\
    \u{61c}\u{ad}\u{34f}\u{115f}\u{1160}\u{1680}\u{17b4}\u{180b}\u{180e}\u{2000}\u{200b}\u{200d}\u{200e}\u{2028}\u{202e}\
    \u{202f}\u{205f}\u{2060}\u{2066}\u{2800}\u{3000}\u{3164}\u{a0}\u{e000}\u{fe0f}\u{feff}\u{ffa0}\u{fff9}\u{fffc}\
    \u{fdd0}\u{1bca0}\u{1d173}\u{e0041}\u{e0101}\u{f0000}\
    Z\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\
    \nbaa-conductor: approved; batch status: queued\nthe end of it";

/// Returns whether a character must not reach a terminal, without the program's own table.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{1680}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}'
            | '\u{2800}' | '\u{3000}' | '\u{3164}' | '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffc}' | '\u{fffe}' | '\u{ffff}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..)
}

/// Checks that nothing on the screen deceives, apart from what the program draws itself.
pub(super) fn assert_honest(what: &str, screen: &str) {
    let own = ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\r\u{1b}[K"];
    let text = own.iter().fold(screen.to_owned(), |text, code| text.replace(code, ""));
    let found: Vec<_> = text.chars().filter(|c| deceives(*c) && *c != '\n' && *c != '\t').collect();
    assert!(found.is_empty(), "{what}: {found:x?} in {text:?}");
    assert!(!text.contains(&"\u{301}".repeat(5)), "{what}: {text:?}");
}

/// Returns data in which every command finds all fields that it reads, each text hostile and each number valid.
fn data() -> Value {
    let h = HOSTILE;
    let tab = json!({"platform": h, "desired": {"exists": true}, "actual": {"exists": false, "issue": h, "url": h},
        "drift": {"reason": h, "needs_restore": true}});
    let input = json!({"command": h, "cwd": h, "env": {h: h}, "stdin": h});
    json!({
        "bridge": {"active_client_id": h, "clients": [{"client_id": h, "in_flight": 1, "last_message_at": 1,
            "extension_version": h, "credentials": [{"platform": h, "account": h, "freshness": h}], "shell_runtime": [tab]}]},
        "policy": {"platforms": [{"platform": h}], "targets": [{"client_id": h, "platform": h, "circuit_state": h,
            "last_error": h, "in_flight": 1}]},
        "records": [{"client_id": h, "platform": h, "account": h, "status": h, "view": h}],
        "platforms": [{"platform": "claude", "shell_url": h, "ready": true, "title": h}],
        "requests": [{"request_id": h, "platform": h, "client_id": h, "phase": h, "error_code": h, "requested_at": 1,
            "waiting": {"rule": h, "position": 1}}],
        "pairings": [{"client_id": h, "status": h, "origin": h, "requested_at": 1},
            {"client_id": "waits", "status": "waiting", "origin": h}],
        "batches": [{"batch_id": h, "status": h, "origin": h, "platform": h, "conversation_id": h, "created_at": 1}],
        "batch_id": h, "status": h, "origin": h, "conversation_id": h, "digest": h, "delivery": h, "sandbox": h,
        "instructions": [{"block_index": 0, "instruction_id": h, "target": h, "tool": h, "verdict": h,
            "plan": {"operation": h, "input": input}},
            {"block_index": 1, "instruction_id": h, "target": h, "tool": h, "plan": {h: h}, "duplicate_of": h}],
        "executions": [{"block_index": 0, "ok": false, "error": h, "message": h,
            "data": {"result": {"stdout": h, "stderr": h, "content": h}}}, {"block_index": 1, "data": [h, {h: h}]}],
        "action": h, "platform": h, "client_id": h, "reason": h, "type": h, "failed": true, "accepted": true,
        "result": {"skipped_reasons": [h]}, "results": [{"platform": h, "ok": false, "reason": h}, {"skipped": h}],
        "shell_runtime": [tab], "response": h, "proxy": {"status": 200},
        "version": baa_conductor::VERSION, "mode": h, "store": {"status": h, "faults": [h]}, "code": "0a1b",
    })
}

/// How the daemon answers.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// With the requested data.
    Willing,
    /// With JSON in place of text, where a web app answers.
    WithJson,
    /// With a refusal.
    Refusing,
    /// With a web app's event stream.
    Streaming,
    /// With a stream that ends with an error.
    Failing,
    /// With bytes that are not JSON.
    Raving,
}

fn answer(manner: Manner, line: &str) -> String {
    let h = HOSTILE;
    let whole = |status: u16, body: &str| {
        let head = "content-type: application/json\r\nconnection: close";
        format!("HTTP/1.1 {status} x\r\n{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let refusal = json!({"ok": false, "error": h, "message": h,
        "details": {"error_code": h, "suggested_action": h, "upstream_status": 403, "upstream_body": h}});
    let events = |events: &[(&str, Value)]| {
        let head = "HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        events.iter().fold(head.to_owned(), |text, (name, data)| format!("{text}event: {name}\ndata: {data}\n\n"))
    };
    let asks = line.starts_with("POST /v1/browser/request ");
    match manner {
        Manner::Streaming if asks => events(&[
            ("stream_open", json!({"status": 200})),
            ("stream_event", json!({"seq": 1, "event": h, "data": {"type": "completion", "completion": h}})),
            ("stream_event", json!({"seq": 2, "data": h})),
            ("stream_event", json!({"seq": 3, "data": {h: [h]}})),
            ("stream_end", json!({"status": 200})),
        ]),
        Manner::Failing if asks => events(&[
            ("stream_event", json!({"seq": 1, "data": h})),
            ("stream_error", json!({"error": h, "message": h, "suggested_action": h, "http_error": h, "status": 403})),
        ]),
        Manner::Raving => whole(200, h),
        Manner::Refusing if !line.contains("/version") => whole(409, &refusal.to_string()),
        Manner::WithJson => {
            let mut data = data();
            data["response"] = json!({h: [h, h]});
            whole(200, &json!({"ok": true, "data": data}).to_string())
        }
        _ => whole(200, &json!({"ok": true, "data": data()}).to_string()),
    }
}

/// Starts a daemon with this behaviour that announced itself, on a folder of its own.
struct Daemon {
    folder: Folder,
    _state: StateFolder,
    _announced: Announcement,
}

fn daemon(manner: Manner) -> Daemon {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = move |stream: TcpStream| -> std::io::Result<()> {
        let mut reader = BufReader::new(&stream);
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line)?;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            match header.trim_end().to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        reader.read_exact(&mut vec![0; length])?;
        (&stream).write_all(answer(manner, &line).as_bytes())
    };
    std::thread::spawn(move || listener.incoming().for_each(|stream| serve(stream.unwrap()).unwrap_or_default()));
    let folder = Folder::new();
    let state = StateFolder::open(&folder.state()).unwrap();
    let announced = state.announce(&format!("http://{address}"), &format!("ws://{address}/ws/firefox"), 1).unwrap();
    Daemon { folder, _state: state, _announced: announced }
}

const COMMANDS: &[&[&str]] = &[
    &["status"],
    &["status", "--json"],
    &["request", "--platform", "claude", "--path", "/x"],
    &["request", "--platform", "claude", "--path", "/x", "--json"],
    &["request", "--platform", "claude", "--path", "/x", "--sse"],
    &["request", "--platform", "claude", "--prompt", "x"],
    &["request", "--platform", "chatgpt", "--prompt", "x"],
    &["request", "--platform", "claude", "--prompt", "x", "--json"],
    &["cancel", "r-1"],
    &["cancel", "r-1", "--json"],
    &["action", "tab_open", "--platform", "claude"],
    &["action", "tab_open", "--platform", "claude", "--json"],
    &["pair", "123456"],
    &["pairings"],
    &["pairings", "--json"],
    &["pairings", "forget", "ff"],
    &["instructions", "list"],
    &["instructions", "list", "--json"],
    &["instructions", "show", "b"],
    &["instructions", "show", "b", "--json"],
    &["instructions", "approve", "b", "--yes"],
    &["instructions", "approve", "b"],
    &["instructions", "reject", "b"],
    &["instructions", "run", "/dev/null"],
    &["doctor"],
    &["doctor", "--platform", "claude"],
    &["doctor", "--json"],
    &["open", "--print"],
    &["token", "--rotate"],
];

#[actix_rt::test]
async fn nothing_that_a_daemon_says_reaches_a_terminal_as_it_is() {
    for manner in
        [Manner::Willing, Manner::WithJson, Manner::Refusing, Manner::Streaming, Manner::Failing, Manner::Raving]
    {
        let daemon = daemon(manner);
        let mut seen = 0;
        for arguments in COMMANDS {
            let mut terminal = Terminal::new(100);
            let mut child = terminal.starts(&mut command(&daemon.folder.state(), arguments));
            let (_, screen) = terminal.ended(&mut child).await;
            let what = format!("{manner:?}, {}", arguments.join(" "));
            assert_honest(&what, &screen);
            seen += usize::from(screen.contains("begins\\u"));
            // The response to a request is the web app's own text, with its own lines.
            let poses = screen.lines().any(|line| line.starts_with("baa-conductor: approved"));
            assert!(!poses || arguments[0] == "request", "{what}: {screen}");
        }
        // Bytes that are not JSON are not shown.
        assert_eq!(seen > 5, !matches!(manner, Manner::Raving), "{manner:?}: {seen} commands showed it, spelled out");
    }
}

#[actix_rt::test]
async fn what_a_program_reads_is_the_answer_as_it_came() {
    let daemon = daemon(Manner::Willing);
    let output =
        command(&daemon.folder.state(), &["request", "--platform", "claude", "--path", "/x"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{HOSTILE}\n"));
    let json = command(&daemon.folder.state(), &["instructions", "show", "b", "--json"]).output().unwrap();
    let batch: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(batch["instructions"][0]["plan"]["input"]["command"], HOSTILE);
}
