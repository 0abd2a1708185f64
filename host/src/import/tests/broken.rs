//! No bytes make the reader panic, hang or fill the memory.

use proptest::prelude::*;
use prost::Message;

use super::build::Build;
use super::golden::PLAIN;
use crate::import::chain::Op;
use crate::import::fold::fold;
use crate::import::tensor::External;
use crate::import::{Head, parse};

const SIAMESE: &[u8] = include_bytes!("../golden/siamese-unoptimized.onnx");
const ENCODER: &[u8] = include_bytes!("../golden/encoder-torchscript.onnx");

fn read(bytes: &[u8]) {
    if let Ok(parsed) = parse(bytes) {
        let _folded = fold(parsed.image, &parsed.encoder, PLAIN);
    }
}

#[test]
fn every_truncation_is_refused_or_read() {
    for file in [SIAMESE, ENCODER] {
        for end in 0..file.len() {
            read(&file[..end]);
        }
    }
    assert!(
        parse(&[])
            .unwrap_err()
            .to_string()
            .contains("holds no graph")
    );
    assert!(
        parse(&SIAMESE[..1000])
            .unwrap_err()
            .to_string()
            .contains("not a whole ONNX file")
    );
}

proptest! {
    #[test]
    fn any_change_is_refused_or_read(
        which in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = if which { SIAMESE } else { ENCODER }.to_vec();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        read(&bytes);
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read(&bytes);
        let _head = Head::from_file("h.onnx".as_ref(), &bytes, &External::new());
        let _head = Head::from_file("h.safetensors".as_ref(), &bytes, &External::new());
    }
}

/// Sizes in the file are compared with its bytes before anything is made of them.
#[test]
fn large_sizes_make_no_large_things() {
    let huge = i64::MAX / 2;
    let conv = |build: Build| build.node("Conv x w b -> y", &[]).bytes();
    for dims in [
        &[huge, 1, 3, 3][..],
        &[huge, huge, huge, huge],
        &[-1, 1, 3, 3],
        &[0, 1, 3, 3],
    ] {
        let mut build = Build::new();
        build.graph().initializer[0].dims = dims.to_vec();
        assert!(parse(&conv(build)).is_err(), "{dims:?}");
    }
    for image in [
        [1, 1, huge, huge],
        [1, 1, 100_000, 100_000],
        [1, huge, 8, 8],
        [huge, 1, 8, 8],
    ] {
        assert!(
            parse(&conv(Build::new().image(&image))).is_err(),
            "{image:?}"
        );
    }
    for pads in [[huge; 4], [1_000_000; 4], [-1; 4]] {
        let build = Build::new().node("Conv x w b -> y", &[("pads", &pads)]);
        assert!(parse(&build.bytes()).is_err(), "{pads:?}");
    }
}

/// Two bytes of a file that would take a thousand in memory.
#[test]
fn many_empty_parts_are_refused_before_they_are_decoded() {
    let mut file = vec![0x3a, 0xc0, 0x84, 0x3d]; // a graph of 1,000,000 bytes
    file.extend([0x0a, 0].repeat(500_000));
    let error = parse(&file).unwrap_err().to_string();
    assert!(error.contains("500001 parts"), "{error}");
}

/// Many small nodes that each make the activation larger.
#[test]
fn growth_ends() {
    let mut build = Build::new().ints("p", &[0, 0, 255, 255, 0, 0, 255, 255]);
    for i in 0..20 {
        let from = if i == 0 {
            "x".to_owned()
        } else {
            format!("v{i}")
        };
        build = build.node(&format!("Pad {from} p -> v{}", i + 1), &[]);
    }
    let error = parse(&build.bytes()).unwrap_err().to_string();
    assert!(error.contains("its output would have the shape"), "{error}");
}

/// A list that is joined to itself over and over.
#[test]
fn constants_that_double_end() {
    let mut build = Build::new().ints("c0", &[1, 2]);
    for i in 0..60 {
        build = build.node(
            &format!("Concat c{i} c{i} -> c{}", i + 1),
            &[("axis", &[0])],
        );
    }
    let bytes = build.node("Reshape x c60 -> y", &[]).bytes();
    let error = parse(&bytes).unwrap_err().to_string();
    assert!(
        error.contains("too many nodes") || error.contains("too long"),
        "{error}"
    );
}

#[test]
fn a_circle_is_refused() {
    let bytes = Build::new()
        .node("Relu z -> y", &[])
        .node("Relu y -> z", &[])
        .bytes();
    let error = parse(&bytes).unwrap_err().to_string();
    assert!(error.contains("depends on its own output"), "{error}");
}

/// Decoding gives back what was built, so that the tests above test what they say.
#[test]
fn a_built_graph_is_read() {
    let bytes = Build::new()
        .node("Conv x w b -> y", &[("strides", &[2, 2])])
        .bytes();
    let parsed = parse(&bytes).unwrap();
    assert!(matches!(parsed.encoder[0].op, Op::Conv { window, .. } if window.stride == 2));
    assert!(tract_onnx::pb::ModelProto::decode(&bytes[..]).is_ok());
}
