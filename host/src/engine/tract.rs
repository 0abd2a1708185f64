//! The exported graphs in tract, an ONNX engine in pure Rust.
//!
//! tract is fastest with fixed shapes, so the symbolic batch axis is compiled as 1.

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, IntoTValue, TVec, Tensor, ToDim, TractError,
    TractResult, TypedRunnableModel,
};

use super::{Engine, EngineError, Graph};
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
        let compile = |bytes| compile(bytes, 1).map_err(refused);
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

    fn run(&self, graph: Graph, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EngineError> {
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
                return run(&plan, inputs).map_err(refused);
            }
        };
        run(plan, inputs).map_err(refused)
    }
}

/// Compiles a graph for a fixed batch.
fn compile(bytes: &[u8], batch: usize) -> TractResult<Arc<TypedRunnableModel>> {
    let mut model = tract_onnx::onnx().model_for_read(&mut &bytes[..])?;
    let symbol = model.symbols.sym("N");
    model.set_symbols(&HashMap::from([(symbol, batch.to_dim())]))?;
    model.into_optimized()?.into_runnable()
}

fn run(plan: &Arc<TypedRunnableModel>, inputs: &[Vec<f32>]) -> TractResult<Vec<Vec<f32>>> {
    let mut tensors = TVec::new();
    for (index, input) in inputs.iter().enumerate() {
        let shape = plan.model().input_fact(index)?.shape.as_concrete();
        let shape = shape.ok_or_else(|| TractError::msg("an input has no fixed shape"))?;
        tensors.push(Tensor::from_shape(shape, input)?.into_tvalue());
    }
    let outputs = plan.run(tensors)?;
    let values = outputs.iter().map(|output| {
        let output = output.cast_to::<f32>()?;
        Ok(output.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())
    });
    values.collect()
}

fn refused(error: TractError) -> EngineError {
    EngineError::Engine {
        engine: NAME.to_owned(),
        message: format!("{error:#}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::quantize;
    use crate::spec::{LayerSpec, NetSpec};
    use crate::untrained::untrained;

    /// The files promise a batch axis: three pairs at once are three pairs one by one.
    #[test]
    fn the_batch_axis_is_free() {
        let conv = LayerSpec::Conv {
            c_out: 3,
            kernel: 3,
            stride: 2,
            pad: 1,
        };
        let spec = NetSpec {
            input_side: 8,
            layers: vec![conv],
        };
        let float = untrained(&spec, 1).unwrap();
        let image = |seed: usize| (0..64).map(move |at| (at * seed % 251) as u8);
        let (quantized, _) = quantize(&float, &[image(7).collect()]).unwrap();
        let bundle = Bundle::new(&float, &quantized, "", "").unwrap();
        let real = |seed| image(seed).map(|pixel| f32::from(pixel) / 256.0);
        for bytes in [bundle.int8_onnx(), bundle.float_onnx()] {
            let one = compile(bytes, 1).unwrap();
            let one_by_one = (1..4).map(|seed| {
                let inputs = [real(seed).collect(), real(seed + 3).collect()];
                run(&one, &inputs).unwrap().concat()
            });
            let one_by_one: Vec<Vec<f32>> = one_by_one.collect();
            let inputs = [0, 3].map(|offset| (1..4).flat_map(|seed| real(seed + offset)).collect());
            let outputs = run(&compile(bytes, 3).unwrap(), &inputs).unwrap();
            for (pair, expected) in one_by_one.iter().enumerate() {
                assert_eq!([outputs[0][pair], outputs[1][pair]], expected[..]);
            }
        }
    }
}
