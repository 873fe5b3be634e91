//! The edge: the only code that touches the network, files, the environment, the clock.
//!
//! | file | what it touches |
//! |---|---|
//! | `clock` | time and chance |
//! | `env` | the environment |
//! | `files` | files and folders |
//! | `http` | the network |
//! | `process` | the identity of this and other processes |
//! | `store` | the state file |
//! | `tls` | nothing; it says what the network's TLS errors mean |

pub mod clock;
pub mod env;
pub mod files;
pub mod http;
pub mod process;
pub mod store;
pub mod tls;
