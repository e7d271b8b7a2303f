//! Writes server-sent events: frames with one line of data, and keep-alive comments.

/// A comment that keeps an idle stream alive.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Appends a frame; `data` writes its data, one line of JSON.
pub fn frame(out: &mut Vec<u8>, id: Option<u64>, event: &str, data: impl FnOnce(&mut Vec<u8>)) {
    if let Some(id) = id {
        for part in ["id: ", itoa::Buffer::new().format(id), "\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(event.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let began = out.len();
    data(out);
    debug_assert!(!out[began..].contains(&b'\n') && !out[began..].contains(&b'\r'), "data is one line");
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_id_event_and_data_and_ends_with_an_empty_line() {
        let mut out = Vec::new();
        frame(&mut out, Some(0), "stream_open", |data| data.extend_from_slice(b"{}"));
        frame(&mut out, None, "stream_end", |data| data.extend_from_slice(b"{\"a\":1}"));
        let text = "id: 0\nevent: stream_open\ndata: {}\n\nevent: stream_end\ndata: {\"a\":1}\n\n";
        assert_eq!(String::from_utf8(out).unwrap(), text);
    }
}
