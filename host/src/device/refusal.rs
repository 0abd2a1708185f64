//! The device's faults in words for people: what, why, and what to do.
//!
//! In: a [`Fault`] and the request it answers. Out: a [`Refusal`] that owns its label and prints.

use std::fmt;

use shared::link::{CameraFault, Candidate, Fault, MAX_LABEL, Quality, UpdateFault};

/// The device said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The request.
    pub what: &'static str,
    /// Why. The label of [`Fault::LooksLike`] is empty here.
    pub fault: Fault<'static>,
    /// That label.
    pub label: String,
}

impl std::error::Error for Refusal {}

impl Refusal {
    /// Keeps a fault beyond the frame it came in.
    #[must_use]
    pub fn new(what: &'static str, fault: Fault<'_>) -> Self {
        let (fault, label) = owned(fault);
        let label = label.to_owned();
        Self { what, fault, label }
    }

    /// Whether `--force` goes past it.
    #[must_use]
    pub const fn can_be_forced(&self) -> bool {
        matches!(self.fault, Fault::Quality(_) | Fault::LooksLike(_))
    }

    /// Why, in words.
    #[must_use]
    pub fn why(&self) -> String {
        self.words().0
    }

    fn words(&self) -> (String, String) {
        match self.fault {
            Fault::Camera(fault) => owned_words(camera(fault)),
            Fault::Update(fault) => update(fault),
            Fault::Quality(quality) => {
                let (why, next) = quality_words(quality);
                (
                    why.into(),
                    format!("{next}, or add --force to keep it all the same"),
                )
            }
            Fault::LooksLike(_) => (
                format!(
                    "it looks like class `{}`, which is enrolled already",
                    self.label
                ),
                format!(
                    "if it is that class, enrol it with `--label {}`; if not, draw the mark more differently, or add --force",
                    self.label
                ),
            ),
            Fault::CaptureSize { max } => (
                format!(
                    "the picture is empty or has more than the {max} pixels that the device takes"
                ),
                "give it a smaller picture".into(),
            ),
            Fault::Offset { expected } => (
                format!("a piece was lost; the device waits for byte {expected}"),
                "run the same command again".into(),
            ),
            Fault::Duplicate { sample } => (
                format!("the very same picture is enrolled already, as sample {sample}"),
                format!(
                    "show another picture, or forget that one: `onelook device forget --sample {sample}`"
                ),
            ),
            Fault::Protocol { speaks } => (
                format!("the device speaks version {speaks} of the protocol"),
                "flash the firmware that belongs to this program".into(),
            ),
            Fault::Label => (
                format!("a label has 1 to {MAX_LABEL} bytes of UTF-8"),
                "choose a shorter one".into(),
            ),
            other => owned_words(plain(other)),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (why, next) = self.words();
        write!(
            f,
            "the device refuses to {}: {why}\nnext: {next}",
            self.what
        )
    }
}

fn owned_words((why, next): (&str, &str)) -> (String, String) {
    (why.into(), next.into())
}

/// Faults without anything of their own.
const fn plain(fault: Fault<'_>) -> (&'static str, &'static str) {
    match fault {
        Fault::NotUnderstood => (
            "its firmware does not know this request",
            "flash the firmware that belongs to this program",
        ),
        Fault::Busy => (
            "it is busy with something else",
            "wait a moment and run the same command again",
        ),
        Fault::NoModel => (
            "there is no model on it",
            "send one: `onelook device update-model micro`",
        ),
        Fault::NoCapture => (
            "there is no picture in its buffer",
            "take one first: `onelook device capture`, or give one with --image",
        ),
        Fault::NoSuchSample => (
            "there is no sample of that number",
            "see `onelook device list` for those there are",
        ),
        Fault::NoSuchClass => (
            "there is no class of that name",
            "see `onelook device list` for those there are",
        ),
        Fault::NothingEnrolled => (
            "nothing is enrolled, so there is nothing to compare with",
            "show it a mark first: `onelook device enrol --label A`",
        ),
        Fault::Full => (
            "there is no room for another sample",
            "forget some (`onelook device forget`); `onelook device export` keeps a copy of all first",
        ),
        Fault::Flash => (
            "the flash does not hold what was written",
            "export what is there (`onelook device export DIR`) and replace the board: its flash wears out",
        ),
        Fault::NothingToUndo => (
            "there is nothing to take back",
            "only the last enrolment, forgetting or renaming can be taken back",
        ),
        Fault::Settings => (
            "a setting is out of range",
            "see `onelook device settings --help` for the ranges",
        ),
        _ => ("it gives no reason", "run `onelook device info`"),
    }
}

const fn camera(fault: CameraFault) -> (&'static str, &'static str) {
    match fault {
        CameraFault::Absent => (
            "the camera does not answer",
            "check its six wires and its power, then reset the device; without a camera, give a picture with --image",
        ),
        CameraFault::WrongChip => (
            "what answers in the camera's place is another chip",
            "connect the camera that the firmware was built for",
        ),
        CameraFault::Timeout => (
            "the camera took no picture in time",
            "check its power (it needs a steady 3.3 V or 5 V), then reset the device",
        ),
        CameraFault::Black => (
            "the camera's picture is all black",
            "take off the lens cap, or put on a light",
        ),
        CameraFault::Frozen => (
            "the camera gives the same picture again, byte by byte",
            "reset the device; in the simulator: give --camera a folder with more than one picture",
        ),
        CameraFault::WrongFormat => (
            "the camera's picture has the wrong number of bytes",
            "reset the device; in the simulator: look at the pictures in --camera",
        ),
    }
}

fn update(fault: UpdateFault) -> (String, String) {
    let (why, next) = match fault {
        UpdateFault::TooLarge { max } => {
            let why = format!("the model is larger than its slot of {max} bytes");
            return (
                why,
                "train one that fits: `train-export --max-flash`".into(),
            );
        }
        UpdateFault::Incomplete { next } => {
            let why = format!("pieces of the model are missing, from byte {next} on");
            return (
                why,
                "run the same command again; it goes on from there".into(),
            );
        }
        UpdateFault::Unsupported => (
            "it has no place for another model",
            "build the model into the firmware and flash that",
        ),
        UpdateFault::NotBegun => (
            "no update was begun",
            "run the same command again from the start",
        ),
        UpdateFault::Digest => (
            "what arrived is not what was sent",
            "run the same command again; if that does not help, the flash is worn out",
        ),
        UpdateFault::Model => (
            "its firmware cannot read this model",
            "flash the firmware that belongs to the program which wrote the model",
        ),
        UpdateFault::Memory => (
            "the model needs more memory than the device has",
            "train one that fits: `train-export --max-ram`",
        ),
        UpdateFault::Signature => (
            "the model is not signed by who must sign it",
            "sign it with the key that belongs to the device: `onelook sign MODEL --key FILE`",
        ),
    };
    (why.into(), next.into())
}

/// What is wrong with a picture, and how to take a better one.
#[must_use]
pub const fn quality_words(quality: Quality) -> (&'static str, &'static str) {
    match quality {
        Quality::Good => ("the picture is good", "there is nothing to do"),
        Quality::Empty => (
            "there is no mark in the picture",
            "show a mark to the camera",
        ),
        Quality::Faint => (
            "the mark hardly differs from the paper",
            "draw it darker or with a broader pen, or put on a light",
        ),
        Quality::Clipped => (
            "the mark leaves the picture",
            "move it into the middle, or hold it farther away",
        ),
        Quality::Full => (
            "most of the picture is ink",
            "hold it farther away, and take away what casts a shadow",
        ),
        Quality::Several => (
            "there are several marks in the picture",
            "show one at a time, on empty paper",
        ),
        Quality::Blurred => (
            "the mark's edges are not sharp",
            "set the distance that the lens is focused at, and hold both still",
        ),
    }
}

/// A word for a quality, for tables and JSON.
#[must_use]
pub const fn quality_name(quality: Quality) -> &'static str {
    match quality {
        Quality::Good => "good",
        Quality::Empty => "empty",
        Quality::Faint => "faint",
        Quality::Clipped => "clipped",
        Quality::Full => "full",
        Quality::Several => "several",
        Quality::Blurred => "blurred",
    }
}

