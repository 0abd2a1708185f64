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

const NAME: &str = "tract";

/// tract on the graphs of one export.
pub struct Tract<'b> {
    bundle: &'b Bundle,
    plans: HashMap<Graph, Arc<TypedRunnableModel>>,
}

impl<'b> Tract<'b> {
    /// Compiles the graphs of all files.
    ///
    /// # Errors
    /// [`EngineError::Engine`] when tract refuses one.
    pub fn new(bundle: &'b Bundle) -> Result<Self, EngineError> {
        Self::of(bundle, &Graph::FILES)
    }

    /// Compiles these graphs; any other is compiled each time it is run.
    ///
    /// # Errors
    /// [`EngineError::Engine`] when tract refuses one.
    pub fn of(bundle: &'b Bundle, graphs: &[Graph]) -> Result<Self, EngineError> {
        let mut plans = HashMap::new();
        for &graph in graphs {
            plans.insert(graph, compile_graph(bundle, graph)?);
        }
        Ok(Self { bundle, plans })
    }
}

impl Engine for Tract<'_> {
    fn name(&self) -> &str {
        NAME
    }

    fn run(&self, graph: Graph, inputs: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, EngineError> {
        let outputs = match self.plans.get(&graph) {
            Some(plan) => run(plan, inputs),
            None => run(&compile_graph(self.bundle, graph)?, inputs),
        };
        outputs.map_err(refused)
    }
}

fn compile_graph(bundle: &Bundle, graph: Graph) -> Result<Arc<TypedRunnableModel>, EngineError> {
    let bytes = graph.onnx(bundle).map_err(|message| EngineError::Engine {
        engine: NAME.to_owned(),
        message,
    })?;
    compile(&bytes, 1).map_err(refused)
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
    use crate::spec::{Framing, LayerSpec, NetSpec};
    use crate::untrained::untrained;

    /// The files promise a batch axis: three pairs at once are three pairs one by one.
    #[test]
    fn the_batch_axis_is_free() {
        let spec = NetSpec {
            input_side: 8,
            framing: Framing::Picture,
            layers: vec![
                LayerSpec::conv(3, 3, 2, 1),
                LayerSpec::depthwise(3, 1, 1),
                LayerSpec::GlobalAveragePool,
                LayerSpec::linear(5),
            ],
        };
        let float = untrained(&spec, 1).unwrap();
        let image = |seed: usize| (0..64).map(move |at| (at * seed % 251) as u8);
        let (quantized, _) = quantize(&float, &[image(7).collect()]).unwrap();
        let bundle = Bundle::new(&float, &quantized, "", "").unwrap();
        let real = |seed| image(seed).map(|pixel| f32::from(pixel) / 256.0);
        for bytes in [bundle.int8_onnx().unwrap(), bundle.float_onnx()] {
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
