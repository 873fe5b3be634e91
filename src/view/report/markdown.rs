//! A comment on a pull or merge request. A hidden first line tells a later run which comment to replace.

use std::collections::BTreeMap;

use super::Around;
use crate::view::digest::{Digest, Finding, Item, Level};
use crate::view::text::{count, duration};

/// GitHub takes 65,536 characters, others more; what the CI system adds around it needs room, too.
pub const BUDGET: usize = 60_000;

/// Of the budget, so much may be spent on the table before details get any.
const TABLE: usize = 2; // a half

/// Renders a run in at most `budget` characters.
#[must_use]
pub fn render(digest: &Digest, around: &Around, budget: usize) -> String {
    let mut items: Vec<&Item> = digest.items.iter().filter(|item| !is_quiet(item)).collect();
    items.sort_by_key(|item| std::cmp::Reverse(danger(item)));
    let head = format!("{}\n### patchbay {}: {}\n", marker(digest, around), digest.command, verdict(digest));
    let foot = format!("\n<sub>{}</sub>\n", footer(digest, around));
    let left = Budget(budget.saturating_sub(length(&head) + length(&foot)));
    let mut text = head;
    let mut left = left;
    findings(digest, around, &mut text, &mut left);
    table(&items, &mut text, &mut left);
    details(&items, &mut text, &mut left);
    text + &foot
}

/// Characters that may still be written.
struct Budget(usize);

