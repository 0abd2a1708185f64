//! Files that belong together read back; everything else is refused with its name.

use super::*;
use crate::quantize::quantize;
use crate::spec::{Framing, LayerSpec, NetSpec};
use crate::untrained::untrained;

fn nets(seed: u64) -> (FloatNet, QuantNet) {
    let conv = |c_out| LayerSpec::conv(c_out, 3, 1, 1);
    let pool = LayerSpec::max_pool(2, 2);
    let spec = NetSpec {
        input_side: 8,
        framing: Framing::Picture,
        layers: vec![
            conv(3),
            pool,
            conv(4),
            LayerSpec::depthwise(3, 2, 1),
            LayerSpec::GlobalAveragePool,
            LayerSpec::linear(6),
        ],
    };
    let float = untrained(&spec, seed).unwrap();
    let image = (0..64).map(|pixel| pixel * 4).collect();
    let (quantized, _) = quantize(&float, &[image]).unwrap();
    (float, quantized)
}

fn bundle(seed: u64) -> Bundle {
    let (float, quantized) = nets(seed);
    Bundle::new(&float, &quantized, "a test", "c0ffee").unwrap()
}

#[test]
fn write_then_read_is_identity() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs").join("one");
    let bundle = bundle(1);
    bundle.write(&path).unwrap();
    assert_eq!(Bundle::read(&path).unwrap(), bundle);
}

#[test]
fn float_network_reads_back_bit_for_bit() {
    assert_eq!(bundle(2).float_net().unwrap(), nets(2).0);
}

/// A network that stays in floating point is one file, and nobody takes it for half of another export.
#[test]
fn a_float_network_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let (net, _) = nets(4);
    let bundle = Bundle::of_float(&net, "a test", "c0ffee").unwrap();
    bundle.write(folder.path()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let read = Bundle::read(folder.path()).unwrap();
    assert_eq!((&read, read.float_net().unwrap()), (&bundle, net));
    assert!(read.stays_float() && read.model().is_err() && read.view().is_err());
    let refusal = read.encoder_onnx().unwrap_err().to_string();
    assert!(refusal.contains("--engine float"), "{refusal}");

    super::tests::bundle(4).write(folder.path()).unwrap();
    std::fs::remove_file(folder.path().join(MODEL)).unwrap();
    let refusal = Bundle::read(folder.path()).unwrap_err().to_string();
    assert!(refusal.contains(MODEL), "{refusal}");
}

#[test]
fn metadata_says_where_a_file_comes_from() {
    let bundle = bundle(3);
    for bytes in [
        bundle.float_onnx(),
        bundle.int8_onnx().unwrap(),
        bundle.encoder_onnx().unwrap(),
    ] {
        let value = |key| read::metadata(bytes, key).unwrap().unwrap();
        assert_eq!(value("onelook.config_hash"), "c0ffee");
        assert_eq!(
            value("onelook.model_sha256"),
            sha256(bundle.model().unwrap())
        );
        assert!(value("onelook.certificate").contains("< 2^24"));
    }
}

#[test]
fn files_of_two_exports_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    bundle(4).write(folder.path()).unwrap();
    let other = bundle(5);
    write_whole(&folder.path().join(MODEL_INT8), other.int8_onnx().unwrap()).unwrap();
    let error = Bundle::read(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("model-int8.onnx does not belong to"),
        "{error}"
    );
}

#[test]
fn a_missing_or_damaged_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = |folder| Bundle::read(folder).unwrap_err().to_string();
    assert!(error(folder.path()).contains("model.onelook"));
    bundle(6).write(folder.path()).unwrap();
    write_whole(&folder.path().join(ENCODER_INT8), b"\xff\xff\xff").unwrap();
    let message = error(folder.path());
    assert!(
        message.contains("encoder-int8.onnx: not an ONNX file"),
        "{message}"
    );
}

#[test]
fn two_networks_are_refused() {
    let (mut float, quantized) = nets(7);
    float.spec.input_side = 16;
    let error = Bundle::new(&float, &quantized, "", "").unwrap_err();
    assert!(matches!(error, ExportError::Networks), "{error}");
}

#[test]
fn missing_weights_are_refused() {
    let (mut float, quantized) = nets(8);
    float.filters[1].bias.pop();
    let error = Bundle::new(&float, &quantized, "", "")
        .unwrap_err()
        .to_string();
    assert_eq!(error, "layer 2: 3 values of bias, the layer asks for 4");
}
