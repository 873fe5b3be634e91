//! The live region of an apply on a terminal: finished changes scroll, what runs is drawn again below them.

use std::time::Duration;

use super::style::{Glyph, Style, ink};
use super::text::{Line, clean, count, duration, width};
use super::{apply, text};
use crate::address::Address;
use crate::engine::event::{Ending, Event};
use crate::plan::model::Action;

/// At most so many running changes have a line of their own.
const SHOWN: usize = 8;
/// Cells of the bar.
const BAR: usize = 20;
/// Longer addresses do not push what follows to the right.
const WIDEST: usize = 48;

/// How far an apply is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Changes that there are to make.
    pub total: usize,
    /// Changes that have ended, one way or the other.
    pub ended: usize,
    /// What runs, oldest first, with the time since it began.
    pub running: Vec<(Address, Action, Duration)>,
    /// Time since the first change began.
    pub elapsed: Duration,
    /// Does nothing new begin any more?
    pub stopping: bool,
    /// The column in which addresses end.
    pub column: usize,
}

impl Progress {
    /// For so many changes of these addresses.
    pub fn new<'a>(addresses: impl Iterator<Item = &'a Address>) -> Self {
        let widths: Vec<usize> = addresses.map(|address| width(&address.to_string())).collect();
        let column = widths.iter().copied().filter(|w| *w <= WIDEST).max().unwrap_or(0);
        Self { total: widths.len(), column, ..Self::default() }
    }
}

/// The lines of the region, none wider than the terminal, and fewer than its `rows`: what has scrolled away cannot be
/// drawn over. `frame` counts drawings, for the spinner.
#[must_use]
pub fn region(progress: &Progress, frame: usize, rows: usize, style: &Style) -> Vec<String> {
    let spinner = if style.unicode { ["⠋", "⠙", "⠸", "⠴", "⠦", "⠇"] } else { ["|", "/", "-", "\\", "|", "/"] };
    let spinner = spinner[frame % spinner.len()];
    let mut all = Vec::new();
    // One line for the bar, one for those that are not shown, one for the cursor.
    let shown = SHOWN.min(rows.saturating_sub(3));
    for (address, action, elapsed) in progress.running.iter().take(shown) {
        let line = head(spinner, apply::doing_word(*action), ink::UPDATE, style);
        let line = line.put(ink::PLAIN, &address.to_string()).until(14 + progress.column);
        all.push(cut(line.also(ink::DIM, &duration(*elapsed)), style));
    }
    let more = progress.running.len().saturating_sub(shown);
    if more > 0 && rows > 2 {
        all.push(cut(Line::new(style, 4).put(ink::DIM, &format!("and {more} more")), style));
    }
    let done = (progress.ended * BAR).checked_div(progress.total).unwrap_or(0).min(BAR);
    let (full, empty) = if style.unicode { ("━", "─") } else { ("#", "-") };
    let hint =
        if progress.stopping { "nothing new begins; Ctrl-C again abandons what runs" } else { "Ctrl-C finishes what is running" };
    let bar = Line::new(style, 2)
        .put(ink::CREATE, &full.repeat(done))
        .put(ink::DIM, &empty.repeat(BAR - done))
        .put(ink::PLAIN, &format!(" {}/{}", progress.ended, progress.total))
        .also(ink::DIM, &format!("{} running", progress.running.len()))
        .also(ink::DIM, &duration(progress.elapsed));
    let bar = if bar.width() + 3 + width(hint) < style.width { bar.also(ink::DIM, hint) } else { bar };
    all.push(cut(bar, style));
    all
}

/// The line that stays of a change that ended; `None` for events that have lines of their own.
#[must_use]
pub fn finished(event: &Event, column: usize, style: &Style) -> Option<String> {
    let Event::Ended { address, action, ending, elapsed } = event else { return None };
    let done = apply::done_word(*action);
    if done.is_empty() {
        return None;
    }
    let (glyph, word, ink, more) = match ending {
        Ending::Done { id, .. } => {
            let id = id.as_deref().filter(|_| matches!(action, Action::Create | Action::Adopt)).map(clean).unwrap_or_default();
            (Glyph::Done, done, ink::CREATE, id)
        }
        Ending::Failed(why) => (Glyph::Blocked, "failed", ink::REMOVE, apply::brief(why)),
        Ending::Unknown(why) => (Glyph::Unknown, "unknown", ink::UPDATE, apply::brief(why)),
        Ending::Skipped(why) => (Glyph::Dot, "skipped", ink::DIM, clean(why)),
    };
    let line = head(style.glyph(glyph), word, ink, style);
    let line = line.put(ink::PLAIN, &address.to_string()).until(14 + column);
    let took = if matches!(ending, Ending::Skipped(_)) { String::new() } else { duration(*elapsed) };
    let mut text = line.also(ink::DIM, &took).also_below(ink::PLAIN, &more, 14).end();
    if let Ending::Done { warnings, .. } = ending {
        for warning in warnings {
            let line = head(style.glyph(Glyph::Warning), "warning", ink::UPDATE, style);
            text.push('\n');
            text.push_str(&line.put(ink::PLAIN, &address.to_string()).also_below(ink::PLAIN, &apply::brief(warning), 14).end());
        }
    }
    Some(text)
}

