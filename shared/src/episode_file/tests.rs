//! Every refusal has a file that earns it; no bytes whatever make the reader panic.

use proptest::prelude::*;

use super::*;

/// Owned content of a file.
#[derive(Debug, Clone)]
struct Content {
    image: Hwc,
    images: Vec<u8>,
    n_way: u16,
    k_shot: u16,
    trials: Vec<(u16, Vec<u16>)>,
}

impl Content {
    fn emit(&self) -> Result<Vec<u8>, EmitError> {
        let trials: Vec<_> = self
            .trials
            .iter()
            .map(|(query, supports)| TrialRepr {
                query: *query,
                supports,
            })
            .collect();
        let repr = EpisodeRepr {
            image: self.image,
            images: &self.images,
            n_way: self.n_way,
            k_shot: self.k_shot,
            trials: &trials,
        };
        let mut bytes = vec![0xa5; repr.buffer_len()?];
        repr.emit(&mut bytes).map(|()| bytes)
    }
}

/// Three images of 1×3, two trials, 2-way 1-shot: both sections need padding.
fn small() -> Content {
    Content {
        image: Hwc::new(1, 3, 1),
        images: vec![10, 11, 12, 20, 21, 22, 30, 31, 32],
        n_way: 2,
        k_shot: 1,
        trials: vec![(2, vec![0, 1]), (0, vec![2, 1])],
    }
}

fn content() -> impl Strategy<Value = Content> {
    (1..7_usize, 1..7_usize, 1..9_usize, 1..5_u16, 1..4_u16).prop_flat_map(
        |(h, w, n_images, n_way, k_shot)| {
            let index = 0..n_images as u16;
            let supports = prop::collection::vec(index.clone(), usize::from(n_way * k_shot));
            let trials = prop::collection::vec((index, supports), 1..6);
            let images = prop::collection::vec(any::<u8>(), h * w * n_images);
            (images, trials).prop_map(move |(images, trials)| Content {
                image: Hwc::new(h, w, 1),
                images,
                n_way,
                k_shot,
                trials,
            })
        },
    )
}

/// Changes bytes and repairs the CRC, as a hostile writer would.
fn forge(mut bytes: Vec<u8>, at: usize, value: &[u8]) -> Vec<u8> {
    bytes[at..at + value.len()].copy_from_slice(value);
    let crc = crc32(&bytes[field::CRC.end..]);
    bytes[field::CRC].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn refusal(bytes: &[u8]) -> EpisodeError {
    EpisodeView::new_checked(bytes).expect_err("this file must be refused")
}

/// Reads everything a view offers.
fn read_all(view: &EpisodeView<'_>) -> Content {
    Content {
        image: view.image_shape(),
        images: (0..view.n_images())
            .flat_map(|index| view.image(index).unwrap().to_vec())
            .collect(),
        n_way: view.n_way() as u16,
        k_shot: view.k_shot() as u16,
        trials: view
            .trials()
            .map(|trial| {
                let supports = trial.supports().map(|image| image as u16).collect();
                (trial.query() as u16, supports)
            })
            .collect(),
    }
}

proptest! {
    #[test]
    fn emit_then_parse_is_identity(content in content()) {
        let bytes = content.emit().unwrap();
        let view = EpisodeView::new_checked(&bytes).unwrap();
        prop_assert_eq!(view.n_trials(), content.trials.len());
        prop_assert_eq!(view.image(view.n_images()), None);
        prop_assert_eq!(read_all(&view).emit().unwrap(), bytes);
    }

    #[test]
    fn any_flipped_bit_is_refused(content in content(), bit: prop::sample::Index) {
        let mut bytes = content.emit().unwrap();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(EpisodeView::new_checked(&bytes).is_err());
    }

    #[test]
    fn any_truncation_is_refused(content in content(), len: prop::sample::Index) {
        let bytes = content.emit().unwrap();
        let len = len.index(bytes.len());
        let error = EpisodeView::new_checked(&bytes[..len]).unwrap_err();
        let is_truncated = matches!(error, EpisodeError::Truncated { .. });
        prop_assert!(is_truncated, "{error}");
    }

    /// A header that a hostile writer sealed with a right CRC: a view that can be read, or an error.
    #[test]
    fn any_sealed_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 16..200)) {
        let mut bytes = vec![0; field::CRC.end];
        bytes.extend(&body);
        bytes[field::MAGIC].copy_from_slice(&MAGIC);
        bytes[field::VERSION].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let len = bytes.len() as u32;
        bytes[field::FILE_LEN].copy_from_slice(&len.to_le_bytes());
        if let Ok(view) = EpisodeView::new_checked(&forge(bytes, field::RESERVED_32.start, &[0; 4])) {
            read_all(&view);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(EpisodeView::new_checked(&bytes).is_err());
    }
}

