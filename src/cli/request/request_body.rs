//! The request body, built from the command line.

use super::RequestArguments;
use crate::{
    api::browser_request::{BrowserRequest, ResponseMode},
    ids::RequestId,
};
use anyhow::{Context, bail};
use serde_json::value::RawValue;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
};

/// Maximum size of a body, far above the daemon's own limit.
const BODY_BYTES_MAX: u64 = 64 << 20;
/// The prompt argument that means stdin.
const STDIN: &str = "-";

/// A request and its id, by which it can be cancelled.
#[derive(Debug)]
pub(super) struct PreparedRequest {
    pub(super) id: String,
    pub(super) body: BrowserRequest,
}

impl PreparedRequest {
    /// Builds the request, and reads the body from its file and the prompt or the body from `stdin` where asked to.
    pub(super) fn new(arguments: RequestArguments, mut stdin: impl Read) -> anyhow::Result<Self> {
        let streamed = arguments.is_streamed();
        let prompt_on_stdin = arguments.prompt.as_deref() == Some(STDIN);
        if prompt_on_stdin && arguments.body.as_deref() == Some("@-") {
            bail!("stdin cannot hold both the prompt and the body; put one of them into an argument or a file");
        }
        let prompt = if prompt_on_stdin { Some(read_prompt(&mut stdin)?) } else { arguments.prompt };
        let body = arguments.body.map(|body| read_body(body, stdin)).transpose()?;
        let id = arguments.request_id.unwrap_or_else(RequestId::generate).to_string();
        let body = BrowserRequest {
            platform: arguments.platform,
            request_id: Some(id.clone()),
            response_mode: Some(if streamed { ResponseMode::Sse } else { ResponseMode::Buffered }),
            path: arguments.path,
            method: arguments.method,
            prompt,
            organization_id: arguments.organization_id,
            conversation_id: arguments.conversation_id,
            headers: Some(joined(arguments.headers)).filter(|headers| !headers.is_empty()),
            request_body: body.map(|text| as_json(&text)),
            client_id: arguments.client,
            timeout_ms: arguments.timeout_ms,
        };
        Ok(PreparedRequest { id, body })
    }
}

/// Reads the prompt from `stdin`, without the final newline that an editor or `echo` adds.
fn read_prompt(stdin: impl Read) -> anyhow::Result<String> {
    let mut prompt = read_text(stdin).context("cannot read the prompt from stdin")?;
    if prompt.ends_with('\n') {
        prompt.pop();
        if prompt.ends_with('\r') {
            prompt.pop();
        }
    }
    if prompt.is_empty() {
        bail!("the prompt on stdin is empty");
    }
    Ok(prompt)
}

fn read_body(argument: String, stdin: impl Read) -> anyhow::Result<String> {
    match argument.strip_prefix('@') {
        None => Ok(argument),
        Some("-") => read_text(stdin).context("cannot read the body from stdin"),
        Some(path) => File::open(path).and_then(read_text).with_context(|| format!("cannot read the body from {path}")),
    }
}