/// The fault without its label, and the label.
fn owned(fault: Fault<'_>) -> (Fault<'static>, &str) {
    let fault = match fault {
        Fault::LooksLike(Candidate { label, logit }) => {
            let candidate = Candidate { label: "", logit };
            return (Fault::LooksLike(candidate), label);
        }
        Fault::Protocol { speaks } => Fault::Protocol { speaks },
        Fault::NotUnderstood => Fault::NotUnderstood,
        Fault::Busy => Fault::Busy,
        Fault::NoModel => Fault::NoModel,
        Fault::NoCapture => Fault::NoCapture,
        Fault::CaptureSize { max } => Fault::CaptureSize { max },
        Fault::Offset { expected } => Fault::Offset { expected },
        Fault::Camera(fault) => Fault::Camera(fault),
        Fault::Quality(quality) => Fault::Quality(quality),
        Fault::Duplicate { sample } => Fault::Duplicate { sample },
        Fault::Label => Fault::Label,
        Fault::NoSuchSample => Fault::NoSuchSample,
        Fault::NoSuchClass => Fault::NoSuchClass,
        Fault::NothingEnrolled => Fault::NothingEnrolled,
        Fault::Full => Fault::Full,
        Fault::Flash => Fault::Flash,
        Fault::NothingToUndo => Fault::NothingToUndo,
        Fault::Update(fault) => Fault::Update(fault),
        Fault::Settings => Fault::Settings,
    };
    (fault, "")
}
