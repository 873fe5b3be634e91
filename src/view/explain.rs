//! The pages of the diagnostics' codes, compiled in, and how a terminal shows them.
//!
//! The pages are written in a small part of Markdown: headings, paragraphs, lists, fenced blocks, inline code. They are
//! published as they are, and their examples are tests.

use super::style::{Style, ink};
use super::text::wrap;
use crate::diagnostic::{Code, codes};

macro_rules! pages {
    ($($number:literal)*) => {
        const PAGES: &[(&str, &str)] = &[$((concat!("PB", $number), include_str!(concat!("../../docs/errors/PB", $number, ".md")))),*];
    };
}

pages! {
    "0099" "0100" "0101" "0102" "0103" "0104" "0105" "0106" "0107" "0108" "0109" "0110"
    "0111" "0112" "0113" "0114" "0115" "0116" "0201" "0202" "0203" "0204" "0205" "0206"
    "0207" "0301" "0302" "0303" "0304" "0305" "0306" "0307" "0401" "0402" "0403" "0404"
    "0405" "0406" "0407" "0408" "0501" "0502" "0503" "0504" "0505" "0506" "0507" "0601"
    "0602" "0603" "0604" "0605" "0606" "0607" "0608" "0609" "0610" "0611" "0612" "0613"
    "0614" "0615" "0701" "0702" "0703" "0704" "0705" "0706" "0901"
}

/// What is no code and has a page all the same.
const TOPICS: &[(&str, &str)] = &[("exit-codes", include_str!("../../docs/exit-codes.md"))];

/// The page of a code or a topic. Codes may be written `PB0103`, `pb0103`, `0103` or `103`.
#[must_use]
pub fn page(subject: &str) -> Option<(String, &'static str)> {
    let wanted = subject.trim().to_ascii_lowercase();
    if let Some((name, text)) = TOPICS.iter().find(|(name, _)| *name == wanted) {
        return Some(((*name).to_owned(), text));
    }
    let digits = wanted.strip_prefix("pb").unwrap_or(&wanted);
    let number: u16 = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))?;
    let id = format!("PB{number:04}");
    PAGES.iter().find(|(name, _)| *name == id).map(|(_, text)| (id, *text))
}

