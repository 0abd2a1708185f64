//! Picture files to captures, and back.
//!
//! In: PNG, JPEG, BMP or PGM files of any size. Out: 8-bit grey pictures that fit a device, made smaller by
//! area-averaging as the device's own arithmetic does it; and files of captures (PNG, JPEG, BMP or PGM).

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::ImageDecoder;
use shared::image::{MAX_EXTENT, resample_area};
use shared::shape::Hwc;

use crate::files::{WriteError, write_whole};

/// A grey picture, row by row, 0 black.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grey {
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// `h * w` of them.
    pub pixels: Vec<u8>,
}

/// A picture could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The file cannot be read.
    #[error(
        "cannot read {path}: {source}\nnext: name a picture file (PNG, JPEG, BMP or PGM), or a folder of them"
    )]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no picture that is understood.
    #[error(
        "{path} is no picture that can be read: {reason}\nnext: save it as PNG (8 bit), JPEG, BMP or PGM"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A folder without pictures.
    #[error("there is no PNG, JPEG, BMP or PGM picture in {path}\nnext: {next}")]
    None {
        /// The folder.
        path: PathBuf,
        /// What was expected.
        next: &'static str,
    },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Grey {
    /// A picture of these pixels; `None` when they are not `h * w`.
    #[must_use]
    pub fn new(h: usize, w: usize, pixels: Vec<u8>) -> Option<Self> {
        (h.checked_mul(w) == Some(pixels.len())).then_some(Self { h, w, pixels })
    }

    /// Reads a PNG, JPEG, BMP or PGM file, whatever its name ends with.
    ///
    /// # Errors
    /// [`ImageError`] naming the file.
    pub fn read(path: &Path) -> Result<Self, ImageError> {
        let bytes = std::fs::read(path).map_err(|source| ImageError::Read {
            path: path.into(),
            source,
        })?;
        Self::decode(&bytes).map_err(|reason| ImageError::Format {
            path: path.into(),
            reason,
        })
    }

    /// The picture in the bytes of such a file.
    ///
    /// # Errors
    /// Why there is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.starts_with(b"P5") || bytes.starts_with(b"P2") {
            from_pgm(bytes)
        } else if bytes.starts_with(&[0xff, 0xd8]) || bytes.starts_with(b"BM") {
            from_camera(bytes)
        } else {
            from_png(bytes)
        }
    }

    /// The same picture with at most `max_pixels`, its sides in the same proportion.
    #[must_use]
    pub fn fit(self, max_pixels: usize) -> Self {
        let small = self.coarse();
        if small.pixels.len() <= max_pixels || max_pixels == 0 {
            return small;
        }
        let factor = (max_pixels as f64 / small.pixels.len() as f64).sqrt();
        let shrink = |extent: usize| ((extent as f64 * factor).floor() as usize).max(1);
        let (mut h, mut w) = (shrink(small.h), shrink(small.w));
        // A very long picture cannot keep its proportion: its short side is one pixel already.
        h = h.min(max_pixels / w.min(max_pixels));
        w = w.min(max_pixels / h);
        let (from, to) = (Hwc::new(small.h, small.w, 1), Hwc::new(h, w, 1));
        let mut pixels = vec![0; to.len()];
        match resample_area(&small.pixels, from, &mut pixels, to) {
            Ok(()) => Self { h, w, pixels },
            // Only for shapes that `coarse` leaves none of.
            Err(_) => small,
        }
    }

    /// Every n-th row and column, so that no extent is above what can be averaged exactly.
    fn coarse(self) -> Self {
        let step = self.h.max(self.w).div_ceil(MAX_EXTENT).max(1);
        if step == 1 {
            return self;
        }
        let rows = self.pixels.chunks(self.w.max(1)).step_by(step);
        let pixels = rows.flat_map(|row| row.iter().step_by(step).copied());
        Self {
            pixels: pixels.collect(),
            h: self.h.div_ceil(step),
            w: self.w.div_ceil(step),
        }
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    /// [`ImageError::Write`] or, for a picture without pixels, [`ImageError::Format`].
    pub fn write_png(&self, path: &Path) -> Result<(), ImageError> {
        let bytes = self.to_png().map_err(|error| ImageError::Format {
            path: path.into(),
            reason: error.to_string(),
        })?;
        Ok(write_whole(path, &bytes)?)
    }

    /// The picture as the bytes of a PNG file.
    ///
    /// # Errors
    /// It has no pixels.
    pub fn to_png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.w as u32, self.h as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        writer.finish()?;
        Ok(bytes)
    }

    /// The picture as the bytes of a PGM file.
    #[must_use]
    pub fn to_pgm(&self) -> Vec<u8> {
        let mut bytes = format!("P5\n{} {}\n255\n", self.w, self.h).into_bytes();
        bytes.extend_from_slice(&self.pixels);
        bytes
    }
}

