//! Heads that are compared over one encoder: who takes part, and what came out.
//!
//! In: names on the command line, accuracies by [`crate::train`]. Out: a table, or one JSON value.

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use serde::Serialize;

use crate::trials::Accuracy;

/// A head, and how it is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Contestant {
    /// Weighted L1 distance, softmax over the support set and a little pair loss: what ships.
    Siamese,
    /// The same; in every step half of the embedding is hidden from the head.
    SiameseDropout,
    /// Weighted L1 distance, cross-entropy of pairs alone: the paper's loss.
    SiamesePairs,
    /// Matching Networks (Vinyals et al. 2016): softmax over cosines.
    Matching,
    /// The same with full context embeddings: LSTMs see the whole support set.
    MatchingContext,
    /// A classifier of all training characters; compared by the cosine of its features.
    Transfer,
    /// The same; its last layer is trained anew on each support set.
    TransferTuned,
}

impl Contestant {
    /// Everybody.
    pub const ALL: [Self; 7] = [
        Self::Siamese,
        Self::SiameseDropout,
        Self::SiamesePairs,
        Self::Matching,
        Self::MatchingContext,
        Self::Transfer,
        Self::TransferTuned,
    ];

    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Siamese => "siamese",
            Self::SiameseDropout => "siamese-dropout",
            Self::SiamesePairs => "siamese-pairs",
            Self::Matching => "matching",
            Self::MatchingContext => "matching-context",
            Self::Transfer => "transfer",
            Self::TransferTuned => "transfer-tuned",
        }
    }
}

/// What one contestant reached.
#[derive(Debug, Clone, Serialize)]
pub struct Reached {
    /// Who.
    pub contestant: Contestant,
    /// Parameters, those of the head included, those of a classifier that is thrown away not.
    pub parameters: usize,
    /// Optimizer steps.
    pub steps: usize,
    /// Seconds of training.
    pub seconds: f64,
    /// Protocol and accuracy.
    pub accuracy: Vec<(String, Accuracy)>,
}

/// A Markdown table, a row for each contestant.
#[must_use]
pub fn table(rows: &[Reached]) -> String {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let protocols = rows.first().map(|row| row.accuracy.iter());
    let protocols = protocols.into_iter().flatten();
    let protocols = protocols.map(|(name, accuracy)| format!("{name}, {} trials", accuracy.trials));
    let first = ["head", "parameters", "steps", "seconds"].map(str::to_owned);
    table.set_header(first.into_iter().chain(protocols));
    for row in rows {
        let first = [
            row.contestant.name().to_owned(),
            row.parameters.to_string(),
            row.steps.to_string(),
            format!("{:.0}", row.seconds),
        ];
        let accuracies = row
            .accuracy
            .iter()
            .map(|(_, accuracy)| accuracy.to_string());
        table.add_row(first.into_iter().chain(accuracies));
    }
    table.to_string()
}
