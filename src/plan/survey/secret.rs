//! What an API shows of secrets. A form is told, and never the text that has it.

use super::{Evidence, Finding, Subject};
use crate::path::FieldPath;
use crate::plan::unit::{Content, units};
use crate::platform::mask::Mask;
use crate::platform::model::{Field, ReadBack, ReadsAs, SecretRule};
use crate::platform::object::Object;
use crate::platform::parse::{field_at, is_secret};
use crate::secret::Secret;
use crate::value::Value;

/// What is shown of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// Nothing.
    Nothing,
    /// The secret.
    Itself,
    /// Whether there is one.
    Presence,
    /// A mask with so many of its first and last characters.
    Mask(usize, usize),
    /// A mask that is not made of it.
    OtherMask,
    /// A text that is neither.
    Text,
}

/// The form in which an answer shows a secret. The value itself is in no form.
#[must_use]
pub fn form(secret: &Secret, shown: Option<&Value>) -> Form {
    match shown {
        None | Some(Value::Null) => Form::Nothing,
        Some(Value::Bool(_)) => Form::Presence,
        Some(value) => match value.expose_str() {
            Some("") => Form::Nothing,
            Some(text) if text == secret.expose() => Form::Itself,
            Some(text) => match Mask::read(text) {
                Some(mask) if mask.fits(secret.expose()) => Form::Mask(mask.prefix.chars().count(), mask.suffix.chars().count()),
                Some(_) => Form::OtherMask,
                None => Form::Text,
            },
            None => Form::Text,
        },
    }
}

impl Form {
    fn words(&self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::Itself => "the secret itself".to_owned(),
            Self::Presence => "whether there is one".to_owned(),
            Self::Mask(0, 0) => "a mask that is the same for every secret".to_owned(),
            Self::Mask(first, 0) => format!("a mask with the first {first} characters"),
            Self::Mask(0, last) => format!("a mask with the last {last} characters"),
            Self::Mask(first, last) => format!("a mask with the first {first} and the last {last} characters"),
            Self::OtherMask => "a mask of something else".to_owned(),
            Self::Text => "a text that is neither the secret nor a mask".to_owned(),
        }
    }

    /// May a field that reads so show this?
    fn is(&self, reads_as: ReadsAs) -> bool {
        match reads_as {
            ReadsAs::Value => *self == Self::Itself,
            ReadsAs::Mask => matches!(self, Self::Mask(..) | Self::Text),
            ReadsAs::Presence => matches!(self, Self::Presence | Self::Text),
            ReadsAs::Nothing => *self == Self::Nothing,
        }
    }

    /// What a definition says of a field that shows this.
    fn help(&self) -> &'static str {
        match self {
            Self::Nothing => "say `reads_as: nothing`",
            Self::Itself => "leave `reads_as` out: the value is compared",
            Self::Presence => "say `reads_as: presence`",
            Self::Mask(..) => "say `reads_as: mask`",
            Self::OtherMask | Self::Text => {
                "what is shown is nothing to go by: say `reads_as: nothing`, and `read` elsewhere if it can be"
            }
        }
    }
}

/// Findings about the secrets, from the first read of the object.
pub(super) fn secrets(subject: &Subject<'_>, evidence: &Evidence, read: &Object) -> Vec<Finding> {
    let spec = &subject.disposable.connection.spec;
    let by_rule = |field: &Field, path: &FieldPath| field.secret != SecretRule::Never && is_secret(field, path.item_key());
    let mut all = Vec::new();
    for unit in units(subject.kind, spec) {
        let Content::Secret(secret) = unit.content else { continue };
        let field = field_at(subject.kind, &unit.path).unwrap_or(unit.field);
        if !by_rule(field, &unit.path) {
            continue;
        }
        let path = unit.path.to_string();
        let question = format!("what a read shows of the secret `{path}`");
        // The place of a field of a list's items is below `item`.
        let place = match (unit.path.item_key(), unit.path.top(), unit.path.last_key()) {
            (Some(_), Some(top), Some(last)) => format!("fields.{top}.item.{last}"),
            _ => format!("fields.{}", path.replace('.', ".fields.")),
        };
        let finding = Finding::new("secret", question, format!("kinds.{}.{place}", subject.name));
        let now = form(secret, read.body.at(&unit.path));
        let is_open = subject.kind.read_back == ReadBack::Partial && now == Form::Nothing;
        let mut words = now.words();
        // Right after a write a mask may be another one, which is why they are compared at one place only.
        let answered = evidence.answer.as_ref().filter(|answer| answer.body != Value::Null);
        let at_write = answered.map(|answer| form(secret, answer.body.at(&unit.path)));
        if let Some(at_write) = at_write.filter(|at_write| *at_write != now) {
            words = format!("{words}; the answer to the create: {}", at_write.words());
        }
        all.push(match now.is(field.reads_as) || is_open {
            true => finding.agrees(words),
            false => finding.contradicts(words, now.help()),
        });
    }
    all
}
