//! Views: pure functions from plans, events and diagnostics to text or JSON. Nothing here prints, asks or measures.
//!
//! | file | what it shows |
//! |---|---|
//! | `plan` | a plan, for people |
//! | `apply` | the question, the events and the end of an apply, for people and logs |
//! | `drift` | what others changed since the last apply |
//! | `beside` | one connection in three columns |
//! | `env` | the variables that the files read |
//! | `explain` | the pages of the codes |
//! | `doctor` | what is in place and what is not |
//! | `rehearsal` | what a check of a platform definition showed |
//! | `survey` | what a probe of a platform found |
//! | `test` | what the APIs' own tests said |
//! | `diagnostic` | what is wrong, with the place in the file |
//! | `digest` | what a run has to say, in the one shape that reports are written from |
//! | `report` | reports for CI systems and reviewers, each in its own grammar |
//! | `progress` | the live region of an apply on a terminal |
//! | `jsonl` | the event stream for other programs |
//! | `json` | the documents for other programs |
//! | `style` | colours, glyphs and width, and who decides about them |
//!
//! Three rules hold for all of them. Secrets are words: a view sees fingerprints and verdicts, and a
//! [`Value::Secret`](crate::value::Value::Secret) that reaches one is written as `(secret)`. Text that others wrote —
//! live values, names, answers, files — loses its control characters before it is shown. Colour never carries meaning
//! alone: what is green also says `+ create`.

pub mod apply;
pub mod beside;
pub mod diagnostic;
pub mod digest;
pub mod doctor;
pub mod drift;
pub mod env;
pub mod explain;
pub mod json;
pub mod jsonl;
mod pages;
pub mod plan;
pub mod progress;
pub mod rehearsal;
pub mod report;
pub mod style;
pub mod survey;
pub mod test;
mod text;

pub use text::count;

#[cfg(test)]
pub(crate) mod samples;
