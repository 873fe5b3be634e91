//! What nobody outside a vendor can tell, or what differs between a vendor's page and its server: one switch each.
//!
//! The defaults are the documented behaviour (for the gateway: the one that was seen). A user sets a quirk with
//! `patchbay sandbox --quirk read_back=top-level` or in a target's `base_url = "sandbox:?read_back=top-level"`.

use super::SandboxError;
use super::message::parse_query;

/// What Kore.ai gives when a `provider: API` connection is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadBack {
    /// Every field, with masks inside `headers`.
    #[default]
    Everything,
    /// The keys that a list item has and nothing else.
    TopLevel,
}

/// In which words Kore.ai gives the status of a single connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusWords {
    /// `ACTIVE` and `INACTIVE`, as lists do.
    #[default]
    ListVocabulary,
    /// As written: `FINALIZED` and `DRAFT`.
    Written,
}

/// Which gateway answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GatewayServer {
    /// The server as it was seen to behave.
    #[default]
    Seen,
    /// The server that the vendor's page describes.
    Documented,
}

/// How Flashback says that something failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlashbackErrors {
    /// With a status that says so.
    #[default]
    Status,
    /// With `success: false` under status 200.
    Ok,
}

/// All switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quirks {
    /// Kore.ai: what reading a `provider: API` connection gives.
    pub read_back: ReadBack,
    /// Kore.ai: the words for the status of a single connection.
    pub status_words: StatusWords,
    /// Kore.ai: is a second connection of one model with the same API key refused?
    pub unique_key_per_model: bool,
    /// Kore.ai: may `connectionName` be changed?
    pub name_editable: bool,
    /// Kore.ai: does PATCH merge nested objects instead of replacing them?
    pub patch_merges_objects: bool,
    /// Kore.ai: the status for a `connectionName` that is taken.
    pub duplicate_status: u16,
    /// Kore.ai: where lists end without a word.
    pub list_cap: Option<usize>,
    /// Kore.ai: do lists carry `total`?
    pub list_total: bool,
    /// Kore.ai: is the last item missing from lists, but not from their total?
    pub list_short: bool,
    /// Which gateway answers.
    pub gateway: GatewayServer,
    /// The gateway: for how many requests does a session token hold? Any token is accepted without this.
    pub gateway_token_uses: Option<usize>,
    /// How Flashback says that something failed.
    pub flashback_errors: FlashbackErrors,
    /// Flashback: is every delete refused as in use?
    pub flashback_in_use: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            read_back: ReadBack::Everything,
            status_words: StatusWords::ListVocabulary,
            unique_key_per_model: false,
            name_editable: true,
            patch_merges_objects: false,
            duplicate_status: 400,
            list_cap: None,
            list_total: true,
            list_short: false,
            gateway: GatewayServer::Seen,
            gateway_token_uses: None,
            flashback_errors: FlashbackErrors::Status,
            flashback_in_use: false,
        }
    }
}

/// The table of names, for help texts and for the message about an unknown one.
const NAMES: &[(&str, &str)] = &[
    ("read_back", "koreai: what reading a `provider: API` connection gives: everything | top-level"),
    ("status_words", "koreai: the status of a single connection: list-vocabulary | written"),
    ("unique_key_per_model", "koreai: refuse a second connection of one model with the same API key: true | false"),
    ("name_editable", "koreai: may connectionName be changed: true | false"),
    ("patch_merges_objects", "koreai: does PATCH merge an object such as llmFeatures, or replace it: true | false"),
    ("duplicate_status", "koreai: the status for a connectionName that is taken: 400 to 599"),
    ("list_cap", "koreai: lists end silently after so many items: a number | none"),
    ("list_total", "koreai: do lists say their total: true | false"),
    ("list_short", "koreai: lists lose their last item while the total still counts it: true | false"),
    ("gateway", "gateway: the server as it was seen, or as its page describes it: seen | documented"),
    ("gateway_token_uses", "gateway: a token of its login is good for so many requests, and no other token is: a number | none"),
    ("flashback_errors", "flashback: errors by status, or `success: false` under 200: status | ok"),
    ("flashback_in_use", "flashback: every delete is refused as in use: true | false"),
];

