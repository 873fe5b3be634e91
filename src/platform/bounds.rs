//! What a value must look like beyond its type: how large, how long, of which form.

use std::cmp::Ordering;

use serde_json::Number;

use super::model::{Field, FieldType};
use crate::value::Value;

/// In what way a value is not what its field asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Less than `min`.
    TooSmall,
    /// More than `max`.
    TooLarge,
    /// So many characters, more than `max_length`.
    TooLong(usize),
    /// The whole text does not match `pattern`.
    Form,
}

/// Everything in which a known value of the right type is not what its field asks for.
#[must_use]
pub fn faults(field: &Field, value: &Value) -> Vec<Fault> {
    let mut found = Vec::new();
    if let Value::Number(number) = value {
        let beyond = |limit: &Option<Number>, side| limit.as_ref().is_some_and(|limit| order(number, limit) == Some(side));
        if beyond(&field.min, Ordering::Less) {
            found.push(Fault::TooSmall);
        }
        if beyond(&field.max, Ordering::Greater) {
            found.push(Fault::TooLarge);
        }
    }
    if let Some(text) = value.expose_str() {
        let count = text.chars().count();
        if field.max_length.is_some_and(|max| count > max) {
            found.push(Fault::TooLong(count));
        }
        if field.pattern.as_ref().is_some_and(|pattern| !pattern.matches(text)) {
            found.push(Fault::Form);
        }
    }
    found
}

/// Is a value what its field asks for, as far as it is known?
#[must_use]
pub fn fits(field: &Field, value: &Value) -> bool {
    faults(field, value).is_empty()
}

/// What a field asks for, for people; empty if it is nothing.
#[must_use]
pub fn wanted(field: &Field) -> String {
    let range = match (&field.min, &field.max) {
        (Some(min), Some(max)) => Some(format!("{} from {min} to {max}", field.kind.name())),
        (Some(min), None) => Some(format!("{}, at least {min}", field.kind.name())),
        (None, Some(max)) => Some(format!("{}, at most {max}", field.kind.name())),
        (None, None) => None,
    };
    let length = field.max_length.map(|max| format!("at most {max} character{}", if max == 1 { "" } else { "s" }));
    let form = field.pattern.as_ref().map(|pattern| format!("the whole text matches `{}`", pattern.as_str()));
    range.into_iter().chain(length).chain(form).collect::<Vec<_>>().join("; ")
}

/// Does a field say anything of the kind that numbers, or that texts, can be measured by?
pub(super) fn is_for(kind: FieldType) -> (bool, bool) {
    (matches!(kind, FieldType::Integer | FieldType::Number), kind == FieldType::String)
}

/// Numbers in their order; whole ones exactly.
pub(super) fn order(left: &Number, right: &Number) -> Option<Ordering> {
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::Secret;

    fn field(rules: serde_json::Value) -> Field {
        serde_json::from_value(rules).unwrap()
    }

    #[test]
    fn values_are_measured() {
        let range = json!({ "type": "number", "min": 0, "max": 2 });
        let whole = json!({ "type": "integer", "min": 1 });
        let top = json!({ "type": "integer", "max": u64::MAX - 1 });
        let short = json!({ "max_length": 3 });
        let form = json!({ "max_length": 3, "pattern": "[a-z]+" });
        for (rules, value, expected) in [
            (&range, json!(0), vec![]),
            (&range, json!(2), vec![]),
            (&range, json!(2.0), vec![]),
            (&range, json!(0.7), vec![]),
            (&range, json!(2.000_001), vec![Fault::TooLarge]),
            (&range, json!(-1), vec![Fault::TooSmall]),
            (&range, json!(-0.5), vec![Fault::TooSmall]),
            (&range, json!(null), vec![]),
            (&range, json!("9"), vec![]),
            (&whole, json!(1), vec![]),
            (&whole, json!(0), vec![Fault::TooSmall]),
            (&whole, json!(u64::MAX), vec![]),
            (&top, json!(u64::MAX - 1), vec![]),
            (&top, json!(u64::MAX), vec![Fault::TooLarge]),
            (&short, json!(""), vec![]),
            (&short, json!("äöü"), vec![]),
            (&short, json!("äöüß"), vec![Fault::TooLong(4)]),
            (&short, json!(12345), vec![]),
            (&form, json!("abc"), vec![]),
            (&form, json!(""), vec![Fault::Form]),
            (&form, json!("ab1"), vec![Fault::Form]),
            (&form, json!("abcd1"), vec![Fault::TooLong(5), Fault::Form]),
            (&json!({}), json!("anything"), vec![]),
        ] {
            let field = field(rules.clone());
            assert_eq!(faults(&field, &Value::from(value.clone())), expected, "{rules} {value}");
            assert_eq!(fits(&field, &Value::from(value)), expected.is_empty());
        }
        let form = field(form);
        assert_eq!(faults(&form, &Value::Secret(Secret::new("key-1"))), [Fault::TooLong(5), Fault::Form]);
        assert_eq!(faults(&form, &Value::Unknown(String::new())), []);
    }

    #[test]
    fn what_is_wanted_is_one_line() {
        for (rules, expected) in [
            (json!({ "type": "number", "min": 0, "max": 2 }), "a number from 0 to 2"),
            (json!({ "type": "number", "min": 0.5 }), "a number, at least 0.5"),
            (json!({ "type": "integer", "min": 1 }), "a whole number, at least 1"),
            (json!({ "type": "integer", "max": 9 }), "a whole number, at most 9"),
            (json!({ "max_length": 1 }), "at most 1 character"),
            (json!({ "max_length": 50 }), "at most 50 characters"),
            (json!({ "pattern": "[a-z]+" }), "the whole text matches `[a-z]+`"),
            (json!({ "pattern": "[a-z]+", "max_length": 9 }), "at most 9 characters; the whole text matches `[a-z]+`"),
            (json!({}), ""),
        ] {
            assert_eq!(wanted(&field(rules)), expected);
        }
    }
}
