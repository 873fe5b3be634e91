//! The story, step by step. Every step ends in an empty plan or in an exact report, and every failure names its profile
//! and its step.

use std::collections::{BTreeMap, BTreeSet};

use patchbay::platform::model::Paging;
use patchbay::platform::object::with_id;
use patchbay::sandbox::{Shelf, StoredSecret};
use serde_json::{Value, json};

use crate::common::{Project, Ran, Server, actions, codes};
use crate::profile::{Does, Drift, Edit, Line, Profile, Rotation, Served, Shows, Strikes, any_body, hidden};

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
    shelf: Shelf,
    project: Project,
    canaries: Vec<String>,
    /// What of the object cannot be verified now, `path why`.
    doubts: Vec<String>,
    /// The objects that nothing may happen to, by their ids.
    neighbours: BTreeMap<String, Value>,
    step: String,
}

/// Tells the whole story of a profile; of one whose requests another one has shown, what is its own.
pub(crate) fn tell(profile: &Profile) {
    let mut story = Story::new(profile);
    story.create();
    story.apply_again();
    for edit in &profile.edits {
        story.edit(edit);
    }
    // Where there are many, the first one alone and the others at once.
    let (alone, together) =
        profile.secrets.split_at(if profile.is_made() { profile.secrets.len().min(1) } else { profile.secrets.len() });
    for secret in alone {
        story.rotate(std::slice::from_ref(secret));
    }
    if !together.is_empty() {
        story.rotate(together);
    }
    story.at("after all edits");
    story.settled(EVERY_LOOK);
    if profile.strikes == Strikes::None {
        story.others();
        story.remove();
        return story.end();
    }
    if profile.delete.is_some() {
        story.replace();
    }
    story.others();
    story.deleted_outside();
    story.at("after all drift");
    story.settled(EVERY_LOOK);
    story.adopt();
    story.ambiguity();
    story.remove();
    story.end();
}

/// A list of several pages: the last object is found and nothing is doubted. Told once for each list that has pages.
pub(crate) fn walk_a_long_list(profile: &Profile) {
    let Served::Defined { fake, .. } = &profile.served else { return };
    let mut story = Story::new(profile);
    story.at("a long list");
    let definition = fake.definition();
    let kind = &definition.kinds[profile.kind];
    let collection = &definition.collections[&kind.collection];
    let Some(part) = collection.natural_key.iter().rfind(|path| !kind.constants.contains_key(*path)) else { return };
    let size = match collection.list.paging {
        Paging::None => return,
        Paging::LimitOnly { size, .. } | Paging::Offset { size, .. } | Paging::Page { size, .. } => size,
        Paging::Cursor { .. } => 250,
    };
    let at = format!("/fields/{}", part.replace('.', "/"));
    let (_, neighbour) = story.all_objects().next().unwrap();
    for n in 0..=2 * size {
        let (id, mut object) = (format!("stranger-{n}"), neighbour.clone());
        *object.pointer_mut(&at).unwrap() = id.as_str().into();
        story.neighbours.insert(id.clone(), object.clone());
        story.server.edit(|store| store.put(story.shelf, &id, object));
    }
    story.create();
}

