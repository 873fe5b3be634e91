//! The reference pages are made from the program itself: commands from the command line's definition, platforms from
//! their definitions. `UPDATE_EXPECT=1` writes them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

use std::fmt::Write as _;
use std::path::Path;

use patchbay::platform::builtin;
use patchbay::platform::model::{Delete, Field, FieldType, SecretRule};
use patchbay::source::Sources;

const NOTE: &str = "<!-- Made from the program: UPDATE_EXPECT=1 cargo test --test reference -->\n";

#[track_caller]
fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference").join(name);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == text, "docs/reference/{name} is old: UPDATE_EXPECT=1 cargo test --test reference");
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// A flag as people type it.
fn usage(arg: &clap::Arg) -> String {
    let names: Vec<String> = arg
        .get_short()
        .map(|short| format!("-{short}"))
        .into_iter()
        .chain(arg.get_long().map(|long| format!("--{long}")))
        .collect();
    let takes = arg.get_action().takes_values();
    let values: Vec<String> = arg.get_value_names().unwrap_or_default().iter().map(|v| format!("<{v}>")).collect();
    if names.is_empty() {
        values.join(" ")
    } else if takes {
        format!("{} {}", names.join(", "), values.join(" "))
    } else {
        names.join(", ")
    }
}

fn options(out: &mut String, args: &[&clap::Arg]) {
    if args.is_empty() {
        return;
    }
    writeln!(out, "| option | what it does | variable |\n|---|---|---|").unwrap();
    for arg in args {
        let mut what = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let values: Vec<String> =
            arg.get_possible_values().iter().filter(|v| !v.is_hide_set()).map(|v| format!("`{}`", v.get_name())).collect();
        if arg.get_action().takes_values() && !values.is_empty() && values.len() <= 8 {
            what = format!("{what}: {}", values.join(", "));
        }
        if let Some(default) = arg.get_default_values().first().filter(|_| arg.get_action().takes_values()) {
            what = format!("{what}. Default: `{}`", default.to_string_lossy());
        }
        let env = arg.get_env().map(|env| format!("`{}`", env.to_string_lossy())).unwrap_or_default();
        writeln!(out, "| `{}` | {} | {env} |", cell(&usage(arg)), cell(&what)).unwrap();
    }
    out.push('\n');
}

fn command(out: &mut String, command: &clap::Command, path: &str, depth: usize) {
    let heading = "#".repeat(depth);
    writeln!(out, "{heading} `{path}`\n").unwrap();
    if let Some(about) = command.get_about() {
        writeln!(out, "{about}.\n").unwrap();
    }
    let is_own =
        |arg: &&clap::Arg| !arg.is_global_set() && !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str());
    options(out, &command.get_arguments().filter(is_own).collect::<Vec<_>>());
    if let Some(help) = command.get_after_help().map(ToString::to_string) {
        writeln!(out, "```\n{}\n```\n", help.trim()).unwrap();
    }
    for below in command.get_subcommands().filter(|c| c.get_name() != "help" && !c.is_hide_set()) {
        self::command(out, below, &format!("{path} {}", below.get_name()), depth + 1);
    }
}

#[test]
fn commands() {
    let mut cli = patchbay::cli::help::command();
    cli.build();
    let mut out = format!(
        "{NOTE}# Commands\n\n`patchbay COMMAND --help` says the same at the terminal.\n\n## Options of every command\n\n"
    );
    let globals: Vec<&clap::Arg> = cli.get_arguments().filter(|arg| arg.is_global_set() && !arg.is_hide_set()).collect();
    options(&mut out, &globals);
    for below in cli.get_subcommands().filter(|c| c.get_name() != "help") {
        command(&mut out, below, &format!("patchbay {}", below.get_name()), 2);
    }
    check("commands.md", &(out.trim_end().to_owned() + "\n"));
}

