//! What a parameter may be, and how a file says so.
//!
//! In: an entry of a file. Out: a [`Range`] of at least two values, or what is wrong with it in words.

use serde::{Deserialize, Serialize};

use super::Value;
use crate::config::nearest;

const KINDS: [&str; 4] = ["log", "linear", "integer", "choice"];

/// What a field may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Range {
    /// A number whose logarithm is drawn evenly.
    Log {
        /// Least.
        low: f64,
        /// Largest.
        high: f64,
    },
    /// A number, drawn evenly.
    Linear {
        /// Least.
        low: f64,
        /// Largest.
        high: f64,
    },
    /// `low`, `low + step`, … up to `high`.
    Integer {
        /// Least.
        low: i64,
        /// Largest.
        high: i64,
        /// From one to the next.
        step: i64,
    },
    /// One of these.
    Choice {
        /// At least two.
        values: Vec<Value>,
    },
}

/// An entry as it stands in a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) field: String,
    kind: String,
    low: Option<Value>,
    high: Option<Value>,
    step: Option<i64>,
    values: Option<Vec<Value>>,
}

impl Entry {
    /// Its range, checked but for what the field takes.
    pub(super) fn range(self) -> Result<Range, String> {
        let Self {
            kind,
            low,
            high,
            step,
            values,
            ..
        } = self;
        let superfluous =
            |what: &str| Err(format!("{what} means nothing to kind `{kind}`; remove it"));
        match kind.as_str() {
            "choice" if low.is_some() || high.is_some() => superfluous("low or high"),
            "log" | "linear" | "integer" if values.is_some() => superfluous("values"),
            "log" | "linear" | "choice" if step.is_some() => superfluous("step"),
            "choice" => {
                let values = values.ok_or("kind `choice` needs values = [..]")?;
                Ok(Range::Choice { values })
            }
            "log" | "linear" => {
                let [low, high] = both(low, high, &kind)?;
                let number = |value: &Value| match *value {
                    Value::Real(number) => Ok(number),
                    Value::Whole(number) => Ok(number as f64),
                    _ => Err(format!("{value} is no number")),
                };
                let (low, high) = (number(&low)?, number(&high)?);
                Ok(match kind.as_str() {
                    "log" => Range::Log { low, high },
                    _ => Range::Linear { low, high },
                })
            }
            "integer" => {
                let [low, high] = both(low, high, &kind)?;
                let number = |value: &Value| match *value {
                    Value::Whole(number) => Ok(number),
                    _ => Err(format!("{value} is no whole number")),
                };
                let (low, high) = (number(&low)?, number(&high)?);
                Ok(Range::Integer {
                    low,
                    high,
                    step: step.unwrap_or(1),
                })
            }
            _ => Err(format!(
                "kind `{kind}` does not exist; the nearest one is `{}`",
                nearest(&kind, &KINDS)
            )),
        }
    }
}

fn both(low: Option<Value>, high: Option<Value>, kind: &str) -> Result<[Value; 2], String> {
    let needs = |what: &str| format!("kind `{kind}` needs {what}");
    Ok([
        low.ok_or_else(|| needs("low"))?,
        high.ok_or_else(|| needs("high"))?,
    ])
}

impl Range {
    /// As an entry says it.
    pub(super) fn to_toml(&self) -> String {
        let real = |number: f64| toml::Value::Float(number);
        match self {
            Self::Log { low, high } => {
                format!(
                    "kind = \"log\", low = {}, high = {}",
                    real(*low),
                    real(*high)
                )
            }
            Self::Linear { low, high } => {
                format!(
                    "kind = \"linear\", low = {}, high = {}",
                    real(*low),
                    real(*high)
                )
            }
            Self::Integer { low, high, step } => {
                format!("kind = \"integer\", low = {low}, high = {high}, step = {step}")
            }
            Self::Choice { values } => {
                let values = values
                    .iter()
                    .map(|value| toml::Value::from(value).to_string());
                let values: Vec<String> = values.collect();
                format!("kind = \"choice\", values = [{}]", values.join(", "))
            }
        }
    }

    /// Whether there is more than one value.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Log { low, high } | Self::Linear { low, high }
                if !(low.is_finite() && high.is_finite() && low < high) =>
            {
                Err(format!(
                    "{low} to {high} is no range: low must be below high"
                ))
            }
            Self::Log { low, .. } if *low <= 0.0 => Err(format!(
                "low is {low}: kind `log` needs it above 0; kind `linear` does not"
            )),
            Self::Integer { step, .. } if *step < 1 => Err(format!("step is {step}: at least 1")),
            Self::Integer { low, high, step }
                if high.checked_sub(*low).is_none_or(|width| width < *step) =>
            {
                Err(format!(
                    "{low} to {high} by {step} is no range: it holds less than two numbers"
                ))
            }
            Self::Choice { values } if values.len() < 2 => {
                Err("values holds less than two".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Whether a field that holds `there` takes values of this kind.
    pub(super) fn suits(&self, there: &toml::Value) -> Result<(), String> {
        let takes = match there {
            toml::Value::Integer(_) => "whole numbers",
            toml::Value::Float(_) => "numbers",
            toml::Value::Boolean(_) => "true or false",
            toml::Value::String(_) => "words",
            _ => return Err("that is a table, not a value; name a field in it".to_owned()),
        };
        let suits = |value: &Value| match value {
            Value::Flag(_) => there.is_bool(),
            Value::Whole(_) => there.is_integer() || there.is_float(),
            Value::Real(_) => there.is_float(),
            Value::Word(_) => there.is_str(),
        };
        match self.ends().iter().find(|value| !suits(value)) {
            None => Ok(()),
            Some(value) => {
                let kind = match (self, there) {
                    (Self::Choice { .. }, _) => String::new(),
                    (_, toml::Value::Integer(_)) => "; take kind `integer`".to_owned(),
                    _ => "; take kind `choice`".to_owned(),
                };
                Err(format!("the field takes {takes}, not {value}{kind}"))
            }
        }
    }

    /// Its outermost values, or all choices.
    pub(super) fn ends(&self) -> Vec<Value> {
        match self {
            Self::Log { low, high } | Self::Linear { low, high } => {
                vec![Value::Real(*low), Value::Real(*high)]
            }
            Self::Integer { low, high, .. } => vec![Value::Whole(*low), Value::Whole(*high)],
            Self::Choice { values } => values.clone(),
        }
    }
}
