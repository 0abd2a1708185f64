//! What a hostile writer would try: lengths, counts, offsets and extents at their limits, behind a
//! checksum that is right.

use super::*;

/// Where a field of a layer's record lies in the file.
fn of_layer(index: usize, field: Range<usize>) -> usize {
    field::HEADER_LEN + index * field::layer::LEN + field.start
}

/// Sets `FILE_LEN`, cuts the file there, and repairs the CRC as far as there is one.
fn cut(mut bytes: Vec<u8>, len: usize) -> Vec<u8> {
    bytes.truncate(len);
    if len >= field::FILE_LEN.end {
        bytes[field::FILE_LEN].copy_from_slice(&(len as u32).to_le_bytes());
    }
    if len >= field::CRC.end {
        bytes = forge(bytes, 0, &MAGIC);
    }
    bytes
}

/// A file that says it is whole at any length: what is behind its end is missing, not read.
#[test]
fn a_file_that_calls_itself_shorter_is_refused() {
    let good = every_operator();
    // The text may end anywhere.
    let text = good.len() - 8;
    for len in (0..text).step_by(STEP) {
        let refused = refusal(&cut(good.clone(), len));
        if !len.is_multiple_of(4) && len >= field::FILE_LEN.end {
            assert_eq!(refused, FormatError::Field(Field::FileLen), "at {len}");
        } else if len < field::HEADER_LEN {
            let truncated = matches!(refused, FormatError::Truncated { got, .. } if got == len);
            assert!(truncated, "at {len}: {refused}");
        }
    }
    // The same, with everything still behind it, as in a flash slot.
    for len in (0..field::HEADER_LEN as u32).step_by(4 * STEP) {
        let mut bytes = good.clone();
        bytes[field::FILE_LEN].copy_from_slice(&len.to_le_bytes());
        let end = (len as usize).max(field::CRC.end);
        let crc = crc32(&bytes[field::CRC.end..end]);
        bytes[field::CRC].copy_from_slice(&crc.to_le_bytes());
        assert!(
            matches!(refusal(&bytes), FormatError::Truncated { .. }),
            "at {len}"
        );
    }
    for len in [u32::MAX, u32::MAX - 3, 1 << 31] {
        let bytes = forge(good.clone(), field::FILE_LEN.start, &len.to_le_bytes());
        assert!(
            matches!(refusal(&bytes), FormatError::Truncated { .. }),
            "at {len}"
        );
    }
}

#[test]
fn more_layers_than_the_table_has_are_refused() {
    let n_layers = |n: u16| forge(small_model(), field::N_LAYERS.start, &n.to_le_bytes());
    for n in [MAX_LAYERS + 1, u16::MAX] {
        assert_eq!(refusal(&n_layers(n)), FormatError::Field(Field::NLayers));
    }
    // The first records are good, but their data no longer lies directly behind the table.
    for n in [1, 3, MAX_LAYERS] {
        assert!(matches!(refusal(&n_layers(n)), FormatError::Offset { .. }));
    }
}

#[test]
fn offsets_at_the_end_of_the_address_space_are_refused() {
    let places = [
        of_layer(0, field::layer::WEIGHT),
        of_layer(0, field::layer::BIAS),
        of_layer(0, field::layer::SHIFT),
        field::HEAD_WEIGHT.start,
        field::PROVENANCE.start,
    ];
    for at in places {
        for offset in [u32::MAX, u32::MAX - 3, 1 << 31, 0] {
            let bytes = forge(small_model(), at, &offset.to_le_bytes());
            assert!(
                matches!(refusal(&bytes), FormatError::Offset { .. }),
                "{at}"
            );
        }
    }
}

#[test]
fn a_calibration_elsewhere_is_refused() {
    let at = field::CALIBRATION.start;
    for good in [small_model(), every_operator()] {
        let there = u32::from_le_bytes(good[field::CALIBRATION].try_into().unwrap());
        for offset in [u32::MAX, u32::MAX - 3, 1 << 31, 4, there + 1, there + 4] {
            let bytes = forge(good.clone(), at, &offset.to_le_bytes());
            let refused = refusal(&bytes);
            let elsewhere = matches!(refused, FormatError::Offset { .. });
            assert!(elsewhere, "{offset}: {refused}");
        }
    }
    // Left out, the text would have to start where the calibration lies.
    let refused = refusal(&forge(every_operator(), at, &[0; 4]));
    assert!(matches!(refused, FormatError::Offset { .. }), "{refused}");
    // Claimed where the text lies, which is shorter.
    let good = small_model();
    let text = good[field::PROVENANCE].to_vec();
    let refused = refusal(&forge(good, at, &text));
    assert!(
        matches!(refused, FormatError::Truncated { .. }),
        "{refused}"
    );
}

