//! The configuration of a run: a TOML file, the command line on top, the resolved result written
//! back as `config.toml` so that anyone can repeat the run.
//!
//! In: TOML text. Out: a [`Config`] whose every field is known and in range, or a
//! [`ConfigError`] that names the field and the nearest valid one.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::augment::AugmentConfig;
use crate::quantize::exact::float_only;
use crate::spec::{NetSpec, PRESETS, SpecError};

mod optimizer;
mod pairs;
mod train;

pub use optimizer::{LayerRule, PairOptimizer};
pub use pairs::{Init, Others, PairConfig, Selection, Split};
pub use train::{Precision, TrainConfig};

/// Name of the resolved configuration in a run's folder.
pub const CONFIG_FILE: &str = "config.toml";

/// Everything that decides what a training run computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name of the preset the network comes from, or `custom`.
    #[serde(default = "default_preset")]
    pub preset: String,
    /// How to train.
    #[serde(default)]
    pub train: TrainConfig,
    /// How training images are distorted.
    #[serde(default)]
    pub augment: AugmentConfig,
    /// Train on pairs instead of episodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pairs: Option<PairConfig>,
    /// The network; without it, the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetSpec>,
    /// Where the weights come from, when they were trained elsewhere: a record, which nothing reads
    /// back. `train` and `augment` then say nothing about them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportConfig>,
}

/// Where weights come from that were trained elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportConfig {
    /// Name of the ONNX file.
    pub file: String,
    /// SHA-256 over it and the files beside it that hold its weights.
    pub sha256: String,
    /// `white` or `black`: colour of the ink in the images that it takes.
    pub ink: String,
    /// It sees greys of 0 to 1 times this,
    pub scale: f64,
    /// plus this.
    pub shift: f64,
    /// Where the head comes from.
    pub head: String,
}

fn default_preset() -> String {
    "micro".to_owned()
}

impl Config {
    /// The defaults of a preset.
    ///
    /// # Errors
    /// [`ConfigError::Preset`] for a name that is none.
    pub fn preset(name: &str) -> Result<Self, ConfigError> {
        let network = NetSpec::preset(name).ok_or_else(|| unknown_preset(name))?;
        let (train, augment, pairs) = match name {
            "koch" => (
                TrainConfig::koch(),
                AugmentConfig::koch(),
                Some(PairConfig::default()),
            ),
            "seed" => (
                TrainConfig::seed(),
                AugmentConfig::none(),
                Some(PairConfig::seed()),
            ),
            _ => (TrainConfig::default(), AugmentConfig::default(), None),
        };
        Ok(Self {
            preset: name.to_owned(),
            train,
            augment,
            pairs,
            network: Some(network),
            import: None,
        })
    }

