//! What the page shows, as far as this program knows it.
//!
//! In: what the device answered and said. Out: JSON for the page, and its two pictures. The log keeps the
//! last lines; each has a number, so that a page asks only for what it has not got.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use shared::decide::{Policy, Thresholds, decide};
use shared::link::{Info, Quality};
use shared::ops::sigmoid::sigmoid;

use super::trouble::Notice;
use crate::device::answers::{Decision, Greeting, Listed, Picture, Ranked, as_name};
use crate::device::images::Grey;

/// Lines of the log that are kept.
const LINES: usize = 200;

/// Everything.
#[derive(Debug, Clone, Serialize)]
pub struct State {
    /// Where the device is.
    pub port: String,
    /// Whether the line is open and the device has answered.
    pub connected: bool,
    /// Why it is not, once that was tried.
    pub trouble: Option<Notice>,
    /// What is being done.
    pub busy: Option<&'static str>,
    /// The device.
    pub device: Option<Device>,
    /// What is enrolled, in order of enrolment.
    pub classes: Vec<Class>,
    /// The picture in its buffer.
    pub picture: Option<Shown>,
    /// What it makes of that picture.
    pub scores: Option<Scores>,
    /// The number of the log's last line.
    pub last_line: u64,
    #[serde(skip)]
    log: VecDeque<Line>,
    /// The device has started or its button was pressed, so that its buffer holds another picture.
    #[serde(skip)]
    pub(super) changed: bool,
}

/// The device.
#[derive(Debug, Clone, Serialize)]
pub struct Device {
    /// Who it is.
    #[serde(flatten)]
    pub greeting: Greeting,
    /// What its model is called, when it is known.
    pub model_name: Option<String>,
    /// How it is.
    #[serde(flatten)]
    pub info: Info,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Class {
    /// Its name.
    pub label: String,
    /// How many samples it has.
    pub samples: usize,
}

/// A picture that the device has.
#[derive(Debug, Clone, Serialize)]
pub struct Shown {
    /// Another one for every picture.
    pub number: u64,
    /// `camera` or `file`.
    pub source: &'static str,
    /// Rows.
    pub h: u16,
    /// Columns.
    pub w: u16,
    /// What the device says about it.
    #[serde(serialize_with = "as_name")]
    pub quality: Quality,
    /// What speaks against it.
    pub remark: Option<Notice>,
    /// Rows and columns of what the network sees; absent when that is not known.
    pub seen: Option<[usize; 2]>,
    /// The picture and what the network sees of it, as PNG.
    #[serde(skip)]
    pub(super) files: [Option<Arc<[u8]>>; 2],
}

/// How alike every class is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scores {
    /// The device's decision.
    #[serde(flatten)]
    pub decision: Decision,
    /// Every class that was compared, the nearest first.
    pub classes: Vec<Ranked>,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its number; they count up from 1.
    pub number: u64,
    /// Milliseconds since 1970.
    pub time: u64,
    /// `done`, `refused`, `device`, `link` or `lost`.
    pub kind: Kind,
    /// What happened.
    pub text: String,
}

/// What a line of the log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Something was done.
    Done,
    /// Something was not done.
    Refused,
    /// The device said something on its own.
    Device,
    /// The line was opened.
    Link,
    /// The line was lost, or cannot be opened.
    Lost,
}

impl State {
    /// Nothing is known yet.
    pub(super) const fn new(port: String) -> Self {
        Self {
            port,
            connected: false,
            trouble: None,
            busy: None,
            device: None,
            classes: Vec::new(),
            picture: None,
            scores: None,
            last_line: 0,
            log: VecDeque::new(),
            changed: false,
        }
    }

    /// Writes a line of the log.
    pub(super) fn say(&mut self, kind: Kind, text: impl Into<String>) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let time = since.map_or(0, |since| since.as_millis() as u64);
        self.last_line += 1;
        let number = self.last_line;
        let text = text.into();
        self.log.push_back(Line {
            number,
            time,
            kind,
            text,
        });
        if self.log.len() > LINES {
            self.log.pop_front();
        }
    }

    /// The lines behind number `after`.
    #[must_use]
    pub fn log_after(&self, after: u64) -> Vec<Line> {
        let lines = self.log.iter().filter(|line| line.number > after);
        lines.cloned().collect()
    }

    /// There is no picture in the device's buffer that this program knows.
    pub(super) fn forget_picture(&mut self) {
        self.picture = None;
        self.scores = None;
    }

    /// Takes over what is enrolled.
    pub(super) fn list(&mut self, samples: &[Listed]) {
        self.classes.clear();
        for sample in samples {
            let known = self.classes.iter_mut();
            match known.into_iter().find(|class| class.label == sample.label) {
                Some(class) => class.samples += 1,
                None => self.classes.push(Class {
                    label: sample.label.clone(),
                    samples: 1,
                }),
            }
        }
    }
}