#[test]
fn a_calibration_that_falls_is_refused() {
    let good = every_operator();
    let there = u32::from_le_bytes(good[field::CALIBRATION].try_into().unwrap()) as usize;
    assert!(
        ModelView::new_checked(&good)
            .unwrap()
            .calibration()
            .is_some()
    );
    let refused = FormatError::Field(Field::Calibration);
    for word in 0..53 {
        for value in [i32::MIN, -1 << 24, 1 << 24, i32::MAX] {
            let bytes = forge(good.clone(), there + 4 * word, &value.to_le_bytes());
            // Before and behind the thresholds nothing is decided from.
            let legal = !(2..37).contains(&word);
            assert_eq!(
                ModelView::new_checked(&bytes).is_ok(),
                legal,
                "{word} {value}"
            );
            if !legal {
                assert_eq!(refusal(&bytes), refused);
            }
        }
    }
}

/// Extents whose products leave 32 bits: refused for what they are, on every processor.
#[test]
fn huge_extents_are_refused() {
    let huge = |bytes| {
        let bytes = forge(bytes, field::INPUT_H.start, &[0xff; 2]);
        forge(bytes, field::INPUT_W.start, &[0xff; 2])
    };
    // 65535² inputs for each of 65535 outputs.
    let linear = |operator: u8| {
        let bytes = forge(
            huge(small_model()),
            of_layer(0, field::layer::OPERATOR),
            &[operator],
        );
        let bytes = forge(bytes, of_layer(0, field::layer::KERNEL), &[0; 3]);
        forge(bytes, of_layer(0, field::layer::C_OUT), &[0xff; 2])
    };
    assert!(matches!(refusal(&linear(4)), FormatError::Truncated { .. }));
    // As many channels as a field holds, and the largest kernel.
    let wide = forge(small_model(), of_layer(0, field::layer::C_OUT), &[0xff; 2]);
    assert!(matches!(refusal(&wide), FormatError::Truncated { .. }));
    let wide = forge(wide, of_layer(0, field::layer::KERNEL), &[11, 11, 10]);
    assert!(matches!(refusal(&wide), FormatError::Truncated { .. }));
    // An activation of 2^33 bytes: no arena holds it.
    let refused = refusal(&huge(small_model()));
    assert!(matches!(refused, FormatError::Field(Field::EmbeddingLen)));
}

/// An arena beyond 32 bits must not pass for one of 2^32 − 1 bytes where `usize` has 32 bits.
#[test]
fn an_arena_beyond_32_bits_is_refused() {
    let pool = |kernel, stride, pad| LayerRepr::MaxPool2d {
        window: Window {
            kernel,
            stride,
            pad,
        },
    };
    // One value is left of 14641² and of 65535² pixels.
    let elevenths = [pool(11, 11, 0); 4];
    let layers = [&elevenths[..], &[pool(4, 11, 3)]].concat();
    let good = emit_layers(14_641, &layers, &[-1], 0);
    let model = ModelView::new_checked(&good).unwrap();
    assert_eq!(model.arena_len(), 14_641 * 14_641 + 1331 * 1331);
    let bytes = forge(good, field::INPUT_H.start, &[0xff; 4]);
    for arena in [u32::MAX, u32::MAX - 1, 0] {
        let bytes = forge(bytes.clone(), field::ARENA_LEN.start, &arena.to_le_bytes());
        let refused = refusal(&bytes);
        assert!(matches!(refused, FormatError::Arena { .. }), "{refused}");
    }
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    // Kernel, stride, padding on a 6×6 input.
    for window in [
        [0, 1, 0],
        [3, 0, 1],
        [3, 1, 3],
        [3, 1, 255],
        [7, 1, 0],
        [1, 1, 1],
    ] {
        let bytes = forge(small_model(), of_layer(1, field::layer::KERNEL), &window);
        let refused = refusal(&bytes);
        let expected = matches!(refused, FormatError::Shape { layer: 1, .. });
        assert!(expected, "{window:?}: {refused}");
    }
}

