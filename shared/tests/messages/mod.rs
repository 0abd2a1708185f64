//! One message of every kind, with values that show where a field starts and ends.
//!
//! In: nothing. Out: [`requests`] and [`packets`], each with the name of its variant. The functions that
//! give the names match without a wildcard, so a new variant does not compile before it has one.
#![allow(
    dead_code,
    reason = "each test program uses another part of this module"
)]

use shared::link::{
    CameraFault, Candidate, Captured, Command, Enrolled, Event, Fault, Hello, Info, Packet,
    Quality, Reply, Request, Sample, Settings, Target, UpdateFault, Verdict,
};

const SHA: [u8; 32] = {
    let mut bytes = [0; 32];
    let mut i = 0_u8;
    while i < 32 {
        bytes[i as usize] = i;
        i += 1;
    }
    bytes
};
const MODEL: [u8; 16] = [
    0xdd, 0x79, 0xff, 0x66, 0xa8, 0xf8, 0x1c, 0x94, 0x6d, 0x70, 0x50, 0x40, 0xe6, 0x59, 0x4c, 0x8a,
];
const SIGNATURE: [u8; 64] = [0xa5; 64];
const SETTINGS: Settings = Settings {
    far_ppm: 10_000,
    offset: -300,
};
const BEST: Candidate<'_> = Candidate {
    label: "aleph",
    logit: 70_000,
};
const SECOND: Candidate<'_> = Candidate {
    label: "bet",
    logit: -1,
};
const VERDICT: Verdict<'_> = Verdict {
    known: true,
    best: BEST,
    second: Some(SECOND),
    threshold: 1234,
    logit_exponent: 14,
    quality: Quality::Good,
};

/// The name of a command's variant.
pub(crate) fn command_name(command: &Command<'_>) -> &'static str {
    match command {
        Command::Hello { .. } => "Hello",
        Command::Info => "Info",
        Command::Capture => "Capture",
        Command::ReadCapture { .. } => "ReadCapture",
        Command::WriteCapture { .. } => "WriteCapture",
        Command::Enrol { .. } => "Enrol",
        Command::Score => "Score",
        Command::ReadLogits { .. } => "ReadLogits",
        Command::List { .. } => "List",
        Command::ReadSample { .. } => "ReadSample",
        Command::Forget { .. } => "Forget",
        Command::Rename { .. } => "Rename",
        Command::Undo => "Undo",
        Command::Settings => "Settings",
        Command::Configure { .. } => "Configure",
        Command::UpdateBegin { .. } => "UpdateBegin",
        Command::UpdateWrite { .. } => "UpdateWrite",
        Command::UpdateCommit { .. } => "UpdateCommit",
        Command::UpdateAbort => "UpdateAbort",
        Command::Selftest { .. } => "Selftest",
        Command::Bench => "Bench",
        Command::Restart => "Restart",
    }
}

/// The name of a reply's variant.
pub(crate) fn reply_name(reply: &Reply<'_>) -> &'static str {
    match reply {
        Reply::Hello(_) => "Hello",
        Reply::Info(_) => "Info",
        Reply::Captured(_) => "Captured",
        Reply::Chunk { .. } => "Chunk",
        Reply::Written { .. } => "Written",
        Reply::Enrolled(_) => "Enrolled",
        Reply::Scored(_) => "Scored",
        Reply::Sample(_) => "Sample",
        Reply::Done { .. } => "Done",
        Reply::Settings(_) => "Settings",
        Reply::Selftest { .. } => "Selftest",
        Reply::Bench { .. } => "Bench",
    }
}

/// The name of a fault's variant.
pub(crate) fn fault_name(fault: &Fault<'_>) -> &'static str {
    match fault {
        Fault::Protocol { .. } => "Protocol",
        Fault::NotUnderstood => "NotUnderstood",
        Fault::Busy => "Busy",
        Fault::NoModel => "NoModel",
        Fault::NoCapture => "NoCapture",
        Fault::CaptureSize { .. } => "CaptureSize",
        Fault::Offset { .. } => "Offset",
        Fault::Camera(_) => "Camera",
        Fault::Quality(_) => "Quality",
        Fault::LooksLike(_) => "LooksLike",
        Fault::Duplicate { .. } => "Duplicate",
        Fault::Label => "Label",
        Fault::NoSuchSample => "NoSuchSample",
        Fault::NoSuchClass => "NoSuchClass",
        Fault::NothingEnrolled => "NothingEnrolled",
        Fault::Full => "Full",
        Fault::Flash => "Flash",
        Fault::NothingToUndo => "NothingToUndo",
        Fault::Update(_) => "Update",
        Fault::Settings => "Settings",
    }
}

/// The name of a camera fault's variant.
pub(crate) fn camera_name(fault: CameraFault) -> &'static str {
    match fault {
        CameraFault::Absent => "Absent",
        CameraFault::WrongChip => "WrongChip",
        CameraFault::Timeout => "Timeout",
        CameraFault::Black => "Black",
        CameraFault::Frozen => "Frozen",
        CameraFault::WrongFormat => "WrongFormat",
    }
}

/// The name of an update fault's variant.
pub(crate) fn update_name(fault: UpdateFault) -> &'static str {
    match fault {
        UpdateFault::Unsupported => "Unsupported",
        UpdateFault::TooLarge { .. } => "TooLarge",
        UpdateFault::NotBegun => "NotBegun",
        UpdateFault::Incomplete { .. } => "Incomplete",
        UpdateFault::Digest => "Digest",
        UpdateFault::Model => "Model",
        UpdateFault::Memory => "Memory",
        UpdateFault::Signature => "Signature",
    }
}

/// The name of a quality's variant.
pub(crate) fn quality_name(quality: Quality) -> &'static str {
    match quality {
        Quality::Good => "Good",
        Quality::Empty => "Empty",
        Quality::Faint => "Faint",
        Quality::Clipped => "Clipped",
        Quality::Full => "Full",
        Quality::Several => "Several",
        Quality::Blurred => "Blurred",
    }
}

