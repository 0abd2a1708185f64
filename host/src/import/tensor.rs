//! Constants as an ONNX file stores them.
//!
//! In: a `TensorProto`, from the file itself or with its bytes in another one. Out: a [`Tensor`]
//! whose number of values is that of its dimensions, or a sentence that says what is wrong.

use std::collections::HashMap;

use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};

/// The content of files beside an ONNX file, by name.
pub type External = HashMap<String, Vec<u8>>;

/// A constant of any shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Extents, outermost first; none for a single number.
    pub dims: Vec<usize>,
    /// Row by row.
    pub values: Values,
}

/// Numbers of a [`Tensor`].
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// Integers of any width, and truth values.
    I64(Vec<i64>),
}

impl Tensor {
    /// One number, or a list of them.
    #[must_use]
    pub fn ints(dims: Vec<usize>, values: Vec<i64>) -> Self {
        Self {
            dims,
            values: Values::I64(values),
        }
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.values {
            Values::F32(values) => values.len(),
            Values::I64(values) => values.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Name of the file that holds the values, when it is not this one.
#[must_use]
pub fn location(proto: &TensorProto) -> Option<&str> {
    let external = proto.data_location == Some(DataLocation::External as i32);
    external.then(|| entry(proto, "location").unwrap_or_default())
}

fn entry<'p>(proto: &'p TensorProto, key: &str) -> Option<&'p str> {
    let entry = proto.external_data.iter().find(|entry| entry.key == key);
    entry.map(|entry| entry.value.as_str())
}

/// Reads a constant.
///
/// # Errors
/// A sentence about its type, its shape or its missing bytes.
pub fn decode(proto: &TensorProto, external: &External) -> Result<Tensor, String> {
    let dims: Option<Vec<usize>> = proto
        .dims
        .iter()
        .map(|&dim| usize::try_from(dim).ok())
        .collect();
    let dims = dims.ok_or_else(|| format!("has the shape {:?}", proto.dims))?;
    let expected = dims
        .iter()
        .try_fold(1_usize, |len, &dim| len.checked_mul(dim));
    let raw = match location(proto) {
        Some(_) => external_bytes(proto, external)?,
        None => &proto.raw_data,
    };
    let values = values(proto, raw)?;
    let tensor = Tensor { dims, values };
    if expected == Some(tensor.len()) {
        Ok(tensor)
    } else {
        let (got, dims) = (tensor.len(), &proto.dims);
        Err(format!(
            "holds {got} values, its shape {dims:?} asks for another number"
        ))
    }
}

fn external_bytes<'e>(proto: &TensorProto, external: &'e External) -> Result<&'e [u8], String> {
    let name = location(proto).unwrap_or_default();
    let file = external.get(name).ok_or_else(|| {
        format!("is in the file {name:?}, which is missing: keep it beside the .onnx file, or export with external_data=False")
    })?;
    let number = |key: &str, default: usize| match entry(proto, key) {
        None => Ok(default),
        Some(text) => text
            .parse::<usize>()
            .map_err(|_| format!("has the {key} {text:?} in {name:?}")),
    };
    let offset = number("offset", 0)?;
    let length = number("length", file.len().saturating_sub(offset))?;
    let end = offset.checked_add(length);
    let bytes = end.and_then(|end| file.get(offset..end));
    bytes.ok_or_else(|| {
        format!("lies beyond the end of {name:?}: the file is truncated or another one")
    })
}

fn values(proto: &TensorProto, raw: &[u8]) -> Result<Values, String> {
    let data_type = DataType::try_from(proto.data_type).ok();
    let ragged = || format!("has {} bytes, which are not whole numbers", raw.len());
    macro_rules! numbers {
        ($type:ty, $listed:expr) => {{
            const WIDTH: usize = size_of::<$type>();
            let (chunks, rest) = raw.as_chunks::<WIDTH>();
            if !rest.is_empty() {
                return Err(ragged());
            }
            let raw = chunks.iter().map(|&bytes| <$type>::from_le_bytes(bytes));
            raw.chain($listed.iter().map(|&value| value as $type))
        }};
    }
    Ok(match data_type {
        Some(DataType::Float) => Values::F32(numbers!(f32, proto.float_data).collect()),
        Some(DataType::Double) => {
            let doubles = numbers!(f64, proto.double_data);
            Values::F32(doubles.map(|value| value as f32).collect())
        }
        Some(DataType::Int64) => Values::I64(numbers!(i64, proto.int64_data).collect()),
        Some(DataType::Int32) => {
            Values::I64(numbers!(i32, proto.int32_data).map(i64::from).collect())
        }
        Some(DataType::Bool) => {
            Values::I64(numbers!(u8, proto.int32_data).map(i64::from).collect())
        }
        Some(DataType::Float16 | DataType::Bfloat16) => {
            return Err(
                "holds 16-bit floats: export the network in float32 (model.float())".to_owned(),
            );
        }
        _ => {
            return Err(format!(
                "holds numbers of type {}, not 32-bit floats",
                proto.data_type
            ));
        }
    })
}
