//! ONNX files back to what they were made of.
//!
//! In: bytes of a file that [`super::Bundle::new`] wrote, or anything else. Out: its metadata, the
//! float network, or the encoder with every layer's output exposed; or a sentence that says what
//! is missing.

use prost::Message;
use shared::shape::Hwc;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::dimension::Value;
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, ValueInfoProto, type_proto};

use super::graph::tensor_type;
use super::layout::chw_to_hwc;
use crate::float_net::{FloatConv, FloatHead, FloatNet};
use crate::spec::{LayerSpec, NetSpec};

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

/// The network in a float pair graph.
///
/// # Errors
/// A sentence that names the part that is missing.
pub fn float_net(bytes: &[u8]) -> Result<FloatNet, String> {
    let model = decode(bytes)?;
    let graph = model.graph.as_ref().ok_or("it holds no graph")?;
    let mut layers = Vec::new();
    let mut convs = Vec::new();
    for node in graph
        .node
        .iter()
        .filter(|node| node.name.starts_with("a.layers."))
    {
        let kernel = first_int(node, "kernel_shape");
        let stride = first_int(node, "strides");
        match node.op_type.as_str() {
            "Conv" => {
                let conv = FloatConv {
                    weight_oihw: floats(graph, node.input.get(1))?,
                    bias: floats(graph, node.input.get(2))?,
                };
                layers.push(LayerSpec::Conv {
                    c_out: conv.bias.len(),
                    kernel: kernel?,
                    stride: stride?,
                    pad: first_int(node, "pads")?,
                });
                convs.push(conv);
            }
            "MaxPool" => layers.push(LayerSpec::MaxPool {
                kernel: kernel?,
                stride: stride?,
            }),
            _ => {}
        }
    }
    let spec = NetSpec {
        input_side: input_side(graph).ok_or("its first input is not an image")?,
        layers,
    };
    let embedding = spec.embedding().map_err(|error| error.to_string())?;
    Ok(FloatNet {
        head: head(graph, embedding)?,
        spec,
        convs,
    })
}

fn head(graph: &GraphProto, embedding: Hwc) -> Result<FloatHead, String> {
    let weight = floats(graph, Some(&"head.weight".to_owned()))?;
    let bias = floats(graph, Some(&"head.bias".to_owned()))?;
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

fn input_side(graph: &GraphProto) -> Option<usize> {
    let type_proto::Value::TensorType(tensor) =
        graph.input.first()?.r#type.as_ref()?.value.as_ref()?;
    match tensor.shape.as_ref()?.dim.last()?.value.as_ref()? {
        Value::DimValue(side) => usize::try_from(*side).ok(),
        Value::DimParam(_) => None,
    }
}

fn first_int(node: &NodeProto, name: &str) -> Result<usize, String> {
    let attribute = node
        .attribute
        .iter()
        .find(|attribute| attribute.name == name);
    let int = attribute.and_then(|attribute| attribute.ints.first());
    int.and_then(|&int| usize::try_from(int).ok())
        .ok_or_else(|| format!("node {} has no attribute {name}", node.name))
}

fn floats(graph: &GraphProto, name: Option<&String>) -> Result<Vec<f32>, String> {
    let name = name.map_or("", String::as_str);
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
