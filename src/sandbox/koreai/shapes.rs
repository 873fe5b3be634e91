//! The body shapes of Kore.ai's connections, one per kind (apis/koreai.md): what each may and must contain.
//!
//! A body is checked for everything that is wrong with it at once, and every message names its field.

use serde_json::{Map, Value};

use super::super::message::{Object, text};

/// What a value must be.
#[derive(Clone, Copy)]
enum Expects {
    Text,
    Flag,
    List,
    Object,
    /// A list of `{"key", "value"}`, both texts.
    Headers,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of these words.
    Words(&'static [&'static str]),
    /// An object with these flags.
    Flags(&'static [&'static str]),
}

/// One body shape: what may be written, and what must be.
pub(super) struct Shape {
    pub(super) provider: &'static str,
    /// The keys besides `provider` and `fields`.
    keys: &'static [(&'static str, Expects)],
    /// Those of them that POST and PUT demand.
    required: &'static [&'static str],
    /// The keys inside `fields`, and whether POST and PUT demand them.
    fields: &'static [(&'static str, Demand)],
    /// The status of an object that was written without one.
    pub(super) status: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Demand {
    Mandatory,
    Optional,
}

use Demand::{Mandatory, Optional};

/// The words that custom bodies write. Lists and reads have other ones, under the same name (apis/koreai.md, enums).
const WRITTEN_STATUS: Expects = Expects::Word(&["DRAFT", "FINALIZED"]);
const EASY: Expects = Expects::Word(&["EASY_INTEGRATION"]);

static OPENAI: Shape = Shape {
    provider: "Open AI",
    keys: &[("connectionName", Expects::Text), ("model", Expects::Text)],
    required: &["connectionName", "model"],
    fields: &[("API_KEY", Mandatory)],
    status: "ACTIVE",
};

static AZURE: Shape = Shape {
    provider: "Azure Open AI",
    keys: &[("connectionName", Expects::Text), ("model", Expects::Text), ("modelType", EASY)],
    required: &["connectionName", "model", "modelType"],
    fields: &[
        ("API_KEY", Mandatory),
        ("api_version", Mandatory),
        ("your_resource_name", Mandatory),
        ("deployment_id", Mandatory),
    ],
    status: "ACTIVE",
};

static ANTHROPIC: Shape = Shape {
    provider: "Anthropic",
    keys: &[("connectionName", Expects::Text), ("model", Expects::Text), ("modelType", EASY)],
    required: &["connectionName", "model", "modelType"],
    fields: &[("API_KEY", Mandatory)],
    status: "ACTIVE",
};

/// The "Default Provider": "You must include the complete configuration, including all prompt variables, payload
/// structure, and output paths" (seeds/koreai-connections-new.txt, "Full Replace"). The two token paths are taken as
/// optional, since an API that counts no tokens has none.
static CUSTOM: Shape = Shape {
    provider: "API",
    keys: &[
        ("connectionName", Expects::Text),
        ("model", Expects::Text),
        ("promptVars", Expects::List),
        ("customVars", Expects::List),
        ("endpointUrl", Expects::Text),
        ("headers", Expects::Headers),
        ("payload", Expects::Object),
        ("outputPath", Expects::Text),
        ("inputTokensPath", Expects::Text),
        ("outputTokensPath", Expects::Text),
        ("status", WRITTEN_STATUS),
        ("isEnable", Expects::Flag),
        ("bodyTab", Expects::Text),
    ],
    required: &["connectionName", "endpointUrl", "headers", "promptVars", "payload", "outputPath"],
    fields: &[],
    status: "DRAFT",
};

/// The "Existing Provider": its table of fields demands the URL, the model, `IOMapping` and `mapProvider`.
static EXISTING: Shape = Shape {
    provider: "API",
    keys: &[
        ("connectionName", Expects::Text),
        ("model", Expects::Text),
        ("endpointUrl", Expects::Text),
        ("headers", Expects::Headers),
        ("mapProvider", Expects::Word(&["openAIModel", "anthropicModel", "geminiModel"])),
        (
            "llmFeatures",
            Expects::Flags(&[
                "toolCalling",
                "supportTools",
                "parallelToolCalling",
                "structuredResponse",
                "dataGeneration",
                "streaming",
            ]),
        ),
        ("IOMappings", Expects::Words(&["textToText", "textToImage", "imageToText", "audioToText"])),
        ("idp", Expects::Text),
        ("bodyTab", Expects::Text),
        ("status", WRITTEN_STATUS),
        ("isEnable", Expects::Flag),
    ],
    required: &["connectionName", "model", "endpointUrl", "headers", "mapProvider", "IOMappings"],
    fields: &[],
    status: "DRAFT",
};

