//! Minimal reading and writing of WebSocket frames as a client.
//!
//! Client frames must be masked; a mask of zeros is valid and leaves the payload unchanged.

/// Appends a text frame of several parts.
pub(crate) fn text(out: &mut Vec<u8>, parts: &[&[u8]]) {
    frame(out, 0x81, parts);
}

/// Appends a pong.
pub(crate) fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, 0x8a, &[payload]);
}

fn frame(out: &mut Vec<u8>, head: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(head);
    match length {
        0..126 => out.push(0x80 | length as u8),
        126..0x1_0000 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// A complete frame at the start of the input.
pub(crate) struct Frame<'a> {
    pub(crate) opcode: u8,
    pub(crate) payload: &'a [u8],
    /// Length including the head.
    pub(crate) length: usize,
}

/// Returns the first frame if it is complete. Frames of a server are not masked.
pub(crate) fn first(bytes: &[u8]) -> Option<Frame<'_>> {
    let (&opcode, &short) = (bytes.first()?, bytes.get(1)?);
    let (head, length): (usize, usize) = match short & 0x7f {
        126 => (4, u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?) as usize),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, short as usize),
    };
    let payload = bytes.get(head..head.checked_add(length)?)?;
    Some(Frame { opcode: opcode & 0x0f, payload, length: head + length })
}
