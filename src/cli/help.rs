//! How help looks: examples first, commands in groups, the flags of every command apart from a command's own.

use clap::{Command, CommandFactory as _};

use super::args::Cli;

/// The commands as people meet them. A test holds this against what there is.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Start", &["init", "import", "export"]),
    ("Write", &["validate", "fmt"]),
    ("Change", &["plan", "apply", "drift", "destroy", "test"]),
    ("Look", &["show", "state", "env", "graph", "doctor", "explain"]),
    ("Other", &["platform", "sandbox", "schema", "completions", "man", "version", "help"]),
];

/// A command's help begins with what it is and how it is used for real.
const OWN: &str = "{about}{after-help}\n\n{usage-heading} {usage}\n\n{all-args}";

/// The command line with its help.
#[must_use]
pub fn command() -> Command {
    let mut command = Cli::command();
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    for name in names {
        command = command.mut_subcommand(name, dressed);
    }
    let template = format!(
        "{{about-with-newline}}\n{{before-help}}{{usage-heading}} {{usage}}\n\n{}\n{}{{options}}{{after-help}}",
        groups(&command),
        heading("Options")
    );
    command.help_template(template)
}

/// A command and those below it.
fn dressed(command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let has_own = !names.is_empty();
    let mut command = command;
    for name in names {
        command = command.mut_subcommand(name, dressed);
    }
    // A group of commands lists them; what has no example of its own has no room for one.
    if has_own || command.get_after_help().is_none() { command } else { command.help_template(OWN) }
}

/// As clap writes its own.
fn heading(name: &str) -> String {
    format!("\u{1b}[1m\u{1b}[4m{name}:\u{1b}[0m\n")
}

fn groups(command: &Command) -> String {
    let about = |name: &str| match command.find_subcommand(name).and_then(Command::get_about) {
        Some(about) => about.to_string(),
        None => "Explain a command".to_owned(),
    };
    GROUPS
        .iter()
        .map(|(name, commands)| {
            let line = |command: &&str| format!("  \u{1b}[1m{command:<12}\u{1b}[0m {}\n", about(command));
            heading(name) + &commands.iter().map(line).collect::<String>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// clap wraps what options say; what stands before and after them is set by hand.
    #[test]
    fn help_fits_80_columns() {
        fn check(command: &Command, path: &str) {
            let examples = [command.get_before_help(), command.get_after_help()];
            for line in
                examples.into_iter().flatten().flat_map(|text| text.to_string().lines().map(str::to_owned).collect::<Vec<_>>())
            {
                assert!(line.chars().count() <= 80, "{path}: {line}");
            }
            for below in command.get_subcommands() {
                check(below, &format!("{path} {}", below.get_name()));
            }
        }
        let command = command();
        check(&command, "patchbay");
        for line in groups(&command).lines() {
            assert!(anstream::adapter::strip_str(line).to_string().chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn every_command_is_in_one_group_and_has_an_example() {
        let command = command();
        let mut listed: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        listed.retain(|name| *name != "help");
        let mut there: Vec<&str> = command.get_subcommands().filter(|c| !c.is_hide_set()).map(Command::get_name).collect();
        listed.sort_unstable();
        there.sort_unstable();
        assert_eq!(listed, there);
        for command in command.get_subcommands() {
            let has_example = |c: &Command| c.get_after_help().is_some_and(|text| text.to_string().starts_with("Examples:\n"));
            let below: Vec<&Command> = command.get_subcommands().filter(|c| c.get_name() != "help").collect();
            if below.is_empty() && command.get_name() != "version" {
                assert!(has_example(command), "{} has no example", command.get_name());
            }
        }
    }
}
