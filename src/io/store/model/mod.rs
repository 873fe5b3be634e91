//! The protocol, played on a file system that exists only here, call by call: which process goes on after each call,
//! where one dies, where the power fails, is chosen from outside. The code that runs is the store's own.
//!
//! | file | what it does |
//! |---|---|
//! | `disk` | files and names, what of them is durable, and what a power cut leaves |
//! | `world` | the processes on that disk, one call at a time, and the mutants: file systems that break a promise |
//! | `story` | what the processes do, and what must hold whatever happened |
//! | `explore` | all schedules with few deviations, and many random ones |

mod disk;
mod explore;
mod story;
mod world;
