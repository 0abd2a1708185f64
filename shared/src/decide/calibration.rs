//! The calibration of a model file: which logits unknown marks reach, and which the right ones do.
//!
//! In: the section's bytes. Out: a [`Calibration`] whose thresholds never fall with more classes or a
//! smaller rate of false accepts, or the refusal of the file. Whoever writes a file
//! measures a [`CalibrationRepr`] on marks that the network was not trained on.

use crate::quant::ACC_LIMIT;

/// Numbers of enrolled classes that thresholds are kept for, each twice the one before.
pub const CALIBRATED_CLASSES: [u32; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Rates that thresholds are kept for, falling: false accepts in a million unknown marks, over all
/// enrolled classes together.
pub const CALIBRATED_PPM: [u32; 5] = [100_000, 30_000, 10_000, 3_000, 1_000];

/// Shares of the same-class pairs, rising, in a thousand, whose logits are kept.
pub const GENUINE_PERMILLE: [u16; 16] = [
    10, 20, 50, 100, 150, 200, 300, 400, 500, 600, 700, 800, 900, 950, 980, 995,
];

const ROWS: usize = CALIBRATED_CLASSES.len();
const COLUMNS: usize = CALIBRATED_PPM.len();
const QUANTILES: usize = GENUINE_PERMILLE.len();

/// Logits are below this in magnitude: 2^24.
const LIMIT: i32 = ACC_LIMIT as i32;

/// The section's 32-bit words: two counts, thresholds, quantiles.
const WORDS: usize = 2 + ROWS * COLUMNS + QUANTILES;

/// Bytes of the section.
pub(crate) const CALIBRATION_LEN: usize = 4 * WORDS;

/// Binary digits behind the point of [`log2`].
pub(super) const LOG_BITS: u32 = 5;

/// A calibration to be written. All logits are in units of the model's; thresholds below 2^24 in
/// magnitude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CalibrationRepr {
    /// Unknown marks that were drawn for each number of classes.
    pub draws: u32,
    /// Same-class pairs that were drawn.
    pub pairs: u32,
    /// `[classes][rate]` in the order of [`CALIBRATED_CLASSES`] and [`CALIBRATED_PPM`]: the least
    /// score that at most such a share of unknown marks reaches. Must not fall along either.
    pub thresholds: [[i32; COLUMNS]; ROWS],
    /// Logits that [`GENUINE_PERMILLE`] of the same-class pairs stay below, rising.
    pub genuine: [i32; QUANTILES],
}

impl CalibrationRepr {
    /// The section, word by word.
    pub(crate) fn words(&self) -> impl Iterator<Item = [u8; 4]> {
        let counts = [self.draws, self.pairs].map(u32::to_le_bytes);
        let logits = self.thresholds.iter().flatten().chain(&self.genuine);
        counts
            .into_iter()
            .chain(logits.map(|logit| logit.to_le_bytes()))
    }
}

/// The calibration in a checked model file.
#[derive(Debug, Clone, Copy)]
pub struct Calibration<'m> {
    words: &'m [[u8; 4]; WORDS],
}

impl<'m> Calibration<'m> {
    /// Checks a section; `None` when it has another length or breaks a rule of [`CalibrationRepr`].
    pub(crate) fn new_checked(section: &'m [u8]) -> Option<Self> {
        let words = section.as_chunks::<4>().0.try_into().ok()?;
        let calibration = Self { words };
        calibration.is_sound().then_some(calibration)
    }

    /// Only what a decision is computed from is checked: an engine has no room for more.
    fn is_sound(&self) -> bool {
        let entries = ROWS * COLUMNS;
        let rises = |at: usize, step: usize| self.logit(at) <= self.logit(at + step);
        // The first one is the smallest, the last one the largest.
        self.logit(0) > -LIMIT
            && self.logit(entries - 1) < LIMIT
            && (0..entries - COLUMNS).all(|at| rises(at, COLUMNS))
            && (0..entries - 1).all(|at| at % COLUMNS == COLUMNS - 1 || rises(at, 1))
    }

    fn word(&self, at: usize) -> [u8; 4] {
        self.words.get(at).copied().unwrap_or_default()
    }

    /// Thresholds row by row, then quantiles.
    fn logit(&self, at: usize) -> i32 {
        i32::from_le_bytes(self.word(2 + at))
    }

    fn entry(&self, row: usize, column: usize) -> i32 {
        self.logit(row * COLUMNS + column)
    }

    fn quantile(&self, at: usize) -> i32 {
        self.logit(ROWS * COLUMNS + at)
    }