impl<'p> Story<'p> {
    /// The neighbour is there and the connection of the story is not declared yet.
    pub(crate) fn new(profile: &'p Profile) -> Self {
        let server = profile.serve();
        let shelf = server.edit(|store| profile.shelf(store));
        let mut project = Project::on(profile.platform, &server, profile.settings(), "connections: {}\n")
            .with("CREDENTIAL", CREDENTIAL)
            .with("NEIGHBOUR", NEIGHBOUR);
        project.write("connections/neighbour.yaml", &profile.neighbours());
        if let Served::Defined { definition: Some(text), .. } = &profile.served {
            project.write("definition.yaml", text);
        }
        for secret in &profile.secrets {
            project.set(secret.variable, secret.first);
        }
        let mut canaries = profile.canaries();
        canaries.extend([CREDENTIAL.to_owned(), NEIGHBOUR.to_owned()]);
        let neighbours = BTreeMap::new();
        let doubts = profile.doubts.iter().map(|doubt| (*doubt).to_owned()).collect();
        let mut story = Self { profile, server, shelf, project, canaries, doubts, neighbours, step: String::new() };
        story.at("a neighbour");
        story.apply(&[]);
        story.neighbours = story.all_objects().collect();
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
        let neighbours = self.all_objects().filter(|(id, _)| self.neighbours.contains_key(id)).collect::<BTreeMap<_, _>>();
        assert_eq!(neighbours, self.neighbours, "{}: the neighbours", self.place());
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
        let encoded = with_id("{id}", id);
        let named = |text: &str| if id.is_empty() { text.to_owned() } else { text.replace(&encoded, "{id}").replace(id, "{id}") };
        let writes = requests.iter().filter(|r| r.method != "GET");
        let sent: Vec<Line> = writes.map(|r| (named(&format!("{} {}", r.method, r.path)), hidden(&r.body))).collect();
        // What is about an object may have its id in the body.
        let same = |(line, body): &Line, (wanted, wanted_body): &Line| {
            let body_named = || serde_json::from_str::<Value>(&named(&body.to_string())).unwrap();
            let is_line = wanted.split(" | ").any(|wanted| line == wanted);
            is_line && (*wanted_body == any_body() || body == wanted_body || body_named() == *wanted_body)
        };
        let as_expected = sent.len() == expected.len() && sent.iter().zip(expected).all(|(sent, wanted)| same(sent, wanted));
        assert!(as_expected, "{}: the writes on the wire: {sent:#?}\n are not {expected:#?}", self.place());
    }

    /// Every object in the list of the story, with its id.
    fn all_objects(&self) -> impl Iterator<Item = (String, Value)> {
        let all = self.server.edit(|store| store.list(self.shelf).map(|(id, o)| (id.to_owned(), o.clone())).collect::<Vec<_>>());
        all.into_iter()
    }

    /// Every object but the neighbours, with its id.
    pub(crate) fn objects(&self) -> Vec<(String, Value)> {
        self.all_objects().filter(|(id, _)| !self.neighbours.contains_key(id)).collect()
    }