    /// Reads and checks a TOML file.
    ///
    /// # Errors
    /// [`ConfigError`] naming the file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.into(),
            source,
        })?;
        Self::parse(&text).map_err(|error| error.in_file(path))
    }

    /// Parses and checks TOML text.
    ///
    /// # Errors
    /// [`ConfigError`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| toml_error(&error))?;
        let preset = Self::preset(&config.preset).ok();
        if let Some(preset) = preset.filter(|preset| preset.pairs.is_some()) {
            config = preset.overlaid(text)?;
        }
        match &config.network {
            Some(network) if NetSpec::preset(&config.preset).as_ref() != Some(network) => {
                "custom".clone_into(&mut config.preset);
            }
            Some(_) => {}
            None => {
                let network = NetSpec::preset(&config.preset);
                config.network = Some(network.ok_or_else(|| unknown_preset(&config.preset))?);
            }
        }
        config.check()?;
        Ok(config)
    }

    /// This preset's recipe, but what the text says of it instead. Not for recipes whose fields may be left out
    /// of [`Self::to_toml`]: what was left out would come back as the preset's.
    fn overlaid(&self, text: &str) -> Result<Self, ConfigError> {
        let table = |text: &str| toml::from_str::<toml::Table>(text);
        let read = |text: &str| table(text).map_err(|error| toml_error(&error));
        let (mut given, preset) = (read(text)?, read(&self.to_toml())?);
        for section in ["train", "augment", "pairs"] {
            let empty = toml::Value::Table(toml::Table::new());
            let given = given.entry(section).or_insert(empty);
            let (Some(given), Some(defaults)) = (
                given.as_table_mut(),
                preset.get(section).and_then(toml::Value::as_table),
            ) else {
                continue;
            };
            for (field, value) in defaults {
                given.entry(field).or_insert_with(|| value.clone());
            }
        }
        given.try_into().map_err(|error| toml_error(&error))
    }

    /// The network.
    ///
    /// # Errors
    /// [`ConfigError::Preset`] when there is neither a network nor a known preset.
    pub fn network(&self) -> Result<NetSpec, ConfigError> {
        let preset = || NetSpec::preset(&self.preset).ok_or_else(|| unknown_preset(&self.preset));
        self.network.clone().map_or_else(preset, Ok)
    }

    /// The file that repeats this run.
    #[must_use]
    pub fn to_toml(&self) -> String {
        // A struct of numbers, strings and tables always has a TOML form.
        toml::to_string_pretty(self).unwrap_or_default()
    }

    /// SHA-256 of [`Self::to_toml`] in hex: names the configuration in exported files.
    #[must_use]
    pub fn hash(&self) -> String {
        hash_of(&self.to_toml())
    }

    /// Whether the network stays in floating point: it is trained on pairs, as the paper's, and has a layer
    /// without exact integers. Another recipe is for devices, and such a layer in it a mistake.
    #[must_use]
    pub fn stays_float(&self) -> bool {
        let layers = self.network().ok().and_then(|spec| float_only(&spec).ok());
        self.pairs.is_some() && layers.is_some_and(|layers| !layers.is_empty())
    }

    /// Whether every number is in range and the layers fit each other.
    ///
    /// # Errors
    /// [`ConfigError`] naming the field.
    pub fn check(&self) -> Result<(), ConfigError> {
        let network = self.network()?;
        let layers = network.weights().map_err(ConfigError::Network)?;
        if let Some(pairs) = &self.pairs {
            pairs.check(layers.count() + 1)?;
            self.train.check_for_pairs()?;
        }
        self.train.check()?;
        self.augment.out_of_range().map_or(Ok(()), |(field, rule)| {
            Err(ConfigError::Range { field, rule })
        })
    }
}

/// [`Config::hash`] of a configuration that was written down.
#[must_use]
pub fn hash_of(toml: &str) -> String {
    use sha2::{Digest, Sha256};
    crate::dataset::hex(&Sha256::digest(toml.as_bytes()))
}

fn unknown_preset(name: &str) -> ConfigError {
    let known = PRESETS.map(|(name, _)| name);
    ConfigError::Preset {
        name: name.to_owned(),
        nearest: nearest(name, &known),
    }
}

/// serde's message, with the nearest known field where it lists the fields it expected.
pub(crate) fn toml_error(error: &toml::de::Error) -> ConfigError {
    let message = error.message();
    let mut quoted = message.split('`').skip(1).step_by(2);
    let hint = message.starts_with("unknown field").then(|| {
        let unknown = quoted.next().unwrap_or_default();
        let known: Vec<&str> = quoted.collect();
        nearest(unknown, &known)
    });
    ConfigError::Toml {
        message: error.to_string().trim_end().to_owned(),
        nearest: hint,
    }
}

