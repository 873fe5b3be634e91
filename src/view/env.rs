//! The variables that the files read, for people.

use super::style::{Style, ink};
use super::text::{Line, clean, width};

/// One variable, apart from its value.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// `set`, `NOT SET`
    pub status: &'static str,
    /// Does it have a value?
    pub is_set: bool,
    /// Would plan and apply stop because of it?
    pub is_missing: bool,
    /// What set it: `environment`, `default`, an environment file.
    pub origin: String,
    /// Where it is read.
    pub places: String,
}

/// A line for each; on a narrow terminal, where it is read stands below.
#[must_use]
pub fn render(rows: &[Row], style: &Style) -> String {
    let widest = |cell: &dyn Fn(&Row) -> String| rows.iter().map(|row| width(&cell(row))).max().unwrap_or(0);
    let status = widest(&|row| clean(&row.name)) + 2;
    let origin = status + widest(&|row| row.status.to_owned()) + 2;
    let end = origin + widest(&|row| clean(&row.origin));
    let mut text = String::new();
    for row in rows {
        let colour = match row.is_set {
            true => ink::CREATE,
            false if row.is_missing => ink::REMOVE,
            false => ink::DIM,
        };
        let line = Line::new(style, 0).put(ink::PLAIN, &clean(&row.name)).until(status).put(colour, row.status);
        let line = line.until(origin).put(ink::PLAIN, &clean(&row.origin)).until(end);
        text.push_str(&line.also_below(ink::DIM, &row.places, 4).end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, status: &'static str, is_set: bool, places: &str) -> Row {
        let origin = if is_set { "environment" } else { "-" }.to_owned();
        Row { name: name.to_owned(), status, is_set, is_missing: !is_set, origin, places: places.to_owned() }
    }

    #[test]
    fn places_stand_beside_or_below() {
        let rows =
            [row("OPENAI_API_KEY", "set", true, "a.yaml:1"), row("B", "NOT SET", false, "connections/one.yaml:12, b.yaml:3")];
        assert_eq!(
            render(&rows, &Style::plain(60)),
            "OPENAI_API_KEY  set      environment   a.yaml:1\n\
             B               NOT SET  -             connections/one.yaml:12, b.yaml:3\n"
        );
        assert_eq!(
            render(&rows, &Style { tty: true, ..Style::plain(60) }),
            "OPENAI_API_KEY  set      environment   a.yaml:1\n\
             B               NOT SET  -\n    connections/one.yaml:12, b.yaml:3\n"
        );
    }
}
