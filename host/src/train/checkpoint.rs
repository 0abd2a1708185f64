//! Checkpoints: named tensors and text in a safetensors file.
//!
//! In and out: the state of a network, of its optimizer, and where the run stands. Written beside
//! the final name and renamed, so that a file under its name is always whole.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use tch::{Tensor, no_grad};

use super::TrainError;
use super::net::values;

/// Writes tensors and metadata.
///
/// # Errors
/// [`TrainError::Checkpoint`] naming the file.
pub fn save(
    path: &Path,
    tensors: &[(String, Tensor)],
    metadata: HashMap<String, String>,
) -> Result<(), TrainError> {
    let mut data = Vec::new();
    for (name, tensor) in tensors {
        let bytes: Vec<u8> = values(tensor)?
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let shape: Vec<usize> = tensor
            .size()
            .iter()
            .map(|&extent| extent as usize)
            .collect();
        data.push((name, shape, bytes));
    }
    let refuse = |message: String| TrainError::Checkpoint {
        path: path.into(),
        message,
    };
    let views: Result<Vec<_>, _> = data
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect();
    let views = views.map_err(|error: safetensors::SafeTensorError| refuse(error.to_string()))?;
    let bytes =
        safetensors::serialize(views, Some(metadata)).map_err(|error| refuse(error.to_string()))?;
    Ok(crate::files::write_whole(path, &bytes)?)
}

/// Reads a file written by [`save`] into tensors that already have the right shapes.
///
/// # Errors
/// [`TrainError::Checkpoint`] when the file is damaged, or lacks a tensor, or holds it in another
/// shape: it belongs to another network.
pub fn load(
    path: &Path,
    tensors: &[(String, Tensor)],
) -> Result<HashMap<String, String>, TrainError> {
    let refuse = |message: String| TrainError::Checkpoint {
        path: path.into(),
        message,
    };
    let bytes = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
    let (_, header) =
        SafeTensors::read_metadata(&bytes).map_err(|error| refuse(error.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| refuse(error.to_string()))?;
    for (name, tensor) in tensors {
        let view = file
            .tensor(name)
            .map_err(|error| refuse(error.to_string()))?;
        let shape: Vec<i64> = view.shape().iter().map(|&extent| extent as i64).collect();
        if shape != tensor.size() || view.dtype() != Dtype::F32 {
            let expected = tensor.size();
            return Err(refuse(format!(
                "{name} is {:?}{shape:?}, this network needs F32{expected:?}",
                view.dtype()
            )));
        }
        let (chunks, _) = view.data().as_chunks::<4>();
        let numbers: Vec<f32> = chunks
            .iter()
            .map(|chunk| f32::from_le_bytes(*chunk))
            .collect();
        let source = Tensor::f_from_slice(&numbers)?.f_reshape(&shape)?;
        no_grad(|| tensor.shallow_clone().f_copy_(&source))?;
    }
    Ok(header.metadata().clone().unwrap_or_default())
}
