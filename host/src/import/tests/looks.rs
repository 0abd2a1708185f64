//! How images look goes into the weights: the same network for every convention.

use super::build::Build;
use super::golden::{PLAIN, close, embed};
use crate::import::fold::{Folded, Ink, Look, fold};
use crate::import::parse;

const BLACK: Look = Look {
    ink: Ink::Black,
    scale: 1.0,
    shift: 0.0,
};
const SIGNED: Look = Look {
    ink: Ink::White,
    scale: 2.0,
    shift: -1.0,
};

fn net(pad: i64, channels: usize, look: Look) -> Folded {
    let build = Build::new().image(&[1, channels as i64, 8, 8]);
    let weight: Vec<f32> = (0..18 * channels)
        .map(|i| (i * 7 % 19) as f32 / 9.0 - 1.0)
        .collect();
    let build = build.floats("k", &[2, channels as i64, 3, 3], &weight);
    let build = build.node("Conv x k b -> y", &[("pads", &[pad; 4])]);
    let parsed = parse(&build.node("Relu y -> z", &[]).bytes()).unwrap();
    fold(parsed.image, &parsed.encoder, look).unwrap()
}

/// The file's network in plain loops, `[c][h][w]`, on a grey image as it sees it.
fn reference(pad: usize, channels: usize, grey: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let side = 6 + 2 * pad;
    let pixel = |y: usize, x: usize| {
        let inside = (pad..8 + pad).contains(&y) && (pad..8 + pad).contains(&x);
        if inside { grey(y - pad, x - pad) } else { 0.0 }
    };
    let output = |i: usize| {
        let (o, y, x) = (i / side / side, i / side % side, i % side);
        let mut sum = [0.5, -0.5][o];
        for tap in 0..9 * channels {
            let weight = ((o * 9 * channels + tap) * 7 % 19) as f32 / 9.0 - 1.0;
            sum += weight * pixel(y + tap % 9 / 3, x + tap % 3);
        }
        sum.max(0.0)
    };
    (0..2 * side * side).map(output).collect()
}

#[test]
fn every_look_gives_the_files_embedding() {
    let image: Vec<u8> = (0..64).map(|i| (i * 41 % 256) as u8).collect();
    for channels in [1, 3] {
        for (pad, look, layers) in [
            (0, PLAIN, 1),
            (1, PLAIN, 1),
            (0, BLACK, 1),
            (0, SIGNED, 1),
            // Zeros of the file's network are no zeros of ours: a layer in front computes what it sees.
            (1, BLACK, 2),
            (1, SIGNED, 2),
        ] {
            let folded = net(pad, channels, look);
            assert_eq!(folded.spec.layers.len(), layers, "{look:?}");
            let seen = |y: usize, x: usize| {
                let ink = f64::from(image[y * 8 + x]) / 255.0;
                let grey = if look.ink == Ink::White {
                    ink
                } else {
                    1.0 - ink
                };
                (grey * look.scale + look.shift) as f32
            };
            close(
                &embed(&folded, &image),
                &reference(pad as usize, channels, seen),
            );
        }
    }
}

/// In one channel where nothing is negative, else in two.
#[test]
fn the_layer_in_front_is_as_small_as_it_can_be() {
    assert_eq!(net(1, 1, BLACK).filters[0].bias.len(), 1);
    assert_eq!(net(1, 1, SIGNED).filters[0].bias.len(), 2);
}
