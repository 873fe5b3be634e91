//! The environment, read once: a snapshot for templates, and the variables that patchbay itself listens to.
#![expect(clippy::disallowed_methods, reason = "this is where the environment is read")]

use std::collections::BTreeMap;

/// The variables that steer patchbay, each with what it does. Flags go first.
pub const VARIABLES: &[(&str, &str)] = &[
    ("PATCHBAY_CHDIR", "as --chdir"),
    ("PATCHBAY_PROFILE", "as --profile"),
    ("PATCHBAY_ENV_FILE", "as --env-file"),
    ("PATCHBAY_STATE", "as --state"),
    ("PATCHBAY_STATE_AUTHORIZATION", "the Authorization header for a state at a web address"),
    ("PATCHBAY_COLOR", "as --color"),
    ("PATCHBAY_FILE", "as --file"),
    ("PATCHBAY_FORMAT", "as --format"),
    ("PATCHBAY_REPORT", "as --report, several with commas; a command leaves out what does not suit it"),
    ("PATCHBAY_NO_PROGRESS", "as --no-progress"),
    ("PATCHBAY_NO_INPUT", "as --no-input"),
    ("PATCHBAY_PARALLELISM", "as --parallelism"),
    ("PATCHBAY_TIMEOUT", "as --timeout"),
    ("PATCHBAY_RETRIES", "as --retries"),
    ("PATCHBAY_STATE_KEY", "the key of fingerprints, instead of .patchbay/key"),
    ("PATCHBAY_ASCII", "any value: no characters beyond ASCII in patchbay's own output"),
    ("NO_COLOR", "any value: no colour"),
    ("FORCE_COLOR", "not 0: colour, also into a pipe"),
    ("CLICOLOR_FORCE", "as FORCE_COLOR"),
    ("CLICOLOR", "0: no colour"),
    ("FORCE_HYPERLINK", "0: no links; otherwise links, also where the terminal is not known to have them"),
    ("NO_GRAPHICS", "not 0: diagnostics in sentences, for screen readers"),
    ("CI", "any value: never ask, literal secrets are errors"),
    ("TF_BUILD", "as CI, for Azure Pipelines, which does not set that"),
];

/// Is this a CI system, where nobody can be asked?
#[must_use]
pub fn is_ci(env: &BTreeMap<String, String>) -> bool {
    ["CI", "TF_BUILD"].into_iter().any(|name| env.get(name).is_some_and(|value| !value.is_empty()))
}

/// Every variable whose name and value are text.
#[must_use]
pub fn snapshot() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

/// Reads the text of an environment file: `NAME=value`, `export NAME=value`, quotes, comments. Nothing is interpolated.
///
/// # Errors
/// The first line that is none of these: its number and what is wrong.
pub fn parse_file(text: &str) -> Result<Vec<(String, String)>, (usize, &'static str)> {
    let mut all = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let Some((name, value)) = line.split_once('=') else { return Err((n + 1, "there is no `=`")) };
        let name = name.trim_end();
        let usable =
            name.bytes().enumerate().all(|(at, b)| b == b'_' || b.is_ascii_alphabetic() || (at > 0 && b.is_ascii_digit()));
        if name.is_empty() || !usable {
            return Err((n + 1, "the name before `=` is no variable name"));
        }
        all.push((name.to_owned(), unquote(value.trim()).ok_or((n + 1, "the quote is not closed"))?));
    }
    Ok(all)
}

fn unquote(value: &str) -> Option<String> {
    if let Some(rest) = value.strip_prefix('\'') {
        return rest.split_once('\'').map(|(inside, _)| inside.to_owned());
    }
    if let Some(rest) = value.strip_prefix('"') {
        let mut text = String::new();
        let mut chars = rest.chars();
        loop {
            match chars.next()? {
                '"' => return Some(text),
                '\\' => match chars.next()? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    other => text.push(other),
                },
                c => text.push(c),
            }
        }
    }
    // Outside of quotes, a comment begins at a `#` after white space.
    let end = value.find(" #").or_else(|| value.find("\t#")).unwrap_or(value.len());
    Some(value[..end].trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn env_files_are_read_as_people_write_them() {
        let text = "# keys\nA=1\nexport B = two words # why\nC='x # y'\nD=\"a\\\"b\\n\"\nE=\n\nF=a#b\nG=$HOME\n";
        let read = parse_file(text).unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(
            read,
            [("A", "1"), ("B", "two words"), ("C", "x # y"), ("D", "a\"b\n"), ("E", ""), ("F", "a#b"), ("G", "$HOME")]
        );
    }

    #[test]
    fn mistakes_have_a_line() {
        for (text, line) in [("A=1\nnonsense\n", 2), ("1A=x", 1), ("=x", 1), ("A=\"x", 1), ("A='x", 1), ("A B=x", 1)] {
            assert_eq!(parse_file(text).map_err(|(n, _)| n), Err(line), "{text}");
        }
    }
}
