//! The exported graphs in tract, an ONNX engine in pure Rust.
//!
//! tract compiles a graph for fixed shapes: each graph is compiled once for [`BATCH`] images, and
//! a shorter batch is filled up with blank ones.

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTValue, TVec, Tensor, ToDim, TractError,
    TractResult, TypedRunnableModel,
};

use super::{BATCH, Engine, EngineError, Graph};
use crate::export::Bundle;
use crate::export::read::expose_layers;

const NAME: &str = "tract";

/// tract on the graphs of one export.
pub struct Tract<'b> {
    bundle: &'b Bundle,
    float: Arc<TypedRunnableModel>,
    int8: Arc<TypedRunnableModel>,
    encoder: Arc<TypedRunnableModel>,
}

impl<'b> Tract<'b> {
    /// Compiles the graphs.
    ///
    /// # Errors
    /// [`EngineError::Engine`] when tract refuses one.
    pub fn new(bundle: &'b Bundle) -> Result<Self, EngineError> {
        let compile = |bytes| compile(bytes, BATCH).map_err(refused);
        Ok(Self {
            bundle,
            float: compile(bundle.float_onnx())?,
            int8: compile(bundle.int8_onnx())?,
            encoder: compile(bundle.encoder_onnx())?,
        })
    }
}

impl Engine for Tract<'_> {
    fn name(&self) -> &str {
        NAME
    }

    fn run(
        &self,
        graph: Graph,
        n: usize,
        inputs: &[Vec<f32>],
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        let plan = match graph {
            Graph::FloatPair => &self.float,
            Graph::Int8Pair => &self.int8,
            Graph::Encoder => &self.encoder,
            Graph::Layers => {
                // Only looked at when something differs: compiled when asked for.
                let bytes = expose_layers(self.bundle.encoder_onnx()).map_err(|message| {
                    EngineError::Engine {
                        engine: NAME.to_owned(),
                        message,
                    }
                })?;
                let plan = compile(&bytes, 1).map_err(refused)?;
                return run(&plan, 1, n, inputs).map_err(refused);
            }
        };
        run(plan, BATCH, n, inputs).map_err(refused)
    }
}

/// Compiles a graph for a fixed batch.
fn compile(bytes: &[u8], batch: usize) -> TractResult<Arc<TypedRunnableModel>> {
    let mut model = tract_onnx::onnx().model_for_read(&mut &bytes[..])?;
    let symbol = model.symbols.sym("N");
    model.set_symbols(&HashMap::from([(symbol, batch.to_dim())]))?;
    model.into_optimized()?.into_runnable()
}

/// Fills the inputs up to `batch` images, runs, and drops what belongs to the filling.
fn run(
    plan: &Arc<TypedRunnableModel>,
    batch: usize,
    n: usize,
    inputs: &[Vec<f32>],
) -> TractResult<Vec<Vec<f32>>> {
    let mut tensors = TVec::new();
    for (index, input) in inputs.iter().enumerate() {
        let shape = plan.model().input_fact(index)?.shape.as_concrete();
        let shape = shape.ok_or_else(|| TractError::msg("an input has no fixed shape"))?;
        let mut filled = input.clone();
        filled.resize(shape.iter().product(), 0.0);
        tensors.push(Tensor::from_shape(shape, &filled)?.into_tvalue());
    }
    let outputs = plan.run(tensors)?;
    let values = outputs.iter().map(|output| {
        let output = output.cast_to::<f32>()?;
        let values = output.try_as_plain_ram()?.as_slice::<f32>()?;
        Ok(values[..values.len() / batch * n].to_vec())
    });
    values.collect()
}

fn refused(error: TractError) -> EngineError {
    EngineError::Engine {
        engine: NAME.to_owned(),
        message: format!("{error:#}"),
    }
}