impl Shown {
    /// A picture, and what the network sees of it.
    pub(super) fn new(
        number: u64,
        source: &'static str,
        picture: Picture,
        grey: &Grey,
        seen: Option<&Grey>,
    ) -> Self {
        let file = |grey: &Grey| grey.to_png().ok().map(Into::into);
        let Picture { h, w, quality } = picture;
        let (what, next) = crate::device::refusal::quality_words(quality);
        let remark = (quality != Quality::Good).then(|| Notice {
            what: what.into(),
            next: next.into(),
            can_force: false,
        });
        Self {
            number,
            source,
            h,
            w,
            quality,
            remark,
            seen: seen.map(|seen| [seen.h, seen.w]),
            files: [file(grey), seen.and_then(file)],
        }
    }
}

impl Scores {
    /// A decision with the logits of all samples, in the order of `samples`; without these there are only
    /// the decision's two classes.
    pub(super) fn new(decision: Decision, samples: &[Listed], logits: &[i32]) -> Self {
        let mut classes: Vec<Ranked> = Vec::new();
        if samples.len() == logits.len() {
            for (at, Listed { label, .. }) in samples.iter().enumerate() {
                let is_first = samples.iter().take(at).all(|other| other.label != *label);
                let own = samples.iter().zip(logits);
                let own = own.filter(|(sample, _)| sample.label == *label);
                let logit = pooled(own.map(|(_, logit)| *logit));
                if let Some(logit) = logit.filter(|_| is_first) {
                    let probability = sigmoid(logit, decision.logit_exponent.min(31));
                    classes.push(Ranked {
                        label: label.clone(),
                        logit,
                        probability,
                    });
                }
            }
            // The device's order: of two that are equal, the first that was enrolled.
            classes.sort_by_key(|class| std::cmp::Reverse(class.logit));
        } else {
            let best = std::iter::once(&decision.best);
            classes.extend(best.chain(&decision.second).cloned());
        }
        Self { decision, classes }
    }
}

/// The logit of a class, as the device makes it of its samples' logits: that of a decision between this
/// class and no other. Samples that could not be embedded take no part.
fn pooled(logits: impl Iterator<Item = i32>) -> Option<i32> {
    let embedded = logits.filter(|logit| *logit != i32::MIN);
    let decision = decide(
        embedded.map(|logit| (0, logit)),
        &Thresholds::new(None),
        Policy::default(),
    );
    decision.ok().map(|decision| decision.best.logit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(labels: &[&str]) -> Vec<Listed> {
        let sample = |(sample, label): (usize, &&str)| Listed {
            sample: sample as u32,
            label: (*label).into(),
            h: 1,
            w: 1,
            fresh: true,
        };
        labels.iter().enumerate().map(sample).collect()
    }

    fn decision() -> Decision {
        Decision {
            known: true,
            best: Ranked {
                label: "b".into(),
                logit: 7,
                probability: 0.9,
            },
            second: None,
            margin: None,
            threshold: 0,
            threshold_probability: 0.5,
            logit_exponent: 0,
            quality: Quality::Good,
        }
    }

    #[test]
    fn classes_are_ranked_as_the_device_pools_them() {
        let samples = listed(&["a", "b", "a", "c", "d"]);
        let scores = Scores::new(decision(), &samples, &[-4, 7, 0, 7, i32::MIN]);
        let ranked: Vec<_> = scores
            .classes
            .iter()
            .map(|class| (class.label.as_str(), class.logit))
            .collect();
        // Half way between the mean and the largest; d is not embedded.
        assert_eq!(ranked, [("b", 7), ("c", 7), ("a", -1)]);
        let few = Scores::new(decision(), &samples, &[1, 2]);
        assert_eq!(few.classes, [decision().best]);
    }

    #[test]
    fn the_log_forgets_its_oldest_lines_and_counts_on() {
        let mut state = State::new("sim".into());
        for number in 0..LINES + 50 {
            state.say(Kind::Done, number.to_string());
        }
        assert_eq!(state.log_after(0).len(), LINES);
        let last = state.log_after(state.last_line - 1);
        assert_eq!(last[0].text, (LINES + 49).to_string());
        assert!(state.log_after(state.last_line).is_empty());
    }

    #[test]
    fn classes_are_counted_in_order() {
        let mut state = State::new("sim".into());
        state.list(&listed(&["a", "b", "a"]));
        let class = |label: &str, samples| Class {
            label: label.into(),
            samples,
        };
        assert_eq!(state.classes, [class("a", 2), class("b", 1)]);
    }
}
