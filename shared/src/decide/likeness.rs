//! Likeness at enrolment: whether a capture for one class looks like another class.
//!
//! In: the capture's logits against what is enrolled of the other classes. Out: the class that it
//! would be taken for if it were shown as a query. Of marks that are really new, a documented share
//! is asked about in vain.

use super::threshold::{Policy, Thresholds};
use super::verdict::{DecideError, Scored, decide};

/// New marks in a million that look like a class that they are not: 1 %, whatever the number of
/// classes and whatever a user allows queries.
pub const LIKENESS_PPM: u32 = 10_000;

/// The class that a capture looks like, and how much, where it does. `logits` holds, for each
/// sample of every *other* class, the number of the class and the logit of capture and sample.
///
/// # Errors
/// [`DecideError::Class`] as [`decide`]; no samples are no error: nothing looks like nothing.
pub fn looks_like(
    logits: impl IntoIterator<Item = (usize, i32)>,
    thresholds: &Thresholds<'_>,
) -> Result<Option<Scored>, DecideError> {
    let policy = Policy {
        far_ppm: LIKENESS_PPM,
        offset: 0,
    };
    match decide(logits, thresholds, policy) {
        Ok(decision) => Ok(decision.known.then_some(decision.best)),
        Err(DecideError::Nothing) => Ok(None),
        Err(refused) => Err(refused),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_reaches_the_threshold() {
        let looks_like =
            |logits: &[(usize, i32)]| looks_like(logits.iter().copied(), &Thresholds::new(None));
        assert_eq!(looks_like(&[]), Ok(None));
        assert_eq!(looks_like(&[(4, -1), (2, -8)]), Ok(None));
        let (class, logit) = (2, 5);
        assert_eq!(
            looks_like(&[(4, -1), (2, 5)]),
            Ok(Some(Scored { class, logit }))
        );
        assert!(looks_like(&[(64, 1)]).is_err());
    }
}
