//! Findings about the object itself: how it is made, listed, read and deleted, and what its stamps do.

use super::{Evidence, Finding, Gone, Reply, Seen, Subject, Way, quoted, refusal, secret};
use crate::path::FieldPath;
use crate::plan::unit::{Content, units};
use crate::platform::compare::same;
use crate::platform::exchange::Failure;
use crate::platform::model::{Collection, ErrorClass, Paging, ReadBack, ReadsAs, Semantics, Trust};
use crate::platform::object::{Completeness, Object};
use crate::value::Value;

/// Findings about its first moments.
pub(super) fn born(subject: &Subject<'_>, evidence: &Evidence) -> Vec<Finding> {
    if !evidence.is_made {
        return Vec::new();
    }
    let mut all = vec![created(subject, evidence)];
    all.extend(duplicate(subject, evidence));
    all.extend(listed(subject, evidence));
    all.extend(pages(subject, evidence));
    match evidence.reads.first() {
        Some(read) => {
            all.extend(read_back(subject, read));
            all.extend(secret::secrets(subject, evidence, read));
        }
        None if evidence.list.is_some() => {
            let finding = Finding::new("read-back", "what a read shows of a new object", in_collection(subject, "read"));
            all.push(finding.contradicts("nothing", "check `read` and `id`: nothing answers under the id of the new object"));
        }
        None => {}
    }
    all
}

/// A collection whose pages have one object.
#[must_use]
pub fn small_pages(collection: &Collection) -> Collection {
    let mut small = collection.clone();
    match &mut small.list.paging {
        Paging::LimitOnly { size, .. } | Paging::Offset { size, .. } | Paging::Page { size, .. } => *size = 1,
        Paging::None | Paging::Cursor { .. } => {}
    }
    small
}

/// A place below the kind.
fn in_kind(subject: &Subject<'_>, key: &str) -> String {
    format!("kinds.{}.{key}", subject.name)
}

/// A place below the collection.
fn in_collection(subject: &Subject<'_>, key: &str) -> String {
    format!("collections.{}.{key}", subject.kind.collection)
}

fn created(subject: &Subject<'_>, evidence: &Evidence) -> Finding {
    let finding = Finding::new("create", "where the answer to a create has the id", in_kind(subject, "create"));
    match &evidence.answer {
        Some(_) if subject.kind.create.id_in_location => finding.agrees("at the end of `Location`"),
        Some(_) => {
            let path = subject.kind.create.id.as_deref().unwrap_or(&subject.collection.id);
            let inside = Some(subject.kind.create.item.as_str()).filter(|item| !item.is_empty());
            finding.agrees(format!("at `{}`", inside.map_or_else(|| path.to_owned(), |item| format!("{item}.{path}"))))
        }
        None => finding.contradicts(
            "not where the definition says; the object was found by its name",
            "give the path of the id in that answer: `create.item`, `create.id` or `create.id_in_location`",
        ),
    }
}

fn duplicate(subject: &Subject<'_>, evidence: &Evidence) -> Option<Finding> {
    let (reply, count) = evidence.again.as_ref()?;
    let idempotent = subject.kind.create.idempotent;
    let upsert = subject.kind.update.iter().position(|verb| verb.semantics == Semantics::Upsert);
    let at = match upsert {
        _ if idempotent => in_kind(subject, "create.idempotent"),
        Some(n) => in_kind(subject, &format!("update[{n}].semantics")),
        None => in_collection(subject, "natural_key"),
    };
    let finding = Finding::new("duplicate", "what a second create of the same name does", at);
    let is_promised = idempotent || upsert.is_some();
    let broken = if idempotent { "leave `idempotent: true` out" } else { "leave the upsert out" };
    Some(match reply {
        Reply::Refused(error) => match error.class {
            _ if is_promised => finding.contradicts(format!("it is refused: {}", refusal(error)), broken),
            Failure::Api(ErrorClass::Invalid | ErrorClass::Conflict | ErrorClass::InUse) => {
                finding.agrees(format!("it is refused, so the name is unique: {}", refusal(error)))
            }
            _ => Finding { at: "errors.rules".to_owned(), ..finding }.contradicts(
                format!("it is refused in a way that does not look like a refusal: {}", refusal(error)),
                "add a rule under `errors.rules` with `class: conflict` for this answer",
            ),
        },
        Reply::Done if *count > 1 && is_promised => finding.contradicts("it makes a second object of the name", broken),
        Reply::Done if *count > 1 => {
            finding.noted("it makes a second object of the name: nothing but patchbay keeps names apart")
        }
        Reply::Done if is_promised => finding.agrees("it is the same object afterwards"),
        Reply::Done => finding.noted("it is the same object afterwards: `idempotent: true` would let a lost create be repeated"),
    })
}

