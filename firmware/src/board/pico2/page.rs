//! Words of the flash as pages: the chip programs 256 bytes at once.
//!
//! In: bytes for a place in the flash. Out: whole pages, with ones wherever nothing is to change.

/// Bytes that are programmed at once.
pub(super) const PAGE: usize = 256;

/// A page and what is left for the next ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split<'b> {
    /// Where the page begins.
    pub(super) at: u32,
    /// What it is programmed with.
    pub(super) page: [u8; PAGE],
    /// Where the rest begins, and the rest.
    pub(super) next: u32,
    pub(super) rest: &'b [u8],
}

/// Splits off the page that `at` is in; `None` when there are no bytes.
///
/// The bytes are copied, because they may lie in the flash, which cannot be read meanwhile.
pub(super) fn split(at: u32, bytes: &[u8]) -> Option<Split<'_>> {
    if bytes.is_empty() {
        return None;
    }
    let before = at as usize % PAGE;
    let count = bytes.len().min(PAGE - before);
    let (piece, rest) = bytes.split_at_checked(count)?;
    let mut page = [0xff; PAGE];
    for (to, from) in page.iter_mut().skip(before).zip(piece) {
        *to = *from;
    }
    Some(Split {
        at: at - before as u32,
        page,
        next: at.saturating_add(count as u32),
        rest,
    })
}