fn read_text(source: impl Read) -> io::Result<String> {
    let mut text = String::new();
    let read = source.take(BODY_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > BODY_BYTES_MAX {
        return Err(io::Error::other(format!("the input is larger than {BODY_BYTES_MAX} bytes")));
    }
    Ok(text)
}

/// Returns the text itself if it is JSON, else as a JSON string.
fn as_json(text: &str) -> Box<RawValue> {
    let json = RawValue::from_string(text.to_owned());
    json.or_else(|_| serde_json::value::to_raw_value(text)).expect("a text serializes")
}

/// Joins repeated headers with commas, as HTTP allows.
fn joined(headers: Vec<(String, String)>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let same = all.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name));
        match same {
            Some((_, before)) => *before = format!("{before}, {value}"),
            None => drop(all.insert(name, value)),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, CliCommand};
    use clap::Parser;
    use serde_json::{Value, json};

    fn request(line: &[&str], stdin: &str) -> anyhow::Result<PreparedRequest> {
        let line = ["baa-conductor", "request", "--platform", "claude"].iter().chain(line);
        let Some(CliCommand::Request(arguments)) = Cli::try_parse_from(line).unwrap().command else {
            panic!("a request")
        };
        PreparedRequest::new(arguments, stdin.as_bytes())
    }

    fn sent(line: &[&str]) -> Value {
        serde_json::to_value(request(line, "from stdin").unwrap().body).unwrap()
    }

    #[test]
    fn omitted_options_are_left_to_the_daemon() {
        let mut sent = sent(&["--prompt", "hi"]);
        let id = sent["request_id"].take();
        assert!(id.as_str().unwrap().starts_with("req_"), "{id}");
        assert_eq!(sent, json!({"platform": "claude", "request_id": null, "response_mode": "sse", "prompt": "hi"}));
    }

    #[test]
    fn every_option_becomes_its_field() {
        let line = "--path /x --method put --body {} --client f-1 --timeout-ms 5 --request-id r-1 --sse --header a:1 \
                    --header b:2 --header A:3";
        let wanted = json!({
            "platform": "claude", "request_id": "r-1", "response_mode": "sse", "path": "/x", "method": "put",
            "headers": {"a": "1, 3", "b": "2"}, "request_body": {}, "client_id": "f-1", "timeout_ms": 5,
        });
        assert_eq!(sent(&line.split_whitespace().collect::<Vec<_>>()), wanted);
    }

    #[test]
    fn a_prompt_without_a_path_is_streamed_and_may_name_its_conversation() {
        let line = "--prompt - --organization-id o --conversation-id c --client-id f-1 --request-id r";
        let sent = |line: &str| sent(&line.split_whitespace().collect::<Vec<_>>());
        let wanted = json!({
            "platform": "claude", "request_id": "r", "response_mode": "sse", "prompt": "from stdin",
            "organization_id": "o", "conversation_id": "c", "client_id": "f-1",
        });
        assert_eq!(sent(line), wanted);
        let wanted =
            json!({"platform": "claude", "request_id": "r", "response_mode": "buffered", "path": "/x", "prompt": "hi"});
        assert_eq!(sent("--path /x --prompt hi --request-id r"), wanted, "with a path it is a body");
    }

    #[test]
    fn a_prompt_on_stdin_loses_only_its_last_newline() {
        for (given, wanted) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("\n a\r", "\n a\r"), ("ü", "ü")] {
            assert_eq!(request(&["--prompt", "-"], given).unwrap().body.prompt.as_deref(), Some(wanted), "{given:?}");
        }
        for (line, given) in [(&["--prompt", "-"][..], "\n"), (&["--prompt", "-", "--body", "@-"], "a")] {
            let error = format!("{:#}", request(line, given).unwrap_err());
            assert!(error.contains("stdin"), "{error}");
        }
    }

    #[test]
    fn a_body_is_sent_as_json_or_text_unchanged() {
        for (given, wanted) in [
            ("{\"z\": 1.50, \"a\": 12345678901234567890123}", "{\"z\": 1.50, \"a\": 12345678901234567890123}"),
            ("\"quoted\"", "\"quoted\""),
            (" [1] ", "[1]"),
            ("plain \"text\"", "\"plain \\\"text\\\"\""),
            ("{\"a\":", "\"{\\\"a\\\":\""),
            ("", "\"\""),
            ("@-", "\"from stdin\""),
        ] {
            let request = request(&["--path", "/x", "--body", given], "from stdin").unwrap();
            assert_eq!(request.body.request_body.unwrap().get(), wanted, "{given}");
        }
    }

    #[test]
    fn a_body_can_be_read_from_a_file() {
        let path = std::env::temp_dir().join(format!("baa-conductor-body-{}", crate::ids::RequestId::generate()));
        std::fs::write(&path, "{\"from\": \"a file\"}\n").unwrap();
        let at = format!("@{}", path.display());
        let read = request(&["--path", "/x", "--body", &at], "");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read.unwrap().body.request_body.unwrap().get(), "{\"from\": \"a file\"}");
        let error = request(&["--path", "/x", "--body", &at], "").unwrap_err();
        assert!(format!("{error:#}").contains(path.to_str().unwrap()), "{error:#}");
    }
}
