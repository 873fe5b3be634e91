//! The HTML report of a plan in a real browser: what is shown for which link, that nothing is asked of the network, that
//! nothing is wrong in the console, and how it looks. Runs where `PATCHBAY_TEST_CHROMIUM` names a browser; CI installs one.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Project, Server, story};

fn chromium() -> Option<PathBuf> {
    std::env::var_os("PATCHBAY_TEST_CHROMIUM").map(PathBuf::from)
}

/// Runs the browser on a page; returns standard output and standard error.
fn browse(chromium: &Path, page: &Path, hash: &str, args: &[&str]) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"])
        .args(["--enable-logging=stderr", "--force-color-profile=srgb", "--timeout=20000"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(args)
        .arg(format!("file://{}{hash}", page.display()))
        .output()
        .unwrap();
    (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The page of the story's plan, with what differs from run to run fixed.
fn page(project: &Project, server: &Server) -> PathBuf {
    let ran = project.run(&["plan", "--report", "html=plan.html"]);
    assert!(matches!(ran.code, 0 | 4), "{ran}");
    let html = story::fixed(&project.read("plan.html"), server);
    let at = html.find("\"generated_at\":\"").unwrap() + "\"generated_at\":\"".len();
    let mut html = html;
    let end = at + html[at..].find('"').unwrap();
    html.replace_range(at..end, "2026-11-22T05:00:00Z");
    for (key, value) in [("\"elapsed\":\"", "0.4s"), ("modified outside at ", "2026-11-21T20:41:07Z")] {
        let mut from = 0;
        while let Some(at) = html[from..].find(key).map(|n| n + from + key.len()) {
            let end = at + html[at..].find(['"', ')']).unwrap();
            html.replace_range(at..end, value);
            from = at;
        }
    }
    project.write("plan.html", &html);
    project.path().join("plan.html")
}

fn attribute(dom: &str, name: &str) -> String {
    let mark = format!("{name}=\"");
    let start = dom.find(&mark).unwrap_or_else(|| panic!("no {name}: {}", &dom[..dom.len().min(2000)])) + mark.len();
    dom[start..start + dom[start..].find('"').unwrap()].to_owned()
}

#[test]
fn links_show_what_they_say_and_the_console_is_quiet() {
    let Some(chromium) = chromium() else { return };
    let server = Server::start();
    let project = story::morning_after(&server);
    let page = page(&project, &server);
    for (hash, visible, shown) in [
        ("", "6", "gateway/legacy"),
        ("#action=delete", "1", "gateway/legacy"),
        ("#action=delete,blocked", "2", "kore/azure"),
        ("#q=streaming", "1", "kore/groq"),
        ("#q=nothing+of+this", "0", "No "),
        ("#target=gateway", "3", "gateway/openai"),
        ("#view=graph", "6", "<svg"),
    ] {
        let (dom, log) = browse(&chromium, &page, hash, &["--dump-dom", "--virtual-time-budget=5000"]);
        assert_eq!(attribute(&dom, "data-ready"), "1", "{hash}: {log}");
        assert_eq!(attribute(&dom, "data-visible-count"), visible, "{hash}");
        assert!(dom.contains(shown), "{hash}: no {shown}");
        let console: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
        assert!(console.is_empty(), "{hash}: {console:#?}");
        assert!(!dom.contains("http-equiv=\"refresh\"") && dom.contains("default-src 'none'"));
    }
}

#[test]
fn hostile_names_do_nothing() {
    let Some(chromium) = chromium() else { return };
    let server = Server::start();
    let name = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";
    let connections = format!(
        "connections:\n  a:\n    target: kore\n    kind: openai\n    spec: {{ connectionName: '{}', model: m, fields: {{ API_KEY: k-0000000000 }} }}\n",
        name.replace('\'', "''")
    );
    let project = Project::kore(&server.url(), &connections);
    let ran = project.run(&["plan", "--report", "html=plan.html", "--allow-literal-secrets"]);
    assert_eq!(ran.code, 0, "{ran}");
    let (dom, log) = browse(&chromium, &project.path().join("plan.html"), "", &["--dump-dom", "--virtual-time-budget=5000"]);
    assert!(!dom.contains("<title>owned") && dom.contains("data-ready=\"1\""), "{log}");
    assert!(dom.contains("&lt;/script&gt;"), "the name is shown as it is");
    assert!(!log.contains("CONSOLE"), "{log}");
}

/// Grey values in blocks of 16 by 16, and how many stand in a row.
fn blocks(path: &Path) -> (Vec<u32>, usize) {
    let decoder = png::Decoder::new(std::io::BufReader::new(std::fs::File::open(path).unwrap()));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (width, height) = (info.width as usize, info.height as usize);
    let samples = info.line_size / width;
    let columns = width / 16;
    let mut all = vec![0; columns * (height / 16)];
    for (n, block) in all.iter_mut().enumerate() {
        let (left, top) = (n % columns * 16, n / columns * 16);
        let sum: u32 = (0..256)
            .map(|k| {
                let at = (top + k / 16) * info.line_size + (left + k % 16) * samples;
                pixels[at..at + 3].iter().map(|sample| u32::from(*sample)).sum::<u32>()
            })
            .sum();
        *block = sum / 768;
    }
    (all, columns)
}

#[test]
fn the_page_looks_as_somebody_has_seen_it() {
    let Some(chromium) = chromium() else { return };
    let server = Server::start();
    let project = story::morning_after(&server);
    let page = page(&project, &server);
    for (name, hash) in [("page", ""), ("page-graph", "#view=graph")] {
        let shot = project.path().join(format!("{name}.png"));
        browse(
            &chromium,
            &page,
            hash,
            &[&format!("--screenshot={}", shot.display()), "--window-size=1280,1400", "--virtual-time-budget=5000"],
        );
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/img/{name}.png"));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::copy(&shot, &kept).unwrap();
        }
        let ((now, columns), (then, _)) = (blocks(&shot), blocks(&kept));
        assert_eq!(now.len(), then.len(), "{name}");
        // Fonts differ a little from machine to machine; what is there, and where, does not.
        let differs = |n: &usize| now[*n].abs_diff(then[*n]) > 40;
        let other: Vec<(usize, usize)> = (0..now.len()).filter(differs).map(|n| (n % columns * 16, n / columns * 16)).collect();
        assert!(
            other.len() * 100 < now.len() * 2,
            "{name} looks otherwise at {:?} and {} more places: UPDATE_EXPECT=1, and look at it",
            &other[..other.len().min(5)],
            other.len()
        );
    }
}
