//! What is refused, and in which words: the node, the rule, the change.

use super::build::{Build, value};
use super::golden::PLAIN;
use crate::import::fold::fold;
use crate::import::tensor::External;
use crate::import::{Head, ImportError, parse};

/// Refused by reading or by folding, in words that contain all of `words`.
#[track_caller]
fn refused(build: Build, words: &[&str]) {
    let bytes = build.bytes();
    let folded = parse(&bytes).and_then(|parsed| fold(parsed.image, &parsed.encoder, PLAIN));
    let error = match folded {
        Ok(folded) => panic!("{words:?} was accepted: {:?}", folded.spec.layers),
        Err(error) => error.to_string(),
    };
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

fn conv() -> Build {
    Build::new().node("Conv x w b -> y", &[])
}

#[test]
fn activations_and_normalizations() {
    for op in ["LeakyRelu", "Gelu", "HardSwish", "Tanh", "Elu"] {
        let build = conv().node(&format!("{op} y -> z"), &[]);
        refused(
            build,
            &[
                &format!("`the {op}` ({op} of y)"),
                "one activation, ReLU",
                "nn.ReLU()",
            ],
        );
    }
    refused(
        conv().node("Sigmoid y -> z", &[]),
        &["the Sigmoid", "one activation, ReLU", "at the end"],
    );
    let six = conv()
        .floats("zero", &[], &[0.0])
        .floats("six", &[], &[6.0]);
    refused(
        six.node("Clip y zero six -> z", &[]),
        &["the Clip", "cuts off at 6", "nn.ReLU()"],
    );
    for op in [
        "LayerNormalization",
        "InstanceNormalization",
        "GroupNormalization",
    ] {
        refused(
            conv().node(&format!("{op} y b b -> z"), &[]),
            &[op, "each image", "nn.BatchNorm2d"],
        );
    }
    refused(
        conv().node("LpNormalization y -> z", &[]),
        &["weighted absolute differences", "without normalization"],
    );
    refused(
        conv().node("Frobnicate y -> z", &[]),
        &["Frobnicate", "not supported", "docs/import.md"],
    );
    let mut custom = conv().node("Relu y -> z", &[]);
    custom.graph().node[1].domain = "com.example".to_owned();
    refused(custom, &["com.example.Relu", "not one of ONNX' own"]);
}

#[test]
fn training_mode() {
    let norm = |attributes: &[(&str, &[i64])]| {
        conv().node("BatchNormalization y b b b b -> z", attributes)
    };
    refused(
        norm(&[("training_mode", &[1])]),
        &["the BatchNormalization", "while training", "model.eval()"],
    );
    refused(norm(&[]), &["no positive variance"]);
    let dropout = conv().floats("r", &[], &[0.5]).ints("t", &[1]);
    refused(
        dropout.node("Dropout y r t -> z", &[]),
        &["the Dropout", "model.eval()"],
    );
}

#[test]
fn branches() {
    let residual = conv().node("Relu y -> z", &[]).node("Add y z -> s", &[]);
    refused(
        residual,
        &[
            "`the Add` (Add of y, z)",
            "two ways meet here",
            "skip connection",
        ],
    );
    refused(
        conv().node("Concat y y -> z", &[("axis", &[1])]),
        &["the Concat", "two ways meet"],
    );
}

#[test]
fn windows() {
    let conv = |attributes: &[(&str, &[i64])]| Build::new().node("Conv x w b -> y", attributes);
    refused(
        conv(&[("dilations", &[2, 2])]),
        &["the Conv", "dilated", "dilation=1"],
    );
    refused(
        conv(&[("strides", &[1, 2])]),
        &["stride is [1, 2]", "both directions"],
    );
    refused(
        conv(&[("pads", &[0, 0, 1, 1])]),
        &["padding is [0, 0, 1, 1]", "all four sides"],
    );
    refused(
        conv(&[("pads", &[3, 3, 3, 3])]),
        &["padding 3", "less than the kernel"],
    );
    refused(conv(&[("group", &[2])]), &["2 groups", "groups=1"]);
    refused(
        conv(&[("kernel_shape", &[5, 5])]),
        &["not the size of its weight"],
    );
    refused(
        conv(&[("strides", &[2, 2])]).text("auto_pad", "SAME_UPPER"),
        &["\"same\"", "one more", "odd kernel"],
    );
    let oblong = Build::new().floats("o", &[2, 1, 1, 3], &[0.0; 6]);
    refused(
        oblong.node("Conv x o b -> y", &[]),
        &["kernel is [1, 3]", "both directions"],
    );
    let channels = Build::new().floats("c", &[2, 4, 3, 3], &[0.0; 72]);
    refused(
        channels.node("Conv x c b -> y", &[]),
        &["takes 4 channels, its input has 1"],
    );

    let pool = |op: &str, attributes: &[(&str, &[i64])]| {
        let relu = Build::new()
            .node("Conv x w b -> y", &[])
            .node("Relu y -> z", &[]);
        relu.node(&format!("{op} z -> p"), attributes)
    };
    let kernel: (&str, &[i64]) = ("kernel_shape", &[4, 4]);
    refused(
        pool(
            "MaxPool",
            &[kernel, ("strides", &[4, 4]), ("ceil_mode", &[1])],
        ),
        &["the MaxPool", "hangs over the edge", "ceil_mode=False"],
    );
    refused(
        pool(
            "AveragePool",
            &[("kernel_shape", &[3, 3]), ("pads", &[1; 4])],
        ),
        &["leave out the padding", "count_include_pad=True"],
    );
    refused(
        pool("MaxPool", &[("kernel_shape", &[9, 9])]),
        &["does not fit an input of 6×6"],
    );
    refused(
        pool("ReduceMean", &[("axes", &[1])]),
        &["other axes", "nn.AdaptiveAvgPool2d(1)"],
    );
    let reflect = Build::new()
        .ints("p", &[0, 0, 1, 1, 0, 0, 1, 1])
        .node("Pad x p -> q", &[]);
    refused(reflect.text("mode", "reflect"), &["\"reflect\", not zeros"]);
    let asymmetric = Build::new().ints("p", &[0, 0, 0, 0, 0, 0, 1, 1]);
    refused(
        asymmetric.node("Pad x p -> q", &[]),
        &["the Pad", "[0, 0, 1, 1]", "all four sides"],
    );
}

/// Activations are bytes from 0: where something negative would have to be kept, it says so.
#[test]
fn negative_activations() {
    refused(
        conv()
            .floats("v", &[2, 2, 3, 3], &[0.1; 36])
            .node("Conv y v b -> z", &[]),
        &["the Conv", "no ReLU in front of it", "put nn.ReLU()"],
    );
    let mean = conv()
        .node("GlobalAveragePool y -> m", &[])
        .node("Relu m -> z", &[]);
    refused(
        mean,
        &["the Relu", "behind a mean", "in front of the pooling"],
    );
    let norm = || {
        conv()
            .node("Relu y -> r", &[])
            .floats("one", &[2], &[1.0, 1.0])
    };
    let padded = norm()
        .node("BatchNormalization r b b b one -> n", &[])
        .floats("v", &[2, 2, 3, 3], &[0.1; 36]);
    refused(
        padded.node("Conv n v b -> z", &[("pads", &[1; 4])]),
        &[
            "pads with zeros behind a normalization",
            "directly behind its convolution",
        ],
    );
    let turned = norm()
        .floats("minus", &[2], &[1.0, -1.0])
        .node("BatchNormalization r minus b b one -> n", &[]);
    refused(
        turned.node("MaxPool n -> z", &[("kernel_shape", &[2, 2])]),
        &["the MaxPool", "directly behind"],
    );
}

#[test]
fn shapes() {
    let input = |dims: &[i64]| Build::new().image(dims).node("Relu x -> y", &[]);
    for (dims, word) in [
        (&[1, 1, 8, 9][..], "[1][1][8][9]"),
        (&[1, 2, 8, 8], "[1][2][8][8]"),
        (&[4, 1, 8, 8], "[4][1][8][8]"),
        (&[1, 1, -1, -1], "[1][1][?][?]"),
        (&[1, 64], "[1][64]"),
        (&[1, 1, 2000, 2000], "[2000]"),
    ] {
        refused(
            input(dims),
            &["the input `x`", word, "torch.zeros(1, 1, side, side)"],
        );
    }
    let linear = |build: Build| build.floats("m", &[3, 72], &[0.0; 216]);
    refused(
        linear(conv()).node("Gemm y m -> z", &[("transB", &[1])]),
        &["an image, not a vector", "nn.Flatten()"],
    );
    let flat = linear(conv()).node("Flatten y -> f", &[]);
    refused(
        flat.node("Gemm f m -> z", &[]),
        &["takes 3 values and gives 72, its input has 72"],
    );
    let half = conv().ints("t", &[2, -1]).node("Reshape y t -> z", &[]);
    refused(
        half,
        &["the Reshape", "[1, 2, 6, 6] to [2, -1]", "nn.Flatten()"],
    );
    refused(
        conv().node("Transpose y -> z", &[("perm", &[0, 2, 3, 1])]),
        &["Transpose", "not supported"],
    );
}

#[test]
fn constants() {
    refused(
        Build::new().node("Conv x nowhere b -> y", &[]),
        &["not a whole ONNX file", "\"nowhere\""],
    );
    let mut bad = Build::new().node("Conv x w b -> y", &[]);
    bad.graph().initializer[0].float_data[4] = f32::NAN;
    refused(
        bad,
        &[
            "its weight holds a number that is infinite or none",
            "diverged",
        ],
    );
    let mut half = Build::new().node("Conv x w b -> y", &[]);
    half.graph().initializer[0].data_type = 10;
    refused(half, &["16-bit floats", "float32"]);
    let mut short = Build::new().node("Conv x w b -> y", &[]);
    short.graph().initializer[0].float_data.pop();
    refused(short, &["holds 17 values, its shape [2, 1, 3, 3]"]);
    refused(
        Build::new()
            .floats("b3", &[3], &[0.0; 3])
            .node("Conv x w b3 -> y", &[]),
        &["3 values for 2 outputs"],
    );
}

#[test]
fn whole_files() {
    refused(Build::new(), &["the encoder has no layer"]);
    let mut two = conv();
    two.graph().output = vec![value("y", &[]), value("x", &[])];
    refused(two, &["2 outputs", "returns the embedding"]);
    let mut old = conv();
    old.0.opset_import[0].version = 6;
    refused(old, &["version 6", "opset_version=17"]);
    let mut twice = conv().node("Relu x -> y", &[]);
    twice.graph().output = vec![value("y", &[])];
    refused(twice, &["two nodes write \"y\""]);
}

/// Two images `x` and `x2` through convolutions with `w` and `second`, and their difference `d`.
fn pair(second: &str) -> Build {
    let build = Build::new()
        .input("x2", &[1, 1, 8, 8])
        .floats("v", &[2, 1, 3, 3], &[0.1; 18]);
    let build = build
        .node("Conv x w b -> y", &[])
        .node(&format!("Conv x2 {second} b -> y2"), &[]);
    build.node("Sub y y2 -> d", &[])
}

#[test]
fn siamese_networks() {
    refused(
        pair("w"),
        &["the Sub", "the difference of two embeddings is the output"],
    );
    refused(pair("w").node("Mul d d -> s", &[]), &["two ways meet"]);
    refused(
        pair("w").node("Relu d -> s", &[]),
        &["the Relu", "no Abs", "torch.abs(a - b)"],
    );
    refused(
        pair("v").node("Abs d -> s", &[]),
        &["the Sub", "not the same encoder"],
    );
    refused(
        pair("w").node("Abs d -> s", &[]),
        &["no weighted sum", "nn.Linear(d, 1)"],
    );
    let head = |outputs: i64| {
        let build = pair("w")
            .node("Abs d -> s", &[])
            .node("Flatten s -> f", &[]);
        let weight = vec![0.0; 72 * outputs as usize];
        build
            .floats("h", &[72, outputs], &weight)
            .node("MatMul f h -> l", &[])
    };
    refused(head(2), &["the MatMul", "one weighted sum of |a - b|"]);
    assert!(parse(&head(1).bytes()).is_ok());
    refused(
        head(1).node("Relu l -> z", &[]),
        &["the Relu", "one weighted sum"],
    );
    // The same example image given twice: the exporter draws one tower.
    let once = conv().node("Sub y y -> d", &[]).node("Abs d -> s", &[]);
    refused(once, &["the same image", "two different tensors"]);
}

#[test]
fn heads() {
    let read =
        |name: &str, text: &str| Head::from_file(name.as_ref(), text.as_bytes(), &External::new());
    let head = Head {
        weight: vec![1.0, -2.0],
        bias: 0.5,
    };
    assert_eq!(
        read("h.json", r#"{"weight": [1, -2], "bias": 0.5}"#),
        Ok(head.clone())
    );
    assert_eq!(
        read("h.toml", "weight = [1.0, -2.0]\nbias = 0.5"),
        Ok(head.clone())
    );
    let vectors = Build::new()
        .image(&[1, 2])
        .floats("h", &[1, 2], &[1.0, -2.0])
        .floats("c", &[1], &[0.5]);
    let bytes = vectors.node(
        "Gemm x h c -> l",
        &[("transB", &[1]), ("alpha", &[1]), ("beta", &[1])],
    );
    let onnx = Head::from_file(
        "h.onnx".as_ref(),
        &bytes.node("Sigmoid l -> p", &[]).bytes(),
        &External::new(),
    );
    assert_eq!(onnx, Ok(head.clone()));

    for (name, text, words) in [
        ("h.json", r#"{"weight": [1]}"#, "missing field `bias`"),
        ("h.json", r#"{"weight": "1", "bias": 0}"#, "invalid type"),
        (
            "h.toml",
            "weights = [1.0]\nbias = 0.5",
            "unknown field `weights`",
        ),
        ("h.txt", "", "another ending"),
        ("h.json", r#"{"weight": [1e999], "bias": 0}"#, "number"),
        ("h.onnx", "{}", "not a whole ONNX file"),
        ("h.safetensors", "no", "head: "),
    ] {
        let error = read(name, text).unwrap_err().to_string();
        assert!(error.contains(words), "`{words}` is not in: {error}");
    }
    let embedding = shared::shape::Hwc::new(1, 1, 3);
    let error = head.on(embedding, &[1.0; 3]).unwrap_err();
    assert!(matches!(error, ImportError::Head { .. }));
    assert!(
        error
            .to_string()
            .contains("weighs 2 differences, the embedding has 3 values"),
        "{error}"
    );
}