/// What is waited for before anything is known: `kore-prod: reading the list`.
#[must_use]
pub fn waiting(event: &Event, style: &Style) -> Option<String> {
    let text = match event {
        Event::Listing { target } => format!("{}: reading the list", clean(target)),
        Event::Reading { target, count: n } => format!("{}: reading {}", clean(target), count(*n, "connection")),
        _ => return None,
    };
    let text = text::fit(&text, style.width.saturating_sub(5), &Style { tty: true, full: false, ..style.clone() });
    Some(Line::new(style, 2).put(ink::DIM, style.glyph(Glyph::Dot)).put(ink::PLAIN, " ").put(ink::DIM, &text).end())
}

fn head<'s>(glyph: &str, word: &str, ink: anstyle::Style, style: &'s Style) -> Line<'s> {
    Line::new(style, 2).put(ink, &format!("{glyph} {word}")).until(14)
}

/// A line that wraps would be drawn over by halves.
fn cut(line: Line<'_>, style: &Style) -> String {
    line.end_within(style.width.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Diagnostic, codes};
    use crate::view::samples::address;

    fn progress() -> Progress {
        let all = [address("kore-prod/claude-haiku"), address("gateway/openai"), address("kore-prod/groq-llama")];
        Progress {
            ended: 1,
            running: vec![
                (all[2].clone(), Action::Update, Duration::from_millis(2100)),
                (all[1].clone(), Action::Rotate, Duration::from_millis(100)),
            ],
            elapsed: Duration::from_millis(2600),
            ..Progress::new(all.iter())
        }
    }

    #[test]
    fn what_runs_is_listed_above_the_bar() {
        assert_eq!(
            region(&progress(), 2, 24, &Style::plain(80)),
            [
                "  ⠸ updating  kore-prod/groq-llama     2.1s",
                "  ⠸ rotating  gateway/openai           0.1s",
                "  ━━━━━━────────────── 1/3   2 running   2.6s   Ctrl-C finishes what is running",
            ]
        );
        let ascii = Style { unicode: false, ..Style::plain(60) };
        let stopping = Progress { stopping: true, running: Vec::new(), ended: 3, ..progress() };
        assert_eq!(region(&stopping, 0, 24, &ascii), ["  #################### 3/3   0 running   2.6s"]);
    }

    #[test]
    fn many_are_counted_and_no_line_wraps() {
        let name = format!("kore-prod/{}", "x".repeat(90));
        let running = (0..30).map(|_| (address(&name), Action::Create, Duration::ZERO)).collect();
        let progress = Progress { total: 30, running, ..Progress::default() };
        for color in [false, true] {
            let style = Style { color, tty: true, ..Style::plain(60) };
            for (rows, lines) in [(24, SHOWN + 2), (11, SHOWN + 2), (10, 9), (4, 3), (3, 2), (2, 1), (1, 1)] {
                assert_eq!(region(&progress, 0, rows, &style).len(), lines, "{rows} rows");
            }
            let lines = region(&progress, 0, 24, &style);
            for line in &lines {
                let mut bare = String::new();
                let mut escape = false;
                for c in line.chars() {
                    match c {
                        '\u{1b}' => escape = true,
                        'm' if escape => escape = false,
                        c if !escape => bare.push(c),
                        _ => {}
                    }
                }
                assert!(width(&bare) < 60, "{bare}");
            }
        }
    }

    #[test]
    fn what_ended_stays() {
        let ended = |action, ending| Event::Ended {
            address: address("gateway/openai"),
            action,
            ending,
            elapsed: Duration::from_millis(400),
        };
        let done = |warnings| Ending::Done { id: Some("cn-5".into()), warnings };
        let why = || Diagnostic::error(codes::INVALID, "the API said no (400)");
        let rows = [
            (ended(Action::Create, done(vec![])), "  ✓ created   gateway/openai     0.4s   cn-5"),
            (ended(Action::Update, done(vec![])), "  ✓ updated   gateway/openai     0.4s"),
            (
                ended(Action::Update, Ending::Failed(why())),
                "  ✗ failed    gateway/openai     0.4s   PB0605 the API said no (400)",
            ),
            (
                ended(Action::Update, Ending::Unknown(why())),
                "  ? unknown   gateway/openai     0.4s   PB0605 the API said no (400)",
            ),
            (ended(Action::Update, Ending::Skipped("interrupted".into())), "  · skipped   gateway/openai     interrupted"),
            (
                ended(Action::Update, done(vec![why()])),
                "  ✓ updated   gateway/openai     0.4s\n  ⚠ warning   gateway/openai   PB0605 the API said no (400)",
            ),
        ];
        for (event, wanted) in rows {
            assert_eq!(finished(&event, 16, &Style::plain(80)).as_deref(), Some(wanted));
        }
        assert_eq!(finished(&ended(Action::Unchanged, done(vec![])), 16, &Style::plain(80)), None);
        assert_eq!(finished(&Event::Stopping { in_flight: 1 }, 16, &Style::plain(80)), None);
    }

    #[test]
    fn what_is_waited_for_is_said_before() {
        let style = Style::plain(80);
        assert_eq!(waiting(&Event::Listing { target: "kore".into() }, &style).as_deref(), Some("  · kore: reading the list"));
        assert_eq!(
            waiting(&Event::Reading { target: "kore".into(), count: 3 }, &style).as_deref(),
            Some("  · kore: reading 3 connections")
        );
        assert_eq!(waiting(&Event::Stopping { in_flight: 0 }, &style), None);
    }
}
