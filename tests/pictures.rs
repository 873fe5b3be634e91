//! The pictures of the documentation are what the program prints, in a dark and a light theme. `UPDATE_EXPECT=1` draws
//! them again; somebody then looks at them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::path::Path;

use anstyle::RgbColor as Rgb;
use anstyle_lossy::palette::Palette;
use anstyle_svg::Term;
use common::{Project, Server, story};

/// Background, text, and the colours in the order of ANSI; every colour has a contrast of 4.5 or more.
const DARK: (Rgb, Rgb, [Rgb; 8]) = (
    Rgb(0x0d, 0x11, 0x17),
    Rgb(0xe6, 0xed, 0xf3),
    [
        Rgb(0x8b, 0x94, 0x9e),
        Rgb(0xff, 0x7b, 0x72),
        Rgb(0x3f, 0xb9, 0x50),
        Rgb(0xd2, 0x99, 0x22),
        Rgb(0x79, 0xc0, 0xff),
        Rgb(0xbc, 0x8c, 0xff),
        Rgb(0x39, 0xc5, 0xcf),
        Rgb(0xe6, 0xed, 0xf3),
    ],
);
const LIGHT: (Rgb, Rgb, [Rgb; 8]) = (
    Rgb(0xff, 0xff, 0xff),
    Rgb(0x1f, 0x23, 0x28),
    [
        Rgb(0x59, 0x63, 0x6e),
        Rgb(0xcf, 0x22, 0x2e),
        Rgb(0x11, 0x63, 0x29),
        Rgb(0x7d, 0x4e, 0x00),
        Rgb(0x09, 0x69, 0xda),
        Rgb(0x82, 0x50, 0xdf),
        Rgb(0x1b, 0x7c, 0x83),
        Rgb(0x1f, 0x23, 0x28),
    ],
);

fn svg(text: &str, (background, foreground, colors): (Rgb, Rgb, [Rgb; 8])) -> String {
    let mut all = [foreground; 16];
    all[..8].copy_from_slice(&colors);
    all[8..].copy_from_slice(&colors);
    // The renderer takes the default colours from the palette, too.
    all[0] = background;
    all[8] = colors[0];
    let term = Term::new().palette(Palette(all)).fg_color(foreground.into()).bg_color(background.into());
    // Dimmed text is drawn half transparent, which no background forgives; it gets a colour of its own.
    term.render_svg(&text.replace("\u{1b}[2m", "\u{1b}[90m"))
}

#[track_caller]
fn check(name: &str, text: &str) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/img");
    for (theme, colors) in [("dark", DARK), ("light", LIGHT)] {
        let path = dir.join(format!("{name}-{theme}.svg"));
        let drawn = svg(text, colors);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(&path, &drawn).unwrap();
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == drawn,
            "{} is not what is printed: UPDATE_EXPECT=1 cargo test --test pictures, and look at it",
            path.display()
        );
    }
}

fn shown(project: &Project, server: &Server, args: &[&str]) -> String {
    let ran = project.run(&[args, &["--color", "always"]].concat());
    let prompt = format!("\u{1b}[2m$\u{1b}[0m \u{1b}[1mpatchbay {}\u{1b}[0m\n", args.join(" "));
    prompt + &story::fixed(&(ran.stdout + &ran.stderr), server)
}

#[test]
fn the_pictures_are_what_is_printed() {
    let server = Server::start();
    let project = story::morning_after(&server);
    check("plan", &shown(&project, &server, &["plan"]));
    check("drift", &shown(&project, &server, &["drift"]));
    // Without its lines, whose order is chance's.
    let applied = shown(&project, &server, &["apply", "--yes", "--skip-blocked", "-q"]);
    assert!(applied.contains("Applied: "), "{applied}");
    let broken = Project::kore(
        "sandbox:",
        "connections:\n  support:\n    target: kore\n    kind: opnai\n    spec:\n      connectionName: Support GPT-4o\n",
    );
    check("mistake", &shown(&broken, &server, &["validate"]));
}
