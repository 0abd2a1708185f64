//! What a support set must hold, kept the simple way, and calls that change both.
//!
//! In: an [`Op`]. Out: whether it was acknowledged; [`Model`] is what there must be then.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]

use embedded_storage::nor_flash::NorFlash;
use shared::link::{Settings, Target};
use shared::store::Layout;
use shared::support_set::{NewSample, SupportSet, SupportSetError, capture_crc};

use crate::flash::{FlashError, Random};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelSample {
    pub id: u32,
    pub label: String,
    pub h: u16,
    pub w: u16,
    pub capture: Vec<u8>,
    pub embedding: Vec<u8>,
    pub fingerprint: [u8; 16],
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Model {
    pub samples: Vec<ModelSample>,
    pub settings: Option<Settings>,
    /// The samples before the last change that can be taken back.
    pub before: Option<Vec<ModelSample>>,
}

/// A call. Samples and classes are named by their place in the model, so that any number will do.
#[derive(Debug, Clone, Copy)]
pub enum Op {
    Enrol { label: usize, side: u16, seed: u64 },
    ForgetSample(usize),
    ForgetClass(usize),
    ForgetAll,
    Rename(usize, usize),
    Undo,
    SetEmbedding(usize, u64),
    Configure(u32),
    Maintain(usize),
}

/// Names of different lengths, some of them not ASCII.
pub fn label(n: usize) -> String {
    const LABELS: [&str; 6] = [
        "a",
        "ζ",
        "the mark of the quiet carpenter",
        "ab",
        "日本",
        "x",
    ];
    match LABELS.get(n) {
        Some(label) => (*label).to_owned(),
        None => format!("class {n}"),
    }
}

pub fn new_sample(id: u32, name: usize, side: u16, seed: u64) -> ModelSample {
    let mut random = Random::new(seed);
    let n = usize::from(side) * usize::from(side + 1);
    let embedding = 8 + random.below(17);
    ModelSample {
        id,
        label: label(name),
        h: side,
        w: side + 1,
        capture: random.bytes(n),
        embedding: random.bytes(embedding),
        fingerprint: [seed.to_le_bytes()[0]; 16],
    }
}

/// Carries `op` out on the set, and on the model if it was acknowledged. `Ok(false)`: refused, and
/// nothing may have changed.
pub fn apply<F: NorFlash<Error = FlashError>>(
    op: Op,
    set: &mut SupportSet,
    flash: &mut F,
    model: &mut Model,
) -> Result<bool, SupportSetError<FlashError>> {
    let mut after = model.clone();
    let done = try_apply(op, set, flash, &mut after);
    match done {
        Ok(()) => {
            *model = after;
            Ok(true)
        }
        Err(SupportSetError::Store(error)) => Err(SupportSetError::Store(error)),
        Err(_) => Ok(false),
    }
}

fn try_apply<F: NorFlash<Error = FlashError>>(
    op: Op,
    set: &mut SupportSet,
    flash: &mut F,
    model: &mut Model,
) -> Result<(), SupportSetError<FlashError>> {
    let pick = |n: usize| model.samples.get(n % model.samples.len().max(1));
    let id = |n| pick(n).map_or(u32::MAX, |s| s.id);
    let name = |n| pick(n).map_or_else(|| "nobody".to_owned(), |s| s.label.clone());
    match op {
        Op::Enrol { label, side, seed } => {
            let id = set.enrol(flash, &as_new(&new_sample(0, label, side, seed)))?;
            let mut ids = model.samples.iter().chain(model.before.iter().flatten());
            assert!(ids.all(|s| s.id < id), "a number twice");
        }
        Op::ForgetSample(n) => assert_eq!(set.forget(flash, Target::Sample(id(n)))?, 1),
        Op::ForgetClass(n) => assert!(set.forget(flash, Target::Class(&name(n)))? > 0),
        Op::ForgetAll if set.forget(flash, Target::All)? == 0 => return Ok(()),
        Op::ForgetAll => {}
        Op::Rename(n, to) => {
            let (from, to) = (name(n), label(to));
            set.rename(flash, &from, &to)?;
            if from == to {
                return Ok(());
            }
        }
        Op::Undo => assert!(set.undo(flash)? > 0),
        Op::SetEmbedding(n, seed) => {
            let new = new_sample(0, 0, 1, seed);
            set.set_embedding(flash, id(n), &new.embedding, new.fingerprint)?;
        }
        Op::Configure(n) => set.configure(flash, settings(n))?,
        Op::Maintain(steps) => {
            for _ in 0..steps {
                if !set.maintain(flash)? {
                    break;
                }
            }
        }
    }
    *model = model.clone().after(op, set);
    Ok(())
}

fn settings(far_ppm: u32) -> Settings {
    Settings {
        far_ppm,
        offset: -7,
    }
}

pub fn as_new(sample: &ModelSample) -> NewSample<'_> {
    NewSample {
        label: &sample.label,
        h: sample.h,
        w: sample.w,
        capture: &sample.capture,
        embedding: &sample.embedding,
        fingerprint: sample.fingerprint,
    }
}

impl Model {
    fn change(&mut self, change: impl FnOnce(&mut Vec<ModelSample>)) {
        self.before = Some(self.samples.clone());
        change(&mut self.samples);
    }

