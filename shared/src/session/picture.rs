//! The capture buffer: one picture, from the camera or, piece by piece, from the host.

use crate::capture::Look;
use crate::link::{CameraFault, Captured, Fault, Quality};
use crate::shape::Hwc;

/// A picture and what is known of it.
#[derive(Debug)]
pub(super) struct Picture<'m> {
    pixels: &'m mut [u8],
    /// Of the whole picture; `None` while there is none.
    shape: Option<Hwc>,
    /// Of the picture that is being written, and how much of it is there.
    partial: Option<(Hwc, usize)>,
    look: Look,
}

impl<'m> Picture<'m> {
    pub(super) fn new(pixels: &'m mut [u8]) -> Self {
        Self {
            pixels,
            shape: None,
            partial: None,
            look: Look::at(&[], Hwc::new(0, 0, 1)),
        }
    }

    /// Most pixels.
    pub(super) fn limit(&self) -> u32 {
        u32::try_from(self.pixels.len()).unwrap_or(u32::MAX)
    }

    /// The picture with its shape and its look.
    pub(super) fn get(&self) -> Option<(&[u8], Hwc, Look)> {
        let shape = self.shape?;
        Some((self.pixels.get(..shape.len())?, shape, self.look))
    }

    /// What a host is told of it.
    pub(super) fn describe(&self) -> Option<Captured> {
        let (_, shape, look) = self.get()?;
        Some(Captured {
            h: shape.h as u16,
            w: shape.w as u16,
            quality: look.quality(),
        })
    }

    /// Takes a picture of the camera. One without any light is a fault of the camera: a sensor has
    /// noise.
    pub(super) fn take(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> Result<(u16, u16), CameraFault>,
    ) -> Result<Captured, Fault<'static>> {
        (self.shape, self.partial) = (None, None);
        let (h, w) = fill(self.pixels).map_err(Fault::Camera)?;
        let shape = Hwc::new(usize::from(h), usize::from(w), 1);
        let pixels = self.pixels.get(..shape.len());
        let Some(pixels) = pixels.filter(|pixels| !pixels.is_empty()) else {
            return Err(Fault::Camera(CameraFault::WrongFormat));
        };
        if pixels.iter().all(|&grey| grey == 0) {
            return Err(Fault::Camera(CameraFault::Black));
        }
        self.finish(shape);
        self.describe().ok_or(Fault::NoCapture)
    }

    /// Takes a piece of the host's picture; `Ok(None)` when there is more to come.
    pub(super) fn write(
        &mut self,
        (h, w): (u16, u16),
        offset: u32,
        bytes: &[u8],
    ) -> Result<Option<Captured>, Fault<'static>> {
        let shape = Hwc::new(usize::from(h), usize::from(w), 1);
        let max = self.limit();
        if shape.is_empty() || shape.len() > self.pixels.len() {
            return Err(Fault::CaptureSize { max });
        }
        let there = match self.partial {
            Some((begun, there)) if begun == shape && offset != 0 => there,
            _ => 0,
        };
        let start = offset as usize;
        let end = start.saturating_add(bytes.len());
        if start != there || end > shape.len() {
            let expected = there as u32;
            return Err(Fault::Offset { expected });
        }
        let place = self.pixels.get_mut(start..end);
        for (place, byte) in place.into_iter().flatten().zip(bytes) {
            *place = *byte;
        }
        self.shape = None;
        self.partial = Some((shape, end));
        if end < shape.len() {
            return Ok(None);
        }
        self.partial = None;
        self.finish(shape);
        Ok(self.describe())
    }

    fn finish(&mut self, shape: Hwc) {
        let pixels = self.pixels.get(..shape.len()).unwrap_or(&[]);
        self.look = Look::at(pixels, shape);
        self.shape = Some(shape);
    }

    /// Whether a mark can be learnt from it.
    pub(super) fn is_good(&self) -> bool {
        self.look.quality() == Quality::Good
    }
}
