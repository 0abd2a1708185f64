//! What a network may cost on a device, asked before it is trained.
//!
//! In: a configuration and the limits of a board. Out: nothing, or a refusal that names the layer
//! and the way out. Flash is the length of `model.onelook`; RAM is the arena and one embedding: what
//! it takes to embed one image.

use std::str::FromStr;

use shared::model::{MAX_LAYERS, ModelView};
use shared::ops::Operator;

use super::{Failure, export};
use crate::config::Config;
use crate::export::MODEL;
use crate::quantize::QuantNet;
use crate::quantize::exact::{FloatOnly, float_only};
use crate::spec::NetSpec;

/// The memory of a board.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct BudgetArgs {
    /// Most bytes of flash that model.onelook may take, as in 65536, 64KiB or 1MiB; refused before
    /// anything is trained or written.
    #[arg(long, value_name = "BYTES")]
    max_flash: Option<Bytes>,
    /// Most bytes of RAM that one embedding may take: the arena and the embedding itself; refused
    /// before anything is trained or written.
    #[arg(long, value_name = "BYTES")]
    max_ram: Option<Bytes>,
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes(usize);

impl FromStr for Bytes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const UNITS: [(&str, usize); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("B", 1)];
        let unit = UNITS
            .into_iter()
            .find_map(|(name, size)| Some((text.strip_suffix(name)?, size)));
        let (digits, size) = unit.unwrap_or((text, 1));
        let count: Option<usize> = digits.trim_end().parse().ok();
        let bytes = count.and_then(|count| count.checked_mul(size));
        bytes
            .map(Self)
            .ok_or("give a number of bytes, as in 65536, 64KiB or 1MiB")
    }
}

impl BudgetArgs {
    /// Whether the network of `config` can be quantized, fits the model file and these limits. One that
    /// stays in floating point on purpose, as the paper's, passes where nobody asks what it costs a device.
    pub(super) fn check(&self, config: &Config) -> Result<(), Failure> {
        let spec = config.network().map_err(Failure::usage)?;
        if config.stays_float() && self.max_flash.is_none() && self.max_ram.is_none() {
            return Ok(());
        }
        let model = untrained_model(&spec, &export::provenance(config))?;
        let model = ModelView::new_checked(&model).map_err(Failure::usage)?;
        self.check_flash(&model)?;
        self.check_ram(&model)
    }

    fn check_flash(&self, model: &ModelView<'_>) -> Result<(), Failure> {
        let got = model.bytes().len();
        let Some(Bytes(limit)) = self.max_flash.filter(|limit| got > limit.0) else {
            return Ok(());
        };
        let layers = model.layers().map(|layer| layer.operator);
        let worst = worst(layers.map(|operator| {
            let weights = operator
                .filters()
                .map_or(0, |filters| filters.weight().len());
            (operator, weights)
        }));
        Err(Failure::Usage(format!(
            "{MODEL} takes {got} bytes of flash, --max-flash allows {limit}; the largest part is \
             {worst} bytes of weights: give that layer fewer channels, or take another --preset"
        )))
    }

    fn check_ram(&self, model: &ModelView<'_>) -> Result<(), Failure> {
        let (arena, embedding) = (model.arena_len(), model.embedding_len());
        let got = arena + embedding;
        let Some(Bytes(limit)) = self.max_ram.filter(|limit| got > limit.0) else {
            return Ok(());
        };
        let worst = worst(model.steps().map(|step| (step, step.arena_len())));
        Err(Failure::Usage(format!(
            "one embedding takes {got} bytes of RAM ({arena} of arena, {embedding} of embedding), \
             --max-ram allows {limit}; the most is {worst} bytes of input, output and scratch: give \
             that layer or the one before it fewer channels or a larger stride, or take another \
             --preset"
        )))
    }
}

