//! Diagnostics as text, with the place in the file. miette draws summary and snippet; the code line, the facts and the
//! help are ours, because it has no place for facts between snippet and help and would break commands at hyphens.

use std::fmt;
use std::sync::Arc;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NarratableReportHandler, SourceCode};

use super::pages::{Page, Pages};
use super::style::{Glyph, Style, ink};
use super::text::{Line, clean, count, wrap};
use crate::diagnostic::{Code, Diagnostic, Label, Severity};
use crate::source::{FileId, Sources};

/// At most so many are shown in full.
const FULL: usize = 20;

/// How diagnostics are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// With snippets, arrows and rules.
    Drawn,
    /// In sentences, for screen readers: `NO_GRAPHICS`.
    Narrated,
}

/// The page that explains a code, if this build knows where its repository is published.
#[must_use]
pub fn url(code: Code) -> Option<String> {
    let repository = env!("CARGO_PKG_REPOSITORY");
    let version = env!("CARGO_PKG_VERSION");
    (!repository.is_empty()).then(|| format!("{repository}/blob/v{version}/docs/errors/{}.md", code.id()))
}

/// Renders all of them, and a closing line if there are several. Empty if there are none.
#[must_use]
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, style: &Style, manner: Manner) -> String {
    let mut pages = Pages::new(sources);
    // Where not all can be shown, no error hides behind a warning.
    let mut chosen: Vec<&Diagnostic> = diagnostics.iter().collect();
    if chosen.len() > FULL {
        chosen.sort_by_key(|d| !d.is_error());
        chosen.truncate(FULL);
    }
    let mut parts: Vec<String> = chosen.iter().map(|d| one(d, &mut pages, style, manner).join("\n")).collect();
    if diagnostics.len() > chosen.len() {
        let more = diagnostics.len() - chosen.len();
        parts.push(format!("{} and {more} more; all of them: patchbay validate --json", style.glyph(Glyph::Ellipsis)));
    }
    if diagnostics.len() > 1 {
        parts.push(closing(diagnostics, style));
    }
    if parts.is_empty() { String::new() } else { format!("{}\n", parts.join("\n\n")) }
}

/// `error: 3 errors, 1 warning in 2 files`
fn closing(diagnostics: &[Diagnostic], style: &Style) -> String {
    let errors = diagnostics.iter().filter(|d| d.is_error()).count();
    let warnings = diagnostics.len() - errors;
    let mut files: Vec<FileId> = diagnostics.iter().filter_map(|d| d.labels.first()).map(|l| l.span.file).collect();
    files.sort_unstable();
    files.dedup();
    let mut parts = Vec::new();
    if errors > 0 {
        parts.push(count(errors, "error"));
    }
    if warnings > 0 {
        parts.push(count(warnings, "warning"));
    }
    let place = if files.is_empty() { String::new() } else { format!(" in {}", count(files.len(), "file")) };
    let (word, ink) = if errors > 0 { ("error", ink::REMOVE) } else { ("warning", ink::UPDATE) };
    format!("{}: {}{place}", style.paint(ink, word), parts.join(", "))
}

/// The lines of one diagnostic.
fn one(diagnostic: &Diagnostic, pages: &mut Pages<'_>, style: &Style, manner: Manner) -> Vec<String> {
    let file = diagnostic.labels.first().map(|l| l.span.file);
    let page = file.and_then(|file| pages.page(file)).filter(|page| !page.is_blank());
    let is_here = page.is_some();
    let (mut here, mut elsewhere): (Vec<&Label>, Vec<&Label>) =
        diagnostic.labels.iter().partition(|label| is_here && Some(label.span.file) == file);
    if manner == Manner::Narrated && here.len() > 1 {
        // miette 7.6 tells of every label in every snippet, so there is to be one of each.
        elsewhere.extend(here.split_off(1));
    }
    let mut notes = Vec::new();
    for label in elsewhere {
        let Some(place) = pages.file_line(label.span) else { continue };
        let also = if here.is_empty() { "at" } else { "also at" };
        notes.push(if label.text.is_empty() { format!("{also} {place}") } else { format!("{also} {place}: {}", label.text) });
    }
    notes.extend(diagnostic.notes.iter().cloned());
    let report = Report {
        severity: diagnostic.severity,
        summary: by_line(&diagnostic.summary),
        code: None,
        help: None,
        labels: page.as_deref().map(|page| labels(&here, page)).unwrap_or_default(),
        page,
    };
    match manner {
        Manner::Drawn => draw(diagnostic, report, &notes, style),
        Manner::Narrated => narrate(diagnostic, report, &notes),
    }
}

fn labels(here: &[&Label], page: &Page) -> Vec<LabeledSpan> {
    here.iter()
        .enumerate()
        .map(|(n, label)| {
            let text = Some(clean(&label.text)).filter(|text| !text.is_empty());
            let span = page.drawable(label.span);
            if n == 0 { LabeledSpan::new_primary_with_span(text, span) } else { LabeledSpan::new_with_span(text, span) }
        })
        .collect()
}

