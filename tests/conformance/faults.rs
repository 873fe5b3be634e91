//! Each write, struck by each fault: the run ends as it must, nothing is made twice, and the next run settles the rest.

use crate::profile::{Does, Profile, Strikes};
use crate::story::Story;

/// How a run ends: its exit code and the code that it must name, if it must.
type End = (i32, &'static str);

const DONE: End = (0, "");
/// Nobody knows whether it was made. The intent stays open, so the next apply waits out the dead run.
const UNKNOWN: End = (3, "PB0701");

/// One thing that befalls one request.
struct Fault {
    /// In the words of the sandbox.
    text: &'static str,
    /// A create that is sent once.
    create: End,
    /// A create that is repeated.
    repeated_create: End,
    /// An update.
    update: End,
    /// A delete.
    delete: End,
    /// Is the request processed? A repeated delete then finds nothing.
    processed: bool,
}

const FAULTS: &[Fault] = &[
    Fault { text: "status=503", create: (1, "PB0607"), repeated_create: DONE, update: DONE, delete: DONE, processed: false },
    Fault { text: "reset-before", create: UNKNOWN, repeated_create: DONE, update: DONE, delete: DONE, processed: false },
    Fault { text: "reset-after", create: DONE, repeated_create: DONE, update: DONE, delete: DONE, processed: true },
    Fault { text: "truncate", create: DONE, repeated_create: DONE, update: DONE, delete: DONE, processed: true },
    Fault {
        text: "html=200",
        create: UNKNOWN,
        repeated_create: UNKNOWN,
        update: (3, "PB0611"),
        delete: (3, "PB0611"),
        processed: false,
    },
    Fault { text: "status=429 retry-after=0", create: DONE, repeated_create: DONE, update: DONE, delete: DONE, processed: false },
    Fault {
        text: "status=401",
        create: (1, "PB0601"),
        repeated_create: (1, "PB0601"),
        update: (1, "PB0601"),
        delete: (1, "PB0601"),
        processed: false,
    },
];

/// Those that depend on the platform: how it says that it failed, and how an object is found again.
const FEW: &[&str] = &["status=503", "reset-after"];

impl Fault {
    fn of_create(&self, profile: &Profile) -> End {
        if profile.create_is_repeated { self.repeated_create } else { self.create }
    }

    fn of_delete(&self, profile: &Profile) -> End {
        if self.processed && profile.gone_is_a_failure { (3, "PB0605") } else { self.delete }
    }
}

/// Strikes the create, an update and the delete of a profile with each fault; creates that end in the unknown are left
/// to [`strike_creates_into_the_unknown`].
pub(crate) fn strike_each_write(profile: &Profile) {
    let struck = FAULTS.iter().filter(|fault| match profile.strikes {
        Strikes::All => true,
        Strikes::Few => FEW.contains(&fault.text),
        Strikes::None => false,
    });
    std::thread::scope(|scope| {
        for fault in struck {
            scope.spawn(move || strike_each_write_with(profile, fault));
        }
    });
}

fn strike_each_write_with(profile: &Profile, fault: &Fault) {
    let mut story = Story::new(profile);
    story.declare();
    let end = fault.of_create(profile);
    if end == UNKNOWN {
        story.at("create");
        story.apply(&[]);
        story.server.clear_requests();
        story.settled(&["auto"]);
    } else {
        strike(&mut story, "create", method_of(&profile.create.0), fault, end, &[], 1);
    }

    let edit = profile.edits.iter().find_map(|edit| match &edit.does {
        Does::Update(lines) => Some((edit, lines)),
        Does::Nothing | Does::Blocked => None,
    });
    let lines = match (edit, profile.secrets.first()) {
        (Some((edit, lines)), _) => {
            story.rewrite(edit.from, edit.to);
            lines
        }
        (None, Some(secret)) => {
            story.turn(secret);
            &secret.sends
        }
        (None, None) => panic!("{profile}: nothing of it can be changed"),
    };
    // Where one server lacks a verb, the last request is the one that counts.
    strike(&mut story, "update", method_of(&lines.last().unwrap().0), fault, fault.update, &[], 1);

    if let Some((delete, _)) = &profile.delete {
        story.prune();
        story.undeclare();
        strike(&mut story, "delete", method_of(delete), fault, fault.of_delete(profile), &["--max-deletes", "1"], 0);
    }
}

/// Strikes the create of every profile with each fault after which nobody knows what became of it. The next apply waits
/// until a request that may be on its way is over; together they wait once.
pub(crate) fn strike_creates_into_the_unknown(profiles: &[Profile]) {
    std::thread::scope(|scope| {
        for profile in profiles.iter().filter(|profile| profile.strikes == Strikes::All) {
            for fault in FAULTS.iter().filter(|fault| fault.of_create(profile) == UNKNOWN) {
                scope.spawn(move || {
                    let mut story = Story::new(profile);
                    story.declare();
                    strike(&mut story, "create", method_of(&profile.create.0), fault, UNKNOWN, &[], 1);
                });
            }
        }
    });
}

fn method_of(request: &str) -> &str {
    request.split(' ').next().unwrap_or_default()
}

/// Applies while the first request of a method is struck; afterwards, and after one more apply where that one failed,
/// there are so many objects and nothing is left to do.
fn strike(story: &mut Story<'_>, what: &str, method: &str, fault: &Fault, end: End, flags: &[&str], objects: usize) {
    story.at(&format!("{what} under {}", fault.text));
    story.server.fault(&format!("{method} * times=1 {}", fault.text));
    story.server.clear_requests();
    let ran = story.run(&[&["apply", "--yes", "--retries", "1"][..], flags].concat());
    assert!(story.server.requests().iter().any(|r| r.method == method), "{}: nothing was struck: {ran}", story.place());
    story.server.clear_faults();
    let (exit, code) = end;
    assert!(ran.code == exit && ran.stderr.contains(code), "{}: exit {exit} and {code} are due: {ran}", story.place());
    assert!(story.objects().len() <= 1, "{}: {:#?}\n{ran}", story.place(), story.objects());
    if exit != 0 {
        story.apply(flags);
    }
    assert_eq!(story.objects().len(), objects, "{}: {:#?}\n{ran}", story.place(), story.objects());
    story.server.clear_requests();
    story.settled(&["auto", "full"]);
}
