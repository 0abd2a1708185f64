//! Published kernels' figures, to compare with.
//!
//! In: a board and a layer. Out: instructions per multiply-accumulate of CMSIS-NN (July 2026, gcc 12,
//! the best of its options), counted between two marks in QEMU as here: convolution and requantize,
//! no pooling.

use super::{Report, Row};
use crate::firmware::{AN386, AN547, Board};

/// A layer of the bench, and the figures for a Cortex-M4 and for a Cortex-M55 with Helium.
struct Peer {
    layer: &'static str,
    m4: f64,
    m55: f64,
}

const fn peer(layer: &'static str, m4: f64, m55: f64) -> Peer {
    Peer { layer, m4, m55 }
}

const CMSIS_NN: [Peer; 10] = [
    peer("conv3x3s2-48x48x1-32", 8.01, 3.60),
    peer("conv3x3-24x24x32-32", 1.90, 0.324),
    peer("conv3x3-12x12x32-64", 1.83, 0.303),
    peer("conv3x3-12x12x64-64", 1.75, 0.263),
    peer("conv3x3-6x6x64-128", 1.72, 0.257),
    peer("conv3x3-6x6x128-64", 1.71, 0.243),
    peer("conv1x1-12x12x64-64", 2.01, 0.504),
    peer("conv1x1-24x24x16-96", 3.68, 1.35),
    peer("depthwise3x3-12x12x64", 7.63, 2.94),
    peer(SUM, 1.85, 0.31),
];

/// The name of [`sum`].
const SUM: &str = "six conv3x3 together";

/// How many layers of the table [`sum`] adds up.
const SUMMED: usize = 6;

/// CMSIS-NN's instructions per multiply-accumulate; `None` for other layers and processors.
#[must_use]
pub fn cmsis_nn(board: Board, layer: &str) -> Option<f64> {
    let peer = CMSIS_NN.iter().find(|peer| peer.layer == layer)?;
    match board {
        AN386 => Some(peer.m4),
        AN547 => Some(peer.m55),
        _ => None,
    }
}

/// The 3×3 convolutions of the table in one row: those of `micro`. `None` when one is missing.
#[must_use]
pub fn sum(report: &Report) -> Option<Row> {
    let layers = CMSIS_NN.iter().take(SUMMED).map(|peer| peer.layer);
    let rows: Vec<&Row> = layers
        .map(|layer| report.row(layer))
        .collect::<Option<_>>()?;
    let add = |of: fn(&Row) -> u64| rows.iter().map(|row| of(row)).sum();
    let most = |of: fn(&Row) -> u64| rows.iter().map(|row| of(row)).max().unwrap_or(0);
    Some(Row {
        layer: SUM.into(),
        macs: add(|row| row.macs),
        outputs: add(|row| row.outputs),
        arena: most(|row| row.arena),
        digest: None,
        instructions: add(|row| row.instructions),
        loads: add(|row| row.loads),
        stores: add(|row| row.stores),
        branches: add(|row| row.branches),
        cycles: add(|row| row.cycles),
        stack: most(|row| row.stack),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::report;
    use super::*;
    use crate::firmware::AN500;

    #[test]
    fn figures_are_for_their_processor_only() {
        assert_eq!(cmsis_nn(AN386, "conv3x3-6x6x64-128"), Some(1.72));
        assert_eq!(cmsis_nn(AN547, "conv3x3-6x6x64-128"), Some(0.257));
        assert_eq!(cmsis_nn(AN500, "conv3x3-6x6x64-128"), None);
        assert_eq!(cmsis_nn(AN386, "micro"), None);
    }

    #[test]
    fn the_sum_needs_all_six() {
        let layers: Vec<_> = CMSIS_NN
            .iter()
            .take(SUMMED)
            .map(|peer| (peer.layer, 10))
            .collect();
        assert_eq!(sum(&report(&layers)).unwrap().instructions, 60);
        assert!(sum(&report(&layers[1..])).is_none());
    }
}
