//! Plain-text tables, fitted to the terminal's width and coloured on a terminal.
//!
//! Invariant: cells contain no control characters. A table that does not go to a terminal is neither fitted nor coloured.

use super::text;
use std::{
    env,
    io::{self, IsTerminal},
    os::fd::AsFd,
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Longer cells are truncated, wherever the table goes.
const CELL_COLUMNS_MAX: usize = 80;
/// Columns are not narrowed below this width.
const COLUMN_WIDTH_MIN: usize = 6;
/// Assumed width of a terminal that does not report one.
const WIDTH_DEFAULT: usize = 80;
/// Spaces between two columns.
const COLUMN_GAP: usize = 2;

/// The width and colour support of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OutputStyle {
    /// The terminal's columns; `None` if the output is not a terminal.
    pub(super) width: Option<usize>,
    pub(super) colour: bool,
}

/// The colour of a text, by its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextTone {
    Plain,
    Heading,
    /// Normal.
    Good,
    /// Needs attention.
    Warning,
    /// Failed.
    Bad,
}

impl OutputStyle {
    /// The style of a file or a pipe.
    #[cfg(test)]
    pub(super) const PLAIN: OutputStyle = OutputStyle { width: None, colour: false };

    /// Returns the current style of stdout.
    pub(super) fn of_stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        OutputStyle {
            width: OutputStyle::terminal_width(io::stdout()),
            colour: use_colour(terminal, |name| env::var_os(name).map(|value| value.to_string_lossy().into_owned())),
        }
    }

    /// Returns the columns of a stream, or `None` if it is not a terminal.
    pub(super) fn terminal_width(stream: impl IsTerminal + AsFd) -> Option<usize> {
        if !stream.is_terminal() {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(stream).ok();
        let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
        // A terminal that reports no width wraps lines too.
        width.or(Some(WIDTH_DEFAULT))
    }

    /// Returns the text in the colour of its tone.
    pub(super) fn paint(self, tone: TextTone, text: &str) -> String {
        let code = match tone {
            TextTone::Plain => return text.to_owned(),
            TextTone::Heading => "1",
            TextTone::Good => "32",
            TextTone::Warning => "33",
            TextTone::Bad => "31",
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Whether to use colours: on a terminal with colours, unless `NO_COLOR` is set and not empty.
pub(super) fn use_colour(terminal: bool, variable: impl Fn(&str) -> Option<String>) -> bool {
    terminal
        && variable("NO_COLOR").is_none_or(|value| value.is_empty())
        && variable("TERM").is_none_or(|term| term != "dumb")
}

/// The kind and the title of a column.
type TableColumn = (ColumnKind, &'static str);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ColumnKind {
    /// An identifier to copy: truncated last.
    Id,
    Text,
    /// A state, coloured by its first word.
    State,
}

/// The tone of a state, by its first word.
fn state_tone(state: &str) -> TextTone {
    let first = state.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    match first {
        "success" | "fresh" | "closed" => TextTone::Good,
        "stale" | "half" | "queued" | "cancelled" => TextTone::Warning,
        "failure" | "lost" | "open" => TextTone::Bad,
        _ => TextTone::Plain,
    }
}

/// Renders a table, or `without_rows` when it is empty. Columns are as wide as their widest cell; on a narrower terminal
/// the widest columns are narrowed first, id columns last.
pub(super) fn render_table<const N: usize>(
    style: OutputStyle,
    without_rows: &str,
    head: [TableColumn; N],
    rows: Vec<[String; N]>,
) -> String {
    if rows.is_empty() {
        return format!("{without_rows}\n");
    }
    let rows: Vec<_> =
        rows.into_iter().map(|row| row.map(|cell| truncate(&text::line(&cell), CELL_COLUMNS_MAX))).collect();
    let mut widths = head.map(|(_, title)| title.width());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    if let Some(room) = style.width {
        fit_columns(&mut widths, &head, room);
    }
    let titles = head.map(|(_, title)| title.to_owned());
    let mut out = render_row(widths, &titles, |_, cell| style.paint(TextTone::Heading, cell));
    for row in &rows {
        out += &render_row(widths, row, |at, cell| match head[at].0 {
            ColumnKind::State => style.paint(state_tone(cell), cell),
            ColumnKind::Id | ColumnKind::Text => cell.to_owned(),
        });
    }
    out
}

/// Renders one row: truncates, paints and pads the cells; the last one is not padded.
fn render_row<const N: usize>(
    widths: [usize; N],
    cells: &[String; N],
    paint: impl Fn(usize, &str) -> String,
) -> String {
    let last = cells.iter().rposition(|cell| !cell.is_empty()).unwrap_or(0);
    let mut out = String::new();
    for (at, (cell, width)) in cells.iter().zip(widths).enumerate().take(last + 1) {
        let cell = truncate(cell, width);
        let cell = cell.trim_end();
        out += &paint(at, cell);
        if at < last {
            out += &" ".repeat(width - cell.width() + COLUMN_GAP);
        }
    }
    out + "\n"
}

/// Narrows columns until a row fits `room`, or no column can be narrowed further.
fn fit_columns<const N: usize>(widths: &mut [usize; N], head: &[TableColumn; N], room: usize) {
    let too_wide = |widths: &[usize; N]| (widths.iter().sum::<usize>() + COLUMN_GAP * (N - 1)).saturating_sub(room);
    for ids_too in [false, true] {
        while too_wide(widths) > 0 {
            let may = |at: &usize| (ids_too || head[*at].0 != ColumnKind::Id) && widths[*at] > COLUMN_WIDTH_MIN;
            let Some(widest) = (0..N).filter(may).max_by_key(|at| widths[*at]) else { break };
            widths[widest] -= 1;
        }
    }
}

/// Truncates a text to at most `columns`; an ellipsis marks the cut.
pub(super) fn truncate(cell: &str, columns: usize) -> String {
    if cell.width() <= columns {
        return cell.to_owned();
    }
    let mut room = columns.saturating_sub(1);
    let fits = |c: &char| {
        let width = c.width().unwrap_or(0);
        let fits = width <= room;
        room = room.saturating_sub(if fits { width } else { room });
        fits
    };
    let kept: String = cell.chars().take_while(fits).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(style: OutputStyle) -> String {
        let head = [(ColumnKind::Id, "REQUEST"), (ColumnKind::Text, "NOTE"), (ColumnKind::State, "STATE")];
        let rows = vec![
            ["req-1".into(), "a note that is long".into(), "open, next try in 41 s".into()],
            ["req-22".into(), "你好".into(), String::new()],
        ];
        render_table(style, "none", head, rows)
    }

    #[test]
    fn columns_are_aligned_by_display_width() {
        let wanted = "\
REQUEST  NOTE                 STATE
req-1    a note that is long  open, next try in 41 s
req-22   你好
";
        assert_eq!(shown(OutputStyle::PLAIN), wanted);
        assert_eq!(shown(OutputStyle { width: Some(200), colour: false }), wanted);
        assert_eq!(render_table::<1>(OutputStyle::PLAIN, "none", [(ColumnKind::Id, "A")], vec![]), "none\n");
    }

    #[test]
    fn a_narrow_terminal_truncates_text_before_ids_and_the_widest_column_first() {
        let wanted = "\
REQUEST  NOTE           STATE
req-1    a note that…   open, next…
req-22   你好
";
        assert_eq!(shown(OutputStyle { width: Some(36), colour: false }), wanted);
        for width in [1, 10, 20, 36, 50] {
            let text = shown(OutputStyle { width: Some(width), colour: false });
            let widest = text.lines().map(UnicodeWidthStr::width).max().unwrap();
            assert!(widest <= width.max(3 * COLUMN_WIDTH_MIN + 2 * COLUMN_GAP), "{width}: {text}");
        }
    }

    #[test]
    fn states_and_headings_are_coloured_and_the_widths_stay() {
        let plain = shown(OutputStyle::PLAIN);
        let coloured = shown(OutputStyle { width: None, colour: true });
        assert!(coloured.contains("\x1b[31mopen, next try in 41 s\x1b[0m\n"), "{coloured:?}");
        assert!(coloured.starts_with("\x1b[1mREQUEST\x1b[0m  \x1b[1mNOTE\x1b[0m"), "{coloured:?}");
        let bare = ["\x1b[1m", "\x1b[31m", "\x1b[0m"].iter().fold(coloured, |text, code| text.replace(code, ""));
        assert_eq!(bare, plain);
    }

    #[test]
    fn colours_are_used_on_terminals_unless_switched_off() {
        let with = |terminal, name: &'static str, value: &'static str| {
            use_colour(terminal, |requested| (requested == name).then(|| value.to_owned()))
        };
        assert!(with(true, "TERM", "xterm") && with(true, "NO_COLOR", ""));
        assert!(!with(false, "TERM", "xterm") && !with(true, "NO_COLOR", "1") && !with(true, "TERM", "dumb"));
    }

    #[test]
    fn truncation_never_splits_a_wide_character() {
        assert_eq!(truncate("你好你好", 5), "你好…");
        assert_eq!(truncate("你好你好", 4), "你…");
        assert_eq!(truncate("abc", 3), "abc");
        assert_eq!(truncate("abcd", 3), "ab…");
        assert_eq!(truncate("ab", 0), "…");
    }
}
