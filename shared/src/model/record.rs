//! Layer records: from 24 bytes and the data they point to, to an operator.
//!
//! In: a file whose envelope was checked. Out: [`Layers`], one operator after the other as the file
//! has them, and [`Steps`], as an encoder runs them.
//! [`Record::check`] looks at what only a first reading can find wrong; [`Layers`] reads the same
//! records again without.

use core::ops::Range;

use super::error::{Field, FormatError};
use super::format::{MAX_KERNEL, code, field};
use super::view::{Sections, read_len, read_u8, read_u16, read_u32};
use crate::ops::Operator;
use crate::ops::conv_max_pool2d::ConvMaxPool2d;
use crate::ops::conv2d::Conv2d;
use crate::ops::depthwise_conv2d::DepthwiseConv2d;
use crate::ops::filters::Bias;
use crate::ops::global_average_pool::GlobalAveragePool;
use crate::ops::linear::Linear;
use crate::ops::max_pool2d::MaxPool2d;
use crate::ops::pointwise::Pointwise;
use crate::quant::MAX_SHIFT;
use crate::shape::{Hwc, ShapeError, Window};

/// A window that covers one pixel: such a convolution is a [`Pointwise`].
const ONE_PIXEL: Window = Window {
    kernel: 1,
    stride: 1,
    pad: 0,
};

/// One layer of a model.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'m> {
    /// What it computes.
    pub operator: Operator<'m>,
    /// Real output = `q * 2^-out_exponent`.
    pub out_exponent: u8,
}

/// Iterator over the layers of a checked model.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'m> {
    bytes: &'m [u8],
    index: u16,
    n_layers: u16,
    shape: Hwc,
    exponent: u8,
}

impl<'m> Layers<'m> {
    /// The layers of a file; it ends early where a record cannot be read.
    pub(super) const fn new(
        bytes: &'m [u8],
        n_layers: u16,
        input: Hwc,
        input_exponent: u8,
    ) -> Self {
        Self {
            bytes,
            index: 0,
            n_layers,
            shape: input,
            exponent: input_exponent,
        }
    }
}

impl<'m> Iterator for Layers<'m> {
    type Item = Layer<'m>;

    fn next(&mut self) -> Option<Layer<'m>> {
        if self.index == self.n_layers {
            return None;
        }
        // Always `Ok` for a checked model: `new_checked` went through the same record.
        let record = Record::read(self.bytes, self.index).ok()?;
        let layer = record.layer(self.bytes, self.shape, self.exponent).ok()?;
        self.index += 1;
        self.shape = layer.operator.output();
        self.exponent = layer.out_exponent;
        Some(layer)
    }
}

/// Iterator over what an encoder runs: the layers, some of them two in one.
#[derive(Debug, Clone, Copy)]
pub struct Steps<'m> {
    layers: Layers<'m>,
}

impl<'m> Steps<'m> {
    /// The steps of these layers.
    pub(super) const fn new(layers: Layers<'m>) -> Self {
        Self { layers }
    }
}

impl<'m> Iterator for Steps<'m> {
    type Item = Operator<'m>;

    fn next(&mut self) -> Option<Operator<'m>> {
        let operator = self.layers.next()?.operator;
        let mut behind = self.layers;
        if let (Operator::Conv2d(conv), Some(Operator::MaxPool2d(pool))) =
            (operator, behind.next().map(|layer| layer.operator))
            && let Some(fused) = ConvMaxPool2d::new(conv, pool)
        {
            self.layers = behind;
            return Some(Operator::ConvMaxPool2d(fused));
        }
        Some(operator)
    }
}

/// A layer record as it stands in the file.
pub(super) struct Record {
    index: u16,
    operator: u8,
    window: Window,
    c_out: usize,
    out_exponent: u8,
    weight: usize,
    bias: usize,
    shift: usize,
}

impl Record {
    pub(super) fn read(bytes: &[u8], index: u16) -> Result<Self, FormatError> {
        use field::layer as f;
        let at = field::HEADER_LEN + usize::from(index) * f::LEN;
        let here = |field: Range<usize>| at + field.start..at + field.end;
        if read_u8(bytes, here(f::RESERVED_8))? != 0 || read_u32(bytes, here(f::RESERVED_32))? != 0
        {
            return Err(FormatError::Layer {
                layer: index,
                field: Field::Reserved,
            });
        }
        Ok(Self {
            index,
            operator: read_u8(bytes, here(f::OPERATOR))?,
            window: Window {
                kernel: usize::from(read_u8(bytes, here(f::KERNEL))?),
                stride: usize::from(read_u8(bytes, here(f::STRIDE))?),
                pad: usize::from(read_u8(bytes, here(f::PAD))?),
            },
            c_out: usize::from(read_u16(bytes, here(f::C_OUT))?),
            out_exponent: read_u8(bytes, here(f::OUT_EXPONENT))?,
            weight: read_len(bytes, here(f::WEIGHT))?,
            bias: read_len(bytes, here(f::BIAS))?,
            shift: read_len(bytes, here(f::SHIFT))?,
        })
    }

