//! What a search may change: fields of a configuration, each with its range.
//!
//! In: TOML, and the configuration that it is about. Out: a [`Space`] whose every field exists and takes what its
//! range gives, or a [`SpaceError`] that names the entry and the fix. A [`Space`] turns values into a
//! configuration; values that do not go together, as a kernel larger than its input, are a [`Misfit`].

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::field::{self, Value};
use crate::config::{Config, ConfigError, LayerRule, PairOptimizer, nearest, toml_error};

mod range;

use range::Entry;
pub use range::Range;

/// Fields that say how trials are compared, or how long they last: not for a search to choose.
const FIXED: [(&str, &str); 6] = [
    ("preset", "a search has one network to start from: --preset"),
    ("train.steps", "--rungs says how long a trial trains"),
    ("train.minutes", "--rungs says how long a trial trains"),
    (
        "train.validation_trials",
        "all trials are compared on the same ones",
    ),
    (
        "pairs.selection",
        "all trials are compared on the same ones",
    ),
    ("pairs.split", "a search never sees evaluation alphabets"),
];
/// Where layers have rules of their own.
const LAYER_RULES: &str = "pairs.optimizer.layers[";
/// What layers without rules of their own follow.
const COMMON_RULE: [&str; 3] = [
    "train.learning_rate",
    "pairs.optimizer.end",
    "pairs.optimizer.l2",
];

/// Fields with their ranges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// In the order of the file.
    pub parameters: Vec<Parameter>,
}

/// A field that a search sets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Path in the configuration, as in `network.layers[0].kernel`.
    pub field: String,
    /// To what.
    #[serde(flatten)]
    pub range: Range,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    parameters: Vec<Entry>,
}

/// Why a search space was refused.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, or a key that does not exist.
    #[error(transparent)]
    Toml(ConfigError),
    /// There is nothing to search.
    #[error("parameters is empty; name at least one field")]
    Empty,
    /// An entry is wrong.
    #[error("parameters[{index}] ({field}): {message}")]
    Entry {
        /// Which one.
        index: usize,
        /// Its field.
        field: String,
        /// What is wrong, and the fix.
        message: String,
    },
    /// One of the above, in a file.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        source: Box<Self>,
    },
}

/// Values that do not go together: the configuration that they make is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit(pub String);

impl Space {
    /// Reads and checks a TOML file for a search that starts from `base`.
    ///
    /// # Errors
    /// [`SpaceError`] naming the file.
    pub fn read(path: &Path, base: &Config) -> Result<Self, SpaceError> {
        let text = std::fs::read_to_string(path).map_err(|source| SpaceError::Read {
            path: path.into(),
            source,
        })?;
        Self::parse(&text, base).map_err(|error| SpaceError::File {
            path: path.into(),
            source: Box::new(error),
        })
    }

    /// Parses and checks TOML text.
    ///
    /// # Errors
    /// [`SpaceError`] naming the entry.
    pub fn parse(text: &str, base: &Config) -> Result<Self, SpaceError> {
        let entries: Entries =
            toml::from_str(text).map_err(|error| SpaceError::Toml(toml_error(&error)))?;
        let mut parameters = Vec::new();
        for (index, entry) in entries.parameters.into_iter().enumerate() {
            let field = entry.field.clone();
            let range = entry.range().map_err(|message| SpaceError::Entry {
                index,
                field: field.clone(),
                message,
            })?;
            parameters.push(Parameter { field, range });
        }
        let space = Self { parameters };
        space.check(base)?;
        Ok(space)
    }

