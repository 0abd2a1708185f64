//! What a device answers, owned and ready for JSON.
//!
//! In: replies and events that borrow from a frame. Out: values that outlive it.

use serde::Serialize;
use shared::link::{Candidate, Captured, Event, Hello, Quality, Sample, Verdict};
use shared::ops::sigmoid::sigmoid;

use super::refusal::quality_name;
use crate::dataset::hex;

/// Who is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Greeting {
    /// The version of the protocol.
    pub protocol: u16,
    /// The board.
    pub board: String,
    /// The firmware's version.
    pub firmware: String,
    /// The model's fingerprint in hex; `None` when there is no model.
    pub model: Option<String>,
}

impl From<Hello<'_>> for Greeting {
    fn from(hello: Hello<'_>) -> Self {
        Self {
            protocol: hello.protocol,
            board: hello.board.into(),
            firmware: hello.firmware.into(),
            model: (hello.model != [0; 16]).then(|| hex(&hello.model)),
        }
    }
}

/// What a picture in the capture buffer is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Picture {
    /// Rows.
    pub h: u16,
    /// Columns.
    pub w: u16,
    /// What can be said about it.
    #[serde(serialize_with = "as_name")]
    pub quality: Quality,
}

impl From<Captured> for Picture {
    fn from(Captured { h, w, quality }: Captured) -> Self {
        Self { h, w, quality }
    }
}

/// A class and how alike it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranked {
    /// The class.
    pub label: String,
    /// Its logit, as the device counts.
    pub logit: i32,
    /// The probability that belongs to it.
    pub probability: f32,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    /// Whether the mark is known.
    pub known: bool,
    /// The nearest class.
    pub best: Ranked,
    /// The nearest but one.
    pub second: Option<Ranked>,
    /// Real logits between the two.
    pub margin: Option<f32>,
    /// What the best must reach.
    pub threshold: i32,
    /// The probability that belongs to the threshold.
    pub threshold_probability: f32,
    /// Real logit = `logit * 2^-logit_exponent`.
    pub logit_exponent: u8,
    /// What was said about the picture.
    #[serde(serialize_with = "as_name")]
    pub quality: Quality,
}

impl From<Verdict<'_>> for Decision {
    fn from(verdict: Verdict<'_>) -> Self {
        let exponent = verdict.logit_exponent;
        let ranked = |candidate: Candidate<'_>| Ranked {
            label: candidate.label.into(),
            logit: candidate.logit,
            probability: probability(candidate.logit, exponent),
        };
        let unit = real(1, exponent);
        Self {
            known: verdict.known,
            best: ranked(verdict.best),
            second: verdict.second.map(ranked),
            margin: verdict.second.map(|second| {
                (i64::from(verdict.best.logit) - i64::from(second.logit)) as f32 * unit
            }),
            threshold: verdict.threshold,
            threshold_probability: probability(verdict.threshold, exponent),
            logit_exponent: exponent,
            quality: verdict.quality,
        }
    }
}

/// The real value of a logit.
fn real(logit: i32, exponent: u8) -> f32 {
    logit as f32 * (-f32::from(exponent)).exp2()
}

/// The probability that belongs to a logit, whatever exponent a device names.
fn probability(logit: i32, exponent: u8) -> f32 {
    // Beyond this a logit is 0 for every practical purpose, and shifts end.
    sigmoid(logit, exponent.min(31))
}

/// One sample of the support set, without its picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its number.
    pub sample: u32,
    /// Its class.
    pub label: String,
    /// Rows of its picture.
    pub h: u16,
    /// Columns of its picture.
    pub w: u16,
    /// Whether its embedding is by the model in use.
    pub fresh: bool,
}

impl From<Sample<'_>> for Listed {
    fn from(sample: Sample<'_>) -> Self {
        Self {
            sample: sample.sample,
            label: sample.label.into(),
            h: sample.h,
            w: sample.w,
            fresh: sample.fresh,
        }
    }
}

/// Something that happened without a request.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Happening {
    /// The device started.
    Started {
        /// Samples that it remembers.
        samples: u16,
        /// Damaged records that it skipped.
        damaged: u16,
    },
    /// Samples are being embedded by a new model.
    Embedding {
        /// Those that are done.
        done: u16,
        /// All.
        total: u16,
    },
    /// The button was pressed, and this was seen.
    Seen(Decision),
    /// A line for a person.
    Log {
        /// The line.
        line: String,
    },
}

impl From<Event<'_>> for Happening {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Started { samples, damaged } => Self::Started { samples, damaged },
            Event::Embedding { done, total } => Self::Embedding { done, total },
            Event::Seen(verdict) => Self::Seen(verdict.into()),
            Event::Log(line) => Self::Log { line: line.into() },
        }
    }
}

pub(crate) fn as_name<S: serde::Serializer>(
    quality: &Quality,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(quality_name(*quality))
}
