//! The checksum of model and trials files: CRC-32 as in zip (ISO-HDLC).
//!
//! In: bytes. Out: 32 bits. Half a byte at a time: a table of 64 bytes instead of 1 KiB, at twice the
//! time, which a device spends once for each file that it is given.

/// The remainder of each half byte: polynomial `0xedb8_8320`, least bit first.
const TABLE: [u32; 16] = {
    let mut table = [0; 16];
    let mut half = 0;
    while half < table.len() {
        let mut crc = half as u32;
        let mut bit = 0;
        while bit < 4 {
            crc = (crc >> 1) ^ ((crc & 1) * 0xedb8_8320);
            bit += 1;
        }
        table[half] = crc;
        half += 1;
    }
    table
};

/// The CRC-32 of `bytes`.
#[must_use]
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..2 {
            // The mask keeps the index inside the table.
            crc = (crc >> 4) ^ TABLE[(crc & 0xf) as usize];
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::crc32;
    use proptest::prelude::*;

    /// The check value of the catalogue of parametrised CRC algorithms.
    #[test]
    fn has_the_catalogues_check_value() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    proptest! {
        #[test]
        fn equals_the_polynomial_bit_by_bit(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut crc = u32::MAX;
            for byte in &bytes {
                crc ^= u32::from(*byte);
                for _ in 0..8 {
                    crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
                }
            }
            prop_assert_eq!(crc32(&bytes), !crc);
        }
    }
}
