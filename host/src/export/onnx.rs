//! The three ONNX graphs.
//!
//! In: a network. Out: a [`Graph`] with a symbolic batch axis `N`.
//!
//! The integer graphs are QDQ: each operator stands between `DequantizeLinear` and
//! `QuantizeLinear`. Every scale is a power of two and every sum is below 2^24, so an engine gets
//! the same integers whether it computes in `f32` or fuses the triple into an integer kernel. No
//! `ConvInteger`, no 64-bit tensor, no mix of signed and unsigned activations: engines disagree
//! there.
//!
//! Every layer with weights is a `Conv`, so that activations keep four axes and engines need one
//! kernel: a depthwise convolution has as many groups as channels, a fully connected layer has a
//! kernel as large as its input.

use shared::shape::Hwc;

use super::ExportError;
use super::graph::{Attribute, Graph, Values};
use crate::float_net::FloatNet;
use crate::layout::{hwc_to_chw, ohwi_to_oihw};
use crate::quantize::net::weight_exponents;
use crate::quantize::{INPUT_EXPONENT, QuantFilters, QuantNet};
use crate::spec::{Activation, LayerSpec, NetSpec, Place, WeightShape};

const IMAGE_DOC: &str = "[N][1][h][w], ink: pixel / 256, 0 = paper, 255/256 = full ink";
const LOGIT_DOC: &str = "[N][1], larger = more alike";
const PROBABILITY_DOC: &str = "[N][1], that both images show the same mark: sigmoid(logit)";

/// Two images to logit and probability, in `f32`.
///
/// # Errors
/// [`ExportError`] when weights are missing.
pub fn float_pair(net: &FloatNet) -> Result<Graph, ExportError> {
    let mut graph = Graph::new(
        "onelook",
        "Do two images show the same mark? 32-bit floats.",
    );
    net.check()?;
    let embedding = net.spec.embedding()?;
    for input in ["a", "b"] {
        declare_image(&mut graph, input, &net.spec);
        float_tower(&mut graph, net, input)?;
    }
    graph.node("Sub", &["a.embedding", "b.embedding"], "difference", &[]);
    graph.node("Abs", &["difference"], "distance", &[]);
    let weight = hwc_to_chw(&net.head.weight_hwc, embedding);
    graph.constant("head.weight", &[weight.len(), 1], Values::F32(&weight));
    graph.constant("head.bias", &[1], Values::F32(&[net.head.bias]));
    finish_pair(&mut graph, "distance", "head.weight");
    Ok(graph)
}

/// Two images to logit and probability, in the device's integers.
///
/// # Errors
/// [`ExportError`] when weights are missing.
pub fn int8_pair(net: &QuantNet) -> Result<Graph, ExportError> {
    let doc = "Do two images show the same mark? The device's integers, bit for bit.";
    let mut graph = Graph::new("onelook-int8", doc);
    let embedding = net.spec.embedding()?;
    check(Place::Head, embedding.len(), net.head.weight_hwc.len())?;
    for input in ["a", "b"] {
        declare_image(&mut graph, input, &net.spec);
        let prefix = format!("{input}.");
        int8_tower(
            &mut graph,
            net,
            input,
            &prefix,
            &format!("{prefix}embedding"),
        )?;
    }
    graph.node("Sub", &["a.embedding", "b.embedding"], "difference", &[]);
    graph.node("Abs", &["difference"], "distance", &[]);
    let exponent = net.embedding_exponent();
    requantize(&mut graph, "distance", "distance", exponent);

    let weight = hwc_to_chw(&net.head.weight_hwc, embedding);
    let logit_exponent = i32::from(net.head.logit_exponent);
    graph.constant("head.weight", &[weight.len(), 1], Values::I8(&weight));
    let scale = power_of_two(i32::from(exponent) - logit_exponent);
    graph.constant("head.weight.scale", &[], Values::F32(&[scale]));
    graph.constant("head.weight.zero", &[], Values::I8(&[0]));
    let inputs = ["head.weight", "head.weight.scale", "head.weight.zero"];
    graph.node("DequantizeLinear", &inputs, "head.weight.dq", &[]);
    // Exact: |bias| < 2^24 by the certificate, and the scale is a power of two.
    let bias = net.head.bias as f32 * power_of_two(-logit_exponent);
    graph.constant("head.bias", &[1], Values::F32(&[bias]));
    finish_pair(&mut graph, "distance.dq", "head.weight.dq");
    Ok(graph)
}

