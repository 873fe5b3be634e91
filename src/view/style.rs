//! How things look: colours, glyphs and width, and who decides about them.

/// The inks. Only the 16 ANSI colours, so that a terminal's own theme applies, and neither plain blue nor plain
/// magenta, which many themes make unreadable.
pub mod ink {
    use anstyle::{AnsiColor, Style};

    /// Something new, or done.
    pub const CREATE: Style = AnsiColor::Green.on_default();
    /// Something that changes, or a warning.
    pub const UPDATE: Style = AnsiColor::Yellow.on_default();
    /// A secret that changes.
    pub const ROTATE: Style = AnsiColor::BrightMagenta.on_default();
    /// Something that goes away, is blocked or failed.
    pub const REMOVE: Style = AnsiColor::Red.on_default();
    /// What others changed.
    pub const DRIFT: Style = AnsiColor::Cyan.on_default();
    /// Secondary text.
    pub const DIM: Style = Style::new().dimmed();
    /// Names and verdicts.
    pub const STRONG: Style = Style::new().bold();
    /// Everything else.
    pub const PLAIN: Style = Style::new();
}

/// Prose is not set wider than this, however wide the terminal is.
const PROSE: usize = 100;

/// How a view is to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    /// May colours be used?
    pub color: bool,
    /// May glyphs beyond ASCII be used?
    pub unicode: bool,
    /// Columns: the terminal's, or 100.
    pub width: usize,
    /// Does a terminal show it? Then long values are cut.
    pub tty: bool,
    /// Are long values shown whole even on a terminal?
    pub full: bool,
    /// Where relative files are, as a URL with a slash at its end, if the terminal understands hyperlinks.
    pub links: Option<String>,
}

/// The glyphs, each with a fall-back in ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyph {
    /// Something new.
    Create,
    /// Something that changes.
    Update,
    /// Something that goes away.
    Delete,
    /// A secret that changes.
    Rotate,
    /// Something that is deleted and made again.
    Replace,
    /// A live object that is taken over.
    Adopt,
    /// From here to there.
    Arrow,
    /// Something that cannot be done, or failed.
    Blocked,
    /// Something to look at.
    Warning,
    /// Something that was done.
    Done,
    /// Nobody knows.
    Unknown,
    /// The line that leads facts.
    Rule,
    /// Between the parts of a headline, and before what is left alone.
    Dot,
    /// Something was left out.
    Ellipsis,
}

impl Style {
    /// No colours, no terminal: what a file or a test gets.
    #[must_use]
    pub fn plain(width: usize) -> Self {
        Self { color: false, unicode: true, width, tty: false, full: false, links: None }
    }

    /// How wide prose is set.
    #[must_use]
    pub fn prose(&self) -> usize {
        self.width.clamp(40, PROSE)
    }

    /// A text in an ink, if colours may be used.
    #[must_use]
    pub fn paint(&self, ink: anstyle::Style, text: &str) -> String {
        if self.color && !text.is_empty() && ink != ink::PLAIN { format!("{ink}{text}{ink:#}") } else { text.to_owned() }
    }

    /// A text that leads to a URL, where links are understood. It looks the same everywhere.
    #[must_use]
    pub fn link(&self, url: &str, text: &str) -> String {
        if self.links.is_some() { format!("\u{1b}]8;;{url}\u{1b}\\{text}\u{1b}]8;;\u{1b}\\") } else { text.to_owned() }
    }

    /// The URL of a file of the project.
    #[must_use]
    pub fn file_url(&self, file: &str) -> String {
        let mut url = self.links.clone().unwrap_or_default();
        for byte in file.trim_start_matches("./").bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => url.push(char::from(byte)),
                byte => url.push_str(&format!("%{byte:02X}")),
            }
        }
        url
    }

    /// A glyph, or its fall-back.
    #[must_use]
    pub fn glyph(&self, glyph: Glyph) -> &'static str {
        let (unicode, ascii) = match glyph {
            Glyph::Create => ("+", "+"),
            Glyph::Update => ("~", "~"),
            Glyph::Delete => ("-", "-"),
            Glyph::Rotate => ("↻", "*"),
            Glyph::Replace => ("±", "-/+"),
            Glyph::Adopt => ("←", "<"),
            Glyph::Arrow => ("→", "->"),
            Glyph::Blocked => ("✗", "x"),
            Glyph::Warning => ("⚠", "!"),
            Glyph::Done => ("✓", "ok"),
            Glyph::Unknown => ("?", "?"),
            Glyph::Rule => ("│", "|"),
            Glyph::Dot => ("·", "-"),
            Glyph::Ellipsis => ("…", "..."),
        };
        if self.unicode { unicode } else { ascii }
    }
}