fn listed(subject: &Subject<'_>, evidence: &Evidence) -> Vec<Finding> {
    let Some(list) = &evidence.list else { return Vec::new() };
    let line = format!("{} {}", subject.collection.list.method.as_str(), subject.collection.list.path);
    let mut all = Vec::new();
    let finding = Finding::new("list", format!("what {line} shows of a new object"), in_collection(subject, "list"));
    let key = |object: &Object| object.natural_key(subject.collection);
    let wanted = crate::platform::object::natural_key(subject.collection, subject.kind, &subject.disposable.connection.spec);
    all.push(match (&list.item, evidence.reads.first()) {
        (None, _) => {
            finding.contradicts("nothing", "check `list.items`, `list.query` and `id`: the object is there and is not listed")
        }
        (Some(item), _) if key(item) != wanted => Finding { at: in_collection(subject, "natural_key"), ..finding }.contradicts(
            "not its name, or another one than it was given",
            "every part of the natural key must be a text that the list shows as it was written",
        ),
        (Some(_), None) => finding.agrees("the object"),
        (Some(item), Some(read)) => beside_read(subject, finding, item, read),
    });
    let finding =
        Finding::new("list", format!("whether {line} certifies that nothing is missing"), in_collection(subject, "list"));
    let count = list.count;
    all.push(match (&list.complete, &subject.collection.list.total) {
        (Completeness::Certain, Some(total)) => finding.agrees(format!("{count} came, and `{total}` says so")),
        (Completeness::Certain, None) => finding.agrees(format!("{count} came, and the paging ended")),
        (Completeness::CutShort { came, total: Some(total) }, _) => finding
            .contradicts(format!("{came} came of {total}"), "check `list.paging`: the server gives less than it is asked for"),
        (Completeness::CutShort { came, total: None }, promised) => finding.contradicts(
            format!("{came} came, and nothing says whether that is all"),
            match promised {
                Some(total) => format!("`{total}` is not in the answer: check `list.total`"),
                None => "check `list.paging` and `list.total`".to_owned(),
            },
        ),
    });
    all
}

/// What a list shows of an object, beside what a read shows.
fn beside_read(subject: &Subject<'_>, finding: Finding, item: &Object, read: &Object) -> Finding {
    fn shown<'o>(object: &'o Object, path: &FieldPath) -> Option<&'o Value> {
        object.body.at(path).filter(|value| !value.is_null())
    }
    let units = units(subject.kind, &subject.disposable.connection.spec);
    let all = |is: &dyn Fn(Option<&Value>, Option<&Value>) -> bool| -> Vec<String> {
        let found = units.iter().filter(|unit| is(shown(item, &unit.path), shown(read, &unit.path)));
        found.map(|unit| unit.path.to_string()).collect()
    };
    let names = |paths: &[String]| quoted(paths.iter().map(String::as_str));
    let missing = all(&|listed, read| listed.is_none() && read.is_some());
    let other = all(&|listed, read| listed.is_some() && listed != read);
    if subject.collection.list.items_are_whole {
        let finding = Finding { at: in_collection(subject, "list.items_are_whole"), ..finding };
        let way_out = "leave `items_are_whole` out: what is listed is then read where it may have moved";
        return match (missing.as_slice(), other.as_slice()) {
            ([], []) => finding.agrees("everything that a read shows"),
            ([], other) => finding.contradicts(format!("another value than a read of {}", names(other)), way_out),
            (missing, _) => finding.contradicts(format!("its name; only a read shows {}", names(missing)), way_out),
        };
    }
    match missing.as_slice() {
        [] if other.is_empty() && subject.collection.read.is_some() => {
            finding.agrees("everything that a read shows, so `items_are_whole: true` may do")
        }
        [] => finding.agrees("everything that a read shows"),
        missing => finding.agrees(format!("its name; only a read shows {}", names(missing))),
    }
}

fn pages(subject: &Subject<'_>, evidence: &Evidence) -> Option<Finding> {
    let pages = evidence.pages.as_ref()?;
    let finding = Finding::new("pages", "whether a list is paged as the definition says", in_collection(subject, "list.paging"));
    let came = pages.came;
    Some(match &subject.collection.list.paging {
        Paging::None if came == 1 => finding
            .noted("with `limit=1` one object comes: the list can be paged, and where it ends without being asked is not known"),
        Paging::None => finding.agrees("it knows no `limit`"),
        Paging::Cursor { .. } => return None,
        Paging::LimitOnly { limit, .. } | Paging::Offset { limit, .. } | Paging::Page { limit, .. } if came > 1 => {
            finding.contradicts(format!("with `{limit}=1` {came} objects come"), format!("`{limit}` is not its parameter"))
        }
        Paging::LimitOnly { limit, .. } => finding.agrees(format!("with `{limit}=1` one object comes")),
        Paging::Offset { offset: next, .. } | Paging::Page { page: next, .. } if pages.goes_on => {
            finding.agrees(format!("pages of one object follow each other by `{next}`"))
        }
        Paging::Offset { offset: next, .. } | Paging::Page { page: next, .. } => {
            finding.contradicts("the second page is the first again", format!("check `{next}`, and where it begins"))
        }
    })
}