fn kind_of(field: &Field) -> String {
    let name = match field.kind {
        FieldType::String => "text",
        FieldType::Boolean => "boolean",
        FieldType::Integer => "integer",
        FieldType::Number => "number",
        FieldType::Object => "object",
        FieldType::List => "list",
        FieldType::Set => "set",
        FieldType::Any => "anything",
    };
    if field.accepted.is_empty() {
        name.to_owned()
    } else {
        field.accepted.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ")
    }
}

fn fields<'f>(out: &mut String, all: impl Iterator<Item = (&'f String, &'f Field)>, above: &str) {
    for (name, field) in all {
        let path = format!("{above}{name}");
        let secret = match field.secret {
            SecretRule::Never => "",
            SecretRule::Always => "secret",
            SecretRule::WhenKeyMatchesAuth => "secret if its key speaks of authorisation",
        };
        let notes: Vec<&str> =
            [if field.required { "required" } else { "" }, secret].into_iter().filter(|note| !note.is_empty()).collect();
        let what = field.description.as_deref().unwrap_or_default();
        writeln!(out, "| `{}` | {} | {} | {} |", cell(&path), cell(&kind_of(field)), notes.join(", "), cell(what)).unwrap();
        fields(out, field.fields.iter(), &format!("{path}."));
        let key = field.keyed_by.as_deref().map_or_else(|| "[]".to_owned(), |key| format!("[{key}=…]"));
        fields(out, field.item.iter(), &format!("{path}{key}."));
    }
}

#[test]
fn platforms() {
    let mut out = format!(
        "{NOTE}# Platforms and kinds\n\nWhat is built in, from the definitions in `schemas/platforms`. The fields are the vendor's own.\n"
    );
    for (name, _) in builtin::ALL {
        let definition = builtin::load(name, &mut Sources::default()).unwrap().unwrap();
        writeln!(out, "\n## `{name}`: {}\n", definition.title).unwrap();
        let ways: Vec<String> = definition
            .auth
            .iter()
            .map(|(name, scheme)| {
                format!(
                    "{} (sent as `{}`)",
                    scheme.keys(name).iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(" and "),
                    scheme.header
                )
            })
            .collect();
        writeln!(out, "`auth`: {}.\n", ways.join(", or ")).unwrap();
        for (kind, rules) in &definition.kinds {
            writeln!(out, "### `{kind}`\n\n{}.\n", rules.title).unwrap();
            let updates: Vec<String> =
                rules.update.iter().map(|update| format!("{} `{}`", update.method.as_str(), update.path)).collect();
            let delete = match &rules.delete {
                Delete::By(request) => format!("{} `{}`", request.method.as_str(), request.path),
                Delete::None => "cannot be deleted".to_owned(),
            };
            let updates = if updates.is_empty() { "cannot be changed".to_owned() } else { updates.join(", ") };
            writeln!(
                out,
                "Created by {} `{}`; changed by: {updates}; deleted by: {delete}.\n",
                rules.create.method.as_str(),
                rules.create.path
            )
            .unwrap();
            writeln!(out, "| field | type | | |\n|---|---|---|---|").unwrap();
            fields(&mut out, rules.fields.iter(), "");
            if !rules.constants.is_empty() {
                let constants: Vec<String> = rules.constants.iter().map(|(name, value)| format!("`{name}: {value}`")).collect();
                writeln!(out, "\nImplied by the kind: {}.", constants.join(", ")).unwrap();
            }
            out.push('\n');
        }
    }
    check("platforms.md", &(out.replace("\n\n\n", "\n\n").trim_end().to_owned() + "\n"));
}

#[test]
fn codes() {
    let mut out = format!(
        "{NOTE}# Codes\n\nEvery message of patchbay has one. `patchbay explain CODE` shows its page without a network.\n\n| code | what it stands for |\n|---|---|\n"
    );
    for (code, title) in patchbay::diagnostic::codes::ALL {
        writeln!(out, "| [{0}](../errors/{0}.md) | {title} |", code.id()).unwrap();
    }
    check("codes.md", &out);
}
