//! The engine: refresh and apply.
pub mod apply;
pub mod event;
pub mod explain;
pub mod lane;
pub mod refresh;
pub mod write;
