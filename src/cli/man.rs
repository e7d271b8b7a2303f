//! `baa-conductor man`: renders the manual pages from the same definitions as the help.

use super::Cli;
use anyhow::Context as _;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::{fs, path::PathBuf, process::ExitCode};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor man | man -l -
  baa-conductor man ~/.local/share/man/man1")]
pub(super) struct ManArguments {
    /// Folder for a page per command, created if missing; by default the main page is printed.
    #[arg(value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn run(arguments: &ManArguments) -> anyhow::Result<ExitCode> {
    let pages = render_pages()?;
    let Some(dir) = &arguments.dir else { return super::print(&pages[0].text) };
    fs::create_dir_all(dir).with_context(|| format!("{} cannot be created", dir.display()))?;
    for page in &pages {
        let path = dir.join(&page.name);
        fs::write(&path, &page.text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    super::print(&format!("wrote {} pages to {}\n", pages.len(), dir.display()))
}

struct ManualPage {
    /// File name, such as `baa-conductor-status.1`.
    name: String,
    text: String,
}

/// Renders the main page, then a page per command and subcommand.
fn render_pages() -> anyhow::Result<Vec<ManualPage>> {
    let mut main = Cli::command().disable_help_subcommand(true);
    main.build();
    let mut pages = Vec::new();
    render_command(&main, "baa-conductor", &mut pages)?;
    Ok(pages)
}

fn render_command(command: &Command, name: &str, pages: &mut Vec<ManualPage>) -> anyhow::Result<()> {
    let mut text = Vec::new();
    Man::new(command.clone().display_name(name)).title(name).section("1").render(&mut text)?;
    pages.push(ManualPage { name: format!("{name}.1"), text: String::from_utf8_lossy(&text).into_owned() });
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        render_command(below, &format!("{name}-{}", below.get_name()), pages)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_except_internal_ones() {
        let pages = render_pages().unwrap();
        let names: Vec<_> = pages.iter().map(|page| page.name.as_str()).collect();
        assert_eq!(names[0], "baa-conductor.1");
        for name in ["baa-conductor-doctor.1", "baa-conductor-audit-verify.1", "baa-conductor-service-install.1"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(!names.iter().any(|name| name.contains("supervise") || name.contains("help")), "{names:?}");
        for page in &pages {
            assert!(page.text.contains(".SH SYNOPSIS"), "{}", page.name);
        }
    }
}
