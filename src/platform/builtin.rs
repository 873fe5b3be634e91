//! The definitions that come with the program. They go through the same parser as a user's own.

use crate::diagnostic::Diagnostics;
use crate::source::Sources;

use super::model::Definition;
use super::parse;

/// Name and text of every built-in definition.
pub const ALL: &[(&str, &str)] = &[
    ("koreai", include_str!("../../schemas/platforms/koreai.yaml")),
    ("gateway", include_str!("../../schemas/platforms/gateway.yaml")),
    ("flashback", include_str!("../../schemas/platforms/flashback.yaml")),
];

/// The built-in definition of a platform, if there is one.
///
/// # Errors
/// Only if the compiled-in text is wrong, which a test excludes.
pub fn load(name: &str, sources: &mut Sources) -> Option<Result<Definition, Diagnostics>> {
    let (name, text) = ALL.iter().find(|(known, _)| *known == name)?;
    let file = sources.add(format!("(built in)/{name}.yaml"), *text);
    Some(parse::parse(file, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_definition_is_right_and_named_after_its_file() {
        for (name, _) in ALL {
            let definition = load(name, &mut Sources::default()).unwrap().unwrap();
            assert_eq!(definition.platform, *name);
            assert!(!definition.sources.is_empty(), "{name} names its sources");
        }
    }
}
