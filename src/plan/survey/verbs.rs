//! What became of the changes, as findings.

use super::{Finding, Reply, Seen, Subject, Trial, Way, quoted, refusal};
use crate::path::FieldPath;
use crate::platform::compare::same;
use crate::platform::exchange::{ApiError, Failure};
use crate::platform::model::{ErrorClass, Field, PatchForm, Semantics, Update};
use crate::platform::parse::field_at;
use crate::value::Value;

/// Findings about the requests that change an object, request by request.
pub(super) fn findings(subject: &Subject<'_>, seen: &[Seen]) -> Vec<Finding> {
    let mut all = Vec::new();
    for (n, verb) in subject.kind.update.iter().enumerate() {
        let of_verb: Vec<&Seen> = seen.iter().filter(|seen| seen.trial.verb == n).collect();
        let desk = Desk { subject, n, verb, line: format!("{} {}", verb.method.as_str(), verb.path) };
        if of_verb.iter().any(|seen| seen.is_missing()) {
            all.push(desk.missing());
            continue;
        }
        all.extend(desk.unsent(&of_verb));
        all.extend(of_verb.iter().filter_map(|seen| desk.part(seen)));
        all.extend(desk.changes(&of_verb));
        all.extend(of_verb.iter().filter_map(|seen| desk.null(seen)));
        all.extend(of_verb.iter().filter_map(|seen| desk.omission(seen)));
        all.extend(desk.forced(&of_verb));
    }
    all
}

/// One request and what it promises.
struct Desk<'d> {
    subject: &'d Subject<'d>,
    n: usize,
    verb: &'d Update,
    line: String,
}

