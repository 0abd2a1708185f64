//! The worked example of `FORMAT.md`.

use super::*;

/// The file of `FORMAT.md`, byte for byte: read, run and written again.
#[test]
fn worked_example_of_the_specification() {
    let page = include_str!("../../../../FORMAT.md");
    let block = page
        .split("```hex")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let bytes: Vec<u8> = block
        .lines()
        .filter(|line| !line.is_empty())
        .flat_map(|line| {
            let hex = line.chars().skip(6).take(47).collect::<String>();
            let bytes = hex
                .split_whitespace()
                .map(|byte| u8::from_str_radix(byte, 16).unwrap());
            bytes.collect::<Vec<u8>>()
        })
        .collect();
    let model = ModelView::new_checked(&bytes).unwrap();
    assert_eq!(model.bytes().len(), 344);
    let image: Vec<u8> = (0..16).map(|pixel| 16 * pixel).collect();
    let (mut arena, mut embedding) = (vec![0; model.arena_len()], vec![0; 4]);
    Encoder::new(model)
        .embed(&image, &mut arena, &mut embedding)
        .unwrap();
    assert_eq!(embedding, [7, 20, 50, 80]);
    assert_eq!(model.decider().logit(&embedding, &[0; 4]), Ok(659));
    let policy = crate::decide::Policy::default();
    assert_eq!(model.thresholds().at(20, None, policy), -59);

    let layers = [LayerRepr::Conv2d {
        window: Window {
            stride: 2,
            ..PADDED
        },
        filters: FiltersRepr {
            weight: &[1, 2, 1, 2, 4, 2, 1, 2, 1],
            bias: &[-16],
            shift: &[5],
            out_exponent: 6,
        },
    }];
    let repr = ModelRepr {
        input: Hwc::new(4, 4, 1),
        input_exponent: 8,
        framing: Framing::Picture,
        layers: &layers,
        head: HeadRepr {
            weight: &[-3, -2, -2, -1],
            bias: 900,
            logit_exponent: 12,
        },
        calibration: Some(example_calibration()),
        provenance: "worked example",
    };
    let mut written = vec![0; repr.buffer_len()];
    repr.emit(&mut written, |content| Sha256::digest(content).into())
        .unwrap();
    assert_eq!(written, bytes);
}