/// May a stream be coloured? The first rule that speaks decides: `--color`, `PATCHBAY_COLOR`, `NO_COLOR`,
/// `FORCE_COLOR` and `CLICOLOR_FORCE`, then `CLICOLOR=0` and a terminal that cannot, and at last whether it is a terminal.
/// `CI` turns nothing on: a job may write to a file.
#[must_use]
pub fn choose_color(flag: Option<&str>, env: &dyn Fn(&str) -> Option<String>, is_tty: bool) -> bool {
    let given = |name: &str| env(name).filter(|value| !value.is_empty());
    for word in [flag.map(ToOwned::to_owned), given("PATCHBAY_COLOR")].into_iter().flatten() {
        match word.as_str() {
            "always" => return true,
            "never" => return false,
            _ => {}
        }
    }
    if given("NO_COLOR").is_some() {
        return false;
    }
    if ["FORCE_COLOR", "CLICOLOR_FORCE"].into_iter().any(|name| given(name).is_some_and(|value| value != "0")) {
        return true;
    }
    if given("CLICOLOR").is_some_and(|value| value == "0") || given("TERM").is_none_or(|term| term == "dumb") {
        return false;
    }
    is_tty
}

/// May glyphs beyond ASCII be used? Not if `PATCHBAY_ASCII` says so, not on the bare Linux console, whose fonts lack
/// them, and only if the locale is UTF-8.
#[must_use]
pub fn choose_unicode(env: &dyn Fn(&str) -> Option<String>) -> bool {
    let given = |name: &str| env(name).filter(|value| !value.is_empty());
    if given("PATCHBAY_ASCII").is_some_and(|value| value != "0") || given("TERM").is_some_and(|term| term == "linux") {
        return false;
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(given).unwrap_or_default().to_ascii_uppercase();
    locale.contains("UTF-8") || locale.contains("UTF8")
}

/// Does the terminal understand hyperlinks (OSC 8)? There is no way to ask, and some print the escape codes, so only
/// those that say who they are get links. `FORCE_HYPERLINK` decides where it is set.
#[must_use]
pub fn knows_links(env: &dyn Fn(&str) -> Option<String>) -> bool {
    let given = |name: &str| env(name).filter(|value| !value.is_empty());
    if let Some(forced) = given("FORCE_HYPERLINK") {
        return forced != "0";
    }
    if given("TERM").is_none_or(|term| term == "dumb") || ["TMUX", "STY", "CI"].into_iter().any(|name| given(name).is_some()) {
        return false;
    }
    let number = |name: &str| given(name).and_then(|value| value.parse::<u32>().ok()).unwrap_or(0);
    let program = given("TERM_PROGRAM").unwrap_or_default();
    let term = given("TERM").unwrap_or_default();
    number("VTE_VERSION") >= 5000
        || ["iTerm.app", "WezTerm", "vscode", "ghostty", "Hyper", "rio", "Tabby"].contains(&program.as_str())
        || ["xterm-kitty", "xterm-ghostty", "alacritty", "foot", "contour", "wezterm"].iter().any(|known| term.starts_with(known))
        || ["KONSOLE_VERSION", "WT_SESSION", "DOMTERM"].into_iter().any(|name| given(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    type Vars = &'static [(&'static str, &'static str)];

    fn env(vars: Vars) -> impl Fn(&str) -> Option<String> {
        move |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
    }

    const PIPE: bool = false;
    const TTY: bool = true;
    const TERM: (&str, &str) = ("TERM", "xterm-256color");

    #[test]
    fn the_fourteen_environments() {
        let rows: [(bool, Vars, bool); 14] = [
            (PIPE, &[TERM, ("FORCE_COLOR", "1")], true),
            (PIPE, &[TERM, ("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false),
            (PIPE, &[TERM, ("CLICOLOR_FORCE", "0")], false),
            (PIPE, &[TERM, ("CLICOLOR_FORCE", "1")], true),
            (PIPE, &[TERM, ("NO_COLOR", ""), ("CLICOLOR_FORCE", "1")], true),
            (PIPE, &[TERM], false),
            (PIPE, &[TERM, ("CI", "true")], false),
            (TTY, &[TERM], true),
            (TTY, &[TERM, ("NO_COLOR", "1")], false),
            (TTY, &[("TERM", "dumb")], false),
            (TTY, &[TERM, ("NO_COLOR", "")], true),
            (TTY, &[TERM, ("NO_COLOR", "0")], false),
            (TTY, &[TERM, ("CLICOLOR", "0")], false),
            (TTY, &[TERM, ("NO_COLOR", "1"), ("FORCE_COLOR", "1")], false),
        ];
        for (tty, vars, wanted) in rows {
            assert_eq!(choose_color(None, &env(vars), tty), wanted, "tty: {tty}, {vars:?}");
        }
    }

    #[test]
    fn the_flag_and_our_own_variable_come_first() {
        let rows: [(Option<&str>, Vars, bool); 8] = [
            (Some("always"), &[("NO_COLOR", "1"), ("PATCHBAY_COLOR", "never")], true),
            (Some("never"), &[TERM, ("FORCE_COLOR", "1"), ("PATCHBAY_COLOR", "always")], false),
            (Some("auto"), &[TERM], true),
            (Some("auto"), &[TERM, ("PATCHBAY_COLOR", "never")], false),
            (None, &[("PATCHBAY_COLOR", "always"), ("NO_COLOR", "1")], true),
            (None, &[TERM, ("PATCHBAY_COLOR", ""), ("NO_COLOR", "1")], false),
            (None, &[TERM, ("PATCHBAY_COLOR", "auto")], true),
            (None, &[], false),
        ];
        for (flag, vars, wanted) in rows {
            assert_eq!(choose_color(flag, &env(vars), TTY), wanted, "{flag:?}, {vars:?}");
        }
    }

    #[test]
    fn glyphs_need_a_utf_8_locale() {
        let rows: [(Vars, bool); 10] = [
            (&[], false),
            (&[("LANG", "C")], false),
            (&[("LANG", "en_GB.UTF-8")], true),
            (&[("LANG", "C.utf8")], true),
            (&[("LC_CTYPE", "de_DE.UTF-8@euro"), ("LANG", "C")], true),
            (&[("LC_ALL", "C"), ("LC_CTYPE", "C.UTF-8"), ("LANG", "C.UTF-8")], false),
            (&[("LC_ALL", ""), ("LANG", "C.UTF-8")], true),
            (&[("PATCHBAY_ASCII", "1"), ("LANG", "C.UTF-8")], false),
            (&[("PATCHBAY_ASCII", "0"), ("LANG", "C.UTF-8")], true),
            (&[("TERM", "linux"), ("LANG", "C.UTF-8")], false),
        ];
        for (vars, wanted) in rows {
            assert_eq!(choose_unicode(&env(vars)), wanted, "{vars:?}");
        }
    }

    #[test]
    fn links_are_for_terminals_that_are_known_to_have_them() {
        let rows: [(Vars, bool); 11] = [
            (&[TERM], false),
            (&[TERM, ("VTE_VERSION", "7200")], true),
            (&[TERM, ("VTE_VERSION", "4800")], false),
            (&[TERM, ("TERM_PROGRAM", "WezTerm")], true),
            (&[TERM, ("TERM_PROGRAM", "Apple_Terminal")], false),
            (&[("TERM", "xterm-kitty")], true),
            (&[("TERM", "xterm-kitty"), ("TMUX", "/tmp/tmux-0")], false),
            (&[("TERM", "xterm-kitty"), ("CI", "true")], false),
            (&[("TERM", "dumb"), ("VTE_VERSION", "7200")], false),
            (&[TERM, ("FORCE_HYPERLINK", "1"), ("TMUX", "x")], true),
            (&[("TERM", "xterm-kitty"), ("FORCE_HYPERLINK", "0")], false),
        ];
        for (vars, wanted) in rows {
            assert_eq!(knows_links(&env(vars)), wanted, "{vars:?}");
        }
    }

    #[test]
    fn paint_needs_permission() {
        let mut style = Style::plain(100);
        assert_eq!(style.paint(ink::CREATE, "+"), "+");
        style.color = true;
        assert_eq!(style.paint(ink::CREATE, "+"), "\u{1b}[32m+\u{1b}[0m");
        assert_eq!(style.paint(ink::ROTATE, "x"), "\u{1b}[95mx\u{1b}[0m");
        assert_eq!(style.paint(ink::PLAIN, "x"), "x");
        assert_eq!(style.paint(ink::CREATE, ""), "");
    }

    #[test]
    fn every_glyph_has_a_fall_back() {
        use Glyph as G;
        let unicode = Style::plain(100);
        let ascii = Style { unicode: false, ..Style::plain(100) };
        let all = [
            G::Create,
            G::Update,
            G::Delete,
            G::Rotate,
            G::Replace,
            G::Adopt,
            G::Arrow,
            G::Blocked,
            G::Warning,
            G::Done,
            G::Unknown,
            G::Rule,
            G::Dot,
            G::Ellipsis,
        ];
        for glyph in all {
            assert!(ascii.glyph(glyph).is_ascii(), "{glyph:?}");
            assert_eq!(unicode.glyph(glyph).chars().count(), 1, "{glyph:?}");
        }
    }

    #[test]
    fn prose_stays_readable() {
        assert_eq!([20, 72, 100, 300].map(|width| Style::plain(width).prose()), [40, 72, 100, 100]);
    }
}
