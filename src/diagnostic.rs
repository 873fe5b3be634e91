//! Diagnostics: everything patchbay has to say about what is wrong, as values. Views turn them into text or JSON.
//!
//! A summary stands alone: lower case, no full stop, names in backticks. Errors say what is wrong; only `help` says
//! what to do.

use crate::address::Address;
use crate::source::Span;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The run goes on.
    Warning,
    /// The run, or the part of it that this speaks of, does not go on.
    Error,
}

/// A stable code, `PBnnnn`. Never reused for another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(u16);

impl Code {
    /// `PB0103`
    #[must_use]
    pub fn id(self) -> String {
        format!("PB{:04}", self.0)
    }

    /// What the code stands for, in a few words.
    #[must_use]
    pub fn title(self) -> &'static str {
        codes::ALL.iter().find(|(code, _)| *code == self).map_or("", |(_, title)| *title)
    }

    /// Does a run that ends with this error count as *refused* (exit 4) and not as failed (exit 1)? True for guards,
    /// blocked, stale or ambiguous objects and incomplete lists: nothing broke, patchbay declined.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        use codes as c;
        matches!(self.0 / 100, 5)
            || [
                c::STATE_CONFLICT,
                c::TARGET_MOVED,
                c::UNCHANGEABLE,
                c::UNDELETABLE,
                c::AMBIGUOUS,
                c::STALE,
                c::SECRET_DIFFERS,
                c::LIST_CUT,
            ]
            .contains(&self)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $title:literal;)*) => {
        /// The registry of codes.
        pub mod codes {
            use super::Code;
            $(#[doc = $title] pub const $name: Code = Code($number);)*
            /// Every code with what it stands for.
            pub const ALL: &[(Code, &str)] = &[$(($name, $title)),*];
        }
    };
}

codes! {
    USAGE = 99, "wrong use of the command line";
    NO_PROJECT = 100, "there is no project file";
    SYNTAX = 101, "not valid YAML or TOML";
    UNKNOWN_KEY = 102, "unknown key";
    NOT_ACCEPTED = 103, "not an accepted value";
    WRONG_TYPE = 104, "wrong type";
    MISSING_KEY = 105, "a required key is missing";
    SAME_NAME = 106, "two connections with one name";
    DUPLICATE_KEY = 107, "duplicate key";
    UNREADABLE = 108, "a file cannot be read";
    LIMIT = 109, "a file is too large, too deep or has too many nodes";
    UNKNOWN_TARGET = 110, "unknown target";
    UNKNOWN_KIND = 111, "unknown kind or platform";
    CYCLE = 112, "dependency cycle";
    UNKNOWN_CONNECTION = 113, "a reference names nothing that is declared";
    BAD_DEFINITION = 114, "a platform definition is wrong";
    BAD_NAME = 115, "not a usable name";
    NOT_FOUND = 116, "nothing matches";
    VARIABLE_UNSET = 201, "a variable is not set";
    VARIABLE_EMPTY = 202, "a variable is empty";
    LITERAL_SECRET = 203, "a literal secret in a file";
    UNRESOLVED = 204, "looks like an unresolved reference or a mask";
    STRAY_WHITESPACE = 205, "stray white space in a secret";
    BOTH_SET = 206, "both NAME and NAME_FILE are set";
    TEMPLATE = 207, "a template cannot be rendered";
    STATE_UNREADABLE = 301, "the state cannot be read or written";
    STATE_DAMAGED = 302, "the state is damaged";
    STATE_NEWER = 303, "the state has a newer format";
    STATE_LINEAGE = 304, "the state belongs to another project";
    STATE_CONFLICT = 305, "another run works on the same connection";
    TARGET_MOVED = 306, "a target's address differs from the state";
    STATE_UNFIT = 307, "the store does not keep two writers apart";
    UNCHANGEABLE = 401, "the API cannot change this field";
    UNDELETABLE = 402, "the API cannot delete";
    GONE = 403, "a live object was not found by its id";
    AMBIGUOUS = 404, "two live objects match";
    STALE = 405, "the plan is stale";
    SECRET_DIFFERS = 406, "a secret differs from the plan";
    ALREADY_EXISTS = 407, "the name is taken by an object that is not ours";
    BAD_PLAN = 408, "not a plan file";
    TOO_MANY_DELETES = 501, "too many deletes";
    TARGET_EMPTIED = 502, "a target would lose everything";
    PREVENT_DESTROY = 503, "prevent_destroy";
    NOT_APPROVED = 504, "approval is needed and nobody can be asked";
    TOO_MANY_UPDATES = 505, "too many updates";
    PLAIN_HTTP = 506, "plain http to another machine";
    STILL_NEEDED = 507, "something that stays refers to what would be deleted";
    UNAUTHORISED = 601, "the API rejected the credentials (401)";
    FORBIDDEN = 602, "the credentials may not do this (403)";
    HTTP_NOT_FOUND = 603, "not found (404)";
    CONFLICT = 604, "conflict (409)";
    INVALID = 605, "the API refused the request (400, 422)";
    THROTTLED = 606, "the API asks to slow down (429)";
    SERVER_ERROR = 607, "the API failed (5xx)";
    TIMEOUT = 608, "no answer in time";
    CANNOT_CONNECT = 609, "cannot connect";
    TLS = 610, "TLS failed";
    NOT_JSON = 611, "the answer is not JSON";
    REDIRECTED = 612, "redirected";
    LIST_CUT = 613, "the list was cut short";
    CUT_SHORT = 614, "the answer was cut short";
    UNEXPECTED_ANSWER = 615, "the answer is not what the definition says";
    OUTCOME_UNKNOWN = 701, "the outcome is unknown";
    DEPENDENCY_FAILED = 702, "a dependency failed";
    READ_BACK = 703, "the API did not store what was sent";
    INTERRUPTED = 704, "interrupted";
    TEST_FAILED = 705, "the API's own test failed";
    NO_TEST = 706, "the API has no test for this kind";
    INTERNAL = 901, "a bug in patchbay";
}

