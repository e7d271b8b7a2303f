//! The output of commands goes through one file, which escapes characters that could deceive on a terminal.

use super::{assert_none, files};

/// Macros that print.
const MACROS: [&str; 4] = ["print", "println", "eprint", "eprintln"];
/// The only file of the command line that may print.
const WRITES: &str = "src/cli/terminal.rs";

#[test]
fn the_command_line_prints_only_through_its_terminal_module() {
    let mut objections = Vec::new();
    let is_other = |name: &str| name.starts_with("src/cli/") && name != WRITES;
    for source in files::crate_sources().iter().filter(|source| is_other(&source.name)) {
        for name in MACROS.iter().filter(|name| source.text.contains(&format!(" {name}!("))) {
            objections.push(format!("{}: {name}! must not be used outside {WRITES}", source.name));
        }
        for stream in ["stdout()", "stderr()"] {
            let looked_at = [format!("io::{stream}.is_terminal()"), format!("terminal_width(io::{stream})")];
            let others = looked_at.iter().fold(source.text.clone(), |text, look| text.replace(look.as_str(), ""));
            if others.contains(&format!("io::{stream}")) {
                objections.push(format!("{}: {stream} must not be written outside {WRITES}", source.name));
            }
        }
    }
    assert_none(&objections);
}
