//! A model file as a hostile writer forges it: damaged, then made to look whole.
//!
//! The first byte says how much is repaired before the reader sees the rest, so that the checks
//! behind the checksum are reached, and models of every structure are accepted and run:
//!
//! | first byte, modulo 3 | repaired                                                            |
//! |----------------------|---------------------------------------------------------------------|
//! | 0                    | magic, version, length, checksum                                    |
//! | 1                    | also the places of all sections, embedding length and arena length  |
//! | 2                    | also every value that has few legal ones, and the certificate       |
//!
//! The repair follows `shared/FORMAT.md` and uses nothing of the reader's, so that it is a second
//! opinion: what is repaired in full must be accepted.

use shared::model::ModelView;

use crate::model::keeps_its_promises;
use crate::repair_crc;
use crate::source::stretch;

const HEADER: usize = 68;
const RECORD: usize = 24;
const CALIBRATION: usize = 212;
/// Sections that are not there are made up to this size; a larger file stays as it is.
const MAX_FILE: usize = 4096;
/// Room for rounding three sections up to multiples of 4.
const PADDING: usize = 12;

/// The target.
pub fn run(bytes: &[u8]) {
    let Some((&level, file)) = bytes.split_first() else {
        return;
    };
    let mut file = file.to_vec();
    let whole = match level % 3 {
        0 => false,
        1 => {
            lay_out(&mut file, Values::Kept);
            false
        }
        _ => lay_out(&mut file, Values::Repaired),
    };
    repair_envelope(&mut file);
    match ModelView::new_checked(&file) {
        Ok(model) => keeps_its_promises(&model),
        Err(error) => {
            // The words are part of the firmware's answer: they must not panic either.
            assert!(!error.to_string().is_empty());
            assert!(!whole, "a legal file was refused: {error}");
        }
    }
}

/// Whether values out of range are replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    Kept,
    Repaired,
}

fn repair_envelope(file: &mut Vec<u8>) {
    file.truncate(file.len() / 4 * 4);
    let len = file.len() as u32;
    for (at, value) in [(0, *b"1LOK"), (4, [3, 0, 0, 0]), (8, len.to_le_bytes())] {
        // Version and number of layers share a word.
        let value = if at == 4 { &value[..2] } else { &value[..] };
        put(file, at, value);
    }
    repair_crc(file);
}

fn put(file: &mut [u8], at: usize, value: &[u8]) {
    if let Some(target) = file.get_mut(at..at + value.len()) {
        target.copy_from_slice(value);
    }
}

fn put_u32(file: &mut [u8], at: usize, value: usize) {
    put(
        file,
        at,
        &u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes(),
    );
}

fn byte(file: &[u8], at: usize) -> usize {
    file.get(at).copied().map_or(0, usize::from)
}

fn half(file: &[u8], at: usize) -> usize {
    byte(file, at) + 256 * byte(file, at + 1)
}

fn word(file: &[u8], at: usize) -> usize {
    half(file, at) + 65536 * half(file, at + 2)
}

/// The shape `[h][w][c]` and exponent that a layer reads.
#[derive(Clone, Copy)]
struct Activation {
    h: usize,
    w: usize,
    c: usize,
    exponent: usize,
}

impl Activation {
    /// Values; extents are below 2^17 here and `usize` has 64 bits.
    fn len(self) -> usize {
        self.h * self.w * self.c
    }
}

/// One layer's data, and what it needs of the arena.
struct Plan {
    output: Activation,
    taps: usize,
    /// The filters' data lies channel by channel in the outer axis.
    channel_first: bool,
    scratch: usize,
    /// A convolution that may be run together with a pooling behind it.
    opens_a_step: bool,
    /// A pooling whose windows lie apart, and their height.
    closes_a_step: Option<usize>,
}

