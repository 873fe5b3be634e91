//! Reports: a run in the grammars of CI systems and reviewers. Pure functions from a [`Digest`] to text.
//!
//! | file | for |
//! |---|---|
//! | `markdown` | comments on pull and merge requests, job summaries |
//! | `github` | annotations and outputs of GitHub Actions |
//! | `gitlab` | GitLab's `terraform` and `codequality` artifacts |
//! | `azure` | Azure Pipelines' logging commands |
//! | `sarif` | code scanning |
//! | `junit` | test reports |
//! | `prom` | the textfile collector of Prometheus' node exporter |
//! | `html` | a page for reviewers that needs nothing but a browser |

pub mod azure;
pub mod github;
pub mod gitlab;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod prom;
pub mod sarif;

use std::path::{Component, Path, PathBuf};

use crate::view::digest::Digest;

/// A report format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The document that `--json` prints.
    Json,
    /// One event a line.
    Jsonl,
    /// A comment.
    Markdown,
    /// Annotations, a job summary and outputs.
    Github,
    /// The `terraform` artifact.
    Gitlab,
    /// The `codequality` artifact.
    Codequality,
    /// Logging commands.
    Azure,
    /// SARIF 2.1.0.
    Sarif,
    /// JUnit.
    Junit,
    /// Prometheus' text format.
    Prom,
    /// A page.
    Html,
}

impl Format {
    /// Every format with its name, in the order of the documentation.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Json, "json"),
        (Self::Jsonl, "jsonl"),
        (Self::Markdown, "markdown"),
        (Self::Github, "github"),
        (Self::Gitlab, "gitlab"),
        (Self::Codequality, "codequality"),
        (Self::Azure, "azure"),
        (Self::Sarif, "sarif"),
        (Self::Junit, "junit"),
        (Self::Prom, "prom"),
        (Self::Html, "html"),
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(format, _)| *format == self).map_or("", |(_, name)| *name)
    }

    /// The format of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(format, _)| *format)
    }

    /// Where it is written if nobody says: a file, or standard output. `None` if a path must be given.
    #[must_use]
    pub fn default_path(self) -> Option<DefaultPath> {
        match self {
            Self::Github | Self::Azure => Some(DefaultPath::Stdout),
            Self::Gitlab => Some(DefaultPath::File("tfplan.json")),
            Self::Codequality => Some(DefaultPath::File("gl-code-quality-report.json")),
            Self::Json | Self::Jsonl | Self::Markdown | Self::Sarif | Self::Junit | Self::Prom | Self::Html => None,
        }
    }

    /// Does this command have something to say in this format?
    #[must_use]
    pub fn suits(self, command: &str) -> bool {
        match self {
            Self::Html => matches!(command, "plan" | "apply" | "destroy"),
            Self::Gitlab => matches!(command, "plan" | "apply" | "destroy" | "drift"),
            _ => matches!(command, "plan" | "apply" | "destroy" | "drift" | "validate" | "test"),
        }
    }
}

/// Where a report goes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultPath {
    /// Standard output.
    Stdout,
    /// A file in the working directory.
    File(&'static str),
}

/// What a report must know beyond the digest.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// The project's folder, absolute.
    pub dir: PathBuf,
    /// The folder that CI systems count paths from, absolute: the repository's.
    pub root: PathBuf,
    /// The project's name, or its folder's.
    pub project: String,
    /// The profile.
    pub profile: Option<String>,
    /// How the project's folder is called in the repository; `.` for its root.
    pub chdir: String,
    /// The exit code.
    pub code: u8,
    /// When the run ended, RFC 3339.
    pub at: String,
    /// The same in seconds since 1970.
    pub at_seconds: i64,
    /// The commit, where the CI system tells.
    pub commit: Option<String>,
    /// The file in which the plan was saved.
    pub saved: Option<String>,
}

impl Around {
    /// A file of the project as CI systems want it: relative to the repository.
    #[must_use]
    pub fn in_repository(&self, file: &str) -> String {
        let path = self.absolute(file);
        let path = path.strip_prefix(&self.root).unwrap_or(&path);
        path.display().to_string()
    }

    /// A file of the project, absolute and without `..`.
    #[must_use]
    pub fn absolute(&self, file: &str) -> PathBuf {
        let mut path = PathBuf::new();
        for part in self.dir.join(Path::new(file)).components() {
            match part {
                Component::ParentDir => drop(path.pop()),
                Component::CurDir => {}
                part => path.push(part),
            }
        }
        path
    }
}

/// The text of a report that is one file. Workflow commands and event streams are written elsewhere.
#[must_use]
pub fn render(format: Format, digest: &Digest, around: &Around) -> String {
    match format {
        Format::Json | Format::Jsonl => pretty(&digest.document),
        Format::Markdown => markdown::render(digest, around, markdown::BUDGET),
        Format::Github => github::annotations(digest, around),
        Format::Gitlab => gitlab::terraform(digest),
        Format::Codequality => gitlab::codequality(digest, around),
        Format::Azure => azure::commands(digest, around, None),
        Format::Sarif => sarif::render(digest, around),
        Format::Junit => junit::render(digest, around),
        Format::Prom => prom::render(digest, around),
        Format::Html => html::render(digest, around),
    }
}

fn pretty(document: &serde_json::Value) -> String {
    format!("{}\n", crate::view::json::printable(&serde_json::to_string_pretty(document).unwrap_or_default()))
}