/// One image to its embedding, in the device's integers.
///
/// # Errors
/// [`ExportError`] when weights are missing.
pub fn int8_encoder(net: &QuantNet) -> Result<Graph, ExportError> {
    let doc = "One image to its embedding. The device's integers, bit for bit.";
    let mut graph = Graph::new("onelook-encoder-int8", doc);
    declare_image(&mut graph, "image", &net.spec);
    int8_tower(&mut graph, net, "image", "", "embedding")?;
    let doc = format!(
        "[N][c*h*w], channel by channel; the device's integer is value * 2^{}",
        net.embedding_exponent()
    );
    graph.output("embedding", &[net.spec.embedding()?.len()], &doc);
    Ok(graph)
}

fn declare_image(graph: &mut Graph, name: &str, spec: &NetSpec) {
    let Hwc { h, w, c } = spec.input();
    graph.input(name, &[c, h, w], IMAGE_DOC);
}

fn finish_pair(graph: &mut Graph, distance: &str, weight: &str) {
    graph.node("MatMul", &[distance, weight], "head.sum", &[]);
    graph.node("Add", &["head.sum", "head.bias"], "logit", &[]);
    graph.node("Sigmoid", &["logit"], "probability", &[]);
    graph.output("logit", &[1], LOGIT_DOC);
    graph.output("probability", &[1], PROBABILITY_DOC);
}

fn float_tower(graph: &mut Graph, net: &FloatNet, input: &str) -> Result<(), ExportError> {
    let shapes = net.spec.shapes()?;
    let mut filters = net.filters.iter();
    let mut x = input.to_owned();
    for (index, layer) in net.spec.layers.iter().enumerate() {
        let layer_name = format!("layers.{index}");
        let output = format!("{input}.{layer_name}");
        let weights = layer.weights(shapes[index]);
        if let Some((shape, filters)) = weights.and_then(|shape| Some((shape, filters.next()?))) {
            let names = [format!("{layer_name}.weight"), format!("{layer_name}.bias")];
            graph.constant(&names[0], &dims(shape), Values::F32(&filters.weight_oihw));
            graph.constant(&names[1], &[shape.c_out], Values::F32(&filters.bias));
            let sums = format!("{output}.sums");
            let inputs = [&*x, &names[0], &names[1]];
            graph.node("Conv", &inputs, &sums, &attributes(layer, shapes[index]));
            let activation = match layer.tail() {
                Some((_, Activation::Sigmoid)) => "Sigmoid",
                _ => "Relu",
            };
            graph.node(activation, &[&sums], &output, &[]);
        } else {
            pool(graph, layer, shapes[index], &x, &output);
        }
        x = output;
    }
    flatten(graph, &x, &format!("{input}.embedding"));
    Ok(())
}

/// The encoder. Every quantized activation is named `{prefix}layers.{index}.q`: parity checks
/// look for these names when they search for the first layer that differs.
fn int8_tower(
    graph: &mut Graph,
    net: &QuantNet,
    input: &str,
    prefix: &str,
    embedding: &str,
) -> Result<(), ExportError> {
    let shapes = net.spec.shapes()?;
    let mut exponent = INPUT_EXPONENT;
    let mut x = format!("{prefix}input");
    requantize(graph, input, &x, exponent);
    for (index, layer) in net.spec.layers.iter().enumerate() {
        let output = format!("{prefix}layers.{index}");
        let dequantized = format!("{x}.dq");
        let result = format!("{output}.f");
        let missing = || check(Place::Layer(index), 1, 0);
        let Some(quantized) = net.layers.get(index) else {
            return missing();
        };
        if let Some(shape) = layer.weights(shapes[index]) {
            let Some(filters) = &quantized.filters else {
                return missing();
            };
            let expected = shape.len() + 2 * shape.c_out;
            let got = filters.weight_ohwi.len() + filters.bias.len() + filters.shift.len();
            check(Place::Layer(index), expected, got)?;
            let name = format!("layers.{index}");
            filter_constants(
                graph,
                &name,
                filters,
                shape,
                [exponent, quantized.out_exponent],
            );
            let weight = dequantize_constant(graph, prefix, &name, "weight");
            let bias = dequantize_constant(graph, prefix, &name, "bias");
            let sums = format!("{output}.sums");
            let inputs = [&*dequantized, &weight, &bias];
            graph.node("Conv", &inputs, &sums, &attributes(layer, shapes[index]));
            graph.node("Relu", &[&sums], &result, &[]);
        } else {
            pool(graph, layer, shapes[index], &dequantized, &result);
        }
        exponent = quantized.out_exponent;
        requantize(graph, &result, &output, exponent);
        x = output;
    }
    flatten(graph, &format!("{x}.dq"), embedding);
    Ok(())
}

