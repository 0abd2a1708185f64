//! Everyone decides the same trials: engines, then baselines.
//!
//! In: a model and the [`Material`]. Out: [`Figures`].

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use shared::decide::DEFAULT_FAR_PPM;
use tools::Progress;
use tools::firmware::AN386;

use super::material::{Drawn, Material};
use super::{Args, EngineName};
use crate::baseline::{self, Baseline};
use crate::cmd::{Failure, spinner};
use crate::engine::device::Device;
use crate::engine::float::Float;
use crate::engine::graph::{FloatGraphEncoder, GraphEncoder};
use crate::engine::onnxruntime::{Level, Onnxruntime};
use crate::engine::shared::Shared;
use crate::engine::tract::Tract;
use crate::engine::{Embedder, Engine, Graph};
use crate::evaluate::alphabets::Catalogue;
use crate::evaluate::confusions::confusions;
use crate::evaluate::figures::{
    Agreement, AlphabetFigure, FORMAT, Figure, Figures, Kind, Shots, Timing, curves,
};
use crate::evaluate::open::{Decisions, OpenEvaluation};
use crate::evaluate::{Evaluation, Outcome, evaluate_all, tally};
use crate::export::Bundle;
use crate::open_set::{self, Query};
use crate::plot::errors::SHOWN;
use crate::trials::TrialSet;
use crate::untrained::untrained;

/// Enrolled classes and shots of the open-set protocol.
const OPEN_SET: [[usize; 2]; 6] = [[5, 1], [5, 5], [20, 1], [20, 5], [50, 1], [50, 5]];
/// Seed of the untrained network's weights.
const UNTRAINED_SEED: u64 = 1;

/// One evaluation.
pub(super) struct Contest<'a> {
    pub(super) args: &'a Args,
    pub(super) bundle: &'a Bundle,
    pub(super) material: &'a Material,
    pub(super) catalogue: Catalogue<'a>,
}

