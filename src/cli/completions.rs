//! `baa-conductor completions`: renders shell completions from the same definitions as the help.

use super::Cli;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor completions bash > ~/.local/share/bash-completion/completions/baa-conductor
  baa-conductor completions zsh > ~/.zfunc/_baa-conductor          a folder in your fpath
  baa-conductor completions fish > ~/.config/fish/completions/baa-conductor.fish")]
pub(super) struct CompletionsArguments {
    /// Shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(arguments: &CompletionsArguments) -> anyhow::Result<ExitCode> {
    super::print(&script(arguments.shell))
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible_commands(&Cli::command()), "baa-conductor", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Returns the commands without the internal ones, which the scripts would offer too.
fn visible_commands(whole: &Command) -> Command {
    Command::new("baa-conductor")
        .version(crate::VERSION)
        .args(whole.get_arguments().cloned())
        .subcommands(whole.get_subcommands().filter(|below| !below.is_hide_set()).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_all_commands_except_internal_ones() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let script = script(shell);
            for part in ["doctor", "completions", "rotate"] {
                assert!(script.contains(part), "{shell}: {part}");
            }
            assert!(!script.contains("supervise-command"), "{shell}");
        }
    }
}
