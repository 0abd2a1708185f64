//! The size of an ONNX file's structure, before it is decoded.
//!
//! A decoded message takes up to a thousand times the room of its two smallest bytes. Weights are
//! not like that: they stay bytes. So a file may be large, but what is not weights may not, and the
//! number of messages is limited.
//!
//! In: bytes. Out: a [`Census`] of their protocol buffers; what is none of them is left to the
//! decoder, which says so.

/// Subgraphs within subgraphs that are looked into.
const DEPTH: usize = 8;

/// What a file consists of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Bytes of weights.
    pub weights: usize,
    /// Messages and texts.
    pub messages: usize,
}

/// The messages that hold weights, and those around them.
#[derive(Debug, Clone, Copy)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
}

impl Message {
    /// What a field of that number holds.
    const fn holds(self, field: u64) -> Option<Self> {
        match (self, field) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Some(Self::Graph),
            (Self::Graph, 1) => Some(Self::Node),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) => Some(Self::Tensor),
            (Self::Node, 5) => Some(Self::Attribute),
            _ => None,
        }
    }
}

/// Counts what a file consists of.
#[must_use]
pub fn census(bytes: &[u8]) -> Census {
    let mut census = Census::default();
    count(bytes, Message::Model, DEPTH, &mut census);
    census
}

fn count(mut bytes: &[u8], message: Message, depth: usize, census: &mut Census) {
    const FLOATS: u64 = 4;
    const RAW: u64 = 9;
    while let Some((tag, rest)) = varint(bytes) {
        let (field, wire_type) = (tag >> 3, tag & 7);
        let (content, rest) = match wire_type {
            0 => (None, varint(rest).map(|(_, rest)| rest)),
            1 => (None, rest.get(8..)),
            5 => (None, rest.get(4..)),
            2 => {
                let Some((len, rest)) = varint(rest) else {
                    return;
                };
                let split = usize::try_from(len)
                    .ok()
                    .and_then(|len| rest.split_at_checked(len));
                (
                    split.map(|(content, _)| content),
                    split.map(|(_, rest)| rest),
                )
            }
            _ => return,
        };
        if let Some(content) = content {
            census.messages += 1;
            match (message, field) {
                (Message::Tensor, FLOATS | RAW) => census.weights += content.len(),
                _ => {
                    if let (Some(inner), true) = (message.holds(field), depth > 0) {
                        let down = usize::from(matches!(message, Message::Attribute));
                        count(content, inner, depth - down, census);
                    }
                }
            }
        }
        let Some(rest) = rest else {
            return;
        };
        bytes = rest;
    }
}

/// A number of up to ten bytes, seven bits each, lowest first.
fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte < 0x80 {
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_told_from_the_rest() {
        let file = include_bytes!("golden/siamese-dynamo.onnx");
        let Census { weights, messages } = census(file);
        // 36 + 36 + 216 + 24 convolution weights, 5 vectors of each normalization, biases, head, a shape.
        assert!((1500..2500).contains(&weights), "{weights}");
        assert!((200..600).contains(&messages), "{messages}");
    }

    #[test]
    fn empty_messages_are_counted() {
        // A graph of 50 nodes without content.
        let mut file = vec![0x3a, 100];
        file.extend([0x0a, 0].repeat(50));
        assert_eq!(
            census(&file),
            Census {
                weights: 0,
                messages: 51
            }
        );
    }

    #[test]
    fn anything_else_ends_the_count() {
        for bytes in [&[0xff; 20][..], &[0x3a, 0xff, 0xff], &[0x0b], &[]] {
            assert!(census(bytes).messages <= 1);
        }
    }
}
