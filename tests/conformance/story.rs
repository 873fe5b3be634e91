//! The story, step by step. Every step ends in an empty plan or in an exact report, and every failure names its profile
//! and its step.

use std::collections::BTreeMap;

use patchbay::sandbox::StoredSecret;
use serde_json::{Value, json};

use crate::common::{Project, Ran, Server, actions, codes};
use crate::profile::{Does, Drift, Edit, Line, Profile, Rotation, Shows, hidden};

const ADDRESS: &str = "t/subject";
const FILE: &str = "connections/all.yaml";
const STATE: &str = "patchbay.state";
const CREDENTIAL: &str = "credential-0000000";
const NEIGHBOUR: &str = "neighbour-0000000";
const EVERY_LOOK: &[&str] = &["auto", "full", "none"];

/// One project on one server, on its way through the story.
pub(crate) struct Story<'p> {
    pub(crate) profile: &'p Profile,
    pub(crate) server: Server,
    project: Project,
    canaries: Vec<String>,
    neighbour: Value,
    step: String,
}

/// Tells the whole story of a profile.
pub(crate) fn tell(profile: &Profile) {
    let mut story = Story::new(profile);
    story.create();
    story.apply_again();
    for edit in &profile.edits {
        story.edit(edit);
    }
    for secret in &profile.secrets {
        story.rotate(secret);
    }
    story.at("after all edits");
    story.settled(EVERY_LOOK);
    if profile.can_delete {
        story.replace();
    }
    for drift in &profile.drifts {
        story.drift(drift);
    }
    story.deleted_outside();
    story.at("after all drift");
    story.settled(EVERY_LOOK);
    story.adopt();
    story.ambiguity();
    story.remove();
    story.end();
}

impl<'p> Story<'p> {
    /// The neighbour is there and the connection of the story is not declared yet.
    pub(crate) fn new(profile: &'p Profile) -> Self {
        let server = Server::quirky(profile.quirks);
        let mut project = Project::on(profile.platform.as_str(), &server, profile.auth(), "connections: {}\n")
            .with("CREDENTIAL", CREDENTIAL)
            .with("NEIGHBOUR", NEIGHBOUR);
        project.write("connections/neighbour.yaml", &profile.neighbour());
        for secret in &profile.secrets {
            project.set(secret.variable, secret.first);
        }
        let mut canaries = profile.canaries();
        canaries.extend([CREDENTIAL.to_owned(), NEIGHBOUR.to_owned()]);
        let mut story = Self { profile, server, project, canaries, neighbour: Value::Null, step: String::new() };
        story.at("a neighbour");
        story.apply(&[]);
        story.neighbour = story.live_neighbour();
        story.server.clear_requests();
        story
    }

    /// Names the step for messages.
    pub(crate) fn at(&mut self, step: &str) {
        self.step = step.to_owned();
    }

    /// The profile and the step.
    pub(crate) fn place(&self) -> String {
        format!("{} · {}", self.profile, self.step)
    }

