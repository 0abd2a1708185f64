//! `checkpoint.safetensors`: the folded float network of a finished run.
//!
//! In and out: a [`FloatNet`] and the configuration it was trained with. Reading it needs no
//! libtorch, so `onelook export` works on any machine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::config::Config;
use crate::files::{WriteError, write_whole};
use crate::float_net::{FloatConv, FloatHead, FloatNet};
use crate::spec::LayerSpec;

/// Name of the file in a run's folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
const CONFIG_KEY: &str = "config";

/// Writes a network with its configuration.
///
/// # Errors
/// [`CheckpointError`] naming the file.
pub fn write(path: &Path, net: &FloatNet, config: &Config) -> Result<(), CheckpointError> {
    let refuse = |message: String| CheckpointError::Invalid {
        path: path.into(),
        message,
    };
    let tensors = tensors(net);
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, shape, values)| {
            (
                name,
                shape,
                values
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect(),
            )
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|error| refuse(error.to_string()))?;
    let metadata = HashMap::from([(CONFIG_KEY.to_owned(), config.to_toml())]);
    let file =
        safetensors::serialize(views, Some(metadata)).map_err(|error| refuse(error.to_string()))?;
    Ok(write_whole(path, &file)?)
}

/// Reads a network and its configuration.
///
/// # Errors
/// [`CheckpointError`] when the file is missing, damaged, or its tensors do not fit its own
/// configuration.
pub fn read(path: &Path) -> Result<(FloatNet, Config), CheckpointError> {
    let refuse = |message: String| CheckpointError::Invalid {
        path: path.into(),
        message,
    };
    let bytes = std::fs::read(path).map_err(|source| CheckpointError::Read {
        path: path.into(),
        source,
    })?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| refuse(e.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| refuse(e.to_string()))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let toml = metadata
        .get(CONFIG_KEY)
        .ok_or_else(|| refuse("it holds no configuration".into()))?;
    let config = Config::parse(toml).map_err(|error| refuse(error.to_string()))?;
    let spec = config
        .network()
        .map_err(|error| refuse(error.to_string()))?;
    let shapes = spec.shapes().map_err(|error| refuse(error.to_string()))?;

    let tensor = |name: &str, shape: &[usize]| {
        let view = file
            .tensor(name)
            .map_err(|error| refuse(error.to_string()))?;
        if view.shape() != shape || view.dtype() != Dtype::F32 {
            let got = view.shape();
            return Err(refuse(format!(
                "{name} is {got:?}, the network needs {shape:?}"
            )));
        }
        let (values, _) = view.data().as_chunks::<4>();
        Ok(values
            .iter()
            .map(|value| f32::from_le_bytes(*value))
            .collect::<Vec<f32>>())
    };
    let mut convs = Vec::new();
    for (layer, input) in spec.layers.iter().zip(&shapes) {
        if let LayerSpec::Conv { c_out, kernel, .. } = *layer {
            let index = convs.len();
            let shape = [c_out, input.c, kernel, kernel];
            convs.push(FloatConv {
                weight_oihw: tensor(&format!("conv{index}.weight"), &shape)?,
                bias: tensor(&format!("conv{index}.bias"), &[c_out])?,
            });
        }
    }
    let embedding = shapes.last().map_or(0, shared::shape::Hwc::len);
    let bias = tensor("head.bias", &[1])?;
    let head = FloatHead {
        weight_hwc: tensor("head.weight", &[embedding])?,
        bias: bias.first().copied().unwrap_or_default(),
    };
    Ok((FloatNet { spec, convs, head }, config))
}

/// Every tensor with its name and shape.
fn tensors(net: &FloatNet) -> Vec<(String, Vec<usize>, &[f32])> {
    let mut all: Vec<(String, Vec<usize>, &[f32])> = Vec::new();
    let kernels = net.spec.layers.iter().filter_map(|layer| match layer {
        LayerSpec::Conv { kernel, .. } => Some(*kernel),
        LayerSpec::MaxPool { .. } => None,
    });
    for (index, (conv, kernel)) in net.convs.iter().zip(kernels).enumerate() {
        let c_out = conv.bias.len();
        let c_in = conv.weight_oihw.len() / (c_out * kernel * kernel).max(1);
        let shape = vec![c_out, c_in, kernel, kernel];
        all.push((format!("conv{index}.weight"), shape, &conv.weight_oihw));
        all.push((format!("conv{index}.bias"), vec![c_out], &conv.bias));
    }
    let head = &net.head;
    all.push((
        "head.weight".to_owned(),
        vec![head.weight_hwc.len()],
        &head.weight_hwc,
    ));
    all.push((
        "head.bias".to_owned(),
        vec![1],
        std::slice::from_ref(&head.bias),
    ));
    all
}

/// Why a checkpoint cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file cannot be read.
    #[error("{path}: {source}; name a folder with a finished run")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is damaged or belongs to another network.
    #[error("{path} is not a whole checkpoint of this program: {message}; train again")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net() -> (FloatNet, Config) {
        let text = "[network]\ninput_side = 4\nlayers = [{ op = \"conv\", c_out = 2, kernel = 3, stride = 2, pad = 1 }]";
        let config = Config::parse(text).unwrap();
        let numbers = |n: usize| (0..n).map(|v| v as f32 / 7.0).collect::<Vec<f32>>();
        let conv = FloatConv {
            weight_oihw: numbers(18),
            bias: numbers(2),
        };
        let head = FloatHead {
            weight_hwc: numbers(8),
            bias: 0.25,
        };
        (
            FloatNet {
                spec: config.network().unwrap(),
                convs: vec![conv],
                head,
            },
            config,
        )
    }

    #[test]
    fn round_trip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CHECKPOINT);
        let (net, config) = net();
        write(&path, &net, &config).unwrap();
        assert_eq!(read(&path).unwrap(), (net, config));
    }

    #[test]
    fn damaged_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CHECKPOINT);
        let (net, config) = net();
        write(&path, &net, &config).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(
            error.contains(CHECKPOINT) && error.contains("not a whole checkpoint"),
            "{error}"
        );
    }
}
