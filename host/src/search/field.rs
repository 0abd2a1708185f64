//! Fields of a configuration by their path, as in `network.layers[0].kernel`.
//!
//! In: a configuration as a TOML table, a path, a [`Value`]. Out: the table with that value, or why it cannot be
//! there.

use serde::{Deserialize, Serialize};

/// What a field may be set to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Whole(i64),
    /// Any other number.
    Real(f64),
    /// A word.
    Word(String),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Real(number) if *number != 0.0 && number.abs() < 1e-3 => write!(f, "{number:e}"),
            Self::Real(number) => write!(f, "{number}"),
            Self::Word(word) => write!(f, "{word}"),
        }
    }
}

impl From<&Value> for toml::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Flag(flag) => Self::Boolean(*flag),
            Value::Whole(number) => Self::Integer(*number),
            Value::Real(number) => Self::Float(*number),
            Value::Word(word) => Self::String(word.clone()),
        }
    }
}

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'p> {
    Field(&'p str),
    Item(usize),
}

/// The steps of a path; `None` for what is none, as `a..b` or `a[x]`.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let mut pieces = part.split('[');
        let name = pieces.next().filter(|name| !name.is_empty())?;
        steps.push(Step::Field(name));
        for piece in pieces {
            steps.push(Step::Item(piece.strip_suffix(']')?.parse().ok()?));
        }
    }
    Some(steps)
}

/// What stands there.
#[must_use]
pub fn get<'t>(table: &'t toml::Value, path: &str) -> Option<&'t toml::Value> {
    steps(path)?
        .into_iter()
        .try_fold(table, |at, step| match step {
            Step::Field(name) => at.get(name),
            Step::Item(index) => at.get(index),
        })
}

/// Sets a field, also one that the table leaves out because it has its default. `None` where there is no place
/// for it.
pub fn set(table: &mut toml::Value, path: &str, value: &Value) -> Option<()> {
    let steps = steps(path)?;
    let (last, above) = steps.split_last()?;
    let place = above.iter().try_fold(table, |at, step| match *step {
        Step::Field(name) => at.get_mut(name),
        Step::Item(index) => at.get_mut(index),
    })?;
    match *last {
        Step::Field(name) => {
            place.as_table_mut()?.insert(name.to_owned(), value.into());
        }
        Step::Item(index) => *place.get_mut(index)? = value.into(),
    }
    Some(())
}

/// Paths of all values in a table.
#[must_use]
pub fn leaves(table: &toml::Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(table, "", &mut found);
    found
}

fn collect(at: &toml::Value, path: &str, found: &mut Vec<String>) {
    match at {
        toml::Value::Table(fields) => {
            for (name, below) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                collect(below, &format!("{path}{dot}{name}"), found);
            }
        }
        toml::Value::Array(items) => {
            for (index, below) in items.iter().enumerate() {
                collect(below, &format!("{path}[{index}]"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_leads_to_its_value() {
        let text = "a = 1\n[b]\nc = [{ d = 2 }, { d = 3 }]";
        let mut table: toml::Value = toml::from_str(text).unwrap();
        assert_eq!(leaves(&table), ["a", "b.c[0].d", "b.c[1].d"]);
        set(&mut table, "b.c[1].d", &Value::Real(0.5)).unwrap();
        set(&mut table, "b.new", &Value::Flag(true)).unwrap();
        assert_eq!(get(&table, "b.c[1].d"), Some(&toml::Value::Float(0.5)));
        assert_eq!(get(&table, "b.new"), Some(&toml::Value::Boolean(true)));
        for nowhere in ["", "b.", "b.c[2].d", "b.c[x].d", "b.c[0.d", "x.y"] {
            assert_eq!(
                set(&mut table, nowhere, &Value::Whole(1)),
                None,
                "{nowhere}"
            );
            assert_eq!(get(&table, nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn values_keep_their_kind_in_json() {
        let values = [
            Value::Flag(true),
            Value::Whole(3),
            Value::Real(3.0),
            Value::Real(4.321e-5),
            Value::Word("he".into()),
        ];
        let json = serde_json::to_string(&values).unwrap();
        assert_eq!(json, "[true,3,3.0,0.00004321,\"he\"]");
        let read: Vec<Value> = serde_json::from_str(&json).unwrap();
        assert_eq!(read, values);
    }
}
