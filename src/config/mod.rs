//! Configuration.
pub mod connections;
pub mod desired;
pub mod emit;
pub mod format;
pub mod node;
pub mod project;
pub mod reader;
pub mod spec;
pub mod template;
pub mod toml;
pub mod uses;
pub mod yaml;

#[cfg(test)]
mod tests;