    /// Unknown marks that were drawn for each number of classes.
    #[must_use]
    pub fn draws(&self) -> u32 {
        u32::from_le_bytes(self.word(0))
    }

    /// Same-class pairs that were drawn.
    #[must_use]
    pub fn pairs(&self) -> u32 {
        u32::from_le_bytes(self.word(1))
    }

    /// The score ([`crate::decide::Decision::score`]) that unknown marks reach at most `far_ppm` times
    /// in a million, when there are `classes` to be taken for.
    ///
    /// Between two calibrated numbers of classes it is linear in their logarithm, rounded up. Of two
    /// calibrated rates around `far_ppm` the smaller counts. Beyond the table its last entry counts:
    /// no more than 64 classes, no less than 1,000 in a million, are told apart.
    #[must_use]
    pub fn threshold(&self, classes: usize, far_ppm: u32) -> i32 {
        let column = CALIBRATED_PPM.iter().position(|&rate| rate <= far_ppm);
        let column = column.unwrap_or(COLUMNS - 1);
        let log = log2_classes(classes);
        let row = (log >> LOG_BITS) as usize;
        let low = self.entry(row, column);
        if row + 1 >= ROWS {
            return low;
        }
        // Both are below 2^24 in magnitude and rise: 2^25 · 2^5 fits.
        let part = (log % (1 << LOG_BITS)).cast_signed();
        let rise = (self.entry(row + 1, column) - low) * part;
        low + ((rise + (1 << LOG_BITS) - 1) >> LOG_BITS)
    }

    /// Share of same-class pairs, in a thousand, that reach `threshold`: what to expect of the
    /// marks of an enrolled class with one sample, leaving aside what other classes add to the
    /// threshold.
    ///
    /// Linear between the shares that are kept; 1000 below the first, 0 above the last.
    #[must_use]
    pub fn expected_accepts_permille(&self, threshold: i32) -> u16 {
        let reached = (0..QUANTILES).find(|&i| self.quantile(i) >= threshold);
        let Some(at) = reached else { return 0 };
        let share = |i: usize| GENUINE_PERMILLE.get(i).copied().map_or(0, i64::from);
        let Some(before) = at.checked_sub(1) else {
            return 1000;
        };
        let (low, high) = (
            i64::from(self.quantile(before)),
            i64::from(self.quantile(at)),
        );
        let step = (share(at) - share(before)) * (i64::from(threshold) - low);
        // The quantile before is below the threshold, so that the two differ.
        let missed = share(before) + step / (high - low).max(1);
        u16::try_from(1000 - missed).unwrap_or(0)
    }

    /// The logit that this entry of [`GENUINE_PERMILLE`] of the same-class pairs stay below.
    pub fn genuine(&self) -> impl Iterator<Item = i32> {
        (0..QUANTILES).map(|i| self.quantile(i))
    }
}

/// Binary logarithm of a number of classes, which counts as 1 below and as 64 beyond the table; a
/// multiple of 2^-5.
pub(super) fn log2_classes(classes: usize) -> u32 {
    let most = CALIBRATED_CLASSES[ROWS - 1];
    log2(u32::try_from(classes).unwrap_or(most).clamp(1, most))
}

