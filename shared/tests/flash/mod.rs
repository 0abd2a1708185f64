//! NOR flash that counts, checks its rules, wears out and loses power on demand.
//!
//! In: accesses, and when to fail. Out: what a flash of that kind would hold. A word that is written
//! twice, or without an erase, is a bug in whoever wrote it: the test stops there.
//!
//! A cut write leaves the word that it was at undefined, a cut erase its sector: [`Residue`] says
//! how. Either must be erased before it is written again: the sector also when it reads as erased,
//! the word unless it does.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read,
    check_write,
};

/// A small generator of numbers, the same everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// What a cut leaves of the word or the sector that it hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residue {
    /// A write: what came before the cut. An erase: all of it.
    Clean,
    /// Anything.
    Noise,
    /// Reads as erased, but is not.
    Ones,
    /// All zeros.
    Zeros,
    /// A write: the whole word. An erase: what was there.
    Old,
}

pub const RESIDUES: [Residue; 5] = [
    Residue::Clean,
    Residue::Noise,
    Residue::Ones,
    Residue::Zeros,
    Residue::Old,
];

/// When the power goes, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Never,
    /// While the byte of that number is written, counted from now.
    Byte(u64),
    /// During the erase of that number of a sector, counted from now.
    Erase(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlashError {
    PowerCut,
    Worn,
    Access(NorFlashErrorKind),
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// What may be done with a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Erased,
    Written,
}

#[derive(Debug, Clone)]
pub struct Flash<const WRITE: usize, const ERASE: usize, const READ: usize> {
    pub bytes: Vec<u8>,
    words: Vec<Word>,
    cut: Cut,
    residue: Residue,
    dead: bool,
    random: Random,
    /// Bytes that were written.
    pub written: u64,
    /// Sectors that were erased.
    pub erased: u64,
    /// Words whose write was cut and that read as erased all the same.
    pub unseen: u64,
    /// Words that were written twice; a bug, unless that is what is being counted.
    pub twice: u64,
    pub lenient: bool,
    /// Erases of each sector.
    pub erases: Vec<u32>,
    /// A byte that keeps these bits at 1 whatever is written.
    pub stuck: Option<(usize, u8)>,
    /// A sector whose erase fails; `true`: and says so.
    pub unerasable: Option<(usize, bool)>,
}

impl<const WRITE: usize, const ERASE: usize, const READ: usize> Flash<WRITE, ERASE, READ> {
    /// New flash is noise that was never erased: nothing may rely on it.
    pub fn new(len: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            bytes: random.bytes(len),
            words: vec![Word::Written; len / WRITE],
            cut: Cut::Never,
            residue: Residue::Clean,
            dead: false,
            random,
            written: 0,
            erased: 0,
            unseen: 0,
            twice: 0,
            lenient: false,
            erases: vec![0; len / ERASE],
            stuck: None,
            unerasable: None,
        }
    }

    /// As it comes from the factory.
    pub fn blank(len: usize, seed: u64) -> Self {
        let mut flash = Self::new(len, seed);
        flash.bytes.fill(0xFF);
        flash.words.fill(Word::Erased);
        flash
    }

    pub fn cut(&mut self, cut: Cut, residue: Residue) {
        self.cut = match cut {
            Cut::Never => Cut::Never,
            Cut::Byte(n) => Cut::Byte(self.written + n),
            Cut::Erase(n) => Cut::Erase(self.erased + n),
        };
        self.residue = residue;
    }

    /// Whether the power is gone.
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// Whether it went during an erase.
    pub fn erased_torn(&self) -> bool {
        self.dead && matches!(self.cut, Cut::Erase(_))
    }

    /// The power is back.
    pub fn revive(&mut self) {
        self.dead = false;
        self.cut = Cut::Never;
    }

    fn check_power(&self) -> Result<(), FlashError> {
        if self.dead {
            Err(FlashError::PowerCut)
        } else {
            Ok(())
        }
    }

    fn program(&mut self, at: usize, word: &[u8]) -> Result<(), FlashError> {
        let state = &mut self.words[at / WRITE];
        let twice = *state == Word::Written;
        assert!(self.lenient || !twice, "word at {at:#x} is written twice");
        self.twice += u64::from(twice);
        *state = Word::Written;
        let place = &mut self.bytes[at..at + WRITE];
        // What is written to a word that was written is what both agree on.
        let both: Vec<u8> = place.iter().zip(word).map(|(a, b)| a & b).collect();
        let word = &both[..];
        if let Cut::Byte(n) = self.cut
            && n < self.written + WRITE as u64
        {
            let done = usize::try_from(n - self.written).unwrap();
            match self.residue {
                Residue::Clean => place[..done].copy_from_slice(&word[..done]),
                Residue::Noise => place.copy_from_slice(&self.random.bytes(WRITE)),
                Residue::Ones => place.fill(0xFF),
                Residue::Zeros => place.fill(0),
                Residue::Old => place.copy_from_slice(word),
            }
            if place.iter().all(|byte| *byte == 0xFF) {
                // Nobody can tell it from one that was never written.
                *state = Word::Erased;
                self.unseen += 1;
            }
            self.dead = true;
            return Err(FlashError::PowerCut);
        }
        place.copy_from_slice(word);
        if let Some((byte, bits)) = self.stuck
            && (at..at + WRITE).contains(&byte)
        {
            self.bytes[byte] |= bits;
        }
        self.written += WRITE as u64;
        Ok(())
    }

    fn erase_sector(&mut self, at: usize) -> Result<(), FlashError> {
        self.erases[at / ERASE] += 1;
        let words = at / WRITE..(at + ERASE) / WRITE;
        if let Some((sector, reported)) = self.unerasable
            && sector == at
        {
            self.words[words].fill(Word::Written);
            return if reported {
                Err(FlashError::Worn)
            } else {
                Ok(())
            };
        }
        let place = &mut self.bytes[at..at + ERASE];
        let torn = self.cut == Cut::Erase(self.erased);
        self.words[words].fill(if torn && self.residue != Residue::Clean {
            Word::Written
        } else {
            Word::Erased
        });
        if !torn {
            place.fill(0xFF);
            self.erased += 1;
            return Ok(());
        }
        match self.residue {
            Residue::Clean | Residue::Ones => place.fill(0xFF),
            Residue::Noise => place.copy_from_slice(&self.random.bytes(ERASE)),
            Residue::Zeros => place.fill(0),
            Residue::Old => {}
        }
        self.dead = true;
        Err(FlashError::PowerCut)
    }
}

impl<const WRITE: usize, const ERASE: usize, const READ: usize> ErrorType
    for Flash<WRITE, ERASE, READ>
{
    type Error = FlashError;
}

impl<const WRITE: usize, const ERASE: usize, const READ: usize> ReadNorFlash
    for Flash<WRITE, ERASE, READ>
{
    const READ_SIZE: usize = READ;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        self.check_power()?;
        check_read(self, offset, bytes.len()).map_err(FlashError::Access)?;
        let at = offset as usize;
        bytes.copy_from_slice(&self.bytes[at..at + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const WRITE: usize, const ERASE: usize, const READ: usize> NorFlash
    for Flash<WRITE, ERASE, READ>
{
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = ERASE;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        self.check_power()?;
        check_erase(self, from, to).map_err(FlashError::Access)?;
        (from as usize..to as usize)
            .step_by(ERASE)
            .try_for_each(|at| self.erase_sector(at))
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.check_power()?;
        check_write(self, offset, bytes.len()).map_err(FlashError::Access)?;
        let words = bytes.chunks_exact(WRITE).enumerate();
        for (i, word) in words {
            self.program(offset as usize + i * WRITE, word)?;
        }
        Ok(())
    }
}