/// Writes every offset and length that follows from the layers; with [`Values::Repaired`] makes
/// the layers legal too. Whether the whole file is legal now.
fn lay_out(file: &mut Vec<u8>, values: Values) -> bool {
    if file.len() < HEADER {
        return false;
    }
    let repair = values == Values::Repaired;
    if repair {
        repair_header(file);
    }
    let n_layers = half(file, 6).min(32);
    let mut at = HEADER + n_layers * RECORD;
    grow(file, at);
    let mut input = Activation {
        h: half(file, 32),
        w: half(file, 34),
        c: half(file, 36),
        exponent: byte(file, 38),
    };
    let arena = input.len();
    let mut steps = Vec::new();
    for index in 0..n_layers {
        let record = HEADER + index * RECORD;
        if repair {
            repair_record(file, record, input);
        }
        let Some(plan) = plan(file, record, input) else {
            return false;
        };
        let (taps, c_out) = (plan.taps, plan.output.c);
        if taps > 0 {
            if at + taps * c_out + 5 * c_out + PADDING > MAX_FILE {
                return false;
            }
            for (field, len) in [(8, taps * c_out), (12, 4 * c_out), (16, c_out)] {
                put_u32(file, record + field, at);
                at = (at + len).next_multiple_of(4);
                grow(file, at);
            }
            if repair {
                certify(file, record, &plan);
            }
        } else {
            put(file, record + 8, &[0; 12]);
        }
        steps.push((input, plan));
        input = steps[index].1.output;
    }
    let arena = arena_len(&steps, arena);
    let embedding = input.len();
    if at + embedding + CALIBRATION + PADDING > MAX_FILE || arena > u32::MAX as usize {
        return false;
    }
    put_u32(file, 40, arena);
    put_u32(file, 44, embedding);
    put_u32(file, 48, at);
    let head = at..at + embedding;
    at = head.end.next_multiple_of(4);
    grow(file, at);
    // Whether there is a calibration, the file says itself.
    let calibration = (word(file, 60) != 0).then_some(at);
    put_u32(file, 60, calibration.unwrap_or(0));
    if let Some(section) = calibration {
        at += CALIBRATION;
        grow(file, at);
        if repair {
            repair_calibration(&mut file[section..at]);
        }
    }
    put_u32(file, 64, at);
    if repair {
        clamp_weights(file.get_mut(head).unwrap_or_default().iter_mut());
        let bias = i32::from_le_bytes(std::array::from_fn(|i| file[52 + i]));
        put(file, 52, &(bias % (1 << 20)).to_le_bytes());
        file[at..].iter_mut().for_each(|byte| *byte &= 0x7f);
        file.truncate(file.len() / 4 * 4);
    }
    repair && embedding * 255 * 64 + (1 << 20) < 1 << 24
}

/// The largest input + scratch + output of a step: a layer, or a convolution with its pooling.
fn arena_len(layers: &[(Activation, Plan)], input: usize) -> usize {
    let (mut longest, mut rest) = (input, layers);
    while let Some(((input, plan), behind)) = rest.split_first() {
        let pooling = behind.first().filter(|_| plan.opens_a_step);
        let pooling = pooling.and_then(|(_, pool)| Some((pool, pool.closes_a_step?)));
        let (scratch, output);
        (scratch, output, rest) = match pooling {
            Some((pool, rows)) => {
                let strip = rows * plan.output.w * plan.output.c;
                (plan.scratch + strip, pool.output, &behind[1..])
            }
            None => (plan.scratch, plan.output, behind),
        };
        longest = longest.max(input.len() + scratch + output.len());
    }
    longest
}

/// What `FORMAT.md` says about one record; `None` when nothing follows from it.
fn plan(file: &[u8], record: usize, input: Activation) -> Option<Plan> {
    let [operator, kernel, stride, pad] = std::array::from_fn(|i| byte(file, record + i));
    let (c_out, exponent) = (half(file, record + 4), byte(file, record + 6));
    let windowed = |c: usize| {
        let axis = |len: usize| Some((len + 2 * pad).checked_sub(kernel)?.checked_div(stride)? + 1);
        Some(Activation {
            h: axis(input.h)?,
            w: axis(input.w)?,
            c,
            exponent,
        })
    };
    let vector = |c: usize| Activation {
        h: 1,
        w: 1,
        c,
        exponent,
    };
    let (output, taps) = match operator {
        1 => (windowed(c_out)?, kernel * kernel * input.c),
        2 => (windowed(input.c)?, 0),
        3 => (windowed(input.c)?, kernel * kernel),
        4 => (vector(c_out), input.len()),
        5 => (vector(input.c), 0),
        _ => return None,
    };
    let scratch = match operator {
        1 => 8 * taps.next_multiple_of(4) + 4,
        _ => 0,
    };
    Some(Plan {
        output,
        taps,
        channel_first: operator != 3,
        scratch,
        opens_a_step: operator == 1 && (kernel, stride, pad) != (1, 1, 0),
        closes_a_step: (operator == 2 && pad == 0 && stride >= kernel).then_some(kernel),
    })
}

/// Makes up bytes that are not there, out of those that are.
fn grow(file: &mut Vec<u8>, len: usize) {
    if len > file.len() && len <= MAX_FILE {
        let more = stretch(file, len - file.len());
        file.extend(more);
    }
}

