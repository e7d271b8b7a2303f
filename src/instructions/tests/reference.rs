//! An independent and slow reading of the grammar, to hold the fast one against: the block structure of CommonMark 0.31
//! as its appendix describes it, a line at a time, with a stack of open containers and one open leaf.
//!
//! It knows what decides where a top-level fence begins and ends.

mod cursor;
mod definitions;
mod html;
mod starts;

use cursor::Cursor;
use starts::{Leaf, Start};

/// A top-level `baa` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) raw: String,
    pub(super) content: String,
}

/// What a message is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    /// The closed `baa` blocks.
    pub(super) blocks: Vec<Found>,
    /// Whether the message ends within another one.
    pub(super) is_open: bool,
}

/// A container that is open.
#[derive(Debug)]
pub(super) enum Container {
    Quote,
    /// A list item: how far its content is indented, and whether it has any yet.
    Item {
        content: usize,
        is_empty: bool,
    },
}

/// A fence that is open at the top level.
#[derive(Debug, Default)]
struct Fence {
    is_instruction: bool,
    raw: Vec<String>,
    content: Vec<String>,
}

/// Reads a message.
pub(super) fn read(text: &str) -> Document {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut reader = Reader::default();
    for line in text.strip_suffix('\n').unwrap_or(&text).split('\n') {
        reader.line(line);
    }
    let is_open = reader.fence.as_ref().is_some_and(|fence| fence.is_instruction);
    Document { blocks: reader.found, is_open }
}

#[derive(Default)]
struct Reader {
    containers: Vec<Container>,
    leaf: Leaf,
    fence: Option<Fence>,
    found: Vec<Found>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let mut cursor = Cursor::new(line);
        let matched = self.containers.iter().take_while(|container| goes_on(container, &mut cursor)).count();
        let mut is_all = matched == self.containers.len();
        if is_all {
            match self.leaf_goes_on(&mut cursor, line) {
                Some(true) => return,
                Some(false) => {}
                None => self.leaf = Leaf::None,
            }
        }
        let was_paragraph = matches!(self.leaf, Leaf::Paragraph(_));
        let mut depth = matched;
        let mut begun = Vec::new();
        // A leaf that goes on takes its line as it is; a paragraph can be interrupted.
        if !is_all || matches!(self.leaf, Leaf::None | Leaf::Paragraph(_)) {
            loop {
                let in_paragraph = is_all && was_paragraph && begun.is_empty();
                let lazy = !is_all && was_paragraph && begun.is_empty();
                let setext = if in_paragraph { &self.leaf } else { &Leaf::None };
                match starts::start(&mut cursor, in_paragraph, lazy, setext) {
                    Start::Container(container) => begun.push(container),
                    Start::Leaf(leaf) => {
                        self.open(depth, begun, leaf, cursor, line);
                        self.fill();
                        return;
                    }
                    Start::Nothing => break,
                }
            }
        }
        let lazy = !is_all && begun.is_empty() && was_paragraph && !cursor.is_blank();
        if lazy {
            is_all = true;
            depth = self.containers.len();
        }
        if !is_all || !begun.is_empty() {
            self.open(depth, begun, Leaf::None, cursor.clone(), line);
        }
        self.text(&mut cursor);
    }

    /// Whether the open leaf takes the line: at once, as its text, or not.
    fn leaf_goes_on(&mut self, cursor: &mut Cursor, line: &str) -> Option<bool> {
        match &self.leaf {
            Leaf::None => Some(false),
            Leaf::Paragraph(_) => (!cursor.is_blank()).then_some(false),
            Leaf::Html(kind) => (!(cursor.is_blank() && *kind >= 6)).then_some(false),
            Leaf::Indented => {
                if cursor.indent() >= 4 {
                    cursor.skip(4);
                } else if !cursor.is_blank() {
                    return None;
                }
                Some(false)
            }
            Leaf::Fence { sign, length, indent } => {
                let run = cursor.rest_trimmed();
                let is_closing =
                    cursor.indent() <= 3 && run.chars().all(|c| c == *sign) && run.chars().count() >= *length;
                if is_closing {
                    self.close_fence(line);
                    return Some(true);
                }
                cursor.skip_up_to(*indent);
                if let Some(fence) = &mut self.fence {
                    fence.raw.push(line.to_owned());
                    fence.content.push(cursor.rest());
                }
                Some(true)
            }
        }
    }

    fn close_fence(&mut self, line: &str) {
        self.leaf = Leaf::None;
        if let Some(mut fence) = self.fence.take().filter(|fence| fence.is_instruction) {
            fence.raw.push(line.to_owned());
            self.found.push(Found { raw: fence.raw.join("\n"), content: fence.content.join("\n") });
        }
    }

    /// Closes what did not go on below `depth` and opens what began.
    fn open(&mut self, depth: usize, begun: Vec<Container>, leaf: Leaf, cursor: Cursor, line: &str) {
        self.containers.truncate(depth);
        self.fence = None;
        for container in begun {
            self.fill();
            self.containers.push(container);
        }
        if matches!(leaf, Leaf::Fence { .. }) && self.containers.is_empty() {
            let is_instruction = cursor.rest_trimmed() == "baa";
            self.fence = Some(Fence { is_instruction, raw: vec![line.to_owned()], content: Vec::new() });
        }
        self.leaf = match leaf {
            Leaf::Html(kind) if html::ends(kind, &cursor.rest()) => Leaf::None,
            leaf => leaf,
        };
    }

    /// Notes that the innermost container has content.
    fn fill(&mut self) {
        if let Some(Container::Item { is_empty, .. }) = self.containers.last_mut() {
            *is_empty = false;
        }
    }

    /// What is left of the line is text.
    fn text(&mut self, cursor: &mut Cursor) {
        let text = cursor.rest_trimmed();
        match &mut self.leaf {
            Leaf::Paragraph(lines) => lines.push(text),
            Leaf::Html(kind) if html::ends(*kind, &cursor.rest()) => self.leaf = Leaf::None,
            Leaf::None if !text.is_empty() => {
                self.fill();
                self.leaf = Leaf::Paragraph(vec![text]);
            }
            _ => {}
        }
    }
}

fn goes_on(container: &Container, cursor: &mut Cursor) -> bool {
    match container {
        Container::Quote => starts::quote_marker(cursor),
        Container::Item { is_empty, .. } if cursor.is_blank() => !is_empty,
        Container::Item { content, .. } => {
            let is_inside = cursor.indent() >= *content;
            if is_inside {
                cursor.skip(*content);
            }
            is_inside
        }
    }
}