/// The name of an event's variant.
pub(crate) fn event_name(event: &Event<'_>) -> &'static str {
    match event {
        Event::Started { .. } => "Started",
        Event::Embedding { .. } => "Embedding",
        Event::Seen(_) => "Seen",
        Event::Log(_) => "Log",
    }
}

/// Every command, in the order of their numbers; some twice, for what is in them.
pub(crate) fn commands() -> Vec<Command<'static>> {
    let forget = |target| Command::Forget { target };
    vec![
        Command::Hello { protocol: 1 },
        Command::Info,
        Command::Capture,
        Command::ReadCapture { offset: 896 },
        Command::WriteCapture {
            h: 120,
            w: 160,
            offset: 0,
            bytes: &[0, 255, 0],
        },
        Command::Enrol {
            label: "aleph",
            force: false,
        },
        Command::Score,
        Command::ReadLogits { offset: 0 },
        Command::List { index: 300 },
        Command::ReadSample {
            sample: 7,
            offset: 1792,
        },
        forget(Target::Sample(7)),
        forget(Target::Class("aleph")),
        forget(Target::All),
        Command::Rename {
            from: "aleph",
            to: "α",
        },
        Command::Undo,
        Command::Settings,
        Command::Configure { settings: SETTINGS },
        Command::UpdateBegin {
            len: 215_048,
            sha256: SHA,
        },
        Command::UpdateWrite {
            offset: 128,
            bytes: b"1LOK",
        },
        Command::UpdateCommit { signature: None },
        Command::UpdateCommit {
            signature: Some(&SIGNATURE),
        },
        Command::UpdateAbort,
        Command::Selftest { seed: 42 },
        Command::Bench,
        Command::Restart,
    ]
}

