//! A store in memory that fails on purpose, and the means to let several runs work on it in any order.
//!
//! Each call gives way to others before it happens and after it happened, so a test decides by its dice what comes
//! between. Tags are made of contents, as weak as they may be: equal contents have equal tags.

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use futures_util::future::FutureExt as _;

use super::bucket::{Bucket, Condition, Object, Pending, Put, Trouble, Version};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// One call in so many has no answer: it was performed, it was not, or it is performed some time later.
    Answers {
        of: usize,
    },
    /// Looks whether the condition holds, and writes a moment later.
    LooksFirst,
    /// `If-None-Match` means nothing to it.
    IgnoresAbsent,
    /// `If-Match` means nothing to it.
    IgnoresTags,
    /// Shows what was there before the last write.
    ShowsLate,
    /// Lists what was there before the last write.
    ListsLate,
    NoTags,
    WeakTags,
    /// The same tag for everything.
    OneTag,
}

/// Chance that can be repeated.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below this one.
    pub(super) fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 33) % below.max(1) as u64).unwrap()
    }
}

#[derive(Clone, Debug)]
enum Write {
    Put { name: String, bytes: Vec<u8>, condition: Condition },
    Remove { name: String },
}

#[derive(Debug)]
struct Shelf {
    objects: BTreeMap<String, Vec<u8>>,
    /// As it was before the last write.
    before: BTreeMap<String, Vec<u8>>,
    /// Requests whose sender does not wait any more.
    in_flight: Vec<Write>,
    dice: Dice,
    fault: Option<Fault>,
    writes: usize,
}

/// What becomes of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Well,
    Unheard,
    Lost,
    Late,
}

/// The store. Clones are the same one.
#[derive(Clone, Debug)]
pub(super) struct Memory(Arc<Mutex<Shelf>>);

impl Memory {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Shelf {
            objects: BTreeMap::new(),
            before: BTreeMap::new(),
            in_flight: Vec::new(),
            dice: Dice::new(seed),
            fault: None,
            writes: 0,
        })))
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap()
    }

    pub(super) fn set(&self, fault: Option<Fault>) {
        self.shelf().fault = fault;
    }

    /// The names of everything in it.
    pub(super) fn all(&self) -> Vec<String> {
        self.shelf().objects.keys().cloned().collect()
    }

    /// How many writes happened.
    pub(super) fn writes(&self) -> usize {
        self.shelf().writes
    }

    pub(super) fn read(&self, name: &str) -> Option<String> {
        self.shelf().objects.get(name).map(|bytes| String::from_utf8(bytes.clone()).unwrap())
    }

    /// What somebody does behind everybody's back.
    pub(super) fn place(&self, name: &str, text: &str) {
        self.shelf().objects.insert(name.to_owned(), text.as_bytes().to_vec());
    }

    pub(super) fn take_away(&self, name: &str) {
        self.shelf().objects.remove(name);
    }

    /// Everything that is still on its way arrives.
    pub(super) fn land(&self) {
        let mut shelf = self.shelf();
        for write in std::mem::take(&mut shelf.in_flight) {
            shelf.perform(&write);
        }
    }

    async fn turn(&self) {
        turn().await;
        let mut shelf = self.shelf();
        while !shelf.in_flight.is_empty() && shelf.dice.roll(3) == 0 {
            let (count, shelf) = (shelf.in_flight.len(), &mut *shelf);
            let write = shelf.in_flight.swap_remove(shelf.dice.roll(count));
            shelf.perform(&write);
        }
    }

    /// Whether this call has its answer.
    fn hear(&self) -> Result<(), Trouble> {
        if self.shelf().fate() == Fate::Well { Ok(()) } else { Err(unheard()) }
    }

    async fn write(&self, write: Write) -> Result<bool, Trouble> {
        self.turn().await;
        let fate = self.shelf().fate();
        let mut happened = false;
        match fate {
            Fate::Well | Fate::Unheard => {
                let is_slow = self.shelf().fault == Some(Fault::LooksFirst);
                let may = self.shelf().may(&write);
                if is_slow {
                    turn().await;
                    happened = may && self.shelf().force(&write);
                } else {
                    happened = self.shelf().perform(&write);
                }
            }
            Fate::Lost => {}
            Fate::Late => self.shelf().in_flight.push(write),
        }
        self.turn().await;
        if fate == Fate::Well { Ok(happened) } else { Err(unheard()) }
    }
}

impl Shelf {
    fn fate(&mut self) -> Fate {
        match self.fault {
            Some(Fault::Answers { of }) if self.dice.roll(of) == 0 => [Fate::Unheard, Fate::Lost, Fate::Late][self.dice.roll(3)],
            _ => Fate::Well,
        }
    }

