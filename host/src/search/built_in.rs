//! The search spaces that need no file.
//!
//! In: the configuration to start from. Out: a [`Space`] that fits it. `recipe` changes how a network learns;
//! `koch` is what Koch et al. 2015, section 3.2, searched: also the network.

use shared::shape::Hwc;

use super::space::{Parameter, Range, Space};
use crate::config::{Config, PairOptimizer};
use crate::spec::LayerSpec;

/// Names of the spaces on the command line.
pub const NAMES: [&str; 2] = ["recipe", "koch"];

/// The paper's, where a recipe trains on pairs; else the one for episodes.
#[must_use]
pub fn default_name(base: &Config) -> &'static str {
    if base.pairs.is_some() {
        "koch"
    } else {
        "recipe"
    }
}

/// The space of that name for this configuration.
#[must_use]
pub fn named(name: &str, base: &Config) -> Option<Space> {
    match name {
        "recipe" => Some(recipe()),
        "koch" => Some(koch(base)),
        _ => None,
    }
}

fn parameter(field: impl Into<String>, range: Range) -> Parameter {
    Parameter {
        field: field.into(),
        range,
    }
}

/// Learning rate, weight decay, losses and distortions of training on episodes, around the defaults.
fn recipe() -> Space {
    let log = |low, high| Range::Log { low, high };
    let linear = |low, high| Range::Linear { low, high };
    let parameters = vec![
        parameter("train.learning_rate", log(1e-3, 1e-1)),
        parameter("train.weight_decay", log(1e-4, 1e-1)),
        parameter("train.pair_loss", linear(0.0, 1.0)),
        parameter(
            "train.n_way",
            Range::Integer {
                low: 10,
                high: 40,
                step: 5,
            },
        ),
        parameter("augment.rotation", linear(0.0, 25.0)),
        parameter("augment.shear", linear(0.0, 0.4)),
        parameter("augment.scale", linear(0.0, 0.4)),
        parameter("augment.warp", linear(0.0, 0.06)),
        parameter("augment.pen", linear(0.0, 1.0)),
    ];
    Space { parameters }
}

/// For every layer with weights, and the head: learning rate, momentum and L2. For every convolution: filters and
/// kernel; for fully connected layers: units. L2 is drawn by its logarithm, the paper's range has its 0 at
/// 10⁻⁶; momentum ends where training allows it.
fn koch(base: &Config) -> Space {
    let network = base.network().ok();
    let layers = network.iter().flat_map(|network| &network.layers);
    let shapes = network.as_ref().and_then(|network| network.shapes().ok());
    let mut parameters: Vec<Parameter> = optimizer(base, layers.clone());
    let inputs = shapes.into_iter().flatten();
    for (index, (layer, input)) in layers.zip(inputs).enumerate() {
        parameters.extend(architecture(index, layer, input));
    }
    Space { parameters }
}

fn optimizer<'l>(base: &Config, layers: impl Iterator<Item = &'l LayerSpec>) -> Vec<Parameter> {
    let rate = Range::Log {
        low: 1e-4,
        high: 1e-1,
    };
    let l2 = Range::Log {
        low: 1e-6,
        high: 1e-1,
    };
    match base.pairs.as_ref().map(|pairs| &pairs.optimizer) {
        Some(PairOptimizer::Momentum { .. }) => {
            let with_weights = layers.filter(|layer| layer.tail().is_some()).count();
            let rules = (0..=with_weights).flat_map(|index| {
                let at = format!("pairs.optimizer.layers[{index}]");
                let momentum = Range::Linear {
                    low: 0.0,
                    high: 0.999,
                };
                [
                    parameter(format!("{at}.learning_rate"), rate.clone()),
                    parameter(format!("{at}.momentum"), momentum),
                    parameter(format!("{at}.l2"), l2.clone()),
                ]
            });
            rules.collect()
        }
        Some(PairOptimizer::Adam { .. }) => vec![
            parameter(
                "train.learning_rate",
                Range::Log {
                    low: 1e-5,
                    high: 1e-2,
                },
            ),
            parameter("pairs.optimizer.l2", l2.clone()),
            parameter("pairs.optimizer.l2_linear", l2),
        ],
        None => vec![parameter("train.learning_rate", rate)],
    }
}

fn architecture(index: usize, layer: &LayerSpec, input: Hwc) -> Vec<Parameter> {
    let at = format!("network.layers[{index}]");
    let integer = |field: &str, [low, high, step]: [i64; 3]| {
        parameter(format!("{at}.{field}"), Range::Integer { low, high, step })
    };
    match layer {
        LayerSpec::Conv { .. } => {
            let mut of_layer = vec![integer("c_out", [16, 256, 16])];
            // The paper's images are 105 pixels wide; here a layer may see less than its largest kernel.
            let largest = input.h.min(20) as i64;
            if largest > 3 {
                of_layer.push(integer("kernel", [3, largest, 1]));
            }
            of_layer
        }
        LayerSpec::Linear { .. } => vec![integer("c_out", [128, 4096, 16])],
        LayerSpec::Depthwise { .. } | LayerSpec::MaxPool { .. } | LayerSpec::GlobalAveragePool => {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_a_space_that_fits_it() {
        for preset in ["micro", "nano", "koch", "seed"] {
            let base = Config::preset(preset).unwrap();
            let name = default_name(&base);
            let space = named(name, &base).unwrap();
            space
                .check(&base)
                .unwrap_or_else(|error| panic!("{preset}: {error}"));
            // What is printed can be read again.
            assert_eq!(Space::parse(&space.to_toml(), &base).unwrap(), space);
        }
        assert!(named("other", &Config::preset("micro").unwrap()).is_none());
    }

    /// Koch et al. 2015, section 3.2: four convolutions and a fully connected layer, and the head.
    #[test]
    fn the_papers_space_has_every_layer() {
        let base = Config::preset("koch").unwrap();
        let space = named("koch", &base).unwrap();
        assert_eq!(space.parameters.len(), 6 * 3 + 4 * 2 + 1);
        let range = |field: &str| {
            let found = space
                .parameters
                .iter()
                .find(|parameter| parameter.field == field);
            found.unwrap().range.clone()
        };
        assert_eq!(
            range("network.layers[0].kernel"),
            Range::Integer {
                low: 3,
                high: 20,
                step: 1
            }
        );
        // The last one sees 9 by 9.
        let Range::Integer { high, .. } = range("network.layers[6].kernel") else {
            panic!("not a whole number")
        };
        assert!(high < 20, "{high}");
        let spread = space.with_layer_rules(&base);
        let Some(PairOptimizer::Momentum { layers, .. }) =
            spread.pairs.map(|pairs| pairs.optimizer)
        else {
            panic!("no momentum")
        };
        assert_eq!(layers.len(), 6);
    }
}