/// The last value that is legal, and the first that is not.
#[test]
fn the_certificate_holds_to_the_last_unit() {
    let bias = (1 << 24) - 255 * 9 * 64;
    for (weight, bias, legal) in [
        (64, bias - 1, true),
        (64, bias, false),
        (-64, 1 - bias, true),
        (-64, -bias, false),
        (0, i32::MIN, false),
        (0, i32::MAX, false),
    ] {
        let weights = [[weight; 9], [0; 9]].concat();
        let bytes = emit(&weights, &[bias, 0], &[23, 0], &[0; 18], 0);
        let accepted = ModelView::new_checked(&bytes);
        assert_eq!(accepted.is_ok(), legal, "{weight} {bias}");
        let head = [[weight; 9], [0; 9]].concat();
        let bytes = emit(&[1; 18], &[0; 2], &[0; 2], &head, bias);
        assert_eq!(
            ModelView::new_checked(&bytes).is_ok(),
            legal,
            "{weight} {bias}"
        );
        let Ok(model) = accepted else { continue };
        // Every pixel at its largest: the sum is as large as the certificate says.
        let (mut arena, mut embedding) = (vec![0; model.arena_len()], vec![0; 18]);
        let ran = Encoder::new(model).embed(&[255; 36], &mut arena, &mut embedding);
        assert_eq!(ran, Ok(()));
        let rounds_to = if weight > 0 { 2 } else { 0 };
        assert!(embedding.contains(&rounds_to), "{embedding:?}");
    }
    for got in [65, -65, 127, -127, -128] {
        let bytes = emit(&[1; 18], &[0; 2], &[0; 2], &[got; 18], 0);
        let refused = FormatError::Uncertified {
            layer: None,
            channel: 0,
            reason: CertificateError::Weight { got },
        };
        assert_eq!(refusal(&bytes), refused);
    }
}

/// Flash and files give bytes at any address.
#[test]
fn any_alignment_will_do() {
    let good = every_operator();
    let embedding = |bytes: &[u8]| {
        let model = ModelView::new_checked(bytes).unwrap();
        let (mut arena, mut embedding) = (vec![0; model.arena_len()], vec![0; 2]);
        let image: Vec<u8> = (0..64).map(|pixel| pixel * 3).collect();
        let ran = Encoder::new(model).embed(&image, &mut arena, &mut embedding);
        ran.map(|()| embedding)
    };
    let expected = embedding(&good);
    for shift in [1, 2, 3] {
        let bytes = [&vec![0; shift][..], &good].concat();
        assert_eq!(embedding(&bytes[shift..]), expected);
    }
}

/// After acceptance only the caller's buffers can be wrong.
#[test]
fn buffers_of_another_length_are_errors() {
    let bytes = every_operator();
    let model = ModelView::new_checked(&bytes).unwrap();
    let (image, arena) = (64, model.arena_len());
    let embed = |image: usize, arena: usize, embedding: usize| {
        let (mut arena, mut embedding) = (vec![0; arena], vec![0; embedding]);
        Encoder::new(model).embed(&vec![9; image], &mut arena, &mut embedding)
    };
    let error = |expected, got| Err(ShapeError::Length { expected, got });
    assert_eq!(embed(image, arena, 2), Ok(()));
    assert_eq!(embed(image, arena + 1, 2), Ok(()));
    for short in (0..arena).step_by(STEP) {
        assert_eq!(embed(image, short, 2), error(arena, short));
    }
    assert_eq!(embed(image - 1, arena, 2), error(64, 63));
    assert_eq!(embed(image + 1, arena, 2), error(64, 65));
    assert_eq!(embed(image, arena, 1), error(2, 1));
    assert_eq!(embed(image, arena, 3), error(2, 3));
    let logit = |a: usize, b: usize| model.decider().logit(&vec![0; a], &vec![0; b]);
    assert!(logit(2, 2).is_ok() && logit(1, 2).is_err() && logit(2, 3).is_err());
}

#[test]
fn erased_flash_and_other_versions_are_refused() {
    for erased in [0xff, 0] {
        let got = [erased; 4];
        assert_eq!(refusal(&[erased; 256]), FormatError::Magic { got });
    }
    for got in [0, 1, FORMAT_VERSION + 1, u16::MAX] {
        let bytes = forge(small_model(), field::VERSION.start, &got.to_le_bytes());
        assert_eq!(refusal(&bytes), FormatError::Version { got });
    }
}