/// Every reply.
pub(crate) fn replies() -> Vec<Reply<'static>> {
    vec![
        Reply::Hello(Hello {
            protocol: 1,
            board: "an386",
            firmware: "0.1.0",
            model: MODEL,
        }),
        Reply::Info(Info {
            input: [48, 48],
            max_capture: 65_536,
            samples: 3,
            classes: 2,
            max_samples: 256,
            flash_free: 1_000_000,
            flash_bank: 1_048_576,
            flash_epoch: 5,
            damaged: 1,
            stale: 0,
            max_model: 262_144,
            uptime: 123_456,
        }),
        Reply::Captured(Captured {
            h: 120,
            w: 160,
            quality: Quality::Good,
        }),
        Reply::Chunk {
            offset: 896,
            total: 19_200,
            bytes: &[1, 2, 3, 0, 4],
        },
        Reply::Written { next: 896 },
        Reply::Enrolled(Enrolled {
            sample: 8,
            quality: Quality::Good,
            samples: 4,
            classes: 2,
        }),
        Reply::Scored(VERDICT),
        Reply::Scored(Verdict {
            known: false,
            second: None,
            threshold: i32::MIN,
            ..VERDICT
        }),
        Reply::Sample(Sample {
            sample: 8,
            label: "aleph",
            h: 48,
            w: 48,
            fresh: true,
        }),
        Reply::Done { samples: 2 },
        Reply::Settings(SETTINGS),
        Reply::Selftest {
            digest: 0xe306_9283,
        },
        Reply::Bench {
            microseconds: 84_000,
        },
    ]
}

/// Every fault.
pub(crate) fn faults() -> Vec<Fault<'static>> {
    let simple = [
        Fault::Protocol { speaks: 1 },
        Fault::NotUnderstood,
        Fault::Busy,
        Fault::NoModel,
        Fault::NoCapture,
        Fault::CaptureSize { max: 65_536 },
        Fault::Offset { expected: 1792 },
    ];
    let cameras = [
        CameraFault::Absent,
        CameraFault::WrongChip,
        CameraFault::Timeout,
        CameraFault::Black,
        CameraFault::Frozen,
        CameraFault::WrongFormat,
    ];
    let qualities = [
        Quality::Good,
        Quality::Empty,
        Quality::Faint,
        Quality::Clipped,
        Quality::Full,
        Quality::Several,
        Quality::Blurred,
    ];
    let middle = [
        Fault::LooksLike(SECOND),
        Fault::Duplicate { sample: 7 },
        Fault::Label,
        Fault::NoSuchSample,
        Fault::NoSuchClass,
        Fault::NothingEnrolled,
        Fault::Full,
        Fault::Flash,
        Fault::NothingToUndo,
    ];
    let updates = [
        UpdateFault::Unsupported,
        UpdateFault::TooLarge { max: 262_144 },
        UpdateFault::NotBegun,
        UpdateFault::Incomplete { next: 896 },
        UpdateFault::Digest,
        UpdateFault::Model,
        UpdateFault::Memory,
        UpdateFault::Signature,
    ];
    simple
        .into_iter()
        .chain(cameras.map(Fault::Camera))
        .chain(qualities.map(Fault::Quality))
        .chain(middle)
        .chain(updates.map(Fault::Update))
        .chain([Fault::Settings])
        .collect()
}

/// Every event.
pub(crate) fn events() -> Vec<Event<'static>> {
    vec![
        Event::Started {
            samples: 3,
            damaged: 1,
        },
        Event::Embedding { done: 1, total: 3 },
        Event::Seen(VERDICT),
        Event::Log("flash: bank 1 of epoch 5"),
    ]
}

/// Every command in a request; their numbers count up from 1.
pub(crate) fn requests() -> Vec<(String, Request<'static>)> {
    let named = |(id, command)| {
        let name = format!("Command::{}", command_name(&command));
        (name, Request { id, command })
    };
    (1..).zip(commands()).map(named).collect()
}

/// Every reply, every fault and every event in a packet; replies have the number 300.
pub(crate) fn packets() -> Vec<(String, Packet<'static>)> {
    let packet = |result| Packet::Reply { id: 300, result };
    let replies = replies()
        .into_iter()
        .map(|reply| (format!("Reply::{}", reply_name(&reply)), packet(Ok(reply))));
    let faults = faults().into_iter().map(|fault| {
        let inner = match fault {
            Fault::Camera(fault) => format!("({})", camera_name(fault)),
            Fault::Quality(quality) => format!("({})", quality_name(quality)),
            Fault::Update(fault) => format!("({})", update_name(fault)),
            _ => String::new(),
        };
        let name = format!("Fault::{}{inner}", fault_name(&fault));
        (name, packet(Err(fault)))
    });
    let events = events().into_iter().map(|event| {
        let name = format!("Event::{}", event_name(&event));
        (name, Packet::Event(event))
    });
    replies.chain(faults).chain(events).collect()
}
