//! The engine: orchestration of what the pure core decided. It sends, waits, repeats and records, and reports events;
//! it prints nothing and asks nobody.
//!
//! | file | what it does |
//! |---|---|
//! | `lane` | one target's requests: bounded, paced together, repeated where that is safe |
//! | `create` | objects that are made, or made anew |
//! | `delete` | one delete, from intent to tombstone |
//! | `login` | a token for a user name and a password |
//! | `reader` | a lane that can only look |
//! | `refresh` | what a plan needs to see |
//! | `turn` | how far one change has come |
//! | `apply` | the changes of a plan, in dependency order |
//! | `write` | one change, from intent to record |
//! | `probe` | the API's own test of an object |
//! | `survey` | what an API does with a disposable object |
//! | `explain` | failed requests in words |
//! | `event` | what is reported while it works |

pub mod apply;
mod create;
mod delete;
pub mod event;
pub mod explain;
pub mod lane;
pub mod login;
pub mod probe;
pub mod reader;
pub mod refresh;
pub mod survey;
mod turn;
pub mod write;
