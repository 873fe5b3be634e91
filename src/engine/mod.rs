//! The engine: refresh and apply.
pub mod event;
pub mod lane;
pub mod explain;
pub mod refresh;
pub mod apply;
pub mod write;