impl Desk<'_> {
    fn at(&self, key: &str) -> String {
        format!("kinds.{}.update[{}].{key}", self.subject.name, self.n)
    }

    fn missing(&self) -> Finding {
        let finding = Finding::new("missing", format!("whether this deployment has {}", self.line), self.at("may_be_missing"));
        if self.verb.may_be_missing {
            finding.agrees("it has not, and what follows it is used")
        } else {
            finding.contradicts("it has not", "remove this update, or say `may_be_missing: true`")
        }
    }

    fn unsent(&self, seen: &[&Seen]) -> Option<Finding> {
        let finding = Finding::new("unsent", format!("what {} does with what is not sent", self.line), self.at("semantics"));
        let Some((seen, witness)) = seen.iter().find_map(|seen| match &seen.trial.way {
            Way::LeaveOut(witness) => Some((seen, witness)),
            _ => None,
        }) else {
            // Nothing was asked of it at all, or nothing that tells this.
            let help = match self.verb.semantics {
                Semantics::Merge => "the connection has no other field that can be read",
                Semantics::Replace | Semantics::Upsert => "the connection has no optional field that can be read",
            };
            return (!seen.is_empty()).then(|| finding.cannot_tell(help));
        };
        let sent = &seen.trial.field;
        let error = match &seen.reply {
            Reply::Done => None,
            Reply::Refused(error) => Some(error),
        };
        Some(match (self.verb.semantics, error, kept(self.subject, seen, witness)) {
            // The value is one that it took before, so what it misses is another field.
            (Semantics::Merge, Some(error), _) if is_complaint(error) => {
                let requires = Finding { at: self.at("requires"), ..finding };
                requires.contradicts(
                    format!("it refuses `{sent}` alone with the value that it has: {}", refusal(error)),
                    "say what it wants: `requires: all`, or another `semantics`",
                )
            }
            (_, Some(error), _) => finding.cannot_tell(format!("it refuses a body without `{witness}`: {}", refusal(error))),
            (Semantics::Merge, None, Some(true)) => finding.agrees(format!("it keeps `{witness}` when `{sent}` is sent alone")),
            (Semantics::Merge, None, Some(false)) => finding.contradicts(
                format!("it loses `{witness}` when `{sent}` is sent alone"),
                "say `semantics: replace`, so that everything is sent",
            ),
            (_, None, Some(false)) => finding.agrees(format!("it loses `{witness}`")),
            (_, None, Some(true)) => finding.contradicts(
                format!("it keeps `{witness}`"),
                "say `semantics: merge`, so that nothing else has to be sent, secrets above all",
            ),
            (_, None, None) => finding.cannot_tell(format!("`{witness}` cannot be read")),
        })
    }

    fn part(&self, seen: &Seen) -> Option<Finding> {
        let Way::Part(sent) = &seen.trial.way else { return None };
        let top = sent.top()?;
        let at = format!("kinds.{}.fields.{top}.patch", self.subject.name);
        let finding = Finding::new("parts", format!("what {} does with the rest of `{top}`", self.line), at);
        let takes_parts = self.subject.kind.fields.get(top).is_some_and(|field| field.patch == PatchForm::Parts);
        let kept_field = &seen.trial.field;
        Some(match (&seen.reply, kept(self.subject, seen, kept_field), takes_parts) {
            (Reply::Refused(error), _, _) => finding.cannot_tell(format!("it refuses `{sent}` alone: {}", refusal(error))),
            (_, Some(true), true) => finding.agrees(format!("it keeps `{kept_field}` when `{sent}` is sent alone")),
            (_, Some(true), false) => {
                finding.noted(format!("it keeps `{kept_field}` when `{sent}` is sent alone, so `patch: parts` would do"))
            }
            (_, Some(false), true) => finding.contradicts(
                format!("it loses `{kept_field}` when `{sent}` is sent alone"),
                "say `patch: whole`, or leave `patch` out",
            ),
            (_, Some(false), false) => finding.agrees(format!("it loses `{kept_field}`, and is sent everything")),
            (_, None, _) => finding.cannot_tell(format!("`{kept_field}` cannot be read")),
        })
    }

    fn changes(&self, seen: &[&Seen]) -> Vec<Finding> {
        let finding = || Finding::new("change", format!("which fields {} changes", self.line), self.at("covers"));
        let (mut changed, mut rotated, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for seen in seen {
            let field = seen.trial.field.to_string();
            match (&seen.trial, &seen.reply) {
                (Trial { way: Way::Rotate(_), .. }, Reply::Done) => rotated.push(field),
                (Trial { way: Way::Change(_) | Way::Rotate(_), .. }, Reply::Refused(error)) => {
                    all.push(finding().cannot_tell(format!("it refuses another value of `{field}`: {}", refusal(error))));
                }
                (Trial { way: Way::Change(to), field: path, .. }, Reply::Done) => match effect(self.subject, seen, path, to) {
                    Effect::Done => changed.push(field),
                    Effect::None => all.push(finding().contradicts(
                        format!("it accepts another value of `{field}`, and does not store it"),
                        format!("leave `{field}` out of `covers`"),
                    )),
                    Effect::Other => {
                        all.push(Finding { at: format!("kinds.{}.fields.{field}", self.subject.name), ..finding() }.contradicts(
                            format!("it stores another value of `{field}` than it was sent"),
                            "say how it reads: `compare`, `equals`, `read`",
                        ));
                    }
                    Effect::Gone => all.push(finding().contradicts(
                        format!("after another value of `{field}` nothing answers under the object's id any more"),
                        format!("leave `{field}` out of `covers`"),
                    )),
                },
                _ => {}
            }
        }
        if !changed.is_empty() {
            all.insert(0, finding().agrees(quoted(changed.iter().map(String::as_str))));
        }
        if !rotated.is_empty() {
            let secrets = quoted(rotated.iter().map(String::as_str));
            all.push(finding().agrees(format!("it accepts another secret in {secrets}")));
        }
        all
    }

    fn null(&self, seen: &Seen) -> Option<Finding> {
        let Way::Null = &seen.trial.way else { return None };
        let field = &seen.trial.field;
        let finding = Finding::new(
            "null",
            format!("what {} does with null", self.line),
            format!("kinds.{}.fields.{field}", self.subject.name),
        );
        Some(match (&seen.reply, kept(self.subject, seen, field)) {
            (Reply::Refused(error), _) => finding.noted(format!("it refuses `{field}: null`: {}", refusal(error))),
            (Reply::Done, Some(true)) => finding.noted(format!("it ignores `{field}: null`")),
            (Reply::Done, Some(false)) => finding.noted(format!("`{field}: null` clears the field, or sets its default")),
            (Reply::Done, None) => finding.cannot_tell(format!("`{field}` cannot be read")),
        })
    }

    fn omission(&self, seen: &Seen) -> Option<Finding> {
        let Way::Omit = &seen.trial.way else { return None };
        let field = &seen.trial.field;
        let finding =
            Finding::new("required", format!("whether {} demands every required field", self.line), self.at("requires"));
        Some(match &seen.reply {
            Reply::Refused(error) if is_complaint(error) => {
                finding.agrees(format!("it refuses a body without `{field}`: {}", refusal(error)))
            }
            Reply::Refused(error) => finding.cannot_tell(format!("a body without `{field}` fails: {}", refusal(error))),
            Reply::Done => finding.contradicts(
                format!("it accepts a body without `{field}`"),
                "leave `requires: all` out; what the request then does with that field must be known",
            ),
        })
    }

    fn forced(&self, seen: &[&Seen]) -> Vec<Finding> {
        let mut all = Vec::new();
        let mut fixed: Vec<(Finding, Vec<String>)> = Vec::new();
        for seen in seen {
            let Way::Force(to) = &seen.trial.way else { continue };
            let path = &seen.trial.field;
            let shown = path.to_string();
            // What a request covers and cannot do all the same, or what no request does.
            let exception = self.verb.except.iter().position(|except| except.field == shown);
            let (at, question) = match exception {
                Some(n) => (self.at(&format!("except[{n}]")), format!("which changes {} cannot make", self.line)),
                None => (format!("kinds.{}.update", self.subject.name), "which fields no request changes".to_owned()),
            };
            let finding = Finding::new("unchangeable", question, at);
            let what = match (exception, to.as_str()) {
                (Some(_), Some(word)) => format!("`{path}` to `{word}`"),
                _ => format!("`{path}`"),
            };
            let answer = match (&seen.reply, effect(self.subject, seen, path, to)) {
                (Reply::Refused(error), _) if is_complaint(error) => format!("{what} is refused: {}", refusal(error)),
                (Reply::Done, Effect::None) => format!("{what} is ignored"),
                (Reply::Refused(error), _) => {
                    all.push(finding.cannot_tell(format!("{what}: {}", refusal(error))));
                    continue;
                }
                (Reply::Done, Effect::Done) => {
                    let help = match exception {
                        Some(_) => "leave this exception out".to_owned(),
                        None => format!("name `{path}` in its `covers`"),
                    };
                    all.push(finding.contradicts(format!("{} changes {what}", self.line), help));
                    continue;
                }
                (Reply::Done, _) => {
                    all.push(finding.cannot_tell(format!("{what} reads back as something else")));
                    continue;
                }
            };
            match fixed.iter_mut().find(|(known, _)| known.at == finding.at) {
                Some((_, answers)) => answers.push(answer),
                None => fixed.push((finding, vec![answer])),
            }
        }
        all.extend(fixed.into_iter().map(|(finding, answers)| finding.agrees(answers.join("; "))));
        all
    }
}