/// The layout is a promise to other writers: these bytes never change for version 1.
#[test]
fn golden_bytes() {
    let bytes = small().emit().unwrap();
    let header = [
        b'1', b'T', b'R', b'I', 1, 0, 0, 0, 56, 0, 0, 0, // magic, version, reserved, length
    ];
    assert_eq!(bytes[..12], header);
    let counts = [1, 0, 3, 0, 3, 0, 2, 0, 2, 0, 1, 0, 0, 0, 0, 0];
    assert_eq!(bytes[16..32], counts);
    assert_eq!(bytes[32..44], [2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1, 0]);
    assert_eq!(bytes[44..], [10, 11, 12, 20, 21, 22, 30, 31, 32, 0, 0, 0]);
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let good = small().emit().unwrap();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let _ = refusal(&bytes);
    }
    for len in 0..good.len() {
        let _ = refusal(&good[..len]);
    }
}

#[test]
fn a_longer_buffer_is_fine() {
    let mut bytes = small().emit().unwrap();
    bytes.extend([0xff; 100]);
    assert_eq!(EpisodeView::new_checked(&bytes).unwrap().n_images(), 3);
}

#[test]
fn each_refusal_has_its_file() {
    let good = || small().emit().unwrap();
    assert_eq!(
        refusal(&forge(good(), 0, b"1LOK")),
        EpisodeError::Magic { got: *b"1LOK" }
    );
    assert_eq!(
        refusal(&forge(good(), field::VERSION.start, &[2])),
        EpisodeError::Version { got: 2 }
    );
    let zero = [
        (field::IMAGE_H, Field::ImageH),
        (field::IMAGE_W, Field::ImageW),
        (field::N_IMAGES, Field::NImages),
        (field::N_TRIALS, Field::NTrials),
        (field::N_WAY, Field::NWay),
        (field::K_SHOT, Field::KShot),
    ];
    for (at, field) in zero {
        let error = refusal(&forge(good(), at.start, &[0, 0]));
        assert_eq!(error, EpisodeError::Field(field));
    }
    for at in [field::RESERVED_16, field::RESERVED_32] {
        let error = refusal(&forge(good(), at.start, &[1]));
        assert_eq!(error, EpisodeError::Field(Field::Reserved));
    }
    assert!(matches!(
        refusal(&forge(good(), field::N_IMAGES.start, &[0xff, 0xff])),
        EpisodeError::Length { got: 56, .. }
    ));
    let mut damaged = good();
    damaged[55] = 1;
    assert!(matches!(refusal(&damaged), EpisodeError::Crc { .. }));
    // The second support of trial 1.
    assert_eq!(
        refusal(&forge(good(), 42, &[3])),
        EpisodeError::Index {
            trial: 1,
            image: 3,
            n_images: 3
        }
    );
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let mut no_trials = small();
    no_trials.trials.clear();
    let refused = EmitError::Refused(EpisodeError::Field(Field::NTrials));
    assert_eq!(no_trials.emit(), Err(refused));

    let mut half_an_image = small();
    half_an_image.images.pop();
    assert!(matches!(
        half_an_image.emit(),
        Err(EmitError::Images { .. })
    ));

    let mut short_trial = small();
    short_trial.trials[1].1.pop();
    assert_eq!(
        short_trial.emit(),
        Err(EmitError::Supports {
            trial: 1,
            expected: 2,
            got: 1
        })
    );

    let mut wrong_index = small();
    wrong_index.trials[0].0 = 3;
    assert!(matches!(
        wrong_index.emit(),
        Err(EmitError::Refused(EpisodeError::Index { trial: 0, .. }))
    ));

    let mut wide = small();
    wide.image = Hwc::new(1, 70_000, 1);
    wide.images = vec![0; 70_000];
    wide.trials = vec![(0, vec![0, 0])];
    assert_eq!(wide.emit(), Err(EmitError::TooLarge { value: 70_000 }));
}
