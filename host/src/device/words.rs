//! What a device answers, in a line for people.
//!
//! In: a decision, a quality, an event. Out: words, the same on the command line and in the live page.

use shared::link::Quality;

use super::answers::{Decision, Happening, Ranked};
use super::refusal::quality_words;

/// A decision in a line.
#[must_use]
pub fn decision_words(decision: &Decision) -> String {
    let Decision {
        known,
        best,
        second,
        margin,
        threshold_probability,
        quality,
        ..
    } = decision;
    let Ranked {
        label, probability, ..
    } = best;
    let next = match (second, margin) {
        (Some(second), Some(margin)) => {
            let Ranked {
                label, probability, ..
            } = second;
            format!(
                ", then {label} ({}; margin {margin:.2})",
                percent(*probability)
            )
        }
        _ => String::new(),
    };
    let threshold = percent(*threshold_probability);
    let probability = percent(*probability);
    let verdict = if *known {
        format!("{label} ({probability}; threshold {threshold}){next}")
    } else {
        format!(
            "unknown: the nearest is {label} with {probability}, below the threshold of {threshold}{next}"
        )
    };
    format!("{verdict}{}", remark(*quality))
}

/// In percent, with the digits that tell two probabilities near 0 or 1 apart.
fn percent(probability: f32) -> String {
    let percent = 100.0 * probability;
    if (0.1..99.9).contains(&percent) {
        format!("{percent:.1} %")
    } else {
        format!("{percent:.4} %")
    }
}

/// What speaks against a picture, behind what is said about it.
#[must_use]
pub fn remark(quality: Quality) -> String {
    match (quality, quality_words(quality)) {
        (Quality::Good, _) => String::new(),
        (_, (why, next)) => format!("; {why}: {next}"),
    }
}

/// An event as one line.
#[must_use]
pub fn event_words(event: &Happening) -> String {
    match event {
        Happening::Started {
            samples,
            damaged: 0,
        } => {
            format!("device: started, remembers {samples} samples")
        }
        Happening::Started { samples, damaged } => format!(
            "device: started, remembers {samples} samples; {damaged} damaged records were skipped"
        ),
        Happening::Embedding { done, total } => {
            format!("device: {done} of {total} samples embedded by the new model")
        }
        Happening::Seen(decision) => format!("device: saw {}", decision_words(decision)),
        Happening::Log { line } => format!("device: {line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(known: bool, quality: Quality) -> Decision {
        let ranked = |label: &str, probability| Ranked {
            label: label.into(),
            logit: 0,
            probability,
        };
        Decision {
            known,
            best: ranked("A", 0.975),
            second: Some(ranked("B", 0.0001)),
            margin: Some(4.25),
            threshold: 0,
            threshold_probability: 0.61,
            logit_exponent: 0,
            quality,
        }
    }

    #[test]
    fn a_verdict_says_why() {
        let known = decision_words(&decision(true, Quality::Good));
        assert_eq!(
            known,
            "A (97.5 %; threshold 61.0 %), then B (0.0100 %; margin 4.25)"
        );
        let unknown = decision_words(&decision(false, Quality::Faint));
        assert!(
            unknown.starts_with("unknown: the nearest is A with 97.5 %, below"),
            "{unknown}"
        );
        assert!(unknown.contains("darker"), "{unknown}");
    }
}