    /// Ranges, shapes, exponents and places of the data; what the data holds is certified
    /// separately.
    pub(super) fn check(
        &self,
        input: Hwc,
        in_exponent: u8,
        sections: &mut Sections<'_>,
    ) -> Result<(), FormatError> {
        self.check_window()?;
        if self.out_exponent > MAX_SHIFT {
            return Err(self.refuse(Field::OutExponent));
        }
        let keeps_channels = match self.operator {
            code::CONV2D | code::LINEAR => false,
            code::MAX_POOL2D if self.out_exponent != in_exponent => {
                return Err(self.refuse(Field::OutExponent));
            }
            _ => true,
        };
        if self.c_out == 0 || (keeps_channels && self.c_out != input.c) {
            return Err(self.refuse(Field::COut));
        }
        match self.taps(input) {
            Some(taps) => {
                sections.take(self.weight, Some(taps.saturating_mul(self.c_out)))?;
                sections.take(self.bias, Some(4 * self.c_out))?;
                sections.take(self.shift, Some(self.c_out))?;
            }
            None if self.weight | self.bias | self.shift != 0 => {
                return Err(self.refuse(Field::Reserved));
            }
            None => {}
        }
        Ok(())
    }

    /// The operator is known, and its window fields are in range.
    fn check_window(&self) -> Result<(), FormatError> {
        let Window {
            kernel,
            stride,
            pad,
        } = self.window;
        match self.operator {
            code::CONV2D | code::DEPTHWISE_CONV2D | code::MAX_POOL2D => {
                let limit = usize::from(MAX_KERNEL);
                if kernel > limit || stride > limit {
                    return Err(self.refuse(Field::Kernel));
                }
            }
            code::LINEAR | code::GLOBAL_AVERAGE_POOL => {
                if kernel | stride | pad != 0 {
                    return Err(self.refuse(Field::Kernel));
                }
            }
            _ => return Err(self.refuse(Field::Operator)),
        }
        Ok(())
    }

    /// Weights of one output channel; `None` for an operator without.
    fn taps(&self, input: Hwc) -> Option<usize> {
        let kernel = self.window.kernel;
        match self.operator {
            code::CONV2D => Some(Hwc::new(kernel, kernel, input.c).len()),
            code::DEPTHWISE_CONV2D => Some(Hwc::new(kernel, kernel, 1).len()),
            code::LINEAR => Some(input.len()),
            _ => None,
        }
    }

    /// The operator behind the record, on `input`.
    pub(super) fn layer<'m>(
        &self,
        bytes: &'m [u8],
        input: Hwc,
        in_exponent: u8,
    ) -> Result<Layer<'m>, FormatError> {
        let section = |at: usize, len: usize| {
            let end = at.checked_add(len);
            end.and_then(|end| bytes.get(at..end)).unwrap_or(&[])
        };
        let taps = self.taps(input).unwrap_or(0);
        let weight = section(self.weight, taps.saturating_mul(self.c_out));
        let weight: &[i8] = bytemuck::cast_slice(weight);
        let bias = Bias::new(section(self.bias, 4 * self.c_out).as_chunks::<4>().0);
        let shift = section(self.shift, self.c_out);
        let window = self.window;
        let operator = match self.operator {
            code::CONV2D if window == ONE_PIXEL => {
                Pointwise::new(input, weight, bias, shift).map(Operator::Pointwise)
            }
            code::CONV2D => Conv2d::new(input, window, weight, bias, shift).map(Operator::Conv2d),
            code::DEPTHWISE_CONV2D => DepthwiseConv2d::new(input, window, weight, bias, shift)
                .map(Operator::DepthwiseConv2d),
            code::LINEAR => Linear::new(input, weight, bias, shift).map(Operator::Linear),
            code::GLOBAL_AVERAGE_POOL => match self.out_exponent.checked_sub(in_exponent) {
                Some(finer) => {
                    GlobalAveragePool::new(input, finer).map(Operator::GlobalAveragePool)
                }
                None => return Err(self.refuse(Field::OutExponent)),
            },
            code::MAX_POOL2D => MaxPool2d::new(input, window).map(Operator::MaxPool2d),
            _ => return Err(self.refuse(Field::Operator)),
        };
        Ok(Layer {
            operator: operator.map_err(|error| self.shape(error))?,
            out_exponent: self.out_exponent,
        })
    }

    const fn refuse(&self, field: Field) -> FormatError {
        FormatError::Layer {
            layer: self.index,
            field,
        }
    }

    const fn shape(&self, error: ShapeError) -> FormatError {
        FormatError::Shape {
            layer: self.index,
            error,
        }
    }
}
