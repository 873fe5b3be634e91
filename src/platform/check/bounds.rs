//! What a definition says of its values' looks: can a value be so, and can one be made up?

use serde_json::Number;

use super::Wrong;
use crate::platform::bounds::{faults, is_for, order};
use crate::platform::model::{Field, FieldType, SecretRule};
use crate::platform::sample;
use crate::value::Value;

/// The rules of one field, without those of what is in it.
pub(super) fn check_bounds(name: &str, field: &Field, at: &str, wrong: Wrong<'_>) {
    let (is_number, is_text) = is_for(field.kind);
    let given = [
        ("min", field.min.is_some(), is_number),
        ("max", field.max.is_some(), is_number),
        ("max_length", field.max_length.is_some(), is_text),
        ("pattern", field.pattern.is_some(), is_text),
        ("examples", !field.examples.is_empty(), is_text),
    ];
    let mut is_sound = true;
    for (key, _, fits) in given.into_iter().filter(|(_, is_given, _)| *is_given) {
        let place = format!("{at}.{key}");
        if !fits {
            is_sound = false;
            wrong(&place, format!("`{name}` is {}, which has no `{key}`", field.kind.name()), "");
        } else if !field.accepted.is_empty() {
            is_sound = false;
            wrong(&place, format!("the enum of `{name}` says it all, so it has no `{key}`"), "");
        }
    }
    is_sound &= check_range(name, field, at, wrong);
    if field.max_length == Some(0) {
        is_sound = false;
        wrong(&format!("{at}.max_length"), format!("`{name}` could only be empty"), "");
    }
    if !is_sound {
        return;
    }
    for (n, example) in field.examples.iter().enumerate() {
        if !faults(field, &Value::String(example.clone())).is_empty() {
            wrong(&format!("{at}.examples[{n}]"), format!("`{name}` cannot be {example:?}"), "");
        }
    }
    // Rehearsals and tests need a value, and nobody but the definition's author knows one.
    if field.examples.is_empty() && (field.max_length.is_some() || field.pattern.is_some()) {
        let sealed = (field.secret != SecretRule::Never).then(|| sample::secret(field, name, 0));
        let made_up = [sample::other(field, name, 0), sealed];
        if made_up.iter().flatten().any(|value| !faults(field, value).is_empty()) {
            let key = if field.pattern.is_some() { "pattern" } else { "max_length" };
            wrong(&format!("{at}.{key}"), format!("nobody can guess a value for `{name}`"), "examples: [one, another]");
        }
    }
}

/// Is there a number between the two?
fn check_range(name: &str, field: &Field, at: &str, wrong: Wrong<'_>) -> bool {
    let mut is_sound = true;
    let limits = [("min", &field.min), ("max", &field.max)];
    if field.kind == FieldType::Integer {
        for (key, limit) in limits.into_iter().filter_map(|(key, limit)| Some((key, limit.as_ref()?))) {
            if !Number::is_i64(limit) {
                is_sound = false;
                wrong(&format!("{at}.{key}"), format!("`{name}` is a whole number, so its `{key}` must be one"), "");
            }
        }
    }
    if let (Some(min), Some(max)) = (&field.min, &field.max)
        && order(min, max) == Some(std::cmp::Ordering::Greater)
    {
        is_sound = false;
        wrong(&format!("{at}.max"), format!("no number is at least {min} and at most {max}"), "");
    }
    is_sound
}