/// The small body of the earlier page (seeds/koreai-connections-old.txt), which knows no draft.
static LEGACY: Shape = Shape {
    provider: "API",
    keys: &[("connectionName", Expects::Text), ("model", Expects::Text), ("status", WRITTEN_STATUS), ("isEnable", Expects::Flag)],
    required: &["connectionName"],
    fields: &[("BASE_URL", Mandatory), ("API_KEY", Mandatory), ("MODEL_NAME", Optional)],
    status: "FINALIZED",
};

impl Shape {
    /// The shape of a body or of a stored object; `None` if its provider is unknown.
    pub(super) fn of(object: &Object) -> Option<&'static Self> {
        Some(match text(object, "provider") {
            "Open AI" => &OPENAI,
            "Azure Open AI" => &AZURE,
            "Anthropic" => &ANTHROPIC,
            "API" if object.contains_key("mapProvider") => &EXISTING,
            "API" if object.contains_key("fields") && !object.contains_key("endpointUrl") => &LEGACY,
            "API" => &CUSTOM,
            _ => return None,
        })
    }

    /// Is it one of the three that PATCH and PUT treat as custom?
    pub(super) fn is_custom(&self) -> bool {
        self.provider == "API"
    }

    /// Everything that is wrong with the values of a body.
    pub(super) fn wrong(&self, body: &Object) -> Vec<String> {
        let mut problems = Vec::new();
        for (key, value) in body {
            if key == "provider" {
                if value != self.provider {
                    problems.push("`provider` cannot be changed".to_owned());
                }
            } else if key == "fields" && !self.fields.is_empty() {
                self.wrong_fields(value, &mut problems);
            } else if let Some((_, expects)) = self.keys.iter().find(|(known, _)| *known == key.as_str()) {
                problems.extend(expects.unmet_by(value).map(|problem| format!("`{key}` {problem}")));
            } else {
                problems.push(format!("`{key}` is not a field of this connection"));
            }
        }
        problems
    }

    fn wrong_fields(&self, fields: &Value, problems: &mut Vec<String>) {
        let Value::Object(fields) = fields else {
            problems.push("`fields` must be an object".to_owned());
            return;
        };
        for (key, value) in fields {
            if !self.fields.iter().any(|(known, _)| *known == key.as_str()) {
                problems.push(format!("`fields.{key}` is not a field of this connection"));
            } else if value.as_str().is_none_or(str::is_empty) {
                problems.push(format!("`fields.{key}` must be a string that is not empty"));
            }
        }
    }

    /// Everything that POST and PUT demand and a body does not have.
    pub(super) fn missing(&self, body: &Object) -> Vec<String> {
        let absent = |object: &Object, key: &str| object.get(key).is_none_or(|value| value.as_str() == Some(""));
        let mut problems: Vec<String> =
            self.required.iter().filter(|key| absent(body, key)).map(|key| format!("`{key}` is required")).collect();
        let nothing = Map::new();
        let fields = body.get("fields").and_then(Value::as_object).unwrap_or(&nothing);
        for (key, demand) in self.fields {
            if *demand == Mandatory && absent(fields, key) {
                problems.push(format!("`fields.{key}` is required"));
            }
        }
        problems
    }
}

impl Expects {
    /// What is wrong with a value, if something is.
    fn unmet_by(self, value: &Value) -> Option<String> {
        let unless = |met: bool, demand: &str| (!met).then(|| demand.to_owned());
        let word = |words: &[&str], value: &Value| value.as_str().is_some_and(|word| words.contains(&word));
        match self {
            Self::Text => unless(value.is_string(), "must be a string"),
            Self::Flag => unless(value.is_boolean(), "must be true or false"),
            Self::List => unless(value.is_array(), "must be a list"),
            Self::Object => unless(value.is_object(), "must be an object"),
            Self::Headers => {
                let header = |item: &Value| {
                    let texts = |name: &str| item.get(name).is_some_and(Value::is_string);
                    texts("key") && texts("value")
                };
                let met = value.as_array().is_some_and(|items| items.iter().all(header));
                unless(met, "must be a list of objects with `key` and `value`")
            }
            Self::Word(words) => unless(word(words, value), &format!("must be one of: {}", words.join(", "))),
            Self::Words(words) => {
                let met = value.as_array().is_some_and(|items| items.iter().all(|item| word(words, item)));
                unless(met, &format!("must be a list of: {}", words.join(", ")))
            }
            Self::Flags(flags) => {
                let flag = |(name, value): (&String, &Value)| flags.contains(&name.as_str()) && value.is_boolean();
                let met = value.as_object().is_some_and(|object| object.iter().all(flag));
                unless(met, &format!("must be an object of true or false for: {}", flags.join(", ")))
            }
        }
    }
}