/// A layer without weights.
fn pool(graph: &mut Graph, layer: &LayerSpec, input: Hwc, from: &str, to: &str) {
    match layer {
        LayerSpec::GlobalAveragePool => graph.node("GlobalAveragePool", &[from], to, &[]),
        _ => graph.node("MaxPool", &[from], to, &attributes(layer, input)),
    }
}

fn flatten(graph: &mut Graph, from: &str, to: &str) {
    graph.node("Flatten", &[from], to, &[("axis", Attribute::Int(1))]);
}

/// `from` → `{to}.q` (`u8`) → `{to}.dq`, zero point 0, scale `2^-exponent`.
fn requantize(graph: &mut Graph, from: &str, to: &str, exponent: u8) {
    let scale = format!("scale.{exponent}");
    graph.constant(
        &scale,
        &[],
        Values::F32(&[power_of_two(-i32::from(exponent))]),
    );
    graph.constant("zero", &[], Values::U8(&[0]));
    let quantized = format!("{to}.q");
    graph.node("QuantizeLinear", &[from, &scale, "zero"], &quantized, &[]);
    let inputs = [&*quantized, &scale, "zero"];
    graph.node("DequantizeLinear", &inputs, &format!("{to}.dq"), &[]);
}

fn filter_constants(
    graph: &mut Graph,
    name: &str,
    filters: &QuantFilters,
    shape: WeightShape,
    [in_exponent, out_exponent]: [u8; 2],
) {
    let c_out = shape.c_out;
    let weight = ohwi_to_oihw(&filters.weight_ohwi, shape.c_in, shape.k_h * shape.k_w);
    let exponents = weight_exponents(&filters.shift, in_exponent, out_exponent);
    let scale: Vec<f32> = exponents.iter().map(|&e| power_of_two(-e)).collect();
    let accumulator: Vec<f32> = exponents
        .iter()
        .map(|&e| power_of_two(-e - i32::from(in_exponent)))
        .collect();
    let mut constant = |what: &str, dims: &[usize], values| {
        graph.constant(&format!("{name}.{what}"), dims, values)
    };
    constant("weight", &dims(shape), Values::I8(&weight));
    constant("weight.scale", &[c_out], Values::F32(&scale));
    let zero = vec![0; c_out];
    constant("weight.zero", &[c_out], Values::I8(&zero));
    constant("bias", &[c_out], Values::I32(&filters.bias));
    constant("bias.scale", &[c_out], Values::F32(&accumulator));
    let zero = vec![0; c_out];
    constant("bias.zero", &[c_out], Values::I32(&zero));
}

/// Dequantizes a constant per output channel. Each tower has its own node: engines fuse a triple
/// only when nobody else reads from it.
fn dequantize_constant(graph: &mut Graph, prefix: &str, layer: &str, what: &str) -> String {
    let name = format!("{layer}.{what}");
    let output = format!("{prefix}{name}.dq");
    let inputs = [&*name, &format!("{name}.scale"), &format!("{name}.zero")];
    graph.node(
        "DequantizeLinear",
        &inputs,
        &output,
        &[("axis", Attribute::Int(0))],
    );
    output
}

fn dims(shape: WeightShape) -> [usize; 4] {
    [shape.c_out, shape.c_in, shape.k_h, shape.k_w]
}

/// Kernel, stride, padding and groups of a `Conv` or `MaxPool` on `input`.
fn attributes(layer: &LayerSpec, input: Hwc) -> Vec<(&'static str, Attribute)> {
    let ints = |values: &[usize]| Attribute::Ints(values.iter().map(|&v| v as i64).collect());
    let window = layer.window(input);
    let kernel = layer
        .weights(input)
        .map_or([window.kernel; 2], |shape| [shape.k_h, shape.k_w]);
    let mut attributes = vec![
        ("kernel_shape", ints(&kernel)),
        ("strides", ints(&[window.stride; 2])),
        ("pads", ints(&[window.pad; 4])),
    ];
    if let LayerSpec::Depthwise { .. } = layer {
        attributes.push(("group", Attribute::Int(input.c as i64)));
    }
    attributes
}

/// Exact for every exponent that quantization hands out.
fn power_of_two(exponent: i32) -> f32 {
    (exponent as f32).exp2()
}

fn check(place: Place, expected: usize, got: usize) -> Result<(), ExportError> {
    if got == expected {
        Ok(())
    } else {
        Err(ExportError::Weights {
            place,
            expected,
            got,
        })
    }
}
