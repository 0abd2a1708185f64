//! What host and device say to each other.
//!
//! Enums grow at their end only, and structures never change: the number of a variant and the order of
//! fields are the bytes on the wire. Text and bytes are borrowed from the frame.

use serde::{Deserialize, Serialize};

/// Host to device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request<'a> {
    /// Other than that of the request before, unless it is the same request again.
    pub id: u16,
    /// What to do.
    #[serde(borrow)]
    pub command: Command<'a>,
}

/// What a host may ask for. Beside each: the reply to success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command<'a> {
    /// Who is there? The first request of a host; it forgets the last request's number.
    /// [`Reply::Hello`].
    Hello {
        /// The version that the host speaks.
        protocol: u16,
    },
    /// State of the device. [`Reply::Info`].
    Info,
    /// Take a picture into the capture buffer. [`Reply::Captured`].
    Capture,
    /// A piece of the capture buffer. [`Reply::Chunk`].
    ReadCapture {
        /// First byte.
        offset: u32,
    },
    /// A picture of the host's into the capture buffer, piece by piece, the first at 0. The last is
    /// answered by [`Reply::Captured`], those before by [`Reply::Written`].
    WriteCapture {
        /// Rows.
        h: u16,
        /// Columns.
        w: u16,
        /// Where `bytes` start: as many as are there already.
        offset: u32,
        /// Grey, row by row.
        bytes: &'a [u8],
    },
    /// Keep the capture as an example of a class. [`Reply::Enrolled`].
    Enrol {
        /// The class, new or known.
        label: &'a str,
        /// Also when its quality or its likeness to another class speaks against it.
        force: bool,
    },
    /// Which class does the capture belong to? [`Reply::Scored`].
    Score,
    /// The logits of the last score, one `i32` for each sample in the order of `List`.
    /// [`Reply::Chunk`], little-endian.
    ReadLogits {
        /// First byte.
        offset: u32,
    },
    /// Sample number `index`, in order of enrolment. [`Reply::Sample`].
    List {
        /// From 0 to one less than [`Info::samples`].
        index: u16,
    },
    /// A piece of a sample's capture. [`Reply::Chunk`].
    ReadSample {
        /// Which sample.
        sample: u32,
        /// First byte.
        offset: u32,
    },
    /// Forget a sample or a class. [`Reply::Done`].
    Forget {
        /// Which.
        #[serde(borrow)]
        target: Target<'a>,
    },
    /// Give a class another name; that of another class joins them. [`Reply::Done`].
    Rename {
        /// As it is called.
        from: &'a str,
        /// As it shall be called.
        to: &'a str,
    },
    /// Take back the last enrolment, forgetting or renaming. [`Reply::Done`].
    Undo,
    /// The settings. [`Reply::Settings`].
    Settings,
    /// Other settings, kept through power-off. [`Reply::Settings`].
    Configure {
        /// All of them.
        settings: Settings,
    },
    /// Announce a new model. [`Reply::Written`] says where to go on: 0, or behind what is already
    /// there of this very model.
    UpdateBegin {
        /// Bytes of the model file.
        len: u32,
        /// Of the model file.
        sha256: [u8; 32],
    },
    /// A piece of the model. [`Reply::Written`].
    UpdateWrite {
        /// Where `bytes` start.
        offset: u32,
        /// As in the file.
        bytes: &'a [u8],
    },
    /// Check the whole model and use it from the next start on. [`Reply::Done`].
    UpdateCommit {
        /// Ed25519, over the SHA-256, where the device asks for one.
        signature: Option<&'a [u8]>,
    },
    /// Give the update up. [`Reply::Done`].
    UpdateAbort,
    /// Preprocess, embed and decide on a made-up picture. [`Reply::Selftest`].
    Selftest {
        /// Draws the pictures.
        seed: u32,
    },
    /// Embed the capture and say how long it takes. [`Reply::Bench`].
    Bench,
    /// Start again, as after power-on. [`Reply::Done`].
    Restart,
}

