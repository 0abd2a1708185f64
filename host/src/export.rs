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
/// the device's reader and that the ONNX files belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    model: Vec<u8>,
    float: Vec<u8>,
    int8: Vec<u8>,
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
            model,
            float: onnx::float_pair(float)?.into_bytes(&metadata),
            int8: onnx::int8_pair(quantized)?.into_bytes(&metadata),
            encoder: onnx::int8_encoder(quantized)?.into_bytes(&metadata),
        })
    }

    /// Writes the four files into `folder`, each whole or not at all.
    ///
    /// # Errors
    /// [`WriteError`] naming the file.
    pub fn write(&self, folder: &Path) -> Result<(), WriteError> {
        create_folder(folder)?;
        for (name, bytes) in self.files() {
            write_whole(&folder.join(name), bytes)?;
        }
        Ok(())
    }

    /// Reads the four files of `folder` and checks that they belong together.
    ///
    /// # Errors
    /// [`ReadError`] naming the file and what is wrong with it.
    pub fn read(folder: &Path) -> Result<Self, ReadError> {
        let file = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(|source| ReadError::File { path, source })
        };
        let bundle = Self {
            model: file(MODEL)?,
            float: file(MODEL_FLOAT)?,
            int8: file(MODEL_INT8)?,
            encoder: file(ENCODER_INT8)?,
        };
        ModelView::new_checked(&bundle.model).map_err(|source| ReadError::Model {
            path: folder.join(MODEL),
            source,
        })?;
        let expected = bundle.model_sha256();
        for (name, bytes) in bundle.files().into_iter().skip(1) {
            let path = folder.join(name);
            let got = read::metadata(bytes, MODEL_SHA256).map_err(|message| ReadError::Onnx {
                path: path.clone(),
                message,
            })?;
            if got.as_deref() != Some(&expected) {
                return Err(ReadError::Mixed { path });
            }
        }
        Ok(bundle)
    }

    fn files(&self) -> [(&'static str, &[u8]); 4] {
        [
            (MODEL, &self.model),
            (MODEL_FLOAT, &self.float),
            (MODEL_INT8, &self.int8),
            (ENCODER_INT8, &self.encoder),
        ]
    }

    /// The bytes of [`MODEL`].
    #[must_use]
    pub fn model(&self) -> &[u8] {
        &self.model
    }

    /// The device's view of [`MODEL`].
    ///
    /// # Errors
    /// None in practice: whoever made this bundle has parsed the same bytes.
    pub fn view(&self) -> Result<ModelView<'_>, FormatError> {
        ModelView::new_checked(&self.model)
    }

    /// SHA-256 of [`MODEL`] in hex.
    #[must_use]
    pub fn model_sha256(&self) -> String {
        sha256(&self.model)
    }

    /// The bytes of [`MODEL_FLOAT`].
    #[must_use]
    pub fn float_onnx(&self) -> &[u8] {
        &self.float
    }

    /// The bytes of [`MODEL_INT8`].
    #[must_use]
    pub fn int8_onnx(&self) -> &[u8] {
        &self.int8
    }

    /// The bytes of [`ENCODER_INT8`].
    #[must_use]
    pub fn encoder_onnx(&self) -> &[u8] {
        &self.encoder
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
            int8: onnx::int8_pair(other).unwrap().into_bytes(&metadata),
            encoder: onnx::int8_encoder(other).unwrap().into_bytes(&metadata),
            ..self.clone()
        }
    }
}

/// Metadata key that ties an ONNX file to the model file of the same export.
const MODEL_SHA256: &str = "onelook.model_sha256";

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

/// Why a folder is not an export.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be read.
    #[error("{path}: {source}; give the folder of a run, it holds {MODEL} and three ONNX files")]
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
