//! The files of a run: `model.onelook` for the device and three ONNX files for everyone else.
//!
//! In: the float and the integer network. Out: a [`Bundle`]: four files that name each other by
//! SHA-256, written whole or read back and checked.
//!
//! Reading order: this file, [`onnx`] (the three graphs), [`graph`] (the ONNX types), [`read`]
//! (ONNX back to a network).

pub mod graph;
pub mod onnx;
pub mod read;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use shared::model::{FormatError, ModelView};

use crate::files::{WriteError, create_folder, write_whole};
use crate::float_net::{FloatNet, FloatNetError};
use crate::quantize::{ModelError, QuantNet};
use crate::spec::{Place, SpecError};

/// The device's model.
pub const MODEL: &str = "model.onelook";
/// Two images to a logit, in 32-bit floating point.
pub const MODEL_FLOAT: &str = "model.onnx";
/// Two images to a logit, in the device's integers.
pub const MODEL_INT8: &str = "model-int8.onnx";
/// One image to an embedding, in the device's integers.
pub const ENCODER_INT8: &str = "encoder-int8.onnx";

/// The content of a run's exported files. Owning one proves that `model.onelook` was accepted by
/// the device's reader and that the ONNX files belong to it. Of a network that stays in floating point there
/// is only [`MODEL_FLOAT`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    float: Vec<u8>,
    integers: Option<Integers>,
}

/// The files in the device's integers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Integers {
    model: Vec<u8>,
    pair: Vec<u8>,
    encoder: Vec<u8>,
}

impl Bundle {
    /// Everything that is exported of one trained network.
    ///
    /// # Errors
    /// [`ExportError`] when the two networks do not have the same layers or the integer network is
    /// not certified.
    pub fn new(
        float: &FloatNet,
        quantized: &QuantNet,
        provenance: &str,
        config_hash: &str,
    ) -> Result<Self, ExportError> {
        if float.spec != quantized.spec {
            return Err(ExportError::Networks);
        }
        let model = quantized.to_model_bytes(provenance)?;
        let metadata = [
            ("onelook.config_hash", config_hash.to_owned()),
            (MODEL_SHA256, sha256(&model)),
            ("onelook.certificate", quantized.certificate().to_string()),
            ("onelook.provenance", provenance.to_owned()),
            (read::NETWORK, read::network_entry(&float.spec)),
        ];
        Ok(Self {
            float: onnx::float_pair(float)?.into_bytes(&metadata),
            integers: Some(Integers {
                model,
                pair: onnx::int8_pair(quantized)?.into_bytes(&metadata),
                encoder: onnx::int8_encoder(quantized)?.into_bytes(&metadata),
            }),
        })
    }

    /// What is exported of a network that stays in floating point.
    ///
    /// # Errors
    /// [`ExportError`] when weights are missing.
    pub fn of_float(
        net: &FloatNet,
        provenance: &str,
        config_hash: &str,
    ) -> Result<Self, ExportError> {
        let metadata = [
            ("onelook.config_hash", config_hash.to_owned()),
            (STAYS_FLOAT, "true".to_owned()),
            ("onelook.provenance", provenance.to_owned()),
            (read::NETWORK, read::network_entry(&net.spec)),
        ];
        Ok(Self {
            float: onnx::float_pair(net)?.into_bytes(&metadata),
            integers: None,
        })
    }

    /// Writes the files into `folder`, each whole or not at all.
    ///
    /// # Errors
    /// [`WriteError`] naming the file.
    pub fn write(&self, folder: &Path) -> Result<(), WriteError> {
        create_folder(folder)?;
        write_whole(&folder.join(MODEL_FLOAT), &self.float)?;
        for (name, bytes) in self.integers.iter().flat_map(Integers::files) {
            write_whole(&folder.join(name), bytes)?;
        }
        Ok(())
    }

