//! The three ONNX graphs.
//!
//! In: a network. Out: a [`Graph`] with a symbolic batch axis `N`.
//!
//! The integer graphs are QDQ: each operator stands between `DequantizeLinear` and
//! `QuantizeLinear`. Every scale is a power of two and every sum is below 2^24, so an engine gets
//! the same integers whether it computes in `f32` or fuses the triple into an integer kernel. No
//! `ConvInteger`, no 64-bit tensor, no mix of signed and unsigned activations: engines disagree
//! there.

use shared::shape::{Hwc, Window};

use super::ExportError;
use super::graph::{Attribute, Graph, Values};
use super::layout::{hwc_to_chw, ohwi_to_oihw};
use crate::float_net::FloatNet;
use crate::quantize::{INPUT_EXPONENT, QuantConv, QuantNet};
use crate::spec::{LayerSpec, NetSpec};

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
    let embedding = net.spec.embedding()?;
    check(
        net.spec.layers.len(),
        embedding.len(),
        net.head.weight_hwc.len(),
    )?;
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
    check(
        net.spec.layers.len(),
        embedding.len(),
        net.head.weight_hwc.len(),
    )?;
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
    let mut convs = net.convs.iter();
    let mut x = input.to_owned();
    for (index, layer) in net.spec.layers.iter().enumerate() {
        let (layer_name, window) = (format!("layers.{index}"), layer.window());
        let output = format!("{input}.{layer_name}");
        if let LayerSpec::Conv { c_out, kernel, .. } = *layer {
            let c_in = shapes[index].c;
            let (weight, bias) = convs.next().map_or((&[][..], &[][..]), |conv| {
                (&conv.weight_oihw[..], &conv.bias[..])
            });
            check(
                index,
                c_out * (kernel * kernel * c_in + 1),
                weight.len() + bias.len(),
            )?;
            let names = [format!("{layer_name}.weight"), format!("{layer_name}.bias")];
            graph.constant(
                &names[0],
                &[c_out, c_in, kernel, kernel],
                Values::F32(weight),
            );
            graph.constant(&names[1], &[c_out], Values::F32(bias));
            let conv = format!("{output}.conv");
            graph.node(
                "Conv",
                &[&x, &names[0], &names[1]],
                &conv,
                &conv_attributes(window),
            );
            graph.node("Relu", &[&conv], &output, &[]);
        } else {
            graph.node("MaxPool", &[&x], &output, &pool_attributes(window));
        }
        x = output;
    }
    graph.node(
        "Flatten",
        &[&x],
        &format!("{input}.embedding"),
        &[("axis", Attribute::Int(1))],
    );
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
    let mut convs = net.convs.iter();
    let mut exponent = INPUT_EXPONENT;
    let mut x = format!("{prefix}input");
    requantize(graph, input, &x, exponent);
    for (index, layer) in net.spec.layers.iter().enumerate() {
        let (output, window) = (format!("{prefix}layers.{index}"), layer.window());
        let dequantized = format!("{x}.dq");
        if let LayerSpec::Conv { c_out, kernel, .. } = *layer {
            let c_in = shapes[index].c;
            let expected = c_out * (kernel * kernel * c_in + 2);
            let Some(conv) = convs.next() else {
                return check(index, expected, 0);
            };
            let got = conv.weight_ohwi.len() + conv.bias.len() + conv.shift.len();
            check(index, expected, got)?;
            let name = format!("layers.{index}");
            conv_constants(graph, &name, conv, [c_out, c_in, kernel], exponent);
            let weight = dequantize_constant(graph, prefix, &name, "weight");
            let bias = dequantize_constant(graph, prefix, &name, "bias");
            let sums = format!("{output}.conv");
            let inputs = [&*dequantized, &weight, &bias];
            graph.node("Conv", &inputs, &sums, &conv_attributes(window));
            let relu = format!("{output}.relu");
            graph.node("Relu", &[&sums], &relu, &[]);
            exponent = conv.out_exponent;
            requantize(graph, &relu, &output, exponent);
        } else {
            let pooled = format!("{output}.pool");
            graph.node(
                "MaxPool",
                &[&dequantized],
                &pooled,
                &pool_attributes(window),
            );
            requantize(graph, &pooled, &output, exponent);
        }
        x = output;
    }
    graph.node(
        "Flatten",
        &[&format!("{x}.dq")],
        embedding,
        &[("axis", Attribute::Int(1))],
    );
    Ok(())
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

fn conv_constants(
    graph: &mut Graph,
    name: &str,
    conv: &QuantConv,
    [c_out, c_in, kernel]: [usize; 3],
    in_exponent: u8,
) {
    let weight = ohwi_to_oihw(&conv.weight_ohwi, c_in, kernel * kernel);
    let exponents = conv.weight_exponents(in_exponent);
    let scale: Vec<f32> = exponents.iter().map(|&e| power_of_two(-e)).collect();
    let accumulator: Vec<f32> = exponents
        .iter()
        .map(|&e| power_of_two(-e - i32::from(in_exponent)))
        .collect();
    let dims = [c_out, c_in, kernel, kernel];
    graph.constant(&format!("{name}.weight"), &dims, Values::I8(&weight));
    graph.constant(
        &format!("{name}.weight.scale"),
        &[c_out],
        Values::F32(&scale),
    );
    let zero = vec![0; c_out];
    graph.constant(&format!("{name}.weight.zero"), &[c_out], Values::I8(&zero));
    graph.constant(&format!("{name}.bias"), &[c_out], Values::I32(&conv.bias));
    graph.constant(
        &format!("{name}.bias.scale"),
        &[c_out],
        Values::F32(&accumulator),
    );
    let zero = vec![0; c_out];
    graph.constant(&format!("{name}.bias.zero"), &[c_out], Values::I32(&zero));
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

fn conv_attributes(window: Window) -> Vec<(&'static str, Attribute)> {
    let mut attributes = pool_attributes(window);
    attributes.push(("pads", Attribute::Ints(vec![window.pad as i64; 4])));
    attributes
}

fn pool_attributes(window: Window) -> Vec<(&'static str, Attribute)> {
    vec![
        (
            "kernel_shape",
            Attribute::Ints(vec![window.kernel as i64; 2]),
        ),
        ("strides", Attribute::Ints(vec![window.stride as i64; 2])),
    ]
}

/// Exact for every exponent that quantization hands out.
fn power_of_two(exponent: i32) -> f32 {
    (exponent as f32).exp2()
}

fn check(layer: usize, expected: usize, got: usize) -> Result<(), ExportError> {
    if got == expected {
        Ok(())
    } else {
        Err(ExportError::Weights {
            layer,
            expected,
            got,
        })
    }
}