/// What to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target<'a> {
    /// One sample.
    Sample(u32),
    /// All samples of a class.
    Class(&'a str),
    /// Everything.
    All,
}

/// Device to host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Packet<'a> {
    /// To the request of that number.
    Reply {
        /// [`Request::id`].
        id: u16,
        /// What came of it.
        #[serde(borrow)]
        result: Result<Reply<'a>, Fault<'a>>,
    },
    /// Something happened.
    Event(#[serde(borrow)] Event<'a>),
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply<'a> {
    /// Who is there.
    Hello(#[serde(borrow)] Hello<'a>),
    /// State of the device.
    Info(Info),
    /// There is a picture in the capture buffer.
    Captured(Captured),
    /// A piece of something longer.
    Chunk {
        /// Where it starts.
        offset: u32,
        /// Bytes of the whole.
        total: u32,
        /// At most [`super::MAX_CHUNK`].
        bytes: &'a [u8],
    },
    /// A piece was taken.
    Written {
        /// Where the next one starts.
        next: u32,
    },
    /// The sample is in flash, and was read back.
    Enrolled(Enrolled),
    /// The decision.
    Scored(#[serde(borrow)] Verdict<'a>),
    /// One sample.
    Sample(#[serde(borrow)] Sample<'a>),
    /// It is done, and in flash.
    Done {
        /// Samples that it concerned.
        samples: u16,
    },
    /// The settings.
    Settings(Settings),
    /// CRC-32C over inputs, embeddings and logits of the selftest.
    Selftest {
        /// `shared::session::selftest` computes the same from the same model.
        digest: u32,
    },
    /// How long one embedding took.
    Bench {
        /// By the device's clock.
        microseconds: u32,
    },
}

/// Who is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello<'a> {
    /// The version that the device speaks.
    pub protocol: u16,
    /// The board.
    pub board: &'a str,
    /// The firmware's version.
    pub firmware: &'a str,
    /// [`crate::model::ModelView::fingerprint`]; zeros when there is no model.
    pub model: [u8; 16],
}

/// State of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Rows and columns of the network's input; 0 when there is no model.
    pub input: [u16; 2],
    /// Most rows times columns of a capture.
    pub max_capture: u32,
    /// Samples there are.
    pub samples: u16,
    /// Classes they belong to.
    pub classes: u16,
    /// Most samples.
    pub max_samples: u16,
    /// Bytes of the flash for samples that are still free.
    pub flash_free: u32,
    /// Bytes of one of its two banks.
    pub flash_bank: u32,
    /// How often a bank was erased.
    pub flash_epoch: u32,
    /// Damaged records that were skipped at the last start.
    pub damaged: u16,
    /// Samples that still wait for an embedding by this model.
    pub stale: u16,
    /// Most bytes of a model; 0 when it cannot be updated.
    pub max_model: u32,
    /// Milliseconds since the start.
    pub uptime: u32,
}

/// What is in the capture buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// Rows.
    pub h: u16,
    /// Columns.
    pub w: u16,
    /// What can be said about it.
    pub quality: Quality,
}

/// What can be said about a picture before the network sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Quality {
    /// Nothing speaks against it.
    Good,
    /// There is no mark in it.
    Empty,
    /// The mark hardly differs from the paper.
    Faint,
    /// The mark leaves the picture.
    Clipped,
    /// Most of the picture is ink.
    Full,
    /// There are several marks, far from each other.
    Several,
    /// The mark's edges are not sharp.
    Blurred,
}

/// A sample was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enrolled {
    /// Its number, which is not given twice.
    pub sample: u32,
    /// What was said about its capture.
    pub quality: Quality,
    /// Samples there are now.
    pub samples: u16,
    /// Classes there are now.
    pub classes: u16,
}

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict<'a> {
    /// Whether `best` is near enough; if not, the mark is unknown.
    pub known: bool,
    /// The nearest class.
    #[serde(borrow)]
    pub best: Candidate<'a>,
    /// The nearest but one.
    pub second: Option<Candidate<'a>>,
    /// What `best` must reach.
    pub threshold: i32,
    /// Real logit = `logit * 2^-logit_exponent`.
    pub logit_exponent: u8,
    /// What was said about the capture.
    pub quality: Quality,
}