/// Was the request at fault, and not the server?
fn is_complaint(error: &ApiError) -> bool {
    matches!(error.class, Failure::Api(ErrorClass::Invalid | ErrorClass::Conflict | ErrorClass::Forbidden))
}

/// Has this field the value that it had? `None` where that cannot be seen. A read that showed it once shows it as long as
/// it is there, whatever else it leaves out.
fn kept(subject: &Subject<'_>, seen: &Seen, path: &FieldPath) -> Option<bool> {
    let field = field_at(subject.kind, path)?;
    let before = seen.before.body.at(path).filter(|value| !value.is_null())?;
    Some(same(field, before, seen.after.as_ref()?.body.at(path)))
}

/// What became of a new value.
enum Effect {
    /// It is there.
    Done,
    /// The old one is there.
    None,
    /// Another one is there, or none.
    Other,
    /// The object is not found any more.
    Gone,
}

fn effect(subject: &Subject<'_>, seen: &Seen, path: &FieldPath, to: &Value) -> Effect {
    let Some(after) = &seen.after else { return Effect::Gone };
    let rules = Field::default();
    let field = field_at(subject.kind, path).unwrap_or(&rules);
    match after.body.at(path) {
        now if same(field, to, now) => Effect::Done,
        now if seen.before.body.at(path).is_some_and(|old| same(field, old, now)) => Effect::None,
        _ => Effect::Other,
    }
}
