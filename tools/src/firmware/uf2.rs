//! UF2: a program as a file that is copied to the drive which a board in its boot loader shows.
//!
//! In: pieces of a program and their addresses in flash. Out: blocks of 512 bytes with 256 of the program each,
//! as <https://github.com/microsoft/uf2> and the RP2350 datasheet ("UF2 targeting rules") want them.

use std::collections::BTreeMap;

/// Bytes of the program in one block: a page of the flash.
const PAGE: u32 = 256;
const BLOCK: usize = 512;
const MAGIC: [u32; 2] = [0x0a32_4655, 0x9e5d_5157];
const END_MAGIC: u32 = 0x0ab1_6f30;
/// The field behind the number of blocks is a family.
const FAMILY_PRESENT: u32 = 0x2000;

/// A piece of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// Where it lies in the flash's address space.
    pub(super) at: u32,
    /// Its bytes.
    pub(super) bytes: &'a [u8],
}

/// The file. What no piece covers in a page is as erased.
#[must_use]
pub(super) fn uf2(pieces: &[Piece<'_>], family: u32) -> Vec<u8> {
    let mut pages: BTreeMap<u32, [u8; PAGE as usize]> = BTreeMap::new();
    for piece in pieces {
        for (at, &byte) in (piece.at..).zip(piece.bytes) {
            let page = pages.entry(at / PAGE).or_insert([0xff; PAGE as usize]);
            if let Some(place) = page.get_mut((at % PAGE) as usize) {
                *place = byte;
            }
        }
    }
    let count = pages.len() as u32;
    let mut file = Vec::with_capacity(pages.len() * BLOCK);
    for (number, (page, bytes)) in (0_u32..).zip(&pages) {
        let end = file.len() + BLOCK;
        let [first, second] = MAGIC;
        let at = page * PAGE;
        for word in [
            first,
            second,
            FAMILY_PRESENT,
            at,
            PAGE,
            number,
            count,
            family,
        ] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(bytes);
        file.resize(end - 4, 0);
        file.extend_from_slice(&END_MAGIC.to_le_bytes());
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_what_the_format_says() {
        let bytes: Vec<u8> = (0..=255).collect();
        let file = uf2(
            &[Piece {
                at: 0x1000_0000,
                bytes: &bytes,
            }],
            0xe48b_ff59,
        );
        let head = [
            0x55, 0x46, 0x32, 0x0a, 0x57, 0x51, 0x5d, 0x9e, 0, 0x20, 0, 0, 0, 0, 0, 0x10, 0, 1, 0,
            0, 0, 0, 0, 0, 1, 0, 0, 0, 0x59, 0xff, 0x8b, 0xe4,
        ];
        assert_eq!(file[..32], head);
        assert_eq!(file[32..288], bytes);
        assert!(file[288..508].iter().all(|&byte| byte == 0));
        assert_eq!(file[508..], [0x30, 0x6f, 0xb1, 0x0a]);
    }

    #[test]
    fn pieces_share_pages_and_leave_holes() {
        let pieces = [
            Piece {
                at: 0x2fe,
                bytes: &[1, 2, 3],
            },
            Piece {
                at: 0x305,
                bytes: &[4],
            },
            Piece {
                at: 0x900,
                bytes: &[5],
            },
        ];
        let file = uf2(&pieces, 7);
        let blocks: Vec<&[u8]> = file.chunks(BLOCK).collect();
        let word = |block: &[u8], at: usize| {
            u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
        };
        let places: Vec<_> = blocks.iter().map(|block| word(block, 12)).collect();
        assert_eq!(places, [0x200, 0x300, 0x900]);
        let numbers: Vec<_> = blocks.iter().map(|b| (word(b, 20), word(b, 24))).collect();
        assert_eq!(numbers, [(0, 3), (1, 3), (2, 3)]);
        assert_eq!(blocks[0][32 + 0xfd..32 + 256], [0xff, 1, 2]);
        assert_eq!(blocks[1][32..38], [3, 0xff, 0xff, 0xff, 0xff, 4]);
        assert!(uf2(&[], 7).is_empty());
    }
}