/// A place and what it has to do with the matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// A few words; stands alone.
    pub text: String,
}

/// One thing to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable code.
    pub code: Code,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong.
    pub summary: String,
    /// Where; the first label is the primary one.
    pub labels: Vec<Label>,
    /// Facts, one a line: the request, what the API said.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
    /// Which connection it is about.
    pub address: Option<Address>,
}

impl Diagnostic {
    /// An error.
    pub fn error(code: Code, summary: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            summary: summary.into(),
            labels: Vec::new(),
            notes: Vec::new(),
            help: None,
            address: None,
        }
    }

    /// A warning.
    pub fn warning(code: Code, summary: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, summary) }
    }

    /// Adds a label.
    #[must_use]
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// Adds a label where the place is known.
    #[must_use]
    pub fn label_opt(self, span: Option<Span>, text: impl Into<String>) -> Self {
        match span {
            Some(span) => self.label(span, text),
            None => self,
        }
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says what to do, where there is something to say.
    #[must_use]
    pub fn help_opt(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Names the connection.
    #[must_use]
    pub fn about(mut self, address: &Address) -> Self {
        self.address = Some(address.clone());
        self
    }

    /// Is it an error?
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Everything that was found, errors and warnings, in the order of finding.
pub type Diagnostics = Vec<Diagnostic>;

/// Is there an error among them?
#[must_use]
pub fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(Diagnostic::is_error)
}

/// At most so many places of one missing variable are shown.
const PLACES: usize = 5;

/// Sorts by place, drops repetitions of one mistake at one place, and makes one diagnostic of all the places where one
/// variable is missing.
pub fn tidy(diagnostics: &mut Diagnostics) {
    let place = |d: &Diagnostic| d.labels.first().map(|l| l.span);
    diagnostics.sort_by_key(|d| (place(d).is_none(), place(d)));
    let mut seen = std::collections::BTreeSet::new();
    diagnostics.retain(|d| match place(d) {
        Some(span) => seen.insert((d.code, span, d.summary.clone())),
        None => true,
    });
    let mut grouped: Diagnostics = Vec::with_capacity(diagnostics.len());
    let mut first: std::collections::BTreeMap<(Code, String), (usize, usize)> = std::collections::BTreeMap::new();
    for diagnostic in diagnostics.drain(..) {
        if ![codes::VARIABLE_UNSET, codes::VARIABLE_EMPTY].contains(&diagnostic.code) {
            grouped.push(diagnostic);
            continue;
        }
        match first.entry((diagnostic.code, diagnostic.summary.clone())) {
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert((grouped.len(), 1));
                grouped.push(diagnostic);
            }
            std::collections::btree_map::Entry::Occupied(mut entry) => {
                let (at, count) = entry.get_mut();
                *count += 1;
                if *count <= PLACES {
                    grouped[*at].labels.extend(diagnostic.labels);
                }
            }
        }
    }
    for (at, count) in first.into_values().filter(|(_, count)| *count > PLACES) {
        grouped[at].notes.push(format!("and {} more places", count - PLACES));
    }
    *diagnostics = grouped;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sources;

    #[test]
    fn codes_are_unique_and_named() {
        let mut all: Vec<Code> = codes::ALL.iter().map(|(code, _)| *code).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), codes::ALL.len());
        assert!(codes::ALL.iter().all(|(_, title)| !title.is_empty() && !title.ends_with('.')));
        assert_eq!(codes::NOT_ACCEPTED.id(), "PB0103");
        assert_eq!(codes::NOT_ACCEPTED.title(), "not an accepted value");
    }

    #[test]
    fn guards_refuse_and_errors_fail() {
        for code in [codes::TOO_MANY_DELETES, codes::STALE, codes::UNCHANGEABLE, codes::LIST_CUT, codes::NOT_APPROVED] {
            assert!(code.is_refusal(), "{}", code.id());
        }
        for code in [codes::SYNTAX, codes::UNAUTHORISED, codes::STATE_DAMAGED, codes::OUTCOME_UNKNOWN] {
            assert!(!code.is_refusal(), "{}", code.id());
        }
    }

    #[test]
    fn one_mistake_is_said_once_in_file_order() {
        let file = Sources::default().add("f", "");
        let at = |code, n| Diagnostic::error(code, "x").label(file.span(n, n + 1), "here");
        let mut all = vec![
            Diagnostic::error(codes::TIMEOUT, "no place"),
            at(codes::SYNTAX, 5),
            at(codes::UNKNOWN_KEY, 2),
            at(codes::SYNTAX, 5),
        ];
        tidy(&mut all);
        let codes: Vec<String> = all.iter().map(|d| d.code.id()).collect();
        assert_eq!(codes, ["PB0102", "PB0101", "PB0608"]);
    }

    #[test]
    fn a_missing_variable_is_one_diagnostic_with_a_few_places() {
        let file = Sources::default().add("f", "");
        let mut all: Diagnostics = (0..9)
            .map(|n| Diagnostic::error(codes::VARIABLE_UNSET, if n == 4 { "B" } else { "A" }).label(file.span(n, n + 1), "here"))
            .collect();
        tidy(&mut all);
        let shown: Vec<_> = all.iter().map(|d| (d.summary.as_str(), d.labels.len(), d.notes.clone())).collect();
        assert_eq!(shown, [("A", 5, vec!["and 3 more places".to_owned()]), ("B", 1, vec![])]);
    }
}
