//! What a command prints goes through one file, which lets nothing through to a terminal that could deceive.

use super::{assert_none, files};

/// What prints by itself.
const MACROS: [&str; 4] = ["print", "println", "eprint", "eprintln"];
/// The file that everything goes through.
const WRITES: &str = "src/cli/terminal.rs";

#[test]
fn the_command_line_prints_through_its_terminal_alone() {
    let mut objections = Vec::new();
    let is_other = |name: &str| name.starts_with("src/cli/") && name != WRITES;
    for source in files::crate_sources().iter().filter(|source| is_other(&source.name)) {
        for name in MACROS.iter().filter(|name| source.text.contains(&format!(" {name}!("))) {
            objections.push(format!("{}: {name}! does not go through {WRITES}", source.name));
        }
        for stream in ["stdout()", "stderr()"] {
            let looked_at = [format!("io::{stream}.is_terminal()"), format!("terminal_width(io::{stream})")];
            let others = looked_at.iter().fold(source.text.clone(), |text, look| text.replace(look.as_str(), ""));
            if others.contains(&format!("io::{stream}")) {
                objections.push(format!("{}: what is written to {stream} goes through {WRITES}", source.name));
            }
        }
    }
    assert_none(&objections);
}
