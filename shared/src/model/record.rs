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
        let operator = record.operator(self.bytes, self.shape, self.exponent);
        // By reference: a move of an operator is a hundred bytes of code.
        if let Ok(operator) = &operator {
            self.index += 1;
            self.shape = operator.output();
            self.exponent = record.out_exponent;
        }
        let out_exponent = record.out_exponent;
        operator.ok().map(|operator| Layer {
            operator,
            out_exponent,
        })
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
        let layer = self.layers.next();
        let operator = layer.as_ref().map(|layer| &layer.operator);
        if let Some(Operator::Conv2d(conv)) = operator {
            let mut behind = self.layers;
            if let Some(layer) = &behind.next()
                && let Operator::MaxPool2d(pool) = &layer.operator
                && let Some(fused) = ConvMaxPool2d::new(*conv, *pool)
            {
                self.layers = behind;
                return Some(Operator::ConvMaxPool2d(fused));
            }
        }
        layer.map(|layer| layer.operator)
    }
}

/// Bytes of a section; none where the file has none.
#[inline(never)]
fn section<T>(bytes: &[T], at: usize, len: usize) -> &[T] {
    let rest = bytes.get(at..).unwrap_or(&[]);
    rest.get(..len).unwrap_or(&[])
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
            code::GLOBAL_AVERAGE_POOL if self.out_exponent < in_exponent => {
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

    /// The operator behind the record, on `input`. What [`Self::check`] refuses has an answer here too,
    /// which nobody asks for.
    pub(super) fn operator<'m>(
        &self,
        bytes: &'m [u8],
        input: Hwc,
        in_exponent: u8,
    ) -> Result<Operator<'m>, ShapeError> {
        let taps = self.taps(input).unwrap_or(0);
        let weights: &[i8] = bytemuck::cast_slice(bytes);
        let weight = section(weights, self.weight, taps.saturating_mul(self.c_out));
        let bias = Bias::new(section(bytes, self.bias, 4 * self.c_out).as_chunks::<4>().0);
        let shift = section(bytes, self.shift, self.c_out);
        let window = self.window;
        Ok(match self.operator {
            code::CONV2D if window == ONE_PIXEL => {
                Operator::Pointwise(Pointwise::new(input, weight, bias, shift)?)
            }
            code::CONV2D => Operator::Conv2d(Conv2d::new(input, window, weight, bias, shift)?),
            code::DEPTHWISE_CONV2D => {
                Operator::DepthwiseConv2d(DepthwiseConv2d::new(input, window, weight, bias, shift)?)
            }
            code::LINEAR => Operator::Linear(Linear::new(input, weight, bias, shift)?),
            code::GLOBAL_AVERAGE_POOL => {
                let finer = self.out_exponent.saturating_sub(in_exponent);
                Operator::GlobalAveragePool(GlobalAveragePool::new(input, finer)?)
            }
            _ => Operator::MaxPool2d(MaxPool2d::new(input, window)?),
        })
    }

    pub(super) const fn out_exponent(&self) -> u8 {
        self.out_exponent
    }

    const fn refuse(&self, field: Field) -> FormatError {
        FormatError::Layer {
            layer: self.index,
            field,
        }
    }
}
