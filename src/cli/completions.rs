//! `baa-conductor completions`: what a shell completes after `baa-conductor`, made from the same table as the help.

use super::Cli;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  baa-conductor completions bash > ~/.local/share/bash-completion/completions/baa-conductor
  baa-conductor completions zsh > ~/.zfunc/_baa-conductor          (a folder of your fpath)
  baa-conductor completions fish > ~/.config/fish/completions/baa-conductor.fish")]
pub(super) struct CompletionsArguments {
    /// For which shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints them to stdout.
pub(super) fn run(arguments: &CompletionsArguments) -> anyhow::Result<ExitCode> {
    super::print(&script(arguments.shell))
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible_commands(&Cli::command()), "baa-conductor", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The same without commands that are not for people: the scripts would offer those, too.
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
    fn every_shell_gets_the_commands_and_not_the_daemons_own() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::Elvish, Shell::PowerShell] {
            let script = script(shell);
            for part in ["doctor", "completions", "rotate"] {
                assert!(script.contains(part), "{shell}: {part}");
            }
            assert!(!script.contains("supervise-command"), "{shell}");
        }
    }
}