/// The word that was probably meant.
pub(crate) fn nearest(word: &str, known: &[&str]) -> String {
    let closest = known
        .iter()
        .max_by(|a, b| strsim::jaro_winkler(word, a).total_cmp(&strsim::jaro_winkler(word, b)));
    closest.map_or_else(String::new, |name| (*name).to_owned())
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, or a field that does not exist.
    #[error("{message}{}", nearest.as_ref().map_or_else(String::new, |n| format!("\nthe nearest valid field is `{n}`")))]
    Toml {
        /// What the parser says, with line and column.
        message: String,
        /// The field that was probably meant.
        nearest: Option<String>,
    },
    /// A preset of that name does not exist.
    #[error("preset `{name}` does not exist; the nearest one is `{nearest}`")]
    Preset {
        /// The name given.
        name: String,
        /// The nearest name that exists.
        nearest: String,
    },
    /// A layer does not fit the one before it.
    #[error(transparent)]
    Network(SpecError),
    /// A number is out of range.
    #[error("{field} must be {rule}")]
    Range {
        /// The field.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// One of the above, in a file.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong in it.
        source: Box<ConfigError>,
    },
}

impl ConfigError {
    fn in_file(self, path: &Path) -> Self {
        Self::File {
            path: path.into(),
            source: Box::new(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolved_config_reads_back() {
        let config = Config::preset("micro").unwrap();
        assert_eq!(Config::parse(&config.to_toml()).unwrap(), config);
    }

    #[test]
    fn empty_file_is_the_default() {
        assert_eq!(Config::parse("").unwrap(), Config::preset("micro").unwrap());
    }

    /// Of a run before there was averaging: its checkpoint can still be used.
    #[test]
    fn an_older_configuration_keeps_its_hash() {
        let mut config = Config::preset("micro").unwrap();
        config.train = TrainConfig {
            minutes: 40.0,
            threads: 1,
            episodes: 4,
            n_way: 20,
            learning_rate: 2e-3,
            warmup: 100,
            weight_decay: 1e-3,
            ..config.train
        };
        config.augment.shift = 0.06;
        if let Some(network) = &mut config.network {
            network.framing = crate::spec::Framing::Picture;
        }
        let hash = "d41fd6bb7bfe0a0e2f3b0f012e448c5a50ebabdf4c44fb8bd66ba84178839e2c";
        assert_eq!(config.hash(), hash);
    }

    #[test]
    fn a_preset_is_a_recipe() {
        for name in ["koch", "seed"] {
            let preset = Config::preset(name).unwrap();
            assert_eq!(Config::parse(&preset.to_toml()).unwrap(), preset);
            let text = format!("preset = \"{name}\"");
            assert_eq!(Config::parse(&text).unwrap(), preset);
            let text = format!("{text}\n[train]\nseed = 7\n[pairs]\nbatch = 16");
            let mut expected = preset.clone();
            expected.train.seed = 7;
            expected.pairs.as_mut().unwrap().batch = 16;
            assert_eq!(Config::parse(&text).unwrap(), expected);
        }
    }

    #[test]
    fn pairs_have_a_loss_of_their_own() {
        let text = "preset = \"koch\"\n[train]\nclass_loss = 0.5";
        let error = Config::parse(text).unwrap_err().to_string();
        assert!(error.starts_with("train.class_loss must be 0"), "{error}");
    }

    #[test]
    fn names_the_nearest_field() {
        let error = Config::parse("[train]\nlearning_rat = 0.1")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("nearest valid field is `learning_rate`"),
            "{error}"
        );
        let error = Config::parse("preset = \"mikro\"").unwrap_err().to_string();
        assert_eq!(
            error,
            "preset `mikro` does not exist; the nearest one is `micro`"
        );
    }

    #[test]
    fn names_the_field_out_of_range() {
        let error = Config::parse("[train]\nn_way = 1").unwrap_err().to_string();
        assert_eq!(error, "train.n_way must be 2 to 64");
    }

    #[test]
    fn another_network_is_custom() {
        let text =
            "[network]\ninput_side = 8\nlayers = [{ op = \"max_pool\", kernel = 2, stride = 2 }]";
        assert_eq!(Config::parse(text).unwrap().preset, "custom");
    }
}