impl Quirks {
    /// Every quirk's name with what it does and takes.
    #[must_use]
    pub fn names() -> &'static [(&'static str, &'static str)] {
        NAMES
    }

    /// Sets one quirk by name. `-` and `_` are the same in a name.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SandboxError> {
        let wrong = |expected| SandboxError::Quirk { name: name.to_owned(), value: value.to_owned(), expected };
        let flag = || match value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(wrong("true | false")),
        };
        let number = || match value {
            "none" => Ok(None),
            number => number.parse().map(Some).map_err(|_| wrong("a number | none")),
        };
        match name.replace('-', "_").as_str() {
            "read_back" => {
                self.read_back = match value {
                    "everything" => ReadBack::Everything,
                    "top-level" => ReadBack::TopLevel,
                    _ => return Err(wrong("everything | top-level")),
                };
            }
            "status_words" => {
                self.status_words = match value {
                    "list-vocabulary" => StatusWords::ListVocabulary,
                    "written" => StatusWords::Written,
                    _ => return Err(wrong("list-vocabulary | written")),
                };
            }
            "unique_key_per_model" => self.unique_key_per_model = flag()?,
            "name_editable" => self.name_editable = flag()?,
            "patch_merges_objects" => self.patch_merges_objects = flag()?,
            "duplicate_status" => {
                let status = value.parse::<u16>().ok().filter(|status| (400..600).contains(status));
                self.duplicate_status = status.ok_or_else(|| wrong("a status from 400 to 599"))?;
            }
            "list_cap" => self.list_cap = number()?,
            "gateway_token_uses" => self.gateway_token_uses = number()?,
            "list_total" => self.list_total = flag()?,
            "list_short" => self.list_short = flag()?,
            "gateway" => {
                self.gateway = match value {
                    "seen" => GatewayServer::Seen,
                    "documented" => GatewayServer::Documented,
                    _ => return Err(wrong("seen | documented")),
                };
            }
            "flashback_errors" => {
                self.flashback_errors = match value {
                    "status" => FlashbackErrors::Status,
                    "ok" => FlashbackErrors::Ok,
                    _ => return Err(wrong("status | ok")),
                };
            }
            "flashback_in_use" => self.flashback_in_use = flag()?,
            _ => return Err(SandboxError::UnknownQuirk { name: name.to_owned() }),
        }
        Ok(())
    }

    /// The defaults with what the query of a `sandbox:?read_back=top-level&list_cap=100` URL changes.
    pub fn from_query(query: &str) -> Result<Self, SandboxError> {
        let mut quirks = Self::default();
        for (name, value) in parse_query(query) {
            quirks.set(&name, &value)?;
        }
        Ok(quirks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_in_the_table_can_be_set() {
        for (name, help) in Quirks::names() {
            let (_, values) = help.rsplit_once(": ").unwrap();
            for value in values.split(" | ") {
                let value = match value {
                    "a number" => "7",
                    "400 to 599" => "409",
                    other => other,
                };
                Quirks::default().set(name, value).unwrap();
            }
            let problem = Quirks::default().set(name, "nonsense").unwrap_err().to_string();
            assert!(problem.contains(name) && problem.contains("nonsense"), "{problem}");
        }
    }

    #[test]
    fn setting_changes_that_quirk_and_no_other() {
        let mut quirks = Quirks::default();
        quirks.set("duplicate-status", "409").unwrap();
        quirks.set("list_cap", "100").unwrap();
        assert_eq!(quirks, Quirks { duplicate_status: 409, list_cap: Some(100), ..Quirks::default() });
        quirks.set("list_cap", "none").unwrap();
        assert_eq!(quirks.list_cap, None);
        assert!(quirks.set("duplicate_status", "200").is_err());
    }

    #[test]
    fn a_url_carries_quirks() {
        let quirks = Quirks::from_query("read_back=top-level&gateway=documented").unwrap();
        let expected = Quirks { read_back: ReadBack::TopLevel, gateway: GatewayServer::Documented, ..Quirks::default() };
        assert_eq!(quirks, expected);
        assert_eq!(Quirks::from_query("").unwrap(), Quirks::default());
        assert!(Quirks::from_query("no_such=1").unwrap_err().to_string().contains("no_such"));
    }
}
