//! The planner: pure functions from what is wanted, seen and recorded to a plan as a value.
//!
//! | file | what it decides |
//! |---|---|
//! | `unit` | which parts of a spec are compared one by one |
//! | `verdict` | what the evidence says about one of them |
//! | `diff` | the comparison of one connection |
//! | `body` | which verb carries a change, and its body |
//! | `observed` | where a connection's live object is |
//! | `reads` | which objects must be read in detail first |
//! | `planner` | the whole plan |
//! | `beside` | one connection as it is declared, recorded and live |
//! | `sides` | a connection before and after its change, without a secret |
//! | `confirm` | what a read-back proves, and the record after a write |
//! | `rehearsal` | the story of a connection, played offline for each kind of a definition |
//! | `survey` | what is asked of a live API, and what its answers say about its definition |
//! | `leftover` | records that no connection speaks for |
//! | `dependents` | what a delete does to what refers to the deleted object |
//! | `guards` | what must hold before the first write |
//!
//! Deliberately absent: clocks, I/O, printing.

pub mod beside;
pub mod body;
pub mod confirm;
pub mod dependents;
pub mod diff;
pub mod guards;
mod leftover;
pub mod model;
pub mod observed;
pub mod order;
pub mod planner;
pub mod reads;
pub mod rehearsal;
pub mod saved;
pub mod select;
mod sides;
pub mod survey;
pub mod unit;
pub mod verdict;