/// Cleaned line by line.
fn by_line(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

fn draw(diagnostic: &Diagnostic, mut report: Report, notes: &[String], style: &Style) -> Vec<String> {
    let room = style.prose().saturating_sub(8);
    let ink = if diagnostic.is_error() { ink::REMOVE } else { ink::UPDATE };
    let mut code = style.paint(ink, &diagnostic.code.id());
    if let Some(url) = url(diagnostic.code) {
        code = style.link(&url, &code);
    }
    let mut lines = vec![code, String::new()];
    report.summary = wrap(&diagnostic.summary, room).join("\n");
    let handler = GraphicalReportHandler::new_themed(theme(style))
        .with_width(style.prose())
        .with_urls(false)
        .without_cause_chain()
        .with_wrap_lines(false)
        .with_context_lines(1);
    let mut text = String::new();
    if handler.render_report(&mut text, &report).is_err() {
        // Writing to a string does not fail; should drawing ever do, the words must not get lost.
        text = format!("  {} {}", style.glyph(Glyph::Blocked), report.summary);
    }
    lines.extend(text.lines().map(|line| line.trim_end().to_owned()));
    for line in notes.iter().flat_map(|note| wrap(note, room)) {
        lines.push(Line::new(style, 2).put(ink, style.glyph(Glyph::Rule)).put(ink::PLAIN, " ").put(ink::PLAIN, &line).end());
    }
    for (n, line) in diagnostic.help.iter().flat_map(|help| wrap(help, room)).enumerate() {
        let lead = if n == 0 { "help:" } else { "" };
        lines.push(Line::new(style, 2).put(ink::DRIFT, lead).until(8).put(ink::PLAIN, &line).end());
    }
    lines
}

fn narrate(diagnostic: &Diagnostic, mut report: Report, notes: &[String]) -> Vec<String> {
    report.code = Some(diagnostic.code.id());
    report.help = diagnostic.help.as_deref().map(by_line);
    let handler = NarratableReportHandler::new().with_context_lines(1).without_cause_chain();
    let mut text = String::new();
    if handler.render_report(&mut text, &report).is_err() {
        text.clone_from(&report.summary);
    }
    let mut lines: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.extend(notes.iter().flat_map(|note| note.lines()).map(|note| format!("diagnostic note: {}", clean(note))));
    lines
}

/// The theme is chosen here and not by miette, which asks other variables than everybody else.
fn theme(style: &Style) -> GraphicalTheme {
    let mut theme = match (style.unicode, style.color) {
        (true, true) => GraphicalTheme::unicode(),
        (true, false) => GraphicalTheme::unicode_nocolor(),
        (false, true) => GraphicalTheme::ascii(),
        (false, false) => GraphicalTheme::none(),
    };
    // Its own first label is plain magenta, which many themes make unreadable.
    theme.styles.highlights = vec![theme.styles.advice, theme.styles.warning];
    theme
}

/// A diagnostic as miette wants it. What is `None` here, we write ourselves.
#[derive(Debug)]
struct Report {
    severity: Severity,
    summary: String,
    code: Option<String>,
    help: Option<String>,
    labels: Vec<LabeledSpan>,
    page: Option<Arc<Page>>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)
    }
}

impl std::error::Error for Report {}