/// Everything that has a page: what it is called, and its title.
#[must_use]
pub fn subjects() -> Vec<(String, &'static str)> {
    let title = |text: &'static str| text.lines().next().unwrap_or_default().trim_start_matches("# ");
    let topics = TOPICS.iter().map(|(name, text)| ((*name).to_owned(), title(text)));
    topics.chain(codes::ALL.iter().map(|(code, title): &(Code, &'static str)| (code.id(), *title))).collect()
}

/// A page for a terminal.
#[must_use]
pub fn render(text: &str, style: &Style) -> String {
    let room = style.prose().min(80);
    let mut lines: Vec<String> = Vec::new();
    let mut paragraph = String::new();
    let mut fence: Option<String> = None;
    for line in text.lines() {
        if let Some(close) = &fence {
            if line.trim_end() == close {
                fence = None;
            } else {
                lines.push(code_line(line, style));
            }
        } else if line.starts_with("```") {
            flush(&mut paragraph, &mut lines, room, style);
            let ticks: String = line.chars().take_while(|c| *c == '`').collect();
            // The second word of the info string is the file that the block is.
            if let Some(name) = line[ticks.len()..].split_whitespace().nth(1) {
                lines.push(format!("    {}", style.paint(ink::DIM, name)));
            }
            fence = Some(ticks);
        } else if let Some(heading) = line.strip_prefix('#') {
            flush(&mut paragraph, &mut lines, room, style);
            lines.push(style.paint(ink::STRONG, heading.trim_start_matches('#').trim()));
        } else if line.trim().is_empty() {
            flush(&mut paragraph, &mut lines, room, style);
            if lines.last().is_some_and(|last| !last.is_empty()) {
                lines.push(String::new());
            }
        } else if line.starts_with('|') {
            // Tables are narrow by rule, and stay as they are.
            flush(&mut paragraph, &mut lines, room, style);
            lines.push(inline(line, style));
        } else if line.starts_with("- ") {
            flush(&mut paragraph, &mut lines, room, style);
            paragraph.push_str(line);
        } else {
            if !paragraph.is_empty() {
                paragraph.push(' ');
            }
            paragraph.push_str(line.trim());
        }
    }
    flush(&mut paragraph, &mut lines, room, style);
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n") + "\n"
}

fn code_line(line: &str, style: &Style) -> String {
    if line.is_empty() {
        String::new()
    } else if let Some(command) = line.strip_prefix("$ ") {
        format!("    {} {}", style.paint(ink::DIM, "$"), style.paint(ink::STRONG, command))
    } else {
        format!("    {}", style.paint(ink::DRIFT, line))
    }
}

fn flush(paragraph: &mut String, lines: &mut Vec<String>, room: usize, style: &Style) {
    if paragraph.is_empty() {
        return;
    }
    let text = std::mem::take(paragraph);
    match text.strip_prefix("- ") {
        Some(item) => {
            for (n, line) in wrap(item, room.saturating_sub(2)).iter().enumerate() {
                lines.push(format!("{}{}", if n == 0 { "- " } else { "  " }, inline(line, style)));
            }
        }
        None => lines.extend(wrap(&text, room).iter().map(|line| inline(line, style))),
    }
}

/// Inline code in colour where there is colour, in backticks otherwise; emphasis without its stars.
fn inline(line: &str, style: &Style) -> String {
    if !style.color {
        return line.to_owned();
    }
    let mut text = String::new();
    for (n, part) in line.split('`').enumerate() {
        text.push_str(&if n % 2 == 1 { style.paint(ink::DRIFT, part) } else { part.to_owned() });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_page_with_its_title() {
        for (code, title) in codes::ALL {
            let (id, text) = page(&code.id()).unwrap_or_else(|| panic!("{} has no page", code.id()));
            assert_eq!(text.lines().next(), Some(format!("# {id}: {title}").as_str()));
        }
        assert_eq!(PAGES.len(), codes::ALL.len(), "a page without a code");
    }

    #[test]
    fn codes_are_found_as_people_write_them() {
        for written in ["PB0103", "pb0103", "0103", "103", " PB0103 "] {
            assert_eq!(page(written).map(|(id, _)| id).as_deref(), Some("PB0103"), "{written}");
        }
        assert_eq!(page("Exit-Codes").map(|(id, _)| id).as_deref(), Some("exit-codes"));
        for written in ["", "PB9999", "PB01x3", "+103", "99999999", "PB"] {
            assert_eq!(page(written), None, "{written}");
        }
        assert!(subjects().iter().any(|(id, title)| id == "PB0103" && *title == "not an accepted value"));
    }

    #[test]
    fn pages_are_set_for_the_terminal() {
        let text = "# PB0001: a title\n\nSome words with `code` that go on and on until\nthe line ends.\n\n## Failing\n\n```yaml a.yaml\na: 1\n\nb: 2\n```\n\n```console\n$ patchbay plan\n```\n\n- one thing that is\n  rather long for a line of this width\n- two\n";
        let wanted = "PB0001: a title\n\nSome words with `code` that go on and on\nuntil the line ends.\n\nFailing\n\n    a.yaml\n    a: 1\n\n    b: 2\n\n    $ patchbay plan\n\n- one thing that is rather long for a\n  line of this width\n- two\n";
        assert_eq!(render(text, &Style::plain(40)), wanted);
        let coloured = render(text, &Style { color: true, ..Style::plain(60) });
        assert!(coloured.contains("\u{1b}[36mcode\u{1b}[0m") && !coloured.contains('`'), "{coloured}");
    }
}
