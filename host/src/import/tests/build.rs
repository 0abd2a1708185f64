//! Small graphs for tests: one image of 8×8 through a few nodes.

use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// A graph with constants `w` `[2][1][3][3]`, `b` `[2]` and whatever else is added.
pub(super) struct Build(pub(super) ModelProto);

impl Build {
    /// An image `[1][1][8][8]` called `x`, and no node.
    pub(super) fn new() -> Self {
        let graph = GraphProto {
            input: vec![value("x", &[1, 1, 8, 8])],
            ..GraphProto::default()
        };
        let model = ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 17,
            }],
            graph: Some(graph),
            ..ModelProto::default()
        };
        let weight: Vec<f32> = (0..18).map(|i| i as f32 / 9.0 - 1.0).collect();
        Self(model)
            .floats("w", &[2, 1, 3, 3], &weight)
            .floats("b", &[2], &[0.5, -0.5])
    }

    pub(super) fn graph(&mut self) -> &mut GraphProto {
        self.0.graph.as_mut().unwrap()
    }

    pub(super) fn floats(mut self, name: &str, dims: &[i64], values: &[f32]) -> Self {
        self.graph().initializer.push(TensorProto {
            name: name.to_owned(),
            dims: dims.to_vec(),
            data_type: DataType::Float as i32,
            float_data: values.to_vec(),
            ..TensorProto::default()
        });
        self
    }

    pub(super) fn ints(mut self, name: &str, values: &[i64]) -> Self {
        self.graph().initializer.push(TensorProto {
            name: name.to_owned(),
            dims: vec![values.len() as i64],
            data_type: DataType::Int64 as i32,
            int64_data: values.to_vec(),
            ..TensorProto::default()
        });
        self
    }

    /// `"Conv x w b -> y"`, with integer attributes.
    pub(super) fn node(mut self, line: &str, attributes: &[(&str, &[i64])]) -> Self {
        let (left, output) = line.split_once(" -> ").unwrap();
        let mut words = left.split(' ').map(str::to_owned);
        let op_type = words.next().unwrap();
        self.graph().node.push(NodeProto {
            name: format!("the {op_type}"),
            op_type,
            input: words.map(|word| word.replace('_', "")).collect(),
            output: vec![output.to_owned()],
            attribute: attributes
                .iter()
                .map(|(name, ints)| attribute(name, ints))
                .collect(),
            ..NodeProto::default()
        });
        self
    }

    /// A text attribute of the last node.
    pub(super) fn text(mut self, name: &str, text: &str) -> Self {
        let mut attribute = attribute(name, &[]);
        attribute.s = text.as_bytes().to_vec();
        self.graph()
            .node
            .last_mut()
            .unwrap()
            .attribute
            .push(attribute);
        self
    }

    /// The image of another shape.
    pub(super) fn image(mut self, dims: &[i64]) -> Self {
        self.graph().input = vec![value("x", dims)];
        self
    }

    /// Another input.
    pub(super) fn input(mut self, name: &str, dims: &[i64]) -> Self {
        self.graph().input.push(value(name, dims));
        self
    }

    /// The file; its output is that of the last node.
    pub(super) fn bytes(mut self) -> Vec<u8> {
        let last = self.graph().node.last().map(|node| node.output[0].clone());
        if self.graph().output.is_empty() {
            self.graph().output = vec![value(&last.unwrap_or("x".to_owned()), &[])];
        }
        self.0.encode_to_vec()
    }
}

/// One integer is also a number by itself.
fn attribute(name: &str, ints: &[i64]) -> AttributeProto {
    let mut attribute = AttributeProto {
        name: name.to_owned(),
        ints: ints.to_vec(),
        i: ints.first().copied().unwrap_or(0),
        f: ints.first().map_or(0.0, |&int| int as f32),
        ..AttributeProto::default()
    };
    attribute.set_type(AttributeType::Ints);
    attribute
}

/// An extent of -1 is unknown.
pub(super) fn value(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = dims.iter().map(|&dim| Dimension {
        value: Some(match dim {
            -1 => dimension::Value::DimParam("n".to_owned()),
            dim => dimension::Value::DimValue(dim),
        }),
        ..Dimension::default()
    });
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: DataType::Float as i32,
                shape: Some(TensorShapeProto { dim: dim.collect() }),
            })),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}
