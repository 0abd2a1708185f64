//! The networks that have a name.
//!
//! In: `micro`, `nano`, `koch` or `seed`. Out: a [`NetSpec`].

use super::{Activation, Framing, LayerSpec, NetSpec, Norm};

/// A preset's name and what it is for.
pub const PRESETS: [(&str, &str); 4] = [
    (
        "micro",
        "the network that ships: 48×48, 213,217 parameters, 18.7 M MAC per image",
    ),
    (
        "nano",
        "for small memories: 40×40, 56,969 parameters, 3.3 M MAC per image",
    ),
    (
        "koch",
        "the paper's: 105×105, 38,951,745 parameters, 909 M MAC per image; floating point only",
    ),
    (
        "seed",
        "the blog post's variation: the paper's layers under another recipe; floating point only",
    ),
];

impl NetSpec {
    /// The preset of that name.
    #[must_use]
    pub fn preset(name: &str) -> Option<Self> {
        match name {
            "micro" => Some(Self::micro()),
            "nano" => Some(Self::nano()),
            "koch" | "seed" => Some(Self::koch()),
            _ => None,
        }
    }

    fn micro() -> Self {
        let conv = |c_out, stride| LayerSpec::conv(c_out, 3, stride, 1);
        let pool = LayerSpec::max_pool(2, 2);
        Self {
            input_side: 48,
            framing: Framing::Mark,
            layers: vec![
                conv(32, 2),
                conv(32, 1),
                pool,
                conv(64, 1),
                conv(64, 1),
                pool,
                conv(128, 1),
                conv(64, 1),
                pool,
            ],
        }
    }

    fn nano() -> Self {
        let conv = |c_out, stride| LayerSpec::conv(c_out, 3, stride, 1);
        let pool = LayerSpec::max_pool(2, 2);
        Self {
            input_side: 40,
            framing: Framing::Mark,
            layers: vec![
                conv(16, 2),
                conv(24, 1),
                pool,
                conv(32, 1),
                pool,
                conv(64, 1),
                conv(48, 1),
                pool,
            ],
        }
    }

    /// Koch et al. 2015, figure 4: no normalization, sigmoid units at the end.
    fn koch() -> Self {
        let conv = |c_out, kernel| LayerSpec::Conv {
            c_out,
            kernel,
            stride: 1,
            pad: 0,
            norm: Norm::None,
            activation: Activation::Relu,
        };
        let pool = LayerSpec::max_pool(2, 2);
        let embedding = LayerSpec::Linear {
            c_out: 4096,
            norm: Norm::None,
            activation: Activation::Sigmoid,
        };
        Self {
            input_side: 105,
            framing: Framing::Picture,
            layers: vec![
                conv(64, 10),
                pool,
                conv(128, 7),
                pool,
                conv(128, 4),
                pool,
                conv(256, 4),
                embedding,
            ],
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::shape::Hwc;

    use super::*;

    #[test]
    fn micro_costs_what_it_says() {
        let micro = NetSpec::preset("micro").unwrap();
        assert_eq!(micro.embedding(), Ok(Hwc::new(3, 3, 64)));
        assert_eq!(micro.parameters(), Ok(213_217));
        assert_eq!(micro.macs(), Ok(18_745_344));
    }

    #[test]
    fn nano_costs_what_it_says() {
        let nano = NetSpec::preset("nano").unwrap();
        assert_eq!(nano.embedding(), Ok(Hwc::new(2, 2, 48)));
        assert_eq!(nano.parameters(), Ok(56_969));
        assert_eq!(nano.macs(), Ok(3_283_200));
    }

    /// Koch 2015, figure 4, layer by layer.
    #[test]
    fn koch_has_the_papers_parameters() {
        let koch = NetSpec::preset("koch").unwrap();
        let layers: Vec<usize> = koch
            .weights()
            .unwrap()
            .map(|(_, weights, _)| weights.len() + weights.c_out)
            .collect();
        let papers = [6_464, 401_536, 262_272, 524_544, 37_752_832];
        assert_eq!(layers, papers);
        assert_eq!(koch.embedding(), Ok(Hwc::new(1, 1, 4096)));
        assert_eq!(koch.parameters(), Ok(38_951_745));
        assert_eq!(koch.macs(), Ok(908_623_872));
    }

    #[test]
    fn every_preset_reads_back_from_toml() {
        for (name, _) in PRESETS {
            let spec = NetSpec::preset(name).unwrap();
            let text = toml::to_string_pretty(&spec).unwrap();
            assert_eq!(toml::from_str::<NetSpec>(&text).unwrap(), spec);
        }
    }
}
