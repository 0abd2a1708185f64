//! A network's own file in onnxruntime: what an import has to equal.

use std::path::Path;

use ort::session::Session;
use ort::session::SessionInputValue;
use ort::value::Tensor;

use super::EngineError;
use super::onnxruntime::environment;

/// An ONNX file that somebody else wrote.
pub struct Original {
    session: Session,
}

impl Original {
    /// Opens a file, with the files beside it that hold its weights.
    ///
    /// # Errors
    /// [`EngineError`] when there is no onnxruntime at `library` or it refuses the file.
    pub fn open(library: &Path, path: &Path) -> Result<Self, EngineError> {
        let refused = |error: &dyn std::fmt::Display| refused(error);
        let builder = Session::builder(&environment(library)?).map_err(|error| refused(&error))?;
        let mut builder = builder
            .with_intra_threads(1)
            .map_err(|error| refused(&error))?;
        let session = builder
            .commit_from_file(path)
            .map_err(|error| refused(&error))?;
        Ok(Self { session })
    }

    /// Shows it one image per input; returns its first output.
    ///
    /// # Errors
    /// [`EngineError::Engine`] when it takes other inputs.
    pub fn run(&mut self, inputs: &[Vec<f32>]) -> Result<Vec<f32>, EngineError> {
        self.try_run(inputs).map_err(|error| refused(&error))
    }

    fn try_run(&mut self, inputs: &[Vec<f32>]) -> Result<Vec<f32>, ort::Error> {
        let declared = self.session.inputs().iter();
        let shapes: Vec<Vec<i64>> = declared
            .filter_map(|input| input.dtype().tensor_shape().map(|shape| shape.to_vec()))
            .collect();
        let mut values: Vec<SessionInputValue<'_>> = Vec::new();
        for (mut shape, input) in shapes.into_iter().zip(inputs) {
            if let Some(batch) = shape.first_mut() {
                *batch = 1;
            }
            values.push(Tensor::from_array((shape, input.clone()))?.into());
        }
        let outputs = self.session.run(&values[..])?;
        match outputs.values().next() {
            Some(output) => Ok(output.try_extract_tensor::<f32>()?.1.to_vec()),
            None => Ok(Vec::new()),
        }
    }
}

fn refused(error: &dyn std::fmt::Display) -> EngineError {
    EngineError::Engine {
        engine: "onnxruntime".to_owned(),
        message: error.to_string(),
    }
}
