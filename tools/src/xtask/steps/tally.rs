//! How many tests passed.
//!
//! In: the lines that `cargo test` prints. Out: an [`Outcome`].

use super::Outcome;

/// The sum of the lines that end each test program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Tally {
    /// Reads `test result: ok. 12 passed; 0 failed; 1 ignored; …`; other lines count nothing.
    pub(super) fn read(&mut self, line: &str) {
        let Some(counts) = line.strip_prefix("test result: ") else {
            return;
        };
        for part in counts.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let count = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += count,
                Some("failed") => self.failed += count,
                Some("ignored") => self.ignored += count,
                _ => {}
            }
        }
    }

    pub(super) fn outcome(self, ended_well: bool) -> Outcome {
        let Self {
            passed,
            failed,
            ignored,
        } = self;
        let mut note = format!("{passed} tests passed, {failed} failed, {ignored} ignored");
        // A test that does not compile or crashes its program prints no such line.
        let unseen = !ended_well && failed == 0;
        if unseen {
            note.push_str("; a test program did not compile or crashed");
        }
        Outcome {
            passed,
            failed: failed + u64::from(unseen),
            note,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_and_a_crash_is_no_success() {
        let mut tally = Tally::default();
        tally.read("test a::b ... ok");
        tally.read("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.52s");
        tally.read("test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s");
        assert_eq!(
            tally,
            Tally {
                passed: 16,
                failed: 2,
                ignored: 1
            }
        );
        assert_eq!(tally.outcome(false).failed, 2);
        let crashed = Tally {
            passed: 3,
            ..Tally::default()
        }
        .outcome(false);
        assert_eq!((crashed.passed, crashed.failed), (3, 1));
        assert_eq!(
            Tally {
                passed: 3,
                ..Tally::default()
            }
            .outcome(true)
            .failed,
            0
        );
    }
}