    /// What `op` would have made of it. `set` tells the number of a new sample.
    pub fn after(mut self, op: Op, set: &SupportSet) -> Self {
        let name = |model: &Self, n: usize| {
            let sample = model.samples.get(n % model.samples.len().max(1));
            sample.map(|s| (s.id, s.label.clone()))
        };
        match op {
            Op::Enrol { label, side, seed } => {
                let id = set.samples().last().map_or(0, |s| s.id);
                self.change(|samples| samples.push(new_sample(id, label, side, seed)));
            }
            Op::ForgetSample(n) => {
                let (id, _) = name(&self, n).unwrap();
                self.change(|samples| samples.retain(|s| s.id != id));
            }
            Op::ForgetClass(n) => {
                let (_, label) = name(&self, n).unwrap();
                self.change(|samples| samples.retain(|s| s.label != label));
            }
            Op::ForgetAll => self.change(Vec::clear),
            Op::Rename(n, to) => {
                let (_, from) = name(&self, n).unwrap();
                self.change(|samples| {
                    for sample in samples.iter_mut().filter(|s| s.label == from) {
                        sample.label = label(to);
                    }
                });
            }
            Op::Undo => self.samples = self.before.take().unwrap(),
            Op::SetEmbedding(n, seed) => {
                let (id, _) = name(&self, n).unwrap();
                let new = new_sample(id, 0, 1, seed);
                self.embed(&new);
            }
            Op::Configure(n) => self.settings = Some(settings(n)),
            Op::Maintain(_) => {}
        }
        self
    }

    fn embed(&mut self, new: &ModelSample) {
        let all = self.before.iter_mut().flatten();
        for s in all.chain(&mut self.samples).filter(|s| s.id == new.id) {
            s.embedding.clone_from(&new.embedding);
            s.fingerprint = new.fingerprint;
        }
    }

    /// The same without anything to take back.
    pub fn settled(&self) -> Self {
        Self {
            before: None,
            ..self.clone()
        }
    }

    /// Everything in the set, read from flash, is what it must be; else what is not.
    pub fn compare<F: NorFlash<Error = FlashError>>(
        &self,
        set: &SupportSet,
        flash: &mut F,
    ) -> Result<(), String> {
        if set.settings() != self.settings {
            return Err(format!("settings {:?}", set.settings()));
        }
        if set.can_undo() != self.before.is_some() {
            return Err(format!("can undo: {}", set.can_undo()));
        }
        let ids: Vec<u32> = set.samples().map(|s| s.id).collect();
        let expected: Vec<u32> = self.samples.iter().map(|s| s.id).collect();
        if ids != expected {
            return Err(format!("samples {ids:?}, not {expected:?}"));
        }
        let mut classes: Vec<&str> = Vec::new();
        for sample in &self.samples {
            let class = classes.iter().position(|c| *c == sample.label);
            let class = class.unwrap_or_else(|| {
                classes.push(&sample.label);
                classes.len() - 1
            });
            compare_sample(sample, class, set, flash)?;
        }
        if set.classes() != classes.len() {
            return Err(format!("{} classes", set.classes()));
        }
        Ok(())
    }
}

fn compare_sample<F: NorFlash<Error = FlashError>>(
    model: &ModelSample,
    class: usize,
    set: &SupportSet,
    flash: &mut F,
) -> Result<(), String> {
    let id = model.id;
    let got = set.sample(id).ok_or("no such sample")?;
    let mut capture = [0; 1024];
    let mut embedding = [0; 64];
    let n = set.read_capture(flash, id, 0, &mut capture).unwrap();
    let m = set.read_embedding(flash, id, &mut embedding).unwrap();
    let same = (got.h, got.w, got.class) == (model.h, model.w, class)
        && set.label(class) == Some(&model.label)
        && got.fingerprint == model.fingerprint
        && capture[..n] == model.capture
        && embedding[..m] == model.embedding
        && got.capture_crc == capture_crc(&model.capture);
    if same {
        Ok(())
    } else {
        Err(format!("sample {id}: {got:?} {:?}", set.label(got.class)))
    }
}

/// As in many a microcontroller.
pub type Flash = crate::flash::Flash<4, 4096, 1>;

pub const fn layout(sectors: u32) -> Layout {
    let bank_len = sectors * 4096;
    Layout { at: 0, bank_len }
}

pub fn empty(sectors: u32) -> (Flash, SupportSet) {
    let mut flash = Flash::blank(2 * 4096 * sectors as usize, 3);
    let (set, _) = SupportSet::mount(&mut flash, layout(sectors)).unwrap();
    (flash, set)
}

pub fn remount(flash: &mut Flash, set: &SupportSet) -> SupportSet {
    SupportSet::mount(flash, set.layout()).unwrap().0
}

pub fn enrol(set: &mut SupportSet, flash: &mut Flash, label: &str) -> u32 {
    let mut sample = new_sample(0, 0, 4, u64::from(set.epoch()) + set.len() as u64);
    label.clone_into(&mut sample.label);
    set.enrol(flash, &as_new(&sample)).unwrap()
}

pub fn labels(set: &SupportSet) -> Vec<&str> {
    set.samples().map(|s| set.label(s.class).unwrap()).collect()
}
