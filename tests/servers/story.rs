//! The program in a folder of its own, and what holds after everything that it does.
#![allow(unreachable_pub, missing_docs, reason = "a test")]

use super::common::{Project, Ran, actions, codes};
use super::server::Server;

/// What every secret of these tests contains, those of other people included.
const CANARY: &str = "CANARY";

/// A project with one target.
pub struct Story {
    project: Project,
}

impl Story {
    /// With these lines in the table of its target.
    pub fn on(server: &Server, platform: &str, target: &str, settings: &str, connections: &str) -> Self {
        let project = Project::empty();
        let target = format!("[targets.{target}]\nplatform = \"{platform}\"\nbase_url = \"{}\"\n", server.url());
        project.write("patchbay.toml", &format!("[project]\nname = \"servers\"\n\n{target}prune = true\n{settings}\n"));
        project.write("connections/all.yaml", connections);
        Self { project }
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Changes the environment of later runs.
    pub fn set(&mut self, name: &str, value: &str) {
        self.project.set(name, value);
    }

    /// Replaces the connections.
    pub fn declare(&self, connections: &str) {
        self.project.write("connections/all.yaml", connections);
    }

    /// Replaces a text in the connections; it must be there.
    pub fn edit(&self, from: &str, to: &str) {
        self.project.replace("connections/all.yaml", from, to);
    }

    /// Takes a connection out of the file: its lines, from its key to the next one.
    pub fn drop_connection(&self, key: &str) {
        let text = self.project.read("connections/all.yaml");
        let (start, mut is_in) = (format!("  {key}:"), false);
        let mut left = String::new();
        for line in text.lines() {
            if line.starts_with("  ") && !line.starts_with("   ") {
                is_in = line.starts_with(&start);
            }
            if !is_in {
                left.push_str(line);
                left.push('\n');
            }
        }
        assert!(left != text, "no {key} in {text}");
        self.declare(&left);
    }

    /// From now on with a definition of the project's own: the built-in one without these texts.
    pub fn redefine(&self, platform: &str, without: &[&str]) {
        let text = std::fs::read_to_string(format!("{}/schemas/platforms/{platform}.yaml", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let own = without.iter().fold(text.replace(&format!("platform: {platform}"), "platform: own"), |text, gone| {
            assert!(text.contains(gone), "{gone}");
            text.replace(gone, "")
        });
        self.project.write("own.yaml", &own);
        self.project.replace("patchbay.toml", &format!("platform = \"{platform}\""), "platform = \"own\"");
        let toml = self.project.read("patchbay.toml");
        self.project.write("patchbay.toml", &format!("{toml}\n[platforms.own]\ndefinition = \"own.yaml\"\n"));
    }

    /// As if somebody else had checked the files out, without the state.
    pub fn lose_state(&self) {
        std::fs::remove_file(self.project.path().join("patchbay.state")).unwrap();
    }

    /// Runs the program; no secret may be in what it says or leaves behind.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ran {
        let ran = self.project.run(args);
        self.assert_clean(&format!("{args:?}"), &ran.to_string());
        for (path, bytes) in self.project.all_files() {
            self.assert_clean(&path.display().to_string(), &String::from_utf8_lossy(&bytes));
        }
        ran
    }

    #[track_caller]
    fn assert_clean(&self, what: &str, text: &str) {
        assert!(!text.contains(CANARY), "{what}:\n{text}");
        for (name, value) in self.project.environment() {
            assert!(value.len() < 12 || !text.contains(value.as_str()), "{what} holds {name}:\n{text}");
        }
    }

    #[track_caller]
    pub fn apply(&self) -> Ran {
        let ran = self.run(&["apply", "--yes"]);
        assert_eq!(ran.code, 0, "{ran}");
        ran
    }

    /// An apply that ends so, with this code among its errors and nowhere a success for it.
    #[track_caller]
    pub fn refused(&self, args: &[&str], exit: i32, code: &str) -> Ran {
        let ran = self.run(args);
        assert!(ran.code == exit && ran.to_string().contains(code), "{ran}");
        ran
    }

    /// Nothing is left to do, and nothing in doubt, whether the record is trusted or everything is read.
    #[track_caller]
    pub fn settles(&self) {
        for refresh in ["auto", "full"] {
            let ran = self.run(&["plan", "--detailed-exitcode", "--refresh", refresh]);
            assert!(ran.code == 0 && ran.stdout.contains("No changes."), "{ran}");
            assert!(!ran.stdout.contains("cannot be verified"), "{ran}");
        }
        assert_eq!(self.run(&["drift", "-vv"]).code, 0);
    }

    /// Nothing is left to do, and the plan says that it cannot tell whether this secret is still ours.
    #[track_caller]
    pub fn doubts(&self, address: &str, field: &str) {
        let ran = self.run(&["plan", "--detailed-exitcode"]);
        assert!(ran.code == 0 && ran.stdout.contains("No changes."), "{ran}");
        let doubt =
            ran.stdout.lines().any(|line| line.contains(address) && line.contains(&format!("{field} (secret, cannot verify")));
        assert!(doubt, "{ran}");
    }

    /// `address action` of everything that a plan would do.
    #[track_caller]
    pub fn planned(&self) -> Vec<String> {
        let ran = self.run(&["plan", "--json"]);
        let document = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran}"));
        assert!(codes(&document).iter().all(|code| code == "PB0401"), "{ran}");
        actions(&document)
    }

    /// A drift is found, and it names these.
    #[track_caller]
    pub fn drifts(&self, all: &[&str]) {
        let ran = self.run(&["drift"]);
        assert_eq!(ran.code, 2, "{ran}");
        for one in all {
            let found = ran.stdout.lines().any(|line| one.split(' ').all(|word| line.contains(word)));
            assert!(found, "{one}: {ran}");
        }
    }
}