    /// Runs the program. Whatever it prints, it prints no secret.
    #[track_caller]
    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        let ran = self.project.run(args);
        for canary in &self.canaries {
            assert!(!ran.stdout.contains(canary), "{}: {args:?} prints {canary}: {ran}", self.place());
            assert!(!ran.stderr.contains(canary), "{}: {args:?} prints {canary}: {ran}", self.place());
        }
        ran
    }

    #[track_caller]
    fn json(&self, args: &[&str], exit: i32) -> Value {
        let ran = self.run(&[args, &["--json"]].concat());
        let document: Value =
            serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{}: {args:?}: {e}: {ran}", self.place()));
        assert_eq!(ran.code, exit, "{}: {args:?}: {document:#}", self.place());
        document
    }

    /// Applies with success.
    #[track_caller]
    pub(crate) fn apply(&self, more: &[&str]) {
        let ran = self.run(&[&["apply", "--yes"][..], more].concat());
        assert_eq!(ran.code, 0, "{}: {ran}", self.place());
    }

    /// Plans; the planned actions are these, `address action`, and nothing is sent.
    #[track_caller]
    fn plans(&self, exit: i32, expected: &[String]) -> Value {
        self.server.clear_requests();
        let document = self.json(&["plan"], exit);
        let mut planned = actions(&document);
        planned.sort();
        assert_eq!(planned, expected, "{}: {document:#}", self.place());
        self.sends_nothing();
        document
    }

    /// Nothing to do, in these ways of looking; and the neighbour is as it was.
    #[track_caller]
    pub(crate) fn settled(&self, looks: &[&str]) {
        for look in looks {
            let document = self.json(&["plan", "--refresh", look, "--detailed-exitcode"], 0);
            let planned = actions(&document);
            assert!(planned.is_empty(), "{}: --refresh {look}: {planned:?}: {document:#}", self.place());
        }
        self.sends_nothing_but(&[], "");
        assert_eq!(self.live_neighbour(), self.neighbour, "{}: the neighbour", self.place());
    }

    #[track_caller]
    fn sends_nothing(&self) {
        self.sends_nothing_but(&[], "");
    }

    /// These writes arrived since the last look, and no other; `id` is the object's.
    #[track_caller]
    fn sends_nothing_but(&self, expected: &[Line], id: &str) {
        let requests = self.server.requests();
        self.server.clear_requests();
        let path = |path: &str| if id.is_empty() { path.to_owned() } else { path.replace(id, "{id}") };
        let writes = requests.iter().filter(|r| r.method != "GET");
        let sent: Vec<Line> = writes.map(|r| (format!("{} {}", r.method, path(&r.path)), hidden(&r.body))).collect();
        assert_eq!(sent, expected, "{}: the writes on the wire", self.place());
    }

    /// Every object but the neighbour, with its id.
    pub(crate) fn objects(&self) -> Vec<(String, Value)> {
        let (platform, neighbour) = (self.profile.platform, self.profile.neighbour_key());
        self.server.edit(|store| {
            let all = store.list(platform).filter(|(_, object)| platform.natural_key(object) != neighbour);
            all.map(|(id, object)| (id.to_owned(), object.clone())).collect()
        })
    }

    /// The one object of the story: never a twin.
    #[track_caller]
    pub(crate) fn object(&self) -> (String, Value) {
        let mut objects = self.objects();
        assert_eq!(objects.len(), 1, "{}: there is one object: {objects:#?}", self.place());
        objects.remove(0)
    }

    fn live_neighbour(&self) -> Value {
        let (platform, neighbour) = (self.profile.platform, self.profile.neighbour_key());
        self.server
            .edit(|store| store.find(platform, neighbour).and_then(|id| store.get(platform, id)).cloned().unwrap_or_default())
    }

    /// The place in the object holds this secret and nothing else.
    #[track_caller]
    fn holds(&self, secret: &Rotation, value: &str) {
        let (_, object) = self.object();
        let stored = object.pointer(secret.at).and_then(StoredSecret::from_value);
        let held = stored.is_some_and(|stored| stored.holds(&format!("{}{value}", secret.prefix)));
        assert!(held, "{}: {} is the secret that was wanted: {object:#}", self.place(), secret.at);
    }

    /// Replaces a text in the connection file that is there once.
    #[track_caller]
    pub(crate) fn rewrite(&self, from: &str, to: &str) {
        let text = self.project.read(FILE);
        assert_eq!(text.matches(from).count(), 1, "{}: {from:?} is in the file once:\n{text}", self.place());
        self.project.write(FILE, &text.replace(from, to));
    }

    /// Declares the connection of the story.
    pub(crate) fn declare(&self) {
        self.project.write(FILE, &self.profile.connection());
    }

    /// Takes the connection of the story out of the files.
    pub(crate) fn undeclare(&self) {
        self.project.write(FILE, "connections: {}\n");
    }

    /// Lets the target delete what left the files.
    pub(crate) fn prune(&self) {
        self.project.replace("patchbay.toml", "auth =", "prune = true\nauth =");
    }

    /// Gives a secret its second value.
    pub(crate) fn turn(&mut self, secret: &Rotation) {
        self.project.set(secret.variable, secret.second);
    }

    fn create(&mut self) {
        self.at("create");
        self.declare();
        self.plans(0, &planned("create"));
        self.apply(&[]);
        self.sends_nothing_but(std::slice::from_ref(&self.profile.create), "");
        for secret in &self.profile.secrets {
            self.holds(secret, secret.first);
        }
        self.settled(EVERY_LOOK);
    }

    fn apply_again(&mut self) {
        self.at("apply again");
        let state = self.project.read(STATE);
        self.apply(&[]);
        self.sends_nothing();
        assert_eq!(self.project.read(STATE), state, "{}: the bytes of the state", self.place());
    }

    fn edit(&mut self, edit: &Edit) {
        self.at(&format!("edit: {}", edit.class));
        let (id, object) = self.object();
        self.rewrite(edit.from, edit.to);
        match &edit.does {
            Does::Nothing => {
                self.settled(&["auto", "full"]);
                self.rewrite(edit.to, edit.from);
            }
            Does::Update(lines) => {
                self.plans(0, &planned("update"));
                self.apply(&[]);
                self.sends_nothing_but(lines, &id);
                assert_ne!(unstamped(self.object().1), unstamped(object), "{}: the object", self.place());
            }
            Does::Blocked => {
                let field = edit.fields[0];
                let document = self.plans(4, &planned("blocked"));
                assert_eq!(codes(&document), ["PB0401"], "{}: {document:#}", self.place());
                let summary = document["diagnostics"][0]["summary"].as_str().unwrap_or_default();
                assert!(summary.contains(&format!("`{field}`")), "{}: {document:#}", self.place());
                self.refuses_to_apply();
                self.rewrite(edit.to, edit.from);
            }
        }
        self.settled(&["auto"]);
    }

    /// An apply that is refused: nothing is sent, and the state is left alone.
    #[track_caller]
    fn refuses_to_apply(&self) {
        let state = self.project.exists(STATE).then(|| self.project.read(STATE));
        let ran = self.run(&["apply", "--yes"]);
        assert_eq!(ran.code, 4, "{}: {ran}", self.place());
        self.sends_nothing();
        let after = self.project.exists(STATE).then(|| self.project.read(STATE));
        assert_eq!(after, state, "{}: the bytes of the state", self.place());
    }

    fn rotate(&mut self, secret: &Rotation) {
        self.at(&format!("rotate: {}", secret.field));
        let (id, _) = self.object();
        self.turn(secret);
        self.plans(0, &planned("rotate"));
        self.apply(&[]);
        self.sends_nothing_but(&secret.sends, &id);
        self.holds(secret, secret.second);
        self.settled(&["auto"]);
    }

    /// What cannot be changed is changed by delete and create, where the API deletes and the files allow it; and back.
    fn replace(&mut self) {
        let fixed = self.profile.edits.iter().find(|edit| matches!(edit.does, Does::Blocked));
        let Some(edit) = fixed else { return };
        self.at(&format!("replace: {}", edit.class));
        self.rewrite("    spec:\n", "    lifecycle: { replace: true }\n    spec:\n");
        for (from, to) in [(edit.from, edit.to), (edit.to, edit.from)] {
            self.rewrite(from, to);
            self.server.clear_requests();
            let document = self.json(&["plan", "--max-deletes", "1"], 0);
            assert_eq!(actions(&document), planned("replace"), "{}: {document:#}", self.place());
            self.apply(&["--max-deletes", "1"]);
            let writes = self.server.requests();
            let methods: Vec<&str> = writes.iter().map(|r| r.method.as_str()).filter(|method| *method != "GET").collect();
            assert_eq!(methods, ["DELETE", "POST"], "{}", self.place());
            self.server.clear_requests();
            self.object();
            self.settled(&["auto"]);
        }
        self.rewrite("    lifecycle: { replace: true }\n    spec:\n", "    spec:\n");
        self.settled(&["auto"]);
    }

    /// Runs `drift`, which writes nothing.
    #[track_caller]
    fn drifts(&self, exit: i32) -> Value {
        self.server.clear_requests();
        let document = self.json(&["drift"], exit);
        self.sends_nothing();
        document
    }

    /// Nothing has drifted, nothing is missing, and these doubts are left, `path why`.
    #[track_caller]
    fn no_drift_but(&self, doubts: &[&str]) {
        let document = self.drifts(0);
        assert_eq!((&document["drifted"], &document["missing"]), (&json!([]), &json!([])), "{}: {document:#}", self.place());
        assert_eq!(doubted(&document), addressed(doubts), "{}: {document:#}", self.place());
    }

    fn drift(&mut self, drift: &Drift) {
        self.at(&format!("drift: {}", drift.class));
        self.no_drift_but(self.profile.doubts);
        let (id, before) = self.object();
        let platform = self.profile.platform;
        self.server.edit(|store| {
            assert!(store.update(platform, &id, |object| drift.theirs.put(object, drift.at)));
            store.touch(platform, &id);
        });
        assert_ne!(unstamped(self.object().1), unstamped(before.clone()), "{}: something else is there", self.place());
        match drift.shows {
            Shows::Update => self.is_put_back(drift, "update"),
            Shows::Rotate => self.is_put_back(drift, "rotate"),
            Shows::Blocked => {
                self.shows(drift, "blocked", 4);
                self.refuses_to_apply();
                // Whoever changed it changes it back.
                let object = before.clone();
                self.server.edit(|store| store.put(platform, &id, object));
            }
            Shows::Doubt(doubts) => {
                self.no_drift_but(doubts);
                self.settled(&["auto", "full"]);
                self.apply(&["--rewrite-secrets"]);
                self.server.clear_requests();
            }
        }
        assert_eq!(unstamped(self.object().1), unstamped(before), "{}: the object is as it was", self.place());
        // Somebody was at the object. Secrets that were not sent again may be theirs, until they are.
        let left = doubted(&self.drifts(0));
        let known = addressed(self.profile.doubts);
        let doubts: Vec<&String> = left.iter().filter(|doubt| !known.contains(*doubt)).collect();
        if !doubts.is_empty() {
            assert!(doubts.iter().all(|doubt| doubt.ends_with(" never-written")), "{}: {doubts:?}", self.place());
            self.settled(&["auto", "full"]);
            self.apply(&["--rewrite-secrets"]);
            self.server.clear_requests();
        }
        self.no_drift_but(self.profile.doubts);
        self.settled(&["auto"]);
    }

    /// `drift` names the field, and so does `plan` with its cause.
    #[track_caller]
    fn shows(&self, drift: &Drift, action: &str, exit: i32) {
        let document = self.drifts(2);
        assert_eq!(drifted(&document), addressed(&[&format!("{} drift", drift.path)]), "{}: {document:#}", self.place());
        let sensitive = &document["drifted"][0]["fields"][0]["sensitive"];
        assert_eq!(*sensitive, json!(action == "rotate"), "{}: {document:#}", self.place());
        let document = self.plans(exit, &planned(action));
        let because = &document["resource_changes"][0]["patchbay"]["causes"];
        assert_eq!(*because, json!([{ "path": drift.path, "cause": "drift" }]), "{}: {document:#}", self.place());
        assert_eq!(document["resource_drift"][0]["address"], ADDRESS, "{}: {document:#}", self.place());
    }

    #[track_caller]
    fn is_put_back(&self, drift: &Drift, action: &str) {
        self.shows(drift, action, 0);
        self.apply(&[]);
        self.server.clear_requests();
    }

    fn deleted_outside(&mut self) {
        self.at("deleted outside");
        let (id, _) = self.object();
        let platform = self.profile.platform;
        assert!(self.server.edit(|store| store.remove(platform, &id)).is_some(), "{}", self.place());
        let document = self.drifts(2);
        assert_eq!(document["missing"][0]["address"], ADDRESS, "{}: {document:#}", self.place());
        let (drifted, missing) = (&document["drifted"], &document["summary"]["missing"]);
        assert_eq!((drifted, missing), (&json!([]), &json!(1)), "{}: {document:#}", self.place());
        self.plans(0, &planned("create"));
        self.apply(&[]);
        self.server.clear_requests();
        self.object();
        self.no_drift_but(self.profile.doubts);
        self.settled(&["auto"]);
    }

    /// The state and everything beside it that begins with its name; `.patchbay/key` stays.
    fn lose_the_state(&self) -> BTreeMap<String, String> {
        let mut lost = BTreeMap::new();
        for (path, bytes) in self.project.all_files() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.parent() == Some(self.project.path()) && name.starts_with(STATE) {
                std::fs::remove_file(&path).unwrap();
                lost.insert(name, String::from_utf8(bytes).unwrap());
            }
        }
        assert!(lost.contains_key(STATE), "{}: {:?}", self.place(), lost.keys());
        lost
    }

    fn adopt(&mut self) {
        self.at("adopt");
        let before = self.objects();
        self.lose_the_state();
        self.plans(0, &["t/neighbour adopt".to_owned(), format!("{ADDRESS} adopt")]);
        self.apply(&[]);
        self.sends_nothing();
        assert_eq!(self.objects(), before, "{}: nothing is written", self.place());
        self.settled(EVERY_LOOK);
    }

    fn ambiguity(&mut self) {
        let Some((place, twin)) = self.profile.twin else { return };
        self.at("ambiguity");
        let state = self.lose_the_state();
        let (id, mut object) = self.object();
        let platform = self.profile.platform;
        *object.pointer_mut(place).unwrap() = twin.into();
        self.server.edit(|store| store.put(platform, twin, object));
        self.server.clear_requests();
        let document = self.json(&["plan"], 4);
        self.sends_nothing();
        assert_eq!(codes(&document), ["PB0404"], "{}: {document:#}", self.place());
        let summary = document["diagnostics"][0]["summary"].as_str().unwrap_or_default();
        for id in [id.as_str(), twin] {
            assert!(summary.contains(&format!("`{id}`")), "{}: {document:#}", self.place());
        }
        self.refuses_to_apply();
        // With its record the connection knows its object, whatever another one is called.
        for (name, text) in state {
            self.project.write(&name, &text);
        }
        self.settled(&["auto", "full"]);
        assert!(self.server.edit(|store| store.remove(platform, twin)).is_some(), "{}", self.place());
        self.settled(&["auto"]);
    }

    /// Out of the files: an orphan that stays, unless the API deletes and the target says so.
    fn remove(&mut self) {
        self.at("remove");
        let (id, object) = self.object();
        let platform = self.profile.platform;
        self.undeclare();
        self.plans(0, &planned("orphan"));
        self.apply(&[]);
        self.sends_nothing();
        assert_eq!(self.object().1, object, "{}: an orphan is left alone", self.place());
        self.at("remove where the target prunes");
        self.prune();
        if self.profile.can_delete {
            let document = self.plans(4, &planned("delete"));
            assert_eq!(codes(&document), ["PB0501"], "{}: {document:#}", self.place());
            self.refuses_to_apply();
            self.apply(&["--max-deletes", "1"]);
            let request = self.profile.create.0.replacen("POST", "DELETE", 1);
            self.sends_nothing_but(&[(format!("{request}/{{id}}"), Value::Null)], &id);
        } else {
            self.plans(0, &planned("orphan"));
            self.apply(&[]);
            self.sends_nothing();
            self.at("remove by hand");
            assert!(self.server.edit(|store| store.remove(platform, &id)).is_some(), "{}", self.place());
            self.plans(0, &planned("forget"));
            self.apply(&[]);
            self.sends_nothing();
        }
        assert!(self.objects().is_empty(), "{}: {:#?}", self.place(), self.objects());
        self.settled(EVERY_LOOK);
    }

    /// No file has a secret.
    fn end(&mut self) {
        self.at("the files in the end");
        for (path, bytes) in self.project.all_files() {
            let text = String::from_utf8_lossy(&bytes);
            for canary in &self.canaries {
                assert!(!text.contains(canary), "{}: {} holds {canary}", self.place(), path.display());
            }
        }
    }
}

/// One planned action, that of the connection of the story.
fn planned(action: &str) -> Vec<String> {
    vec![format!("{ADDRESS} {action}")]
}

/// What is said of the connection of the story, with its address.
fn addressed(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| format!("{ADDRESS} {one}")).collect()
}

/// The drifted fields, `address path cause`.
fn drifted(document: &Value) -> Vec<String> {
    fields(&document["drifted"], "cause")
}

/// The doubtful fields, `address path why`.
fn doubted(document: &Value) -> Vec<String> {
    fields(&document["unverifiable"], "why")
}

fn fields(entries: &Value, what: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut all = Vec::new();
    for entry in entries.as_array().unwrap() {
        for field in entry["fields"].as_array().unwrap() {
            all.push(format!("{} {} {}", text(&entry["address"]), text(&field["path"]), text(&field[what])));
        }
    }
    all
}

/// An object without its modification stamp.
fn unstamped(mut object: Value) -> Value {
    if let Some(map) = object.as_object_mut() {
        map.remove("modifiedOn");
        map.remove("updatedAt");
    }
    object
}