/// A class and how alike it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate<'a> {
    /// The class.
    pub label: &'a str,
    /// Its score.
    pub logit: i32,
}

/// One sample of the support set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample<'a> {
    /// Its number.
    pub sample: u32,
    /// Its class.
    pub label: &'a str,
    /// Rows of its capture.
    pub h: u16,
    /// Columns of its capture.
    pub w: u16,
    /// Whether its embedding is by the model in use.
    pub fresh: bool,
}

/// What a user may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// False accepts in a million unknown marks, over all classes together; 0 for "never unknown".
    pub far_ppm: u32,
    /// Logits that are added to the threshold: stricter above 0. In units of the model's logit.
    pub offset: i32,
}

/// Why a request was not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault<'a> {
    /// The device speaks another version.
    Protocol {
        /// That one.
        speaks: u16,
    },
    /// The message is not one of this version.
    NotUnderstood,
    /// Another request is under way.
    Busy,
    /// There is no model.
    NoModel,
    /// There is no picture in the capture buffer.
    NoCapture,
    /// The picture does not fit, or is empty.
    CaptureSize {
        /// Most rows times columns.
        max: u32,
    },
    /// A piece that does not start where the last one ended.
    Offset {
        /// Where the next one must start.
        expected: u32,
    },
    /// The camera gave no picture.
    Camera(CameraFault),
    /// The picture is not good enough to learn from.
    Quality(Quality),
    /// It looks like another class.
    LooksLike(#[serde(borrow)] Candidate<'a>),
    /// The very same picture was enrolled before.
    Duplicate {
        /// As that sample.
        sample: u32,
    },
    /// A label must have 1 to [`super::MAX_LABEL`] bytes.
    Label,
    /// There is no such sample.
    NoSuchSample,
    /// There is no such class.
    NoSuchClass,
    /// There is nothing to compare with.
    NothingEnrolled,
    /// There is no room for another sample.
    Full,
    /// The flash does not hold what was written.
    Flash,
    /// There is nothing to take back.
    NothingToUndo,
    /// The new model is not taken.
    Update(UpdateFault),
    /// A setting out of range.
    Settings,
}

/// Why a camera gave no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CameraFault {
    /// It does not answer.
    Absent,
    /// It answers, but is not the one that is expected.
    WrongChip,
    /// No picture in time.
    Timeout,
    /// All of it is black.
    Black,
    /// The same picture again, byte by byte.
    Frozen,
    /// Not the number of bytes that was asked for.
    WrongFormat,
}

/// Why a new model is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpdateFault {
    /// This device has no place for another model.
    Unsupported,
    /// It does not fit its slot.
    TooLarge {
        /// Most bytes.
        max: u32,
    },
    /// No update was begun.
    NotBegun,
    /// Pieces are missing.
    Incomplete {
        /// Where to go on.
        next: u32,
    },
    /// What is there has another SHA-256.
    Digest,
    /// It is not a model that this firmware reads.
    Model,
    /// It needs a larger arena, or its embedding is longer, than this device has room for.
    Memory,
    /// It is not signed by who must sign it.
    Signature,
}

/// Something that happened without a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event<'a> {
    /// The device started.
    Started {
        /// Samples that it remembers.
        samples: u16,
        /// Damaged records that it skipped.
        damaged: u16,
    },
    /// Samples are being embedded by a new model.
    Embedding {
        /// Those that are done.
        done: u16,
        /// All.
        total: u16,
    },
    /// The button was pressed, and this was seen.
    Seen(#[serde(borrow)] Verdict<'a>),
    /// A line for a person.
    Log(&'a str),
}