/// The step that costs most, in words: `network.layers[3] (Conv2d) with 4608`.
fn worst<'m>(steps: impl Iterator<Item = (Operator<'m>, usize)>) -> String {
    let mut first_layer = 0;
    let mut worst = (0, 0, "");
    for (operator, cost) in steps {
        if cost > worst.1 {
            worst = (first_layer, cost, operator.name());
        }
        first_layer += operator.layers();
    }
    let (layer, cost, name) = worst;
    format!("network.layers[{layer}] ({name}) with {cost}")
}

/// The model file of a network that is not trained: its length and its arena are those of the
/// trained one.
pub(super) fn untrained_model(spec: &NetSpec, provenance: &str) -> Result<Vec<u8>, Failure> {
    let refused = float_only(spec).map_err(Failure::usage)?;
    if !refused.is_empty() {
        let lines: Vec<String> = refused.iter().map(FloatOnly::to_string).collect();
        return Err(Failure::Usage(lines.join("\n")));
    }
    let n_layers = spec.layers.len();
    if !(1..=usize::from(MAX_LAYERS)).contains(&n_layers) {
        return Err(Failure::Usage(format!(
            "network.layers has {n_layers} layers, {MODEL} holds 1 to {MAX_LAYERS}"
        )));
    }
    let blank = QuantNet::blank(spec).map_err(Failure::usage)?;
    let bytes = blank.to_model_bytes(provenance);
    bytes.map_err(|error| {
        Failure::Usage(format!(
            "{error}; make network.input_side or the layers' c_out smaller"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Framing;
    use crate::spec::LayerSpec;

    fn check(preset: &str, max_flash: Option<&str>, max_ram: Option<&str>) -> Result<(), String> {
        let bytes = |text: Option<&str>| text.map(|text| text.parse().unwrap());
        let budget = BudgetArgs {
            max_flash: bytes(max_flash),
            max_ram: bytes(max_ram),
        };
        let checked = budget.check(&Config::preset(preset).unwrap());
        checked.map_err(|failure| {
            assert_eq!(failure.exit_code(), 2);
            failure.to_string()
        })
    }

    #[test]
    fn units() {
        let parsed = ["17", "64KiB", "2 MiB", "9B"].map(|text| text.parse::<Bytes>().unwrap().0);
        assert_eq!(parsed, [17, 65_536, 2 << 20, 9]);
        for text in ["", "KiB", "-1", "64kb", "99999999999999999999"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_fits_passes() {
        assert_eq!(check("micro", None, None), Ok(()));
        assert_eq!(check("nano", Some("64KiB"), Some("20KiB")), Ok(()));
    }

    #[test]
    fn the_costliest_layer_is_named() {
        let flash = check("micro", Some("64KiB"), None).unwrap_err();
        for words in [
            "--max-flash allows 65536",
            "network.layers[6] (Conv2d) with 73728 bytes",
        ] {
            assert!(flash.contains(words), "{flash}");
        }
        let ram = check("micro", None, Some("16KiB")).unwrap_err();
        for words in [
            "576 of embedding",
            "--max-ram allows 16384",
            "network.layers[1] (ConvMaxPool2d)",
        ] {
            assert!(ram.contains(words), "{ram}");
        }
    }

    #[test]
    fn what_the_file_does_not_hold_is_refused() {
        let refusal = |input_side, layers| {
            let spec = NetSpec {
                input_side,
                framing: Framing::Picture,
                layers,
            };
            untrained_model(&spec, "").unwrap_err().to_string()
        };
        let conv = LayerSpec::conv(1, 1, 1, 0);
        assert!(refusal(8, vec![conv; 33]).contains("33 layers, model.onelook holds 1 to 32"));
        assert!(refusal(8, vec![]).contains("0 layers"));
        let wide = refusal(1, vec![LayerSpec::conv(70_000, 1, 1, 0)]);
        assert!(wide.contains("70000") && wide.contains("c_out"), "{wide}");
    }

    #[test]
    fn a_float_network_costs_a_device_nothing() {
        assert_eq!(check("koch", None, None), Ok(()));
        let refusal = check("koch", None, Some("64KiB")).unwrap_err();
        assert!(refusal.contains("network.layers[7] (linear)"), "{refusal}");
    }
}