    /// The one object of the story: never a twin.
    #[track_caller]
    pub(crate) fn object(&self) -> (String, Value) {
        let mut objects = self.objects();
        assert_eq!(objects.len(), 1, "{}: there is one object: {objects:#?}", self.place());
        objects.remove(0)
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
        self.project.replace("patchbay.toml", "base_url =", "prune = true\nbase_url =");
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
                let after = self.object().1;
                for (at, value) in &edit.leaves {
                    assert_eq!(after.pointer(at), Some(value), "{}: {at} of the object: {after:#}", self.place());
                }
                assert_ne!(unstamped(after), unstamped(object), "{}: the object", self.place());
            }
            Does::Blocked => {
                let document = self.plans(4, &planned("blocked"));
                assert_eq!(codes(&document), ["PB0401"], "{}: {document:#}", self.place());
                let summary = document["diagnostics"][0]["summary"].as_str().unwrap_or_default();
                for field in edit.fields {
                    assert!(summary.contains(&format!("`{field}`")), "{}: {field}: {document:#}", self.place());
                }
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

    fn rotate(&mut self, secrets: &[Rotation]) {
        self.at(&format!("rotate: {}", secrets.iter().map(|secret| secret.field).collect::<Vec<_>>().join(", ")));
        let (id, _) = self.object();
        for secret in secrets {
            self.turn(secret);
        }
        self.plans(0, &planned("rotate"));
        self.apply(&[]);
        self.sends_nothing_but(&secrets[0].sends, &id);
        for secret in secrets {
            self.holds(secret, secret.second);
        }
        self.settled(&["auto"]);
    }

    /// What cannot be changed is changed by delete and create, where the API deletes and the files allow it; and back.
    fn replace(&mut self) {
        let fixed = self.profile.edits.iter().find(|edit| matches!(edit.does, Does::Blocked));
        let Some(edit) = fixed else { return };
        self.at(&format!("replace: {}", edit.class));
        self.rewrite("    spec:\n", "    lifecycle: { replace: true }\n    spec:\n");
        for (from, to) in [(edit.from, edit.to), (edit.to, edit.from)] {
            let (id, _) = self.object();
            self.rewrite(from, to);
            let document = self.json(&["plan", "--max-deletes", "1"], 0);
            self.server.clear_requests();
            assert_eq!(actions(&document), planned("replace"), "{}: {document:#}", self.place());
            self.apply(&["--max-deletes", "1"]);
            let (Some(delete), (create, _)) = (&self.profile.delete, &self.profile.create) else { return };
            self.sends_nothing_but(&[delete.clone(), (create.clone(), any_body())], &id);
            self.object();
            self.is_new();
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
    fn no_drift_but(&self, doubts: &[String]) {
        let document = self.drifts(0);
        assert_eq!((&document["drifted"], &document["missing"]), (&json!([]), &json!([])), "{}: {document:#}", self.place());
        let (mut found, wanted) = (doubted(&document), addressed(doubts));
        found.retain(|doubt| doubt.starts_with(ADDRESS));
        assert_eq!(BTreeSet::from_iter(found), BTreeSet::from_iter(wanted), "{}: {document:#}", self.place());
    }

    /// What others do to the object.
    fn others(&mut self) {
        self.no_drift_but(&self.doubts);
        for drift in &self.profile.drifts {
            self.drift(drift);
        }
    }

    fn drift(&mut self, drift: &Drift) {
        self.at(&format!("drift: {}", drift.class));
        let (id, before) = self.object();
        let shelf = self.shelf;
        self.server.edit(|store| {
            assert!(store.update(shelf, &id, |object| drift.theirs.put(object, drift.at)));
            store.touch(shelf, &id);
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
                self.server.edit(|store| store.put(shelf, &id, object));
            }
            Shows::Doubt(doubts) => {
                self.no_drift_but(&self.doubts_now(doubts));
                self.settled(&["auto", "full"]);
                self.apply(&["--rewrite-secrets", "--only", ADDRESS]);
                self.server.clear_requests();
            }
            Shows::Unseen(doubts) => {
                self.no_drift_but(&self.doubts_now(doubts));
                self.settled(&["auto", "full"]);
                let object = before.clone();
                self.server.edit(|store| store.put(shelf, &id, object));
            }
        }
        assert_eq!(unstamped(self.object().1), unstamped(before), "{}: the object is as it was", self.place());
        // Somebody was at the object. Secrets that were not sent again may be theirs, until they are; nobody can tell of
        // what else never shows.
        let mut left = self.doubted();
        if left.iter().any(|doubt| !self.doubts.contains(doubt)) {
            self.settled(&["auto", "full"]);
            self.apply(&["--rewrite-secrets", "--only", ADDRESS]);
            self.server.clear_requests();
            left = self.doubted();
        }
        let for_good = |doubt: &String| {
            let never = doubt.strip_suffix(" never-written");
            let (doubts, new) = (self.profile.doubts, self.profile.doubts_when_new);
            never.is_some_and(|path| self.profile.never_shown.contains(&path))
                || doubts.iter().chain(new).any(|known| known == doubt)
        };
        assert!(left.iter().all(for_good), "{}: {left:?}", self.place());
        self.doubts = left;
        self.settled(&["auto"]);
    }

    /// What cannot be verified, `path why`.
    #[track_caller]
    fn doubted(&self) -> Vec<String> {
        let all = doubted(&self.drifts(0));
        all.iter().filter_map(|doubt| doubt.strip_prefix(&format!("{ADDRESS} "))).map(ToOwned::to_owned).collect()
    }

    /// These doubts, but for the paths of which something else is known already.
    fn doubts_now(&self, doubts: &[&str]) -> Vec<String> {
        let path = |doubt: &str| doubt.rsplit_once(' ').unwrap_or_default().0.to_owned();
        let known = |doubt: &&str| self.doubts.iter().find(|known| path(known) == path(doubt)).cloned();
        doubts.iter().map(|doubt| known(doubt).unwrap_or_else(|| (*doubt).to_owned())).collect()
    }

    /// `drift` names the field, and so does `plan` with its cause.
    #[track_caller]
    fn shows(&self, drift: &Drift, action: &str, exit: i32) {
        let document = self.drifts(2);
        assert_eq!(drifted(&document), addressed(&[format!("{} drift", drift.path)]), "{}: {document:#}", self.place());
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

    /// The object was made just now.
    fn is_new(&mut self) {
        self.doubts = self.profile.doubts_when_new.iter().map(|doubt| (*doubt).to_owned()).collect();
    }

    fn deleted_outside(&mut self) {
        self.at("deleted outside");
        let (id, _) = self.object();
        let shelf = self.shelf;
        assert!(self.server.edit(|store| store.remove(shelf, &id)).is_some(), "{}", self.place());
        let document = self.drifts(2);
        assert_eq!(document["missing"][0]["address"], ADDRESS, "{}: {document:#}", self.place());
        let (drifted, missing) = (&document["drifted"], &document["summary"]["missing"]);
        assert_eq!((drifted, missing), (&json!([]), &json!(1)), "{}: {document:#}", self.place());
        self.plans(0, &planned("create"));
        self.apply(&[]);
        self.server.clear_requests();
        self.object();
        self.is_new();
        self.no_drift_but(&self.doubts);
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
        let document = self.json(&["plan"], 0);
        let planned: BTreeSet<String> = actions(&document).into_iter().collect();
        let all_adopt = planned.iter().all(|action| action.ends_with(" adopt"));
        assert!(all_adopt && planned.contains(&format!("{ADDRESS} adopt")), "{}: {document:#}", self.place());
        self.sends_nothing();
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
        let shelf = self.shelf;
        if !place.is_empty() {
            *object.pointer_mut(place).unwrap() = twin.into();
        }
        self.server.edit(|store| store.put(shelf, twin, object));
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
        assert!(self.server.edit(|store| store.remove(shelf, twin)).is_some(), "{}", self.place());
        self.settled(&["auto"]);
    }

    /// How much is declared besides. A delete is refused unasked only where much of all would go.
    fn neighbours_in_all(&self) -> usize {
        self.profile.neighbours().matches("target: t").count()
    }

    /// Out of the files: an orphan that stays, unless the API deletes and the target says so.
    fn remove(&mut self) {
        self.at("remove");
        let (id, object) = self.object();
        let shelf = self.shelf;
        self.undeclare();
        self.plans(0, &planned("orphan"));
        self.apply(&[]);
        self.sends_nothing();
        assert_eq!(self.object().1, object, "{}: an orphan is left alone", self.place());
        self.at("remove where the target prunes");
        self.prune();
        if let Some(delete) = &self.profile.delete {
            if self.neighbours_in_all() == 1 {
                let document = self.plans(4, &planned("delete"));
                assert_eq!(codes(&document), ["PB0501"], "{}: {document:#}", self.place());
                self.refuses_to_apply();
            }
            self.apply(&["--max-deletes", "1"]);
            self.sends_nothing_but(std::slice::from_ref(delete), &id);
        } else {
            self.plans(0, &planned("orphan"));
            self.apply(&[]);
            self.sends_nothing();
            self.at("remove by hand");
            assert!(self.server.edit(|store| store.remove(shelf, &id)).is_some(), "{}", self.place());
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
fn addressed(all: &[impl AsRef<str>]) -> Vec<String> {
    all.iter().map(|one| format!("{ADDRESS} {}", one.as_ref())).collect()
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
        map.remove("stamp");
    }
    object
}
