//! The disposable object: a declared connection under a name of its own, with secrets that open nothing.

use crate::config::desired::Connection;
use crate::path::FieldPath;
use crate::plan::unit::{Content, units};
use crate::platform::model::{Collection, Field, FieldType, Kind, SecretRule};
use crate::platform::parse::{field_at, is_auth_key, is_secret};
use crate::secret::Secret;
use crate::value::Value;

/// What is made for a survey.
#[derive(Clone, Debug)]
pub struct Disposable {
    /// The declaration.
    pub connection: Connection,
    /// Its name, which nothing else has.
    pub name: String,
    /// The field that carries the name.
    pub name_at: FieldPath,
    /// The secrets that were made up for it, by field.
    pub made_up: Vec<(FieldPath, Secret)>,
    seed: String,
}

impl Disposable {
    /// A connection as a disposable one. `seed` is what makes its name and its secrets different from all others; with
    /// `own_secrets` it keeps the connection's.
    ///
    /// # Errors
    /// It cannot be told from other objects, or is not complete.
    pub fn of(
        template: &Connection,
        kind: &Kind,
        collection: &Collection,
        seed: &str,
        own_secrets: bool,
    ) -> Result<Self, String> {
        let mut connection = template.clone();
        if connection.spec.has_unknown() {
            return Err("it refers to something that is not known yet".to_owned());
        }
        let name_at = name_field(kind, collection, &connection.spec).ok_or_else(|| {
            format!(
                "no part of its name can be chosen freely, so that a second one would be the same object: {}",
                collection.natural_key.join(", ")
            )
        })?;
        let name = format!("patchbay-probe-{seed}");
        connection.spec.put(&name_at, Value::String(name.clone()));
        let mut made_up = Vec::new();
        if !own_secrets {
            let secrets: Vec<(FieldPath, Secret)> = units(kind, &connection.spec)
                .into_iter()
                .filter_map(|unit| match unit.content {
                    Content::Secret(secret) if opens_something(kind, unit.field, &unit.path) => {
                        Some((unit.path.clone(), secret.clone()))
                    }
                    _ => None,
                })
                .collect();
            for (n, (path, own)) in secrets.iter().enumerate() {
                let fresh = like(own, &throwaway(seed, n));
                connection.spec.replace(path, Value::Secret(fresh.clone()));
                made_up.push((path.clone(), fresh));
            }
            let own: Vec<&Secret> = secrets.iter().map(|(_, own)| own).collect();
            without(&mut connection.spec, &own);
        }
        Ok(Self { connection, name, name_at, made_up, seed: seed.to_owned() })
    }

    /// One more, beside it.
    #[must_use]
    pub fn second(&self) -> Self {
        let mut second = self.clone();
        second.name = format!("{}-2", self.name);
        second.connection.spec.put(&self.name_at, Value::String(second.name.clone()));
        second
    }

    /// Another secret for this field, in the form of the one that it has.
    #[must_use]
    pub fn another_secret(&self, path: &FieldPath) -> Option<Secret> {
        let (n, (_, now)) = self.made_up.iter().enumerate().find(|(_, (at, _))| at == path)?;
        Some(like(now, &throwaway(&self.seed, n + self.made_up.len())))
    }

    /// Was this one of ours? Nothing else has the name.
    #[must_use]
    pub fn owns(&self, natural_key: &[String]) -> bool {
        let own = self.name.to_lowercase();
        natural_key.iter().any(|part| part.to_lowercase().starts_with(&own))
    }
}

/// A secret that opens nothing. It says so, and its last characters differ from those of every other.
#[must_use]
pub fn throwaway(seed: &str, n: usize) -> Secret {
    let hash = blake3::hash(format!("{seed} {n}").as_bytes()).to_hex();
    Secret::new(format!("sk-patchbay-probe-invalid-{seed}{}", &hash.as_str()[..8]))
}

/// With the scheme before it that the real one has, `Bearer …`.
fn like(own: &Secret, fresh: &Secret) -> Secret {
    match own.expose().split_once(' ') {
        Some((scheme, rest)) if ["bearer", "token", "basic"].contains(&scheme.to_lowercase().as_str()) && !rest.contains(' ') => {
            Secret::new(format!("{scheme} {}", fresh.expose()))
        }
        _ => fresh.clone(),
    }
}

/// Does what stands here let somebody in? Other values from the environment, such as a workspace, are wanted as they are.
fn opens_something(kind: &Kind, field: &Field, path: &FieldPath) -> bool {
    let rules = field_at(kind, path).unwrap_or(field);
    let by_rule = is_secret(rules, path.item_key()) && rules.secret != SecretRule::Never;
    by_rule || path.last_key().is_some_and(is_auth_key) || path.item_key().is_some_and(is_auth_key)
}

/// The user's secrets may be parts of other values, such as a URL: they do not go there either.
fn without(value: &mut Value, secrets: &[&Secret]) {
    match value {
        Value::Secret(text) => {
            let mut plain = text.expose().to_owned();
            for secret in secrets.iter().filter(|secret| secret.expose().len() >= 6) {
                plain = plain.replace(secret.expose(), "patchbay-probe");
            }
            if plain != text.expose() {
                *text = Secret::new(plain);
            }
        }
        Value::List(list) => list.iter_mut().for_each(|value| without(value, secrets)),
        Value::Map(map) => map.values_mut().for_each(|value| without(value, secrets)),
        _ => {}
    }
}

/// The part of the natural key that can be any text: one that is called a name, or else the last.
fn name_field(kind: &Kind, collection: &Collection, spec: &Value) -> Option<FieldPath> {
    let is_free = |path: &&FieldPath| {
        let field = field_at(kind, path);
        field.is_some_and(|f| f.kind == FieldType::String && f.accepted.is_empty() && f.secret == SecretRule::Never)
            && spec.at(path).is_some_and(|value| value.expose_str().is_some())
    };
    let parts: Vec<FieldPath> = collection.natural_key.iter().map(|path| FieldPath::parse(path)).collect();
    let free: Vec<&FieldPath> = parts.iter().filter(is_free).collect();
    let named = free.iter().find(|path| path.last_key().is_some_and(|key| key.to_lowercase().contains("name")));
    named.or(free.last()).map(|path| (*path).clone())
}