/// Whether a file's name is one of a picture.
#[must_use]
pub fn is_picture(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| {
        ["png", "pgm", "jpg", "jpeg", "bmp"]
            .iter()
            .any(|known| ending.eq_ignore_ascii_case(known))
    })
}

/// The pictures directly in a folder, by name.
///
/// # Errors
/// [`ImageError::Read`] when it is no folder that can be read.
pub fn pictures_in(folder: &Path) -> Result<Vec<PathBuf>, ImageError> {
    let failed = |source| ImageError::Read {
        path: folder.into(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if is_picture(&path) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn from_png(bytes: &[u8]) -> Result<Grey, String> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(|error| error.to_string())?;
    let len = reader.output_buffer_size().ok_or("it is too large")?;
    let mut buffer = vec![0; len];
    let info = reader
        .next_frame(&mut buffer)
        .map_err(|error| error.to_string())?;
    let buffer = buffer.get(..info.buffer_size()).unwrap_or_default();
    let samples = info.color_type.samples();
    let pixels = buffer
        .chunks_exact(samples.max(1))
        .map(|pixel| match *pixel {
            [grey] => grey,
            [grey, alpha] => over_paper(grey, alpha),
            [r, g, b] => luma(r, g, b),
            [r, g, b, alpha] => over_paper(luma(r, g, b), alpha),
            _ => 0,
        });
    Grey::new(info.height as usize, info.width as usize, pixels.collect())
        .ok_or_else(|| "its size and its content do not agree".to_owned())
}

/// JPEG and BMP, turned as their metadata say: phones store pictures lying on their side.
fn from_camera(bytes: &[u8]) -> Result<Grey, String> {
    let read = || -> image::ImageResult<image::DynamicImage> {
        let reader = image::ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
        let mut decoder = reader.into_decoder()?;
        let orientation = decoder.orientation()?;
        let mut picture = image::DynamicImage::from_decoder(decoder)?;
        picture.apply_orientation(orientation);
        Ok(picture)
    };
    let picture = read().map_err(|error| error.to_string())?.into_rgba8();
    let grey = |pixel: &image::Rgba<u8>| {
        let [r, g, b, alpha] = pixel.0;
        over_paper(luma(r, g, b), alpha)
    };
    let (h, w) = (picture.height() as usize, picture.width() as usize);
    let pixels = picture.pixels().map(grey).collect();
    Grey::new(h, w, pixels).ok_or_else(|| "its size and its content do not agree".to_owned())
}

/// ITU-R BT.601, in 1/256.
fn luma(r: u8, g: u8, b: u8) -> u8 {
    let sum = 77 * u32::from(r) + 150 * u32::from(g) + 29 * u32::from(b);
    ((sum + 128) >> 8) as u8
}

/// What is transparent shows white paper.
fn over_paper(grey: u8, alpha: u8) -> u8 {
    let (grey, alpha) = (u32::from(grey), u32::from(alpha));
    ((grey * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

/// Most pixels of a PGM file: a size in its head must not take all memory.
const MOST_PIXELS: usize = 1 << 28;

fn from_pgm(bytes: &[u8]) -> Result<Grey, String> {
    let plain = bytes.starts_with(b"P2");
    let mut rest = bytes.get(2..).unwrap_or_default();
    let mut number = || pgm_number(&mut rest).ok_or_else(|| "its head is cut off".to_owned());
    let (w, h, max) = (number()?, number()?, number()?);
    let count = h.checked_mul(w).filter(|count| *count <= MOST_PIXELS);
    let count = count.ok_or("it is too large")?;
    if !(1..=255).contains(&max) {
        return Err(format!("its largest value is {max}, not 1 to 255"));
    }
    let scale = |value: usize| ((value.min(max) * 255 + max / 2) / max) as u8;
    let pixels: Vec<u8> = if plain {
        let values = std::iter::from_fn(|| pgm_number(&mut rest));
        values.take(count).map(scale).collect()
    } else {
        // Exactly one white-space character ends the head.
        let body = rest.get(1..).unwrap_or_default();
        body.iter()
            .take(count)
            .map(|value| scale(usize::from(*value)))
            .collect()
    };
    Grey::new(h, w, pixels).ok_or_else(|| "it is cut off".to_owned())
}

/// The next number; before it there may be white space and comments.
fn pgm_number(rest: &mut &[u8]) -> Option<usize> {
    loop {
        match rest.first()? {
            b'#' => {
                let end = rest.iter().position(|byte| *byte == b'\n')?;
                *rest = rest.get(end..)?;
            }
            byte if byte.is_ascii_whitespace() => *rest = rest.get(1..)?,
            _ => break,
        }
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, after) = rest.split_at_checked(digits)?;
    *rest = after;
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(h: usize, w: usize) -> Grey {
        let pixels = (0..h * w).map(|index| (index % 251) as u8);
        Grey::new(h, w, pixels.collect()).unwrap()
    }

    #[test]
    fn files_come_back_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let picture = ramp(7, 5);
        for (name, write) in [("a.png", true), ("a.pgm", false)] {
            let path = folder.path().join(name);
            if write {
                picture.write_png(&path).unwrap();
            } else {
                std::fs::write(&path, picture.to_pgm()).unwrap();
            }
            assert_eq!(Grey::read(&path).unwrap(), picture, "{name}");
            assert!(is_picture(&path));
        }
        assert_eq!(pictures_in(folder.path()).unwrap().len(), 2);
    }

    #[test]
    fn a_large_picture_is_made_to_fit_and_keeps_its_proportion() {
        let fitted = ramp(480, 640).fit(19_200);
        assert_eq!((fitted.h, fitted.w), (120, 160));
        let untouched = ramp(48, 48);
        assert_eq!(untouched.clone().fit(48 * 48), untouched);
        for (h, w) in [(1, 5000), (9000, 3), (4097, 4097)] {
            let fitted = ramp(h, w).fit(100);
            assert!(fitted.pixels.len() <= 100 && !fitted.pixels.is_empty());
            assert_eq!(fitted.h * fitted.w, fitted.pixels.len());
        }
    }

    #[test]
    fn jpeg_and_bmp() {
        let folder = tempfile::tempdir().unwrap();
        let pixels = (0..16 * 24)
            .map(|at| if at % 24 < 12 { 255 } else { 0 })
            .collect();
        let picture = image::GrayImage::from_raw(24, 16, pixels).unwrap();
        for name in ["a.jpg", "a.BMP"] {
            let path = folder.path().join(name);
            image::DynamicImage::from(picture.clone())
                .into_rgb8()
                .save(&path)
                .unwrap();
            let grey = Grey::read(&path).unwrap();
            assert_eq!((grey.h, grey.w), (16, 24));
            assert!(grey.pixels[0] > 250 && grey.pixels[23] < 5, "{name}");
            assert!(is_picture(&path));
        }
        let cut = std::fs::read(folder.path().join("a.BMP")).unwrap();
        std::fs::write(folder.path().join("a.BMP"), &cut[..40]).unwrap();
        assert!(Grey::read(&folder.path().join("a.BMP")).is_err());
    }

    #[test]
    fn plain_and_commented_pgm() {
        let grey = from_pgm(b"P2 # a comment\n2 # wide\n2\n15\n0 15\n5 10\n").unwrap();
        assert_eq!((grey.h, grey.w, grey.pixels), (2, 2, vec![0, 255, 85, 170]));
    }

    #[test]
    fn colour_and_transparency_become_grey_on_paper() {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 3, 1);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().unwrap();
        let pixels = [255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 0];
        writer.write_image_data(&pixels).unwrap();
        writer.finish().unwrap();
        assert_eq!(from_png(&bytes).unwrap().pixels, [255, 0, 255]);
    }

    #[test]
    fn what_is_no_picture_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        for bytes in [
            &b"no picture"[..],
            b"P5\n3 3\n255\nab",
            b"P5\n99999999 99999999\n255\n",
            b"P5",
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = Grey::read(&path).unwrap_err().to_string();
            assert!(
                error.contains("a.png") && error.contains("next:"),
                "{error}"
            );
        }
    }
}
