//! ONNX files back to what they were made of.
//!
//! In: bytes of a file that [`super::Bundle::new`] wrote, or anything else. Out: its metadata, the
//! float network, or the encoder with every layer's output exposed; or a sentence that says what
//! is missing.

use prost::Message;
use shared::shape::Hwc;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{GraphProto, ModelProto, ValueInfoProto};

use super::graph::tensor_type;
use crate::float_net::{FloatFilters, FloatHead, FloatNet};
use crate::layout::chw_to_hwc;
use crate::spec::NetSpec;

fn decode(bytes: &[u8]) -> Result<ModelProto, String> {
    ModelProto::decode(bytes).map_err(|error| format!("not an ONNX file: {error}"))
}

/// The value of a metadata key.
///
/// # Errors
/// A sentence when the bytes are not an ONNX file.
pub fn metadata(bytes: &[u8], key: &str) -> Result<Option<String>, String> {
    let entries = decode(bytes)?.metadata_props;
    let entry = entries.into_iter().find(|entry| entry.key == key);
    Ok(entry.map(|entry| entry.value))
}

/// The graph with every layer's quantized activation as a further output, behind `embedding`, in
/// layer order.
///
/// # Errors
/// A sentence when the bytes are not an ONNX file with a graph.
pub fn expose_layers(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let mut model = decode(bytes)?;
    let graph = model.graph.as_mut().ok_or("it holds no graph")?;
    let quantized = graph
        .node
        .iter()
        .filter(|node| node.op_type == "QuantizeLinear" && node.name.starts_with("layers."));
    let outputs = quantized
        .flat_map(|node| node.output.iter())
        .map(|name| ValueInfoProto {
            name: name.clone(),
            r#type: Some(tensor_type(DataType::Uint8, None)),
            ..ValueInfoProto::default()
        });
    let outputs: Vec<_> = outputs.collect();
    graph.output.extend(outputs);
    Ok(model.encode_to_vec())
}

/// Metadata key of the layers, as JSON.
pub(super) const NETWORK: &str = "onelook.network";

/// The value under [`NETWORK`].
pub(super) fn network_entry(spec: &NetSpec) -> String {
    // A struct of numbers and words always has a JSON form.
    serde_json::to_string(spec).unwrap_or_default()
}

/// The network in a float pair graph: its layers from the metadata, its weights from the constants.
///
/// # Errors
/// A sentence that names the part that is missing.
pub fn float_net(bytes: &[u8]) -> Result<FloatNet, String> {
    let model = decode(bytes)?;
    let entry = model
        .metadata_props
        .iter()
        .find(|entry| entry.key == NETWORK);
    let entry = entry.ok_or("it does not say which layers it has")?;
    let spec: NetSpec = serde_json::from_str(&entry.value)
        .map_err(|error| format!("its metadata `{NETWORK}`: {error}"))?;
    let graph = model.graph.as_ref().ok_or("it holds no graph")?;
    let layers = spec.weights().map_err(|error| error.to_string())?;
    let filters = layers.map(|(index, _, _)| {
        Ok(FloatFilters {
            weight_oihw: floats(graph, &format!("layers.{index}.weight"))?,
            bias: floats(graph, &format!("layers.{index}.bias"))?,
        })
    });
    let filters = filters.collect::<Result<_, String>>()?;
    let embedding = spec.embedding().map_err(|error| error.to_string())?;
    let net = FloatNet {
        head: head(graph, embedding)?,
        spec,
        filters,
    };
    net.check().map_err(|error| error.to_string())?;
    Ok(net)
}

fn head(graph: &GraphProto, embedding: Hwc) -> Result<FloatHead, String> {
    let weight = floats(graph, "head.weight")?;
    let bias = floats(graph, "head.bias")?;
    if weight.len() != embedding.len() {
        let got = weight.len();
        return Err(format!(
            "the head has {got} weights, the embedding {} values",
            embedding.len()
        ));
    }
    Ok(FloatHead {
        weight_hwc: chw_to_hwc(&weight, embedding),
        bias: bias.first().copied().ok_or("the head has no bias")?,
    })
}

fn floats(graph: &GraphProto, name: &str) -> Result<Vec<f32>, String> {
    let tensor = graph.initializer.iter().find(|tensor| tensor.name == name);
    let tensor = tensor.ok_or_else(|| format!("constant `{name}` is missing"))?;
    let (values, rest) = tensor.raw_data.as_chunks::<4>();
    if tensor.data_type != DataType::Float as i32 || !rest.is_empty() {
        return Err(format!("constant `{name}` does not hold 32-bit floats"));
    }
    Ok(values
        .iter()
        .map(|&bytes| f32::from_le_bytes(bytes))
        .collect())
}