fn repair_header(file: &mut [u8]) {
    let small = |value: usize, max: usize| 1 + value.wrapping_sub(1) % max;
    let (n_layers, h, w) = (half(file, 6), half(file, 32), half(file, 34));
    put(file, 6, &(small(n_layers, 6) as u16).to_le_bytes());
    put(file, 32, &(small(h, 14) as u16).to_le_bytes());
    put(file, 34, &(small(w, 14) as u16).to_le_bytes());
    put(file, 36, &[1, 0, file[38] % 24, 1]);
    put(file, 56, &[file[56] % 24, 0, 0, 0]);
}

/// The nearest legal record: whatever does not fit becomes a window of one pixel.
fn repair_record(file: &mut [u8], at: usize, input: Activation) {
    let [operator, kernel, stride, pad] = std::array::from_fn(|i| byte(file, at + i));
    let pixels = input.h * input.w;
    let mut operator = (operator.wrapping_sub(1) % 5 + 1) as u8;
    if operator == 5 && !pixels.is_power_of_two() {
        operator = 2;
    }
    let window = if operator >= 4 {
        [0; 3]
    } else {
        let kernel = kernel.wrapping_sub(1) % 11 + 1;
        let pad = pad % kernel;
        let fits = input.h.min(input.w) + 2 * pad >= kernel;
        let (kernel, pad) = if fits { (kernel, pad) } else { (1, 0) };
        [
            kernel as u8,
            (stride.wrapping_sub(1) % 11 + 1) as u8,
            pad as u8,
        ]
    };
    let c_out = match operator {
        1 | 4 => half(file, at + 4).wrapping_sub(1) % 24 + 1,
        _ => input.c,
    };
    let exponent = match operator {
        2 => input.exponent,
        5 => {
            let finer = byte(file, at + 6) % (pixels.trailing_zeros() as usize + 1);
            (input.exponent + finer).min(23)
        }
        _ => byte(file, at + 6) % 24,
    };
    put(file, at, &[operator]);
    put(file, at + 1, &window);
    put(file, at + 4, &(c_out as u16).to_le_bytes());
    put(file, at + 6, &[exponent as u8, 0]);
    put(file, at + 20, &[0; 4]);
}

/// Makes a calibration legal: thresholds below 2^24 that fall neither along a row nor a column.
fn repair_calibration(section: &mut [u8]) {
    let word = |section: &[u8], index: usize| {
        let at = 8 + 4 * index;
        i32::from_le_bytes(std::array::from_fn(|i| section[at + i])) % (1 << 24)
    };
    let columns = 5;
    for index in 0..35 {
        let left = (index % columns > 0).then(|| word(section, index - 1));
        let above = (index >= columns).then(|| word(section, index - columns));
        let least = left.max(above).unwrap_or(i32::MIN);
        let value = word(section, index).max(least);
        put(section, 8 + 4 * index, &value.to_le_bytes());
    }
}

fn clamp_weights<'a>(weights: impl Iterator<Item = &'a mut u8>) {
    weights.for_each(|w| *w = (*w as i8).clamp(-64, 64) as u8);
}

/// Makes a layer's data legal: `|w| <= 64`, `|bias| + 255 Σ|w| < 2^24`, `shift <= 23`.
fn certify(file: &mut [u8], record: usize, plan: &Plan) {
    let [weight, bias, shift] = [8, 12, 16].map(|field| word(file, record + field));
    let c_out = plan.output.c;
    clamp_weights(file[weight..weight + plan.taps * c_out].iter_mut());
    for channel in 0..c_out {
        let sum: i64 = (0..plan.taps)
            .map(|tap| match plan.channel_first {
                true => channel * plan.taps + tap,
                false => tap * c_out + channel,
            })
            .map(|index| i64::from(file[weight + index] as i8).abs())
            .sum();
        let room = (1 << 24) - 255 * sum;
        let at = bias + 4 * channel;
        let value = i32::from_le_bytes(std::array::from_fn(|i| file[at + i]));
        // `taps <= 4096`, so that zero weights always fit, but not 64 everywhere.
        if room <= 0 {
            file[weight..weight + plan.taps * c_out].fill(1);
            put(file, at, &[0; 4]);
        } else {
            put(file, at, &((i64::from(value) % room) as i32).to_le_bytes());
        }
    }
    file[shift..shift + c_out]
        .iter_mut()
        .for_each(|shift| *shift %= 24);
}
