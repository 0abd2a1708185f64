//! An ONNX graph under construction: nodes, constants, inputs and outputs by name.
//!
//! In: operators in execution order. Out: the bytes of an ONNX file (opset 13, IR version 8).

use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// The first opset with per-channel `DequantizeLinear`.
const OPSET: i64 = 13;
/// The IR version that came with it; newer ones are refused by older engines for no gain.
const IR_VERSION: i64 = 8;

/// A graph whose first axis, the batch, is symbolic.
#[derive(Debug)]
pub struct Graph {
    proto: GraphProto,
}

impl Graph {
    /// An empty graph. `name` and `doc` are shown by model viewers.
    #[must_use]
    pub fn new(name: &str, doc: &str) -> Self {
        let proto = GraphProto {
            name: name.to_owned(),
            doc_string: doc.to_owned(),
            ..GraphProto::default()
        };
        Self { proto }
    }

    /// Declares an input `f32[N][dims…]`.
    pub fn input(&mut self, name: &str, dims: &[usize], doc: &str) {
        self.proto.input.push(value(name, dims, doc));
    }

    /// Declares an output `f32[N][dims…]`.
    pub fn output(&mut self, name: &str, dims: &[usize], doc: &str) {
        self.proto.output.push(value(name, dims, doc));
    }

    /// Appends a node, named after its output.
    pub fn node(
        &mut self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[(&str, Attribute)],
    ) {
        let attribute = attributes
            .iter()
            .map(|(name, value)| attribute(name, value));
        self.proto.node.push(NodeProto {
            op_type: op.to_owned(),
            name: output.to_owned(),
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute: attribute.collect(),
            ..NodeProto::default()
        });
    }

    /// Adds a constant; one that is already there under this name stays.
    pub fn constant(&mut self, name: &str, dims: &[usize], values: Values<'_>) {
        if self
            .proto
            .initializer
            .iter()
            .any(|tensor| tensor.name == name)
        {
            return;
        }
        let (data_type, raw_data) = values.encode();
        self.proto.initializer.push(TensorProto {
            name: name.to_owned(),
            dims: dims.iter().map(|&dim| dim as i64).collect(),
            data_type: data_type as i32,
            raw_data,
            ..TensorProto::default()
        });
    }

    /// The file, with `metadata` as key-value pairs.
    #[must_use]
    pub fn into_bytes(self, metadata: &[(&str, String)]) -> Vec<u8> {
        let entries = metadata.iter().map(|(key, value)| StringStringEntryProto {
            key: (*key).to_owned(),
            value: value.clone(),
        });
        let model = ModelProto {
            ir_version: IR_VERSION,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: OPSET,
            }],
            producer_name: "onelook".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            doc_string: self.proto.doc_string.clone(),
            graph: Some(self.proto),
            metadata_props: entries.collect(),
            ..ModelProto::default()
        };
        model.encode_to_vec()
    }
}

/// An attribute of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attribute {
    /// One integer.
    Int(i64),
    /// A list of integers.
    Ints(Vec<i64>),
}

/// Values of a constant.
#[derive(Debug, Clone, Copy)]
pub enum Values<'a> {
    /// `float`
    F32(&'a [f32]),
    /// `int8`
    I8(&'a [i8]),
    /// `uint8`
    U8(&'a [u8]),
    /// `int32`
    I32(&'a [i32]),
}

impl Values<'_> {
    fn encode(self) -> (DataType, Vec<u8>) {
        match self {
            Self::F32(values) => {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes());
                (DataType::Float, bytes.collect())
            }
            Self::I8(values) => {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes());
                (DataType::Int8, bytes.collect())
            }
            Self::U8(values) => (DataType::Uint8, values.to_vec()),
            Self::I32(values) => {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes());
                (DataType::Int32, bytes.collect())
            }
        }
    }
}

fn value(name: &str, dims: &[usize], doc: &str) -> ValueInfoProto {
    let batch = dimension::Value::DimParam("N".to_owned());
    let dims = dims
        .iter()
        .map(|&dim| dimension::Value::DimValue(dim as i64));
    let dim = std::iter::once(batch).chain(dims).map(|value| Dimension {
        value: Some(value),
        ..Dimension::default()
    });
    ValueInfoProto {
        name: name.to_owned(),
        doc_string: doc.to_owned(),
        r#type: Some(tensor_type(DataType::Float, Some(dim.collect()))),
    }
}

/// A tensor's type; without `dim`, of any shape.
pub(super) fn tensor_type(data_type: DataType, dim: Option<Vec<Dimension>>) -> TypeProto {
    TypeProto {
        value: Some(type_proto::Value::TensorType(type_proto::Tensor {
            elem_type: data_type as i32,
            shape: dim.map(|dim| TensorShapeProto { dim }),
        })),
        ..TypeProto::default()
    }
}

fn attribute(name: &str, value: &Attribute) -> AttributeProto {
    let mut attribute = AttributeProto {
        name: name.to_owned(),
        ..AttributeProto::default()
    };
    match value {
        Attribute::Int(int) => {
            attribute.set_type(AttributeType::Int);
            attribute.i = *int;
        }
        Attribute::Ints(ints) => {
            attribute.set_type(AttributeType::Ints);
            attribute.ints.clone_from(ints);
        }
    }
    attribute
}