/// Binary logarithm with [`LOG_BITS`] digits behind the point, rounded down, of `1 <= x < 2^15`.
fn log2(x: u32) -> u32 {
    let whole = x.checked_ilog2().unwrap_or(0);
    // In [1, 2) as a multiple of 2^-15; squaring doubles the logarithm.
    let mut mantissa = x << 15_u32.saturating_sub(whole);
    let mut log = whole;
    for _ in 0..LOG_BITS {
        mantissa = (mantissa * mantissa) >> 15;
        let digit = mantissa >> 16;
        mantissa >>= digit;
        log = (log << 1) | digit;
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rising by 100 for each doubling, by 1000 for each rate.
    fn repr() -> CalibrationRepr {
        CalibrationRepr {
            draws: 20_000,
            pairs: 10_000,
            thresholds: core::array::from_fn(|row| {
                core::array::from_fn(|column| (100 * row + 1000 * column) as i32 - 5000)
            }),
            genuine: core::array::from_fn(|i| 10 * i as i32),
        }
    }

    fn section(repr: &CalibrationRepr) -> Vec<u8> {
        repr.words().flatten().collect()
    }

    #[test]
    fn the_table_itself_is_exact() {
        let (repr, bytes) = (repr(), section(&repr()));
        let calibration = Calibration::new_checked(&bytes).unwrap();
        assert_eq!((calibration.draws(), calibration.pairs()), (20_000, 10_000));
        for (row, classes) in CALIBRATED_CLASSES.into_iter().enumerate() {
            for (column, ppm) in CALIBRATED_PPM.into_iter().enumerate() {
                let threshold = calibration.threshold(classes as usize, ppm);
                assert_eq!(threshold, repr.thresholds[row][column]);
            }
        }
        assert!(calibration.genuine().eq(repr.genuine));
    }

    #[test]
    fn beside_the_table() {
        let bytes = section(&repr());
        let calibration = Calibration::new_checked(&bytes).unwrap();
        let threshold = |classes, ppm| calibration.threshold(classes, ppm);
        // The stricter of two rates, the last one beyond.
        assert_eq!(threshold(4, 29_999), threshold(4, 10_000));
        assert_eq!(threshold(4, 1), threshold(4, 1_000));
        assert_eq!(threshold(4, u32::MAX), threshold(4, 100_000));
        assert_eq!(threshold(0, 10_000), threshold(1, 10_000));
        assert_eq!(threshold(usize::MAX, 10_000), threshold(64, 10_000));
        // log2(3) = 1.58, log2(20) = 4.32, rounded down to 18/32 and 10/32.
        assert_eq!(threshold(3, 10_000) - threshold(2, 10_000), 57);
        assert_eq!(threshold(20, 10_000) - threshold(16, 10_000), 32);
    }

    #[test]
    fn expected_accepts() {
        let bytes = section(&repr());
        let calibration = Calibration::new_checked(&bytes).unwrap();
        let expected = |threshold| calibration.expected_accepts_permille(threshold);
        assert_eq!((expected(i32::MIN), expected(0)), (1000, 1000));
        assert_eq!((expected(10), expected(20), expected(150)), (980, 950, 5));
        // Half way from 900 to 950.
        assert_eq!(expected(125), 75);
        assert_eq!((expected(151), expected(i32::MAX)), (0, 0));
    }

    #[test]
    fn what_does_not_rise_is_refused() {
        let refused = |change: fn(&mut CalibrationRepr)| {
            let mut repr = repr();
            change(&mut repr);
            Calibration::new_checked(&section(&repr)).is_none()
        };
        assert!(!refused(|_| ()));
        assert!(refused(|repr| repr.thresholds[3][2] += 101));
        assert!(refused(|repr| repr.thresholds[6][0] += 1001));
        assert!(refused(|repr| repr.thresholds[6][4] = 1 << 24));
        assert!(refused(|repr| repr.thresholds[0][0] = -1 << 24));
        assert!(refused(|repr| repr.thresholds[0][0] = i32::MIN));
        assert!(refused(|repr| repr.thresholds[6][4] = i32::MAX));
        let short = section(&repr());
        assert!(Calibration::new_checked(&short[..CALIBRATION_LEN - 4]).is_none());
    }

    /// They are shown, nothing is decided from them.
    #[test]
    fn counts_and_quantiles_may_be_anything() {
        for genuine in [
            [i32::MIN; 16],
            [i32::MAX; 16],
            core::array::from_fn(|i| 9 - i as i32),
        ] {
            let repr = CalibrationRepr {
                draws: 0,
                pairs: u32::MAX,
                genuine,
                ..repr()
            };
            let bytes = section(&repr);
            let calibration = Calibration::new_checked(&bytes).unwrap();
            for threshold in [i32::MIN, -5000, 0, 5, i32::MAX] {
                assert!(calibration.expected_accepts_permille(threshold) <= 1000);
            }
        }
    }

    #[test]
    fn logarithms() {
        for x in 1..1 << 15 {
            let exact = f64::from(x).log2() * f64::from(1 << LOG_BITS);
            let error = exact - f64::from(log2(x));
            assert!((-0.01..1.01).contains(&error), "{x}: {error}");
        }
    }

    proptest! {
        /// More classes or a smaller rate never lower the threshold, whatever the table.
        #[test]
        fn the_threshold_rises(
            steps in prop::collection::vec(0..(1 << 20), ROWS + COLUMNS),
            classes in 0..80_usize,
            ppm in 0..200_000_u32,
        ) {
            let sum = |range: core::ops::Range<usize>| steps[range].iter().sum::<i32>();
            let mut repr = repr();
            repr.thresholds = core::array::from_fn(|row| core::array::from_fn(|column| {
                sum(0..row + 1) + sum(ROWS..ROWS + column + 1) - (1 << 23)
            }));
            let bytes = section(&repr);
            let calibration = Calibration::new_checked(&bytes).unwrap();
            let threshold = calibration.threshold(classes, ppm);
            prop_assert!(threshold <= calibration.threshold(classes + 1, ppm));
            prop_assert!(threshold >= calibration.threshold(classes, ppm + 5_000));
        }
    }
}