impl Budget {
    /// Takes what a text needs, if it is there and `reserve` stays.
    fn take(&mut self, text: &str, reserve: usize) -> bool {
        let needed = length(text) + reserve;
        let fits = needed <= self.0;
        if fits {
            self.0 -= length(text);
        }
        fits
    }
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// So many findings of one code are told.
const ALIKE: usize = 5;

/// Room for the line that says what was left out.
const MORE: usize = 120;

fn marker(digest: &Digest, around: &Around) -> String {
    // A comment ends at two hyphens and a bracket; neither lineages nor folders may end it early.
    let safe = |text: &str| text.replace("--", "-_").replace(['<', '>', '\n'], "_");
    // Nothing that a run which fails early does not know: its comment must replace the one of the run before.
    let profile = around.profile.as_deref().map(|profile| format!(":{}", safe(profile))).unwrap_or_default();
    format!("<!-- patchbay:{}:{}{profile} -->", digest.command, safe(&around.chdir))
}

/// What goes away is in bold.
fn verdict(digest: &Digest) -> String {
    let loud = ["delete", "replace", "missing", "failed", "unknown"];
    let parts = digest.verdict.split(", ").map(|part| {
        let is_loud = part.split(' ').nth(1).is_some_and(|word| loud.contains(&word));
        if is_loud { format!("**{part}**") } else { part.to_owned() }
    });
    escape(&parts.collect::<Vec<_>>().join(", ")).replace("\\*", "*")
}

fn footer(digest: &Digest, around: &Around) -> String {
    let mut parts = Vec::new();
    if !digest.state.is_empty() {
        parts.push(format!("state {}", code(&digest.state)));
    }
    if let Some(commit) = &around.commit {
        parts.push(format!("commit {}", code(&commit.chars().take(7).collect::<String>())));
    }
    parts.push(format!("patchbay {}", env!("CARGO_PKG_VERSION")));
    if digest.requests > 0 {
        parts.push(count(usize::try_from(digest.requests).unwrap_or(usize::MAX), "request"));
    }
    parts.push(duration(digest.elapsed));
    match (&around.saved, digest.command) {
        (Some(plan), "plan") if !digest.items.iter().all(is_quiet) => {
            parts.push(format!("apply with {}", code(&format!("patchbay apply {plan}"))));
        }
        (None, "plan") if !digest.items.iter().all(is_quiet) => parts.push(format!("apply with {}", code("patchbay apply"))),
        (_, "drift") if digest.items.iter().any(|item| item.has_drifted) => {
            parts.push(format!("put it back with {}", code("patchbay apply")));
        }
        _ => {}
    }
    parts.join(" · ")
}

/// Nobody needs to read of these.
fn is_quiet(item: &Item) -> bool {
    matches!(item.word, "unchanged" | "valid" | "passed")
}

/// What must be read first.
fn danger(item: &Item) -> u8 {
    match item.word {
        "delete" | "replace" | "missing" | "failed" | "unknown" => 9,
        "blocked" | "invalid" => 8,
        "drifted" => 7,
        "rotate" => 6,
        "update" => 5,
        "create" | "adopt" | "move" => 4,
        "orphan" | "forget" | "skipped" => 3,
        _ => 1,
    }
}

fn findings(digest: &Digest, around: &Around, text: &mut String, left: &mut Budget) {
    // Drift has its rows in the table.
    let all = || digest.findings.iter().filter(|finding| finding.code != "drift");
    // The table names every connection; a list of the same over and over hides the rest.
    let mut like: BTreeMap<&str, usize> = BTreeMap::new();
    let told: Vec<&Finding> = all()
        .filter(|finding| {
            let seen = like.entry(finding.code.as_str()).or_default();
            *seen += 1;
            *seen <= ALIKE
        })
        .collect();
    for (n, finding) in told.iter().enumerate() {
        let sign = match finding.level {
            Level::Error => ":x:",
            Level::Warning => ":warning:",
            Level::Note => ":information_source:",
        };
        let name = match &finding.url {
            Some(url) => format!("[{}]({url})", finding.code),
            None => code(&finding.code),
        };
        let place = finding
            .spot
            .as_ref()
            .map(|spot| format!(" — {}", code(&format!("{}:{}", around.in_repository(&spot.file), spot.line))));
        let message = finding.message.lines().map(prose).collect::<Vec<_>>().join("<br>");
        let help: String = finding
            .help
            .lines()
            .enumerate()
            .map(|(n, line)| format!("<br>{}{}", if n == 0 { "help: " } else { "" }, prose(line)))
            .collect();
        let line = format!("{}- {sign} {name} {message}{}{help}\n", if n == 0 { "\n" } else { "" }, place.unwrap_or_default());
        if !left.take(&line, MORE) {
            let more = format!("- … and {} more\n", told.len() - n);
            left.take(&more, 0);
            text.push_str(&more);
            return;
        }
        text.push_str(&line);
    }
    for (code, n) in like.iter().filter(|(_, n)| **n > ALIKE) {
        let line = format!("- … and {} more of {code}\n", n - ALIKE);
        if left.take(&line, 0) {
            text.push_str(&line);
        }
    }
}

fn table(items: &[&Item], text: &mut String, left: &mut Budget) {
    if items.is_empty() {
        return;
    }
    let head = "\n| | connection | what |\n|--|--|--|\n";
    left.take(head, 0);
    text.push_str(head);
    let reserve = left.0 / TABLE;
    for (n, item) in items.iter().enumerate() {
        let what = if item.gist.is_empty() { String::new() } else { cell(&item.gist) };
        let row = format!("| {} {} | {} | {what} |\n", code(item.sign), item.word, cell_code(&item.address));
        if !left.take(&row, reserve.max(MORE)) {
            let more = format!("| | … and {} more | {} |\n", items.len() - n, the_rest(&items[n..]));
            left.take(&more, 0);
            text.push_str(&more);
            return;
        }
        text.push_str(&row);
    }
}

/// `12 update, 3 create`
fn the_rest(items: &[&Item]) -> String {
    let mut numbers: Vec<(&str, usize)> = Vec::new();
    for item in items {
        match numbers.iter_mut().find(|(word, _)| *word == item.word) {
            Some((_, n)) => *n += 1,
            None => numbers.push((item.word, 1)),
        }
    }
    numbers.iter().map(|(word, n)| format!("{n} {word}")).collect::<Vec<_>>().join(", ")
}

fn details(items: &[&Item], text: &mut String, left: &mut Budget) {
    let with: Vec<&&Item> = items.iter().filter(|item| !item.detail.is_empty()).collect();
    let mut omitted = 0;
    for item in with {
        let fence = fence(&item.detail);
        let open = if danger(item) >= 8 { " open" } else { "" };
        let block = format!(
            "\n<details{open}><summary><code>{}</code> — {}</summary>\n\n{fence}diff\n{}\n{fence}\n</details>\n",
            html(&item.address),
            html(item.word),
            item.detail.join("\n")
        );
        if left.take(&block, MORE) {
            text.push_str(&block);
        } else {
            omitted += 1;
        }
    }
    if omitted > 0 {
        let more = format!("\nThe details of {} found no room here.\n", count(omitted, "connection"));
        left.take(&more, 0);
        text.push_str(&more);
    }
}

/// Longer than any run of backticks inside.
fn fence(lines: &[String]) -> String {
    let longest = lines.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// Text between tags.
fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Running text: nothing of it is markup, and nobody is mentioned.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' => escaped.extend(['\\', c]),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // A joiner of no width: the text looks the same and is no mention.
            '@' => escaped.push_str("@\u{2060}"),
            '\n' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Our own sentences: what stands between backticks is code, if they come in pairs.
fn prose(text: &str) -> String {
    let pieces: Vec<&str> = text.split('`').collect();
    if pieces.len().is_multiple_of(2) || pieces.iter().skip(1).step_by(2).any(|piece| piece.trim().is_empty()) {
        return escape(text);
    }
    let piece = |(n, piece): (usize, &&str)| if n % 2 == 0 { escape(piece) } else { cell_code(piece) };
    pieces.iter().enumerate().map(piece).collect()
}

/// A cell of a table, cut: the details have the whole.
fn cell(text: &str) -> String {
    const LONGEST: usize = 160;
    let short: String = text.chars().take(LONGEST).collect();
    let cut = if short.len() < text.len() { " …" } else { "" };
    prose(&short) + cut
}

/// Code in a cell: a bar would end the cell even here.
fn cell_code(text: &str) -> String {
    code(&text.replace('|', "\u{2502}"))
}

/// Inline code, fenced by more backticks than it holds.
fn code(text: &str) -> String {
    if !text.contains('`') {
        return format!("`{text}`");
    }
    let fence = fence(&[text.to_owned()]);
    format!("{fence} {text} {fence}")
}