fn read_back(subject: &Subject<'_>, read: &Object) -> Vec<Finding> {
    let question = match &subject.collection.read {
        Some(read) => format!("what {} {} shows of what was sent", read.method.as_str(), read.path),
        None => "what the list shows of what was sent".to_owned(),
    };
    let finding = |at: String| Finding::new("read-back", question.clone(), at);
    let (mut good, mut unseen, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for unit in units(subject.kind, &subject.disposable.connection.spec) {
        let Content::Plain(value, emptied) = &unit.content else { continue };
        // Nothing was promised about the value of a field that is a mask, or nothing.
        if !emptied.is_empty() || unit.field.reads_as != ReadsAs::Value || value.is_null() {
            continue;
        }
        let path = unit.path.to_string();
        let finding = || finding(in_kind(subject, &format!("fields.{path}")));
        match read.body.at(&unit.path) {
            now if same(unit.field, value, now) => good.push(path),
            None | Some(Value::Null) if subject.kind.read_back == ReadBack::Partial => unseen.push(path),
            None | Some(Value::Null) => all.push(finding().contradicts(
                format!("`{path}` does not come back"),
                "say where it stands (`read`), or that it never comes (`reads_as: nothing`), or `read_back: partial`",
            )),
            Some(_) => all.push(finding().contradicts(
                format!("`{path}` comes back as another value than was sent"),
                "say how it reads: `compare`, `equals`, `read`, `reads_as`",
            )),
        }
    }
    let names = |paths: &[String]| quoted(paths.iter().map(String::as_str));
    if !unseen.is_empty() {
        all.insert(0, finding(in_kind(subject, "read_back")).agrees(format!("not {}", names(&unseen))));
    } else if subject.kind.read_back == ReadBack::Partial {
        all.insert(0, finding(in_kind(subject, "read_back")).noted("everything, so `read_back: full` may do"));
    }
    if !good.is_empty() {
        all.insert(0, finding(in_kind(subject, "fields")).agrees(names(&good)));
    }
    all
}

/// Findings about modification stamps.
pub(super) fn stamps(subject: &Subject<'_>, evidence: &Evidence) -> Vec<Finding> {
    let told = |seen: &&Seen| seen.is_rested && seen.reply.is_done() && matches!(seen.trial.way, Way::Rotate(_) | Way::Change(_));
    let Some(seen) = evidence.seen.iter().find(told) else { return Vec::new() };
    let Some(after) = &seen.after else { return Vec::new() };
    let changed = match seen.trial.way {
        Way::Rotate(_) => format!("another secret in `{}`", seen.trial.field),
        _ => format!("another value of `{}`", seen.trial.field),
    };
    let Some(path) = &subject.collection.watermark else {
        let moved = moved(subject, &seen.before, after);
        if moved.is_empty() {
            return Vec::new();
        }
        let finding = Finding::new("stamp", "what else a change moves", format!("collections.{}", subject.kind.collection));
        let moved = quoted(moved.iter().map(String::as_str));
        return vec![finding.noted(format!("{moved} with {changed}; the definition names no `watermark`"))];
    };
    let finding = || Finding::new("stamp", format!("when `{path}` moves"), in_collection(subject, "watermark"));
    let mut all = Vec::new();
    all.push(match (&seen.before.watermark, &after.watermark) {
        (None, _) | (_, None) => finding().contradicts("it is not there", "leave `watermark` out, or give its path"),
        (Some(before), Some(after)) if before != after => finding().agrees(format!("with {changed}")),
        _ => finding().contradicts(format!("not with {changed}"), "leave `watermark` out: as long as it stands, nothing is read"),
    });
    if let [first, second, ..] = evidence.reads.as_slice()
        && first.watermark.is_some()
    {
        all.push(match first.watermark == second.watermark {
            true => finding().agrees("not with a read"),
            false => finding().contradicts("with every read", "leave `watermark` out: it proves nothing"),
        });
        if let Some(item) = evidence.list.as_ref().and_then(|list| list.item.as_ref()) {
            match (&item.watermark, &first.watermark) {
                (None, _) if subject.collection.list.items_are_whole => {
                    all.push(finding().contradicts("a list does not show it", "leave `items_are_whole` out"));
                }
                (None, _) => all.push(finding().noted("a list does not show it, so every object is read")),
                (Some(a), Some(b)) if a != b => all.push(
                    finding().contradicts("a list shows another one than a read", "name one that both show in the same form"),
                ),
                _ => {}
            }
        }
    }
    all
}

/// Members that are no fields of the kind and differ.
fn moved(subject: &Subject<'_>, before: &Object, after: &Object) -> Vec<String> {
    let (Some(before), Some(after)) = (before.body.as_map(), after.body.as_map()) else { return Vec::new() };
    let is_own = |name: &String| !subject.kind.fields.contains_key(name) && !subject.kind.constants.contains_key(name);
    let differs =
        |name: &&String| is_own(name) && before.get(*name).is_some_and(|old| after.get(*name).is_some_and(|new| old != new));
    after.keys().filter(differs).cloned().collect()
}

/// Findings about the end.
pub(super) fn ended(subject: &Subject<'_>, evidence: &Evidence) -> Vec<Finding> {
    let mut all: Vec<Finding> = tested(subject, evidence).into_iter().collect();
    if let Some(gone) = &evidence.gone {
        all.extend(deleted(subject, gone));
    }
    all
}

fn tested(subject: &Subject<'_>, evidence: &Evidence) -> Option<Finding> {
    let (test, outcome) = (subject.kind.test.as_ref()?, evidence.test.as_ref()?);
    let line = format!("{} {}", test.method.as_str(), test.path);
    let finding =
        Finding::new("test", format!("whether {line} notices credentials that open nothing"), in_kind(subject, "test.trust"));
    let made_up = !subject.disposable.made_up.is_empty();
    Some(match (outcome, test.trust) {
        (Err(error), _) if error.class == Failure::Api(ErrorClass::NotFound) => {
            Finding { at: in_kind(subject, "test.path"), ..finding }
                .contradicts(format!("there is no such request: {}", refusal(error)), "check its path, or leave `test` out")
        }
        (Err(error), _) => finding.cannot_tell(format!("the test could not be made: {}", refusal(error))),
        (Ok(_), _) if !made_up => finding.cannot_tell("the object has none that were made up"),
        (Ok(true), Trust::Call) => finding.contradicts(
            "it passes with them",
            "say `trust: stored`, or `sometimes-call`: a pass proves less than the definition says",
        ),
        (Ok(true), Trust::SometimesCall | Trust::Stored) => finding.agrees("it passes with them"),
        (Ok(false), Trust::Stored) => finding.contradicts("it fails with them", "say `trust: call`: it used them"),
        (Ok(false), Trust::Call | Trust::SometimesCall) => finding.agrees("it fails with them"),
    })
}

fn deleted(subject: &Subject<'_>, gone: &Gone) -> Vec<Finding> {
    let finding = |what: &str, at: String| Finding::new("delete", what.to_owned(), at);
    let mut all = Vec::new();
    let done = finding("what a delete does", in_kind(subject, "delete"));
    match &gone.delete {
        Reply::Refused(error) => {
            all.push(done.contradicts(format!("it is refused: {}", refusal(error)), "check the request under `delete`"));
            return all;
        }
        Reply::Done if gone.is_listed => {
            all.push(done.contradicts("it is accepted, and the object is listed as before", "check the request under `delete`"));
        }
        Reply::Done => all.push(done.agrees("the object is not listed any more")),
    }
    let is_not_found = |reply: &Reply| matches!(reply, Reply::Refused(e) if e.class == Failure::Api(ErrorClass::NotFound));
    if let Some(read) = &gone.read {
        let finding = finding("what a read answers after a delete", "errors.rules".to_owned());
        all.push(match read {
            Reply::Refused(error) if is_not_found(read) => finding.agrees(format!("that it is not found: {}", refusal(error))),
            Reply::Refused(error) => {
                finding.contradicts(refusal(error), "add a rule under `errors.rules` with `class: not-found` for this answer")
            }
            Reply::Done => finding.contradicts("the object", "an object that is gone must not be shown: check `read`"),
        });
    }
    let again = finding("what a second delete answers", "errors.rules".to_owned());
    all.push(match &gone.again {
        Reply::Done => again.agrees("the same as the first"),
        Reply::Refused(error) if is_not_found(&gone.again) => again.agrees(format!("that it is not found: {}", refusal(error))),
        Reply::Refused(error) => {
            again.contradicts(refusal(error), "add a rule under `errors.rules` with `class: not-found` for this answer")
        }
    });
    all
}
