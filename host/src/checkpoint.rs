//! `checkpoint.safetensors`: the folded float network of a finished run.
//!
//! In and out: a [`FloatNet`] and the configuration it was trained with. Reading it needs no
//! libtorch, so `onelook export` works on any machine.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::config::Config;
use crate::files::{WriteError, write_whole};
use crate::float_net::{FloatFilters, FloatHead, FloatNet};
use crate::spec::{SpecError, WeightShape};

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
    let tensors = tensors(net).map_err(|error| refuse(error.to_string()))?;
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
    let mut filters = Vec::new();
    let layers = spec.weights().map_err(|error| refuse(error.to_string()))?;
    for (index, (_, shape, _)) in layers.enumerate() {
        filters.push(FloatFilters {
            weight_oihw: tensor(&name(index, "weight"), &dims(shape))?,
            bias: tensor(&name(index, "bias"), &[shape.c_out])?,
        });
    }
    let embedding = spec
        .embedding()
        .map_err(|error| refuse(error.to_string()))?
        .len();
    let bias = tensor("head.bias", &[1])?;
    let head = FloatHead {
        weight_hwc: tensor("head.weight", &[embedding])?,
        bias: bias.first().copied().unwrap_or_default(),
    };
    let net = FloatNet {
        spec,
        filters,
        head,
    };
    Ok((net, config))
}

/// Name of a tensor of the layer with weights that is number `index` among them; `conv` whatever
/// its operator, as in the files of earlier versions.
fn name(index: usize, what: &str) -> String {
    format!("conv{index}.{what}")
}

fn dims(shape: WeightShape) -> [usize; 4] {
    [shape.c_out, shape.c_in, shape.k_h, shape.k_w]
}

/// Name, shape and values.
type NamedTensor<'n> = (String, Vec<usize>, &'n [f32]);

fn tensors(net: &FloatNet) -> Result<Vec<NamedTensor<'_>>, SpecError> {
    let mut all: Vec<NamedTensor<'_>> = Vec::new();
    let layers = net.spec.weights()?.zip(&net.filters);
    for (index, ((_, shape, _), filters)) in layers.enumerate() {
        let weight = (
            name(index, "weight"),
            dims(shape).to_vec(),
            &*filters.weight_oihw,
        );
        all.push(weight);
        all.push((name(index, "bias"), vec![shape.c_out], &filters.bias));
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
    Ok(all)
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
    use crate::untrained::untrained;

    fn net() -> (FloatNet, Config) {
        let text = "[network]\ninput_side = 4\nlayers = [\
            { op = \"conv\", c_out = 2, kernel = 3, stride = 1, pad = 1 },\
            { op = \"depthwise\", kernel = 3, stride = 2, pad = 1 },\
            { op = \"linear\", c_out = 3 }]";
        let config = Config::parse(text).unwrap();
        let net = untrained(&config.network().unwrap(), 1).unwrap();
        (net, config)
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
