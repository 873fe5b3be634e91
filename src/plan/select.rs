//! `--only` and `--exclude`: which connections a run is about.

use std::collections::{BTreeMap, BTreeSet};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::address::Address;
use crate::config::desired::Desired;

/// The chosen part of a project.
#[derive(Clone, Debug, Default)]
pub struct Selector {
    only: Option<GlobSet>,
    exclude: Option<GlobSet>,
}

impl Selector {
    /// From patterns such as `kore-prod`, `kore-prod/claude*`, `*/support`.
    ///
    /// # Errors
    /// The pattern that is none.
    pub fn new(only: &[String], exclude: &[String]) -> Result<Self, String> {
        Ok(Self { only: set(only)?, exclude: set(exclude)? })
    }

    /// Is everything chosen?
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.only.is_none() && self.exclude.is_none()
    }

    /// Is this address chosen?
    #[must_use]
    pub fn matches(&self, address: &Address) -> bool {
        let text = address.to_string();
        self.only.as_ref().is_none_or(|set| set.is_match(&text)) && !self.exclude.as_ref().is_some_and(|set| set.is_match(&text))
    }

    /// The chosen connections together with everything that they depend on.
    #[must_use]
    pub fn choose(&self, desired: &Desired) -> BTreeSet<Address> {
        let by_address: BTreeMap<&Address, &[Address]> =
            desired.connections.iter().map(|c| (&c.address, c.depends_on.as_slice())).collect();
        let mut chosen = BTreeSet::new();
        let mut open: Vec<&Address> = desired.connections.iter().map(|c| &c.address).filter(|a| self.matches(a)).collect();
        while let Some(address) = open.pop() {
            // An exclusion wins over a dependency.
            if self.exclude.as_ref().is_some_and(|set| set.is_match(address.to_string())) {
                continue;
            }
            if chosen.insert(address.clone()) {
                open.extend(by_address.get(address).copied().unwrap_or_default());
            }
        }
        chosen
    }
}

fn set(patterns: &[String]) -> Result<Option<GlobSet>, String> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let mut builder = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = |text: &str| -> Result<Glob, String> {
            GlobBuilder::new(text)
                .literal_separator(true)
                .build()
                .map_err(|e| format!("`{pattern}` is not a pattern: {}", e.kind()))
        };
        builder.add(glob(pattern)?);
        // A target's name alone means all of it.
        if !pattern.contains('/') {
            builder.add(glob(&format!("{pattern}/*"))?);
        }
    }
    builder.build().map(Some).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_choose_addresses() {
        let chosen = |only: &[&str], exclude: &[&str]| {
            let own = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
            let selector = Selector::new(&own(only), &own(exclude)).unwrap();
            ["a/x", "a/xy", "b/x", "b/z"]
                .iter()
                .filter(|t| selector.matches(&t.parse().unwrap()))
                .copied()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(chosen(&[], &[]), "a/x a/xy b/x b/z");
        assert_eq!(chosen(&["a"], &[]), "a/x a/xy");
        assert_eq!(chosen(&["a/x*"], &[]), "a/x a/xy");
        assert_eq!(chosen(&["*/x"], &[]), "a/x b/x");
        assert_eq!(chosen(&["a/x", "b/z"], &[]), "a/x b/z");
        assert_eq!(chosen(&[], &["b"]), "a/x a/xy");
        assert_eq!(chosen(&["a"], &["*/xy"]), "a/x");
        assert!(Selector::new(&["[".to_owned()], &[]).is_err());
    }
}