impl miette::Diagnostic for Report {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let code = self.code.as_ref()?;
        Some(Box::new(code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        let page = self.page.as_deref()?;
        Some(page)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if self.labels.is_empty() {
            return None;
        }
        Some(Box::new(self.labels.iter().cloned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::codes;

    const TEXT: &str = "#\n#\n#\n#\n#\n#\n#\n#\n    target: kore-prod\n    provider: Opne AI\n    name: Support GPT-4o\n";

    fn sample() -> (Sources, Diagnostic) {
        let mut sources = Sources::default();
        let file = sources.add("connections/prod.yaml", TEXT);
        let at = TEXT.find("Opne").unwrap();
        let diagnostic = Diagnostic::error(codes::NOT_ACCEPTED, "unknown provider `Opne AI`")
            .label(file.span(at, at + 7), "not a provider of target `kore-prod`")
            .help("did you mean `Open AI`? accepted values: `API`, `Open AI`, `Azure Open AI`, `Anthropic`\nrun `patchbay explain PB0103` for more");
        (sources, diagnostic)
    }

    fn drawn(diagnostics: &[Diagnostic], sources: &Sources) -> String {
        render(diagnostics, sources, &Style::plain(100), Manner::Drawn)
    }

    #[test]
    fn the_screen_of_a_wrong_value() {
        let (sources, diagnostic) = sample();
        assert_eq!(
            drawn(&[diagnostic], &sources),
            "\
PB0103

  × unknown provider `Opne AI`
    ╭─[connections/prod.yaml:10:15]
  9 │     target: kore-prod
 10 │     provider: Opne AI
    ·               ───┬───
    ·                  ╰── not a provider of target `kore-prod`
 11 │     name: Support GPT-4o
    ╰────
  help: did you mean `Open AI`? accepted values: `API`, `Open AI`, `Azure Open AI`, `Anthropic`
        run `patchbay explain PB0103` for more
"
        );
    }

    #[test]
    fn the_same_in_ascii() {
        let (sources, diagnostic) = sample();
        let style = Style { unicode: false, ..Style::plain(100) };
        let text = render(&[diagnostic], &sources, &style, Manner::Drawn);
        assert!(text.is_ascii(), "{text}");
        assert!(text.contains("    :               ^^^|^^^\n    :                  `-- not a provider"), "{text}");
    }

    #[test]
    fn the_same_in_words() {
        let (sources, diagnostic) = sample();
        let text = render(&[diagnostic.note("a fact")], &sources, &Style::plain(100), Manner::Narrated);
        assert!(text.starts_with("unknown provider `Opne AI`\n    Diagnostic severity: error\n"), "{text}");
        assert!(text.contains("label at line 10, columns 15 to 21: not a provider of target `kore-prod`"), "{text}");
        assert!(text.contains("diagnostic code: PB0103"), "{text}");
        assert!(text.ends_with("diagnostic note: a fact\n"), "{text}");
    }

    #[test]
    fn colours_come_from_the_style_alone() {
        let (sources, diagnostic) = sample();
        let style = Style { color: true, ..Style::plain(100) };
        let text = render(&[diagnostic], &sources, &style, Manner::Drawn);
        assert!(text.starts_with("\u{1b}[31mPB0103\u{1b}[0m\n"), "{text:?}");
        assert!(!text.contains("\u{1b}[35"), "{text:?}");
    }

    #[test]
    fn facts_stand_between_summary_and_help() {
        let diagnostic = Diagnostic::error(codes::UNAUTHORISED, "kore-prod rejected the API key (401)")
            .note("GET https://acme.example/api/public/connections?limit=100")
            .note("the API said: \"Invalid\u{1b}[2J api key\"")
            .help("`patchbay doctor kore-prod` tests it alone");
        assert_eq!(
            drawn(&[diagnostic], &Sources::default()),
            "\
PB0601

  × kore-prod rejected the API key (401)
  │ GET https://acme.example/api/public/connections?limit=100
  │ the API said: \"Invalid\u{fffd}[2J api key\"
  help: `patchbay doctor kore-prod` tests it alone
"
        );
    }

    #[test]
    fn labels_of_other_files_become_facts() {
        let (mut sources, diagnostic) = sample();
        let other = sources.add("patchbay.toml", "[targets.kore-prod]\n");
        let text = drawn(&[diagnostic.label(other.span(9, 18), "declared here")], &sources);
        assert!(text.contains("    ╰────\n  │ also at patchbay.toml:1: declared here\n  help: "), "{text}");
        let empty = sources.add("empty.yaml", "");
        let text = drawn(&[Diagnostic::warning(codes::SYNTAX, "nothing").label(empty.span(0, 0), "here")], &sources);
        assert_eq!(text, "PB0101\n\n  ⚠ nothing\n  │ at empty.yaml:1: here\n");
    }

    #[test]
    fn labels_far_apart_are_two_snippets() {
        let mut sources = Sources::default();
        let file = sources.add("f.yaml", "line: 1\n".repeat(200));
        let at = |line: usize| file.span((line - 1) * 8, (line - 1) * 8 + 4);
        let diagnostic = Diagnostic::error(codes::DUPLICATE_KEY, "twice").label(at(190), "again").label(at(100), "first");
        let text = drawn(&[diagnostic], &sources);
        assert!(text.contains("[f.yaml:100:1]") && text.contains("[f.yaml:190:1]"), "{text}");
        assert!(!text.contains(" 150 "), "{text}");
    }

    #[test]
    fn hidden_secrets_stay_hidden() {
        let mut sources = Sources::default();
        let file = sources.add("f.yaml", "key: hunter22\nmodle: x\n");
        sources.hide(file.span(5, 13));
        let text = drawn(&[Diagnostic::error(codes::UNKNOWN_KEY, "unknown key").label(file.span(14, 19), "unknown")], &sources);
        assert!(text.contains(" 1 │ key: ********") && !text.contains("hunter22"), "{text}");
    }

    #[test]
    fn too_many_are_counted_and_errors_go_first() {
        let mut sources = Sources::default();
        let files = [sources.add("a", "text\n"), sources.add("b", "text\n")];
        let mut all: Vec<Diagnostic> = (0..24)
            .map(|n| Diagnostic::warning(codes::STRAY_WHITESPACE, format!("warning {n}")).label(files[n % 2].span(0, 4), "here"))
            .collect();
        all.push(Diagnostic::error(codes::SYNTAX, "the error"));
        let text = drawn(&all, &sources);
        assert!(text.contains("× the error") && text.contains("warning 18") && !text.contains("warning 19"), "{text}");
        assert!(
            text.ends_with("\n\n… and 5 more; all of them: patchbay validate --json\n\nerror: 1 error, 24 warnings in 2 files\n"),
            "{text}"
        );
    }

    #[test]
    fn nothing_wrong_is_nothing_said() {
        assert_eq!(drawn(&[], &Sources::default()), "");
    }
}