    /// The file that says the same.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let line = |Parameter { field, range }: &Parameter| {
            format!("    {{ field = \"{field}\", {} }},\n", range.to_toml())
        };
        let lines: String = self.parameters.iter().map(line).collect();
        format!("parameters = [\n{lines}]\n")
    }

    /// Whether every field is one of `base` and takes what its range gives.
    ///
    /// # Errors
    /// [`SpaceError::Entry`] or [`SpaceError::Empty`].
    pub fn check(&self, base: &Config) -> Result<(), SpaceError> {
        if self.parameters.is_empty() {
            return Err(SpaceError::Empty);
        }
        let own_rules = has_layer_rules(base);
        let base = self.with_layer_rules(base);
        for (index, parameter) in self.parameters.iter().enumerate() {
            let again = self.parameters[..index].iter();
            let twice = again.clone().any(|other| other.field == parameter.field);
            let common = COMMON_RULE.contains(&parameter.field.as_str());
            let checked = match (twice, own_rules && common) {
                (true, _) => Err("the field is there twice; remove one of them".to_owned()),
                (_, true) => Err(format!(
                    "it changes nothing where pairs.optimizer.layers has a rule for every layer; name theirs, as in {LAYER_RULES}0].l2"
                )),
                _ => parameter.check(&base),
            };
            checked.map_err(|message| SpaceError::Entry {
                index,
                field: parameter.field.clone(),
                message,
            })?;
        }
        Ok(())
    }

    /// `base` with a rule for every layer where the space names one of them: they start as the common one.
    #[must_use]
    pub fn with_layer_rules(&self, base: &Config) -> Config {
        let mut base = base.clone();
        let named = self
            .parameters
            .iter()
            .any(|parameter| parameter.field.starts_with(LAYER_RULES));
        let weights = base
            .network()
            .ok()
            .and_then(|network| network.weights().ok().map(Iterator::count));
        let learning_rate = base.train.learning_rate;
        let optimizer = base.pairs.as_mut().map(|pairs| &mut pairs.optimizer);
        let (
            true,
            Some(n),
            Some(PairOptimizer::Momentum {
                end, l2, layers, ..
            }),
        ) = (named, weights, optimizer)
        else {
            return base;
        };
        if layers.is_empty() {
            let rule = LayerRule {
                learning_rate,
                momentum: *end,
                l2: *l2,
            };
            *layers = vec![rule; n + 1];
        }
        base
    }

    /// `base` with these values, one for each parameter.
    ///
    /// # Errors
    /// [`Misfit`] in the words of the configuration that refuses them.
    pub fn configured(&self, base: &Config, values: &[Value]) -> Result<Config, Misfit> {
        // Rules of layers start as the common one, which may itself be among the values.
        let common = self.set(table_of(base), values, |field| {
            !field.starts_with(LAYER_RULES)
        })?;
        let table = table_of(&self.with_layer_rules(&common));
        self.set(table, values, |field| field.starts_with(LAYER_RULES))
    }

    /// The configuration of `table` with the values whose fields are `wanted`.
    fn set(
        &self,
        mut table: toml::Value,
        values: &[Value],
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Config, Misfit> {
        let all = self.parameters.iter().zip(values);
        for (parameter, value) in all.filter(|(parameter, _)| wanted(&parameter.field)) {
            let nowhere = || Misfit(format!("{} is not there", parameter.field));
            field::set(&mut table, &parameter.field, value).ok_or_else(nowhere)?;
        }
        parse(&table).map_err(|error| Misfit(error.to_string()))
    }

    /// The shortest end of every path that no other path ends with.
    #[must_use]
    pub fn labels(&self) -> Vec<&str> {
        let fields = || {
            self.parameters
                .iter()
                .map(|parameter| parameter.field.as_str())
        };
        let label = |field: &'_ str| {
            let starts = field.rmatch_indices('.').map(|(at, _)| at + 1).chain([0]);
            let clear = |start: &usize| {
                let end = field.get(*start..).unwrap_or(field);
                let ends = |other: &str| other == end || other.ends_with(&format!(".{end}"));
                fields().filter(|other| ends(other)).count() == 1
            };
            starts.into_iter().find(clear).unwrap_or(0)
        };
        fields()
            .map(|field| field.get(label(field)..).unwrap_or(field))
            .collect()
    }
}

/// Whether every layer has a rule of its own.
fn has_layer_rules(config: &Config) -> bool {
    let optimizer = config.pairs.as_ref().map(|pairs| &pairs.optimizer);
    matches!(optimizer, Some(PairOptimizer::Momentum { layers, .. }) if !layers.is_empty())
}

/// A configuration of structs always has a TOML form.
fn table_of(config: &Config) -> toml::Value {
    let table = toml::Table::try_from(config).unwrap_or_default();
    toml::Value::Table(table)
}

fn parse(table: &toml::Value) -> Result<Config, ConfigError> {
    Config::parse(&toml::to_string(table).unwrap_or_default())
}

impl Parameter {
    fn check(&self, base: &Config) -> Result<(), String> {
        if let Some((_, why)) = FIXED.iter().find(|(field, _)| *field == self.field) {
            return Err(format!("a search may not set it: {why}"));
        }
        self.range.check()?;
        let table = table_of(base);
        if let Some(there) = field::get(&table, &self.field) {
            self.range.suits(there)?;
        }
        for value in self.range.ends() {
            let mut table = table.clone();
            let set = field::set(&mut table, &self.field, &value);
            match set.map(|()| parse(&table)) {
                // Layers that do not fit are for the search to find out: others may change with them.
                Some(Ok(_) | Err(ConfigError::Network(_))) => {}
                Some(Err(ConfigError::Range { field, rule })) => {
                    return Err(format!("{value} is out of range: {field} must be {rule}"));
                }
                _ if field::get(&table, &self.field).is_none() || self.is_unknown(base, &value) => {
                    return Err(unknown(base, &self.field));
                }
                _ => return Err(format!("the field does not take {value}")),
            }
        }
        Ok(())
    }

    /// Whether serde knows no such field, or there is no place for it.
    fn is_unknown(&self, base: &Config, value: &Value) -> bool {
        let mut table = table_of(base);
        let set = field::set(&mut table, &self.field, value);
        set.is_none()
            || parse(&table).is_err_and(|error| error.to_string().contains("unknown field"))
    }
}

/// The field that was probably meant: among those of the base, and those that it leaves out.
fn unknown(base: &Config, path: &str) -> String {
    let mut table = table_of(base);
    let mut known = field::leaves(&table);
    let above = path.rfind('.').map_or("", |dot| &path[..dot]);
    // serde lists the fields that it expected in a table.
    if field::set(&mut table, path, &Value::Flag(true)).is_some()
        && let Err(error) = parse(&table)
    {
        let message = error.to_string();
        let expected = message.split_once("expected").map_or("", |(_, list)| list);
        let names = expected.split('`').skip(1).step_by(2);
        known.extend(names.map(|name| format!("{above}.{name}")));
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    format!(
        "there is no such field; the nearest valid field is `{}`",
        nearest(path, &known)
    )
}

#[cfg(test)]
mod tests;