    fn may(&self, write: &Write) -> bool {
        let Write::Put { name, condition, .. } = write else { return true };
        match (condition, self.objects.get(name)) {
            (Condition::Absent, None) => true,
            (Condition::Absent, Some(_)) => self.fault == Some(Fault::IgnoresAbsent),
            (Condition::Is(_), _) if self.fault == Some(Fault::IgnoresTags) => true,
            (Condition::Is(_), None) => false,
            (Condition::Is(version), Some(bytes)) => self.version(bytes) == *version,
        }
    }

    fn force(&mut self, write: &Write) -> bool {
        self.before = self.objects.clone();
        self.writes += 1;
        match write.clone() {
            Write::Put { name, bytes, .. } => drop(self.objects.insert(name, bytes)),
            Write::Remove { name } => drop(self.objects.remove(&name)),
        }
        true
    }

    fn perform(&mut self, write: &Write) -> bool {
        self.may(write) && self.force(write)
    }

    fn version(&self, bytes: &[u8]) -> Version {
        let hash = &blake3::hash(bytes).to_hex()[..16];
        let etag = match self.fault {
            Some(Fault::NoTags) => None,
            Some(Fault::WeakTags) => Some(format!("W/\"{hash}\"")),
            Some(Fault::OneTag) => Some("\"same\"".to_owned()),
            _ => Some(format!("\"{hash}\"")),
        };
        Version { etag, number: None }
    }

    fn shown(&self) -> &BTreeMap<String, Vec<u8>> {
        if self.fault == Some(Fault::ShowsLate) { &self.before } else { &self.objects }
    }

    fn object(&self, name: &str) -> Option<Object> {
        let bytes = self.shown().get(name)?.clone();
        Some(Object { version: self.version(&bytes), bytes })
    }
}

impl Bucket for Memory {
    fn label(&self) -> &str {
        "memory://test"
    }

    fn server(&self) -> String {
        "memory".to_owned()
    }

    fn get<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Object>> {
        async move {
            self.turn().await;
            self.hear()?;
            let object = self.shelf().object(name);
            self.turn().await;
            Ok(object)
        }
        .boxed()
    }

    fn version<'a>(&'a self, name: &'a str) -> Pending<'a, Option<Version>> {
        async move { Ok(self.get(name).await?.map(|object| object.version)) }.boxed()
    }

    fn put<'a>(&'a self, name: &'a str, bytes: Vec<u8>, condition: Condition) -> Pending<'a, Put> {
        async move {
            let version = self.shelf().version(&bytes);
            let happened = self.write(Write::Put { name: name.to_owned(), bytes, condition }).await?;
            Ok(if happened { Put::Done(Some(version)) } else { Put::Refused })
        }
        .boxed()
    }

    fn remove<'a>(&'a self, name: &'a str) -> Pending<'a, ()> {
        async move {
            self.write(Write::Remove { name: name.to_owned() }).await?;
            Ok(())
        }
        .boxed()
    }

    fn names(&self) -> Pending<'_, Option<Vec<String>>> {
        async move {
            self.turn().await;
            self.hear()?;
            let names = {
                let shelf = self.shelf();
                let objects = if shelf.fault == Some(Fault::ListsLate) { &shelf.before } else { shelf.shown() };
                objects.keys().cloned().collect()
            };
            self.turn().await;
            Ok(Some(names))
        }
        .boxed()
    }
}

fn unheard() -> Trouble {
    Trouble::Unclear("no answer".to_owned())
}

/// Lets others go first.
async fn turn() {
    let mut is_over = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut is_over, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Work that gives way, as part of a test.
pub(super) type Task<'t> = Pin<Box<dyn Future<Output = ()> + 't>>;

/// Works until it is done, with nobody in between.
pub(super) fn finish<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

/// Lets tasks take turns as the dice fall, until all are done. A task whose turns are used up dies where it stands.
pub(super) fn interleave(dice: &mut Dice, mut tasks: Vec<(Task<'_>, usize)>) {
    let mut at = 0;
    while !tasks.is_empty() {
        // One that goes on for a while meets the others in other places than one that always gives way.
        if at >= tasks.len() || dice.roll(3) == 0 {
            at = dice.roll(tasks.len());
        }
        let (task, turns) = &mut tasks[at];
        let is_over = *turns == 0 || task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        *turns = turns.saturating_sub(1);
        if is_over {
            drop(tasks.swap_remove(at));
        }
    }
}
