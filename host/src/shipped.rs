//! The networks that ship with the program, for whoever has not trained one.
//!
//! In: a preset's name. Out: the bytes of its `model.onelook`. `models/` has the files, beside each one
//! the configuration that trained it and the report of that run; `cargo xtask ship RUN` puts them there.

/// Name of the one that is taken where none is named.
pub const DEFAULT: &str = "micro";

/// A trained network.
#[derive(Debug, Clone, Copy)]
pub struct Shipped {
    /// Its preset.
    pub name: &'static str,
    /// Its `model.onelook`.
    pub model: &'static [u8],
}

/// All of them.
pub const SHIPPED: [Shipped; 2] = [
    Shipped {
        name: DEFAULT,
        model: include_bytes!("../../models/micro.onelook"),
    },
    Shipped {
        name: "nano",
        model: include_bytes!("../../models/nano.onelook"),
    },
];

/// The shipped network of that name.
#[must_use]
pub fn find(name: &str) -> Option<Shipped> {
    SHIPPED.into_iter().find(|shipped| shipped.name == name)
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};
    use shared::model::ModelView;

    use super::*;
    use crate::config::Config;

    fn beside(name: &str, extension: &str) -> String {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models");
        std::fs::read_to_string(format!("{folder}/{name}.{extension}")).unwrap()
    }

    /// Model, configuration and report of a shipped network are of one run.
    #[test]
    fn what_ships_says_where_it_comes_from() {
        for Shipped { name, model } in SHIPPED {
            let view = ModelView::new_checked(model).unwrap();
            assert!(view.calibration().is_some(), "{name} knows no threshold");
            let config = Config::parse(&beside(name, "toml")).unwrap();
            assert_eq!(config.preset, name);
            let from = format!("config={}", config.hash());
            assert!(view.provenance().ends_with(&from), "{}", view.provenance());
            let report: serde_json::Value = serde_json::from_str(&beside(name, "json")).unwrap();
            assert_eq!(report["run"]["config_hash"], config.hash());
            let sha256 = crate::dataset::hex(&Sha256::digest(model));
            assert_eq!(report["model_sha256"], sha256);
            assert!(report["run"]["training"]["data"].is_string(), "{name}");
        }
    }
}
