//! The definitions that come with the program. They go through the same parser as a user's own.

use crate::diagnostic::Diagnostics;
use crate::source::Sources;

use super::model::Definition;
use super::parse;

/// Name and text of every definition whose API the sandbox has a handler of its own for.
pub const ALL: &[(&str, &str)] = &[
    ("koreai", include_str!("../../schemas/platforms/koreai.yaml")),
    ("gateway", include_str!("../../schemas/platforms/gateway.yaml")),
    ("flashback", include_str!("../../schemas/platforms/flashback.yaml")),
];

/// Name and text of the definitions that were written from their vendors' documentation, or by looking at a server. The
/// conformance suite walks them through an API that is made from them and from what else is known of the vendor.
pub const MORE: &[(&str, &str)] = &[
    ("contextforge", include_str!("../../schemas/platforms/contextforge.yaml")),
    ("grafana", include_str!("../../schemas/platforms/grafana.yaml")),
    ("langfuse", include_str!("../../schemas/platforms/langfuse.yaml")),
    ("litellm", include_str!("../../schemas/platforms/litellm.yaml")),
    ("mlflow", include_str!("../../schemas/platforms/mlflow.yaml")),
    ("n8n", include_str!("../../schemas/platforms/n8n.yaml")),
    ("openrouter", include_str!("../../schemas/platforms/openrouter.yaml")),
    ("opik", include_str!("../../schemas/platforms/opik.yaml")),
    ("portkey", include_str!("../../schemas/platforms/portkey.yaml")),
];

/// Every built-in definition.
pub fn every() -> impl Iterator<Item = (&'static str, &'static str)> {
    ALL.iter().chain(MORE).copied()
}

/// The built-in definition of a platform, if there is one.
///
/// # Errors
/// Only if the compiled-in text is wrong, which a test excludes.
pub fn load(name: &str, sources: &mut Sources) -> Option<Result<Definition, Diagnostics>> {
    let (name, text) = every().find(|(known, _)| *known == name)?;
    let file = sources.add(format!("(built in)/{name}.yaml"), text);
    Some(parse::parse(file, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_definition_is_right_and_named_after_its_file() {
        for (name, _) in every() {
            let definition = load(name, &mut Sources::default()).unwrap().unwrap();
            assert_eq!(definition.platform, name);
            assert!(!definition.sources.is_empty(), "{name} names its sources");
        }
    }
}
