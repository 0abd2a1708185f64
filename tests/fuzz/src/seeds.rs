//! The inputs that every run starts from: small, legal, and one for each thing there is.
//!
//! `cargo xtask fuzz --write-seeds` puts them into `corpus/`; a test sees that they are there.

use shared::decide::CalibrationRepr;
use shared::episode_file::{EpisodeRepr, TrialRepr};
use shared::link::{Command, Decoder, Event, MAX_FRAME, Packet, Request, encode};
use shared::image::Framing;
use shared::model::{FiltersRepr, HeadRepr, LayerRepr, ModelRepr};
use shared::shape::{Hwc, Window};

/// One file of the corpus.
pub struct Seed {
    /// The target's name.
    pub target: &'static str,
    /// The file's name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// All seeds.
#[must_use]
pub fn all() -> Vec<Seed> {
    let seed = |target, name: &str, bytes| Seed {
        target,
        name: name.to_owned(),
        bytes,
    };
    let models = [
        ("every-operator", every_operator()),
        ("conv-and-pool", conv_and_pool()),
        ("two-linear", two_linear()),
    ];
    let mut seeds = Vec::new();
    for (name, file) in models {
        for level in 0..3_u8 {
            let bytes = [&[level], &file[..]].concat();
            seeds.push(seed("model_forged", &format!("{name}-{level}"), bytes));
        }
        seeds.push(seed("model", name, file));
    }
    for repair in 0..2_u8 {
        let bytes = [&[repair], &trials()[..]].concat();
        seeds.push(seed("trials", &format!("two-way-{repair}"), bytes));
    }
    let pictures: [(&str, &[u8]); 4] = [
        (
            "shrink",
            &[0, 9, 0, 7, 0, 4, 0, 3, 0, 0, 10, 20, 30, 200, 255],
        ),
        ("grow", &[0, 3, 0, 4, 0, 9, 0, 8, 0, 0, 1, 2, 3, 250]),
        ("same", &[0, 5, 0, 5, 0, 5, 0, 5, 0, 0, 7, 90, 0]),
        ("long", &[1, 0, 4, 1, 0, 48, 0, 3, 0, 0, 255, 0]),
    ];
    for (name, bytes) in pictures {
        seeds.push(seed("image", name, bytes.to_vec()));
    }
    let kinds = [
        "conv",
        "pointwise",
        "depthwise",
        "linear",
        "pool",
        "average",
    ];
    for (name, bytes) in wire() {
        seeds.push(seed("wire", name, bytes));
    }
    for (kind, name) in (0_u8..).zip(kinds) {
        // Shape 8×4×3, window 3/1/1, 5 channels; weights, biases, shifts and input from the rest.
        let head = [kind, 0, 8, 4, 3, 3, 1, 1, 5, 2];
        let rest = (0..64_u8).map(|i| i.wrapping_mul(29) ^ 0x51);
        let bytes: Vec<u8> = head.into_iter().chain(rest).collect();
        seeds.push(seed("operators", name, bytes));
    }
    seeds
}

const PADDED: Window = Window {
    kernel: 3,
    stride: 1,
    pad: 1,
};
const HALVING: Window = Window {
    kernel: 2,
    stride: 2,
    pad: 0,
};

/// Thresholds that rise by 16 for each doubling and by 64 for each rate.
fn calibration() -> CalibrationRepr {
    CalibrationRepr {
        draws: 20_000,
        pairs: 10_000,
        thresholds: std::array::from_fn(|row| {
            std::array::from_fn(|column| 16 * row as i32 + 64 * column as i32 - 256)
        }),
        genuine: std::array::from_fn(|i| 32 * i as i32 + 256),
    }
}

fn emit(
    side: usize,
    layers: &[LayerRepr<'_>],
    head: &[i8],
    calibration: Option<CalibrationRepr>,
) -> Vec<u8> {
    let model = ModelRepr {
        input: Hwc::new(side, side, 1),
        input_exponent: 8,
        framing: Framing::Picture,
        layers,
        head: HeadRepr {
            weight: head,
            bias: 700,
            logit_exponent: 12,
        },
        calibration,
        provenance: "a seed",
    };
    let mut bytes = vec![0; model.buffer_len()];
    let emitted = model.emit(&mut bytes, |_| [7; 32]);
    assert_eq!(emitted, Ok(()), "a seed is legal");
    bytes
}

fn filters(weight: &[i8], c_out: usize) -> FiltersRepr<'_> {
    FiltersRepr {
        weight,
        bias: &[40, -5, 9][..c_out],
        shift: &[4, 5, 3][..c_out],
        out_exponent: 5,
    }
}

/// 8×8×1 → conv → 8×8×2 → depthwise → pool → 4×4×2 → 1×1 → 4×4×3 → mean → 3 → linear → 2.
fn every_operator() -> Vec<u8> {
    let layers = [
        LayerRepr::Conv2d {
            window: PADDED,
            filters: filters(&[7; 18], 2),
        },
        LayerRepr::DepthwiseConv2d {
            window: PADDED,
            filters: filters(&[3; 18], 2),
        },
        LayerRepr::MaxPool2d { window: HALVING },
        LayerRepr::Conv2d {
            window: Window {
                kernel: 1,
                stride: 1,
                pad: 0,
            },
            filters: filters(&[9, -2, 4, 5, -1, 8], 3),
        },
        LayerRepr::GlobalAveragePool { out_exponent: 7 },
        LayerRepr::Linear {
            filters: filters(&[3, 5, -2, 1, 1, 7], 2),
        },
    ];
    emit(8, &layers, &[-2; 2], Some(calibration()))
}

/// 6×6×1 → conv, stride 2 → 3×3×3 → pool → 1×1×3.
fn conv_and_pool() -> Vec<u8> {
    let weight: Vec<i8> = (-13..14).collect();
    let layers = [
        LayerRepr::Conv2d {
            window: Window {
                stride: 2,
                ..PADDED
            },
            filters: filters(&weight, 3),
        },
        LayerRepr::MaxPool2d { window: HALVING },
    ];
    emit(6, &layers, &[-2, -3, -4], None)
}

/// 2×2×1 → linear → 3 → linear → 1.
fn two_linear() -> Vec<u8> {
    let layers = [
        LayerRepr::Linear {
            filters: filters(&[1, -2, 3, 4, 5, 6, -7, 8, 64, -64, 11, 12], 3),
        },
        LayerRepr::Linear {
            filters: filters(&[20, 30, -40], 1),
        },
    ];
    emit(2, &layers, &[-9], Some(calibration()))
}

/// Two trials, two-way, one shot, four images of 3×2.
fn trials() -> Vec<u8> {
    let images: Vec<u8> = (0..24).map(|i| i * 10).collect();
    let repr = EpisodeRepr {
        image: Hwc::new(3, 2, 1),
        images: &images,
        n_way: 2,
        k_shot: 1,
        trials: &[
            TrialRepr {
                query: 0,
                supports: &[1, 2],
            },
            TrialRepr {
                query: 3,
                supports: &[2, 1],
            },
        ],
    };
    let mut bytes = vec![0; repr.buffer_len().expect("a seed is legal")];
    repr.emit(&mut bytes).expect("a seed is legal");
    bytes
}

/// Frames on a line, and messages by themselves.
fn wire() -> Vec<(&'static str, Vec<u8>)> {
    let mut buffer = [0; MAX_FRAME];
    let mut line = vec![0, 0];
    let mut seeds = Vec::new();
    let requests = [
        ("hello", Command::Hello { protocol: 1 }),
        (
            "write",
            Command::WriteCapture {
                h: 3,
                w: 2,
                offset: 0,
                bytes: &[0, 255, 0, 7, 9, 0],
            },
        ),
        (
            "rename",
            Command::Rename {
                from: "aleph",
                to: "α",
            },
        ),
        (
            "commit",
            Command::UpdateCommit {
                signature: Some(&[7; 64]),
            },
        ),
    ];
    for (name, command) in requests {
        let request = Request { id: 300, command };
        let mut frame = encode(&request, &mut buffer).expect("a seed is legal");
        line.extend(frame);
        let mut decoder = Decoder::new();
        let message = decoder.push_bytes(&mut frame).expect("it ends");
        seeds.push((name, [&[1], message.expect("it is whole")].concat()));
    }
    let log = Packet::Event(Event::Log("a line for a person"));
    line.extend(encode(&log, &mut buffer).expect("a seed is legal"));
    // A verdict on an unknown mark: packet 0, number 5, success, reply 6.
    seeds.push((
        "scored",
        b"\x01\x00\x05\x00\x06\x00\x02ab\x08\x00\x0a\x0e\x01".to_vec(),
    ));
    seeds.push(("line", line));
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn replay(target: &str, bytes: &[u8]) {
        match target {
            "model" => crate::model::run(bytes),
            "model_forged" => crate::forged::run(bytes),
            "trials" => crate::trials::run(bytes),
            "image" => crate::image::run(bytes),
            "operators" => crate::operators::run(bytes),
            "wire" => crate::wire::run(bytes),
            other => panic!("{other} is no target"),
        }
    }

    #[test]
    fn every_seed_keeps_its_promises() {
        for seed in all() {
            replay(seed.target, &seed.bytes);
        }
    }

    #[test]
    fn the_committed_corpus_is_these_seeds() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
        let seeds = all();
        for seed in &seeds {
            let path = folder.join(seed.target).join(&seed.name);
            let there = std::fs::read(&path).unwrap_or_default();
            let wrong = "write them again: cargo xtask fuzz --write-seeds";
            assert!(there == seed.bytes, "{}: {wrong}", path.display());
        }
        let targets = std::fs::read_dir(&folder).expect("corpus/ is there");
        let files = targets.flat_map(|target| std::fs::read_dir(target.unwrap().path()).unwrap());
        assert_eq!(files.count(), seeds.len());
    }

    /// Deterministic noise over the seeds, for machines without a fuzzer.
    #[test]
    fn noise_over_the_seeds_breaks_no_promise() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as usize
        };
        for seed in all() {
            for _ in 0..2000 {
                let mut bytes = seed.bytes.clone();
                for _ in 0..1 + random() % 4 {
                    let at = random() % bytes.len();
                    bytes[at] = random() as u8;
                }
                replay(seed.target, &bytes);
            }
        }
    }
}