impl Contest<'_> {
    /// Everything that was asked for.
    pub(super) fn run(&self) -> Result<Figures, Failure> {
        let mut figures = self.nothing_yet();
        if !self.material.drawn.is_empty() {
            self.engines(&mut figures)?;
            self.baselines(&mut figures)?;
        }
        if self.material.open_set {
            figures.open_set = self.open_set()?;
        }
        figures.curves = curves(&figures.figures);
        Ok(figures)
    }

    fn nothing_yet(&self) -> Figures {
        Figures {
            format: FORMAT.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model_sha256: self.bundle.model_sha256(),
            data: self.material.data.to_owned(),
            alphabets: self.material.alphabets.to_owned(),
            seed: self.args.seed,
            figures: Vec::new(),
            curves: Vec::new(),
            agreement: Vec::new(),
            timings: Vec::new(),
            skipped: self.material.skipped.clone(),
            open_set: Vec::new(),
            confusions: Vec::new(),
        }
    }

    /// Every engine on all trials. What must give the device's bits is compared with `shared`, which
    /// then also takes part, and so is the float network where both do.
    fn engines(&self, figures: &mut Figures) -> Result<(), Failure> {
        let mut names = self.args.engine.clone();
        let compared = [EngineName::Tract, EngineName::Ort, EngineName::Device];
        let has_shared = names.contains(&EngineName::Shared);
        if has_shared || names.iter().any(|name| compared.contains(name)) {
            names.retain(|name| *name != EngineName::Shared);
            names.insert(0, EngineName::Shared);
        }
        let mut reference: Option<Vec<Evaluation>> = None;
        for (place, name) in names.into_iter().enumerate() {
            let start = Instant::now();
            let evaluations = self.evaluate(name)?;
            if let Some(first) = evaluations.first() {
                figures.timings.push(timing(&first.engine, start));
            }
            for (drawn, evaluation) in self.material.drawn.iter().zip(&evaluations) {
                figures
                    .figures
                    .extend(self.of_engine(drawn, evaluation, Kind::Engine));
            }
            if place == 0 && self.args.confusions.is_some() {
                figures.confusions = self.confusions(&evaluations);
            }
            if let Some(reference) = &reference {
                let sets = self.material.drawn.iter().map(|drawn| &drawn.set);
                let pairs = sets.zip(reference.iter().zip(&evaluations));
                let compared = pairs.map(|(set, pair)| agreement(set, pair, name));
                figures.agreement.extend(compared);
            } else if name == EngineName::Shared {
                reference = Some(evaluations);
            }
        }
        Ok(())
    }

    fn evaluate(&self, name: EngineName) -> Result<Vec<Evaluation>, Failure> {
        let bundle = self.bundle;
        match name {
            EngineName::Float => {
                let net = bundle.float_net().map_err(Failure::work)?;
                self.embed(&Float::new(&net).map_err(Failure::work)?)
            }
            EngineName::FloatOrt => {
                let net = bundle.float_net().map_err(Failure::work)?;
                let library = tools::onnxruntime::provide(&Progress::stderr());
                let library = library.map_err(Failure::work)?;
                let ort = Onnxruntime::of(bundle, &library, Level::All, &[Graph::FloatEncoder]);
                let ort = ort.map_err(Failure::work)?;
                self.embed(&FloatGraphEncoder::new(&ort, &net).map_err(Failure::work)?)
            }
            EngineName::Shared => self.embed(&self.shared()?),
            EngineName::Tract => {
                let tract = Tract::of(bundle, &[Graph::Encoder]).map_err(Failure::work)?;
                self.embed_graph(&tract)
            }
            EngineName::Ort => {
                let library = tools::onnxruntime::provide(&Progress::stderr());
                let library = library.map_err(Failure::work)?;
                let ort = Onnxruntime::of(bundle, &library, Level::All, &[Graph::Encoder]);
                self.embed_graph(&ort.map_err(Failure::work)?)
            }
            EngineName::Device => self.on_device(),
        }
    }

    fn shared(&self) -> Result<Shared<'_>, Failure> {
        Ok(Shared::new(self.bundle.view().map_err(Failure::work)?))
    }

    fn embed_graph(&self, engine: &dyn Engine) -> Result<Vec<Evaluation>, Failure> {
        let encoder = GraphEncoder::new(engine, self.shared()?).map_err(Failure::work)?;
        self.embed(&encoder)
    }

    fn embed<E: Embedder>(&self, engine: &E) -> Result<Vec<Evaluation>, Failure> {
        let bar = spinner("embedding drawings and deciding");
        let sets: Vec<&TrialSet> = self.material.drawn.iter().map(|drawn| &drawn.set).collect();
        let evaluations = evaluate_all(&sets, engine).map_err(Failure::work)?;
        bar.finish_and_clear();
        Ok(evaluations)
    }

    /// The firmware answers set after set.
    fn on_device(&self) -> Result<Vec<Evaluation>, Failure> {
        let device = Device::provide(AN386, &Progress::stderr()).map_err(Failure::work)?;
        let view = self.bundle.view().map_err(Failure::work)?;
        let model = self.bundle.model().map_err(Failure::work)?;
        let unit = self.shared()?.unit();
        let evaluations = self.material.drawn.iter().map(|Drawn { set, .. }| {
            let bar = ProgressBar::new(set.trials.len() as u64);
            let style =
                ProgressStyle::with_template("on the device {bar:30} {pos}/{len}  {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            let logits = device.answer(&view, model, set, &bar);
            bar.finish_and_clear();
            let logits = logits.map_err(Failure::work)?;
            Ok(tally(set, device.name(), &logits, unit))
        });
        evaluations.collect()
    }

    /// 1-nearest-neighbour on pixels, and on request whatever else a network must beat.
    fn baselines(&self, figures: &mut Figures) -> Result<(), Failure> {
        let (all, fast) = (
            [Baseline::Constant, Baseline::Pixels, Baseline::Hausdorff],
            [Baseline::Pixels],
        );
        let bar = spinner("deciding with the baselines");
        for &baseline in if self.args.baselines { &all[..] } else { &fast } {
            let start = Instant::now();
            for drawn in &self.material.drawn {
                let chosen = baseline.decide(&drawn.set);
                let shots = if drawn.set.k_shot() == 1 {
                    Shots::One
                } else {
                    Shots::Best
                };
                figures.figures.push(Figure {
                    accuracy: baseline::accuracy(&drawn.set, &chosen),
                    ties: None,
                    per_alphabet: self.per_alphabet(&drawn.set, |trial| chosen[trial]),
                    ..self.figure(drawn, baseline.name(), Kind::Baseline, shots)
                });
            }
            figures.timings.push(timing(baseline.name(), start));
        }
        bar.finish_and_clear();
        if self.args.baselines {
            self.untrained(figures)?;
        }
        Ok(())
    }

    /// The same layers with random weights: what the architecture alone is worth.
    fn untrained(&self, figures: &mut Figures) -> Result<(), Failure> {
        let spec = self.bundle.float_net().map_err(Failure::work)?.spec;
        let net = untrained(&spec, UNTRAINED_SEED).map_err(Failure::work)?;
        let start = Instant::now();
        let evaluations = self.embed(&Float::new(&net).map_err(Failure::work)?)?;
        for (drawn, evaluation) in self.material.drawn.iter().zip(&evaluations) {
            let named = Evaluation {
                engine: "untrained network, float".to_owned(),
                ..evaluation.clone()
            };
            figures
                .figures
                .extend(self.of_engine(drawn, &named, Kind::Baseline));
        }
        figures
            .timings
            .push(timing("untrained network, float", start));
        Ok(())
    }

    /// With one shot per class one figure, with several one for each way to pool them.
    fn of_engine(&self, drawn: &Drawn, evaluation: &Evaluation, kind: Kind) -> Vec<Figure> {
        let figure = |shots, outcome: &Outcome| Figure {
            accuracy: outcome.accuracy,
            ties: Some(outcome.ties),
            per_alphabet: self
                .per_alphabet(&drawn.set, |trial| outcome.decisions.get(trial).copied()),
            ..self.figure(drawn, &evaluation.engine, kind, shots)
        };
        if evaluation.k_shot == 1 {
            return vec![figure(Shots::One, &evaluation.device)];
        }
        vec![
            figure(Shots::Mean, &evaluation.mean),
            figure(Shots::Best, &evaluation.max),
            figure(Shots::Device, &evaluation.device),
        ]
    }

    /// A figure without what was measured.
    fn figure(&self, drawn: &Drawn, by: &str, kind: Kind, shots: Shots) -> Figure {
        let set = &drawn.set;
        let [alphabets, characters] = self.catalogue.extent(set);
        Figure {
            protocol: set.protocol.clone(),
            task: drawn.task,
            n_way: set.n_way(),
            k_shot: set.k_shot(),
            alphabets,
            characters,
            by: by.to_owned(),
            kind,
            shots,
            chance: 1.0 / set.n_way().max(1) as f64,
            accuracy: crate::trials::Accuracy::of(0, 0),
            ties: None,
            per_alphabet: Vec::new(),
        }
    }

    fn per_alphabet(
        &self,
        set: &TrialSet,
        chosen: impl Fn(usize) -> Option<usize>,
    ) -> Vec<AlphabetFigure> {
        if !self.args.per_alphabet {
            return Vec::new();
        }
        let right =
            |index: usize, trial: &crate::trials::Trial| chosen(index) == Some(trial.answer);
        let rows = self.catalogue.by_alphabet(set, right).into_iter();
        rows.map(|(alphabet, accuracy)| AlphabetFigure {
            alphabet: alphabet.to_owned(),
            accuracy,
        })
        .collect()
    }

    /// Of the first set of trials.
    fn confusions(
        &self,
        evaluations: &[Evaluation],
    ) -> Vec<crate::evaluate::confusions::Confusion> {
        let (Some(drawn), Some(first)) = (self.material.drawn.first(), evaluations.first()) else {
            return Vec::new();
        };
        let outcome = &first.device;
        confusions(&drawn.set, &first.engine, outcome, &self.catalogue, SHOWN)
    }

    /// The open-set protocol at the rate that devices start with.
    fn open_set(&self) -> Result<Vec<OpenEvaluation>, Failure> {
        let view = self.bundle.view().map_err(Failure::work)?;
        if view.calibration().is_none() {
            eprintln!("the model is not calibrated: its threshold is a probability of one half");
        }
        let (data, args) = (&self.material.dataset, self.args);
        let bar = spinner("deciding open-set trials");
        let mut rows = Vec::new();
        for ways in OPEN_SET {
            let draw = |query| open_set::draw(data, ways, query, args.trials(), args.seed);
            let enrolled = draw(Query::Enrolled).map_err(Failure::usage)?;
            let protocol = match open_set::fits_one_alphabet(data, ways[0]) {
                true => "within_alphabet",
                false => "several_alphabets",
            };
            for (query, unknown) in [
                (Query::SameAlphabet, "same alphabet"),
                (Query::OtherAlphabet, "other alphabets"),
            ] {
                let unknown_set = draw(query).map_err(Failure::usage)?;
                let sets = [&enrolled, &unknown_set];
                let decisions = Decisions::new(view, &sets).map_err(Failure::work)?;
                let row = decisions.evaluate(sets, DEFAULT_FAR_PPM, [protocol, unknown]);
                rows.push(row.map_err(Failure::work)?);
            }
        }
        bar.finish_and_clear();
        Ok(rows)
    }
}

fn timing(by: &str, start: Instant) -> Timing {
    Timing {
        by: by.to_owned(),
        seconds: start.elapsed().as_secs_f64(),
    }
}

/// The float network's logits are others by nature; those of all others must be the same bits.
fn agreement(
    set: &TrialSet,
    (expected, got): (&Evaluation, &Evaluation),
    name: EngineName,
) -> Agreement {
    let answers = set.trials.iter().map(|trial| trial.answer);
    let chosen = expected.device.decisions.iter();
    let chosen = chosen.zip(&got.device.decisions).zip(answers);
    let only = |first: bool| {
        let right = chosen
            .clone()
            .filter(|((a, b), answer)| (*a == answer, *b == answer) == (first, !first));
        right.count()
    };
    let logits = expected.digests.iter().zip(&got.digests);
    Agreement {
        protocol: got.protocol.clone(),
        engine: got.engine.clone(),
        trials: got.digests.len(),
        differing_decisions: chosen.clone().filter(|((a, b), _)| a != b).count(),
        differing_logits: (!name.is_float()).then(|| logits.filter(|(a, b)| a != b).count()),
        right_by_shared_only: only(true),
        right_by_engine_only: only(false),
    }
}
