//! Drawings.

/// One drawing of a mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drawing {
    /// Rows.
    pub h: usize,
    /// Columns.
    pub w: usize,
    /// `[h][w]`, 255 = ink, 0 = paper.
    pub ink: Vec<u8>,
}
