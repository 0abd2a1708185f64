//! A model that a command line names: a file, a run's folder, or one that ships.

use std::borrow::Cow;
use std::path::Path;

use shared::model::ModelView;

use super::Failure;
use crate::dataset::hex;
use crate::export::MODEL;
use crate::shipped::{self, SHIPPED};

/// The bytes of a `model.onelook` that the device's own reader has accepted.
#[derive(Debug)]
pub(super) struct ModelFile(Cow<'static, [u8]>);

impl ModelFile {
    /// The shipped network of that name, or the file, or that of a run's folder; a file of that very name
    /// is `./micro`.
    pub(super) fn read(named: &Path) -> Result<Self, Failure> {
        let name = named.to_str().unwrap_or_default();
        if let Some(shipped) = shipped::find(name) {
            return Ok(Self(shipped.model.into()));
        }
        let of_run = named.join(MODEL);
        let named = if named.is_dir() { &of_run } else { named };
        let shown = named.display();
        let bytes = std::fs::read(named).map_err(|error| {
            let names = SHIPPED.map(|shipped| shipped.name).join(" or ");
            Failure::Usage(format!(
                "{shown}: {error}; name a model.onelook, or {names}"
            ))
        })?;
        ModelView::new_checked(&bytes)
            .map_err(|error| Failure::Usage(format!("{shown}: {error}")))?;
        Ok(Self(bytes.into()))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The device's view of it.
    pub(super) fn view(&self) -> Result<ModelView<'_>, Failure> {
        ModelView::new_checked(&self.0).map_err(Failure::work)
    }

    /// What a device calls it.
    pub(super) fn fingerprint(&self) -> Result<String, Failure> {
        Ok(hex(&self.view()?.fingerprint()))
    }
}