    /// Reads the files of `folder` and checks that they belong together.
    ///
    /// # Errors
    /// [`ReadError`] naming the file and what is wrong with it.
    pub fn read(folder: &Path) -> Result<Self, ReadError> {
        let file = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|source| ReadError::File { path, source })
        };
        let (model, float) = (file(MODEL), file(MODEL_FLOAT));
        if let (Err(_), Ok(float)) = (&model, &float)
            && read::metadata(float, STAYS_FLOAT).is_ok_and(|entry| entry.is_some())
        {
            return Ok(Self {
                float: float.clone(),
                integers: None,
            });
        }
        let integers = Integers {
            model: model?,
            pair: file(MODEL_INT8)?,
            encoder: file(ENCODER_INT8)?,
        };
        let float = float?;
        ModelView::new_checked(&integers.model).map_err(|source| ReadError::Model {
            path: folder.join(MODEL),
            source,
        })?;
        let expected = sha256(&integers.model);
        let [_, pair, encoder] = integers.files();
        for (name, bytes) in [(MODEL_FLOAT, &*float), pair, encoder] {
            let path = folder.join(name);
            let got = read::metadata(bytes, MODEL_SHA256).map_err(|message| ReadError::Onnx {
                path: path.clone(),
                message,
            })?;
            if got.as_deref() != Some(&expected) {
                return Err(ReadError::Mixed { path });
            }
        }
        let integers = Some(integers);
        Ok(Self { float, integers })
    }

    fn integers(&self) -> Result<&Integers, FloatOnlyRun> {
        self.integers.as_ref().ok_or(FloatOnlyRun)
    }

    /// Whether there is no model for a device.
    #[must_use]
    pub const fn stays_float(&self) -> bool {
        self.integers.is_none()
    }

    /// The bytes of [`MODEL`].
    ///
    /// # Errors
    /// [`FloatOnlyRun`] when there is none.
    pub fn model(&self) -> Result<&[u8], FloatOnlyRun> {
        Ok(&self.integers()?.model)
    }

    /// The device's view of [`MODEL`].
    ///
    /// # Errors
    /// [`ViewError::FloatOnly`] when there is none. Nothing else in practice: whoever made this bundle has
    /// parsed the same bytes.
    pub fn view(&self) -> Result<ModelView<'_>, ViewError> {
        Ok(ModelView::new_checked(self.model()?)?)
    }

    /// SHA-256 in hex of [`MODEL`], or of [`MODEL_FLOAT`] where that is all there is.
    #[must_use]
    pub fn model_sha256(&self) -> String {
        sha256(self.model().unwrap_or(&self.float))
    }

    /// The bytes of [`MODEL_FLOAT`].
    #[must_use]
    pub fn float_onnx(&self) -> &[u8] {
        &self.float
    }

    /// The bytes of [`MODEL_INT8`].
    ///
    /// # Errors
    /// [`FloatOnlyRun`] when there is none.
    pub fn int8_onnx(&self) -> Result<&[u8], FloatOnlyRun> {
        Ok(&self.integers()?.pair)
    }

    /// The bytes of [`ENCODER_INT8`].
    ///
    /// # Errors
    /// [`FloatOnlyRun`] when there is none.
    pub fn encoder_onnx(&self) -> Result<&[u8], FloatOnlyRun> {
        Ok(&self.integers()?.encoder)
    }

    /// The float network, read back from [`MODEL_FLOAT`]: the same bits as were exported.
    ///
    /// # Errors
    /// [`ReadError::Onnx`] when the graph is not one that [`Self::new`] writes.
    pub fn float_net(&self) -> Result<FloatNet, ReadError> {
        read::float_net(&self.float).map_err(|message| ReadError::Onnx {
            path: MODEL_FLOAT.into(),
            message,
        })
    }

    /// The same files with the integer graphs of another network: what a faulty engine looks like.
    #[cfg(test)]
    pub(crate) fn with_int8_of(&self, other: &QuantNet) -> Self {
        let metadata = [(MODEL_SHA256, self.model_sha256())];
        Self {
            float: self.float.clone(),
            integers: Some(Integers {
                model: self.model().unwrap().to_vec(),
                pair: onnx::int8_pair(other).unwrap().into_bytes(&metadata),
                encoder: onnx::int8_encoder(other).unwrap().into_bytes(&metadata),
            }),
        }
    }
}

impl Integers {
    fn files(&self) -> [(&'static str, &[u8]); 3] {
        [
            (MODEL, &self.model),
            (MODEL_INT8, &self.pair),
            (ENCODER_INT8, &self.encoder),
        ]
    }
}

/// Metadata key that ties an ONNX file to the model file of the same export.
const MODEL_SHA256: &str = "onelook.model_sha256";
/// Metadata key of a network that has no model file.
const STAYS_FLOAT: &str = "onelook.stays_float";

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a network cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The two networks are not one.
    #[error(
        "the float and the integer network have different layers: quantize the network that is exported"
    )]
    Networks,
    /// The layers do not fit each other.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The integer network has no valid model file.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The float network lacks weights.
    #[error(transparent)]
    Float(#[from] FloatNetError),
    /// The integer network lacks weights.
    #[error("{place}: {got} integers, the layer asks for {expected}")]
    Weights {
        /// Where.
        place: Place,
        /// Values needed.
        expected: usize,
        /// Values there.
        got: usize,
    },
}

/// The network has no integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this network stays in floating point: there is no {MODEL} of it, and nothing for a device; evaluate it with --engine float or float-ort"
)]
pub struct FloatOnlyRun;

/// Why there is no view of a model.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// There is no model.
    #[error(transparent)]
    FloatOnly(#[from] FloatOnlyRun),
    /// It is damaged.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// Why a folder is not an export.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be read.
    #[error("{path}: {source}; give the folder of a finished run")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The model file is damaged.
    #[error("{path}: {source}")]
    Model {
        /// The file.
        path: PathBuf,
        /// Why.
        source: FormatError,
    },
    /// An ONNX file is damaged or not ours.
    #[error("{path}: {message}; export the run again")]
    Onnx {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// An ONNX file of another export.
    #[error("{path} does not belong to the {MODEL} beside it; export the run again")]
    Mixed {
        /// The file.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests;
