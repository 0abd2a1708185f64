//! `onelook export`, and the second half of `train-export`: from a float network to files that
//! every engine agrees on, and a report about them.

use std::path::Path;
use std::time::Instant;

use rand::SeedableRng;
use rand::seq::IteratorRandom;
use rand_chacha::ChaCha8Rng;

use super::args::{Drawings, SubjectArgs};
use super::budget::BudgetArgs;
use super::{Failure, Verdict, evaluate, spinner, verify};
use crate::baseline::nearest_pixels;
use crate::calibration::{CalibrationReport, calibrate};
use crate::checkpoint::{self, CHECKPOINT};
use crate::config::{CONFIG_FILE, Config, Split, hash_of};
use crate::dataset::{Alphabet, Background, Dataset, LAKE_ALPHABETS};
use crate::engine::{Input, network_input};
use crate::export::Bundle;
use crate::files::write_whole;
use crate::float_net::FloatNet;
use crate::quantize::{QuantReport, quantize};
use crate::report::{
    Footprint, Import, Network, REPORT_JSON, REPORT_MARKDOWN, Report, Row, Stage, Training,
};

/// Drawings that set the scales of the activations.
const CALIBRATION_IMAGES: usize = 512;
const CALIBRATION_SEED: u64 = 0x6361_6c69;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    subject: SubjectArgs,
    #[command(flatten)]
    budget: BudgetArgs,
}

/// What an exported model says about where it comes from.
pub(super) fn provenance(config: &Config) -> String {
    let from = match &config.import {
        Some(import) => format!("import={} sha256={}", import.file, import.sha256),
        None => format!("preset={} seed={}", config.preset, config.train.seed),
    };
    let hash = config.hash();
    format!("onelook {} {from} config={hash}", env!("CARGO_PKG_VERSION"))
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let (net, config) =
        checkpoint::read(&args.subject.folder.join(CHECKPOINT)).map_err(Failure::work)?;
    args.budget.check(&config)?;
    let drawings = args.subject.data.open()?;
    let background = drawings.background()?;
    let job = Job {
        folder: &args.subject.folder,
        net: &net,
        config: &config,
        held_out: background.validation(),
        json: args.subject.json,
    };
    let calibration = calibration(&background, Input::of_spec(&net.spec))?;
    job.finish(&drawings, &calibration, Origin::Checkpoint(job.training()))
}

/// Network inputs that set the scales of the activations: drawings that may be trained on.
pub(super) fn calibration(background: &Background, input: Input) -> Result<Vec<Vec<u8>>, Failure> {
    let mut rng = ChaCha8Rng::seed_from_u64(CALIBRATION_SEED);
    let all = background.training().characters().flat_map(|c| &c.drawings);
    let drawings = all.sample(&mut rng, CALIBRATION_IMAGES).into_iter();
    let inputs = drawings.map(|drawing| network_input(drawing, input));
    inputs.collect::<Result<_, _>>().map_err(Failure::work)
}

/// Where the weights come from.
pub(super) enum Origin {
    /// They were trained just now.
    #[cfg_attr(
        not(feature = "train"),
        allow(dead_code, reason = "only training makes it")
    )]
    Trained(Training),
    /// They were trained elsewhere.
    Imported(Import),
    /// They lay in a run's folder, whose report may say how they were trained.
    Checkpoint(Option<Training>),
}

/// A trained network on its way into a run's folder.
pub(super) struct Job<'a> {
    pub(super) folder: &'a Path,
    pub(super) net: &'a FloatNet,
    pub(super) config: &'a Config,
    /// Alphabets that the network was not trained on and that no report is about: unknown marks.
    pub(super) held_out: &'a Dataset,
    pub(super) json: bool,
}

impl Job<'_> {
    /// How the network was trained, by the folder's report of an earlier export.
    fn training(&self) -> Option<Training> {
        let report = Report::read(self.folder).ok()?;
        // By the text: an older program may have written the same configuration otherwise.
        let text = std::fs::read_to_string(self.folder.join(CONFIG_FILE)).ok()?;
        let same = report.config_hash == hash_of(&text)
            && Config::parse(&text).is_ok_and(|config| config == *self.config);
        report.training.filter(|_| same)
    }

    /// Quantizes, exports, measures, verifies, reports.
    pub(super) fn finish(
        &self,
        drawings: &Drawings,
        calibration: &[Vec<u8>],
        origin: Origin,
    ) -> Result<Verdict, Failure> {
        let (training, import) = match origin {
            Origin::Trained(training) => (Some(training), None),
            Origin::Imported(import) => (None, Some(import)),
            Origin::Checkpoint(training) => (training, None),
        };
        if self.config.stays_float() {
            return self.finish_float(drawings, training);
        }
        let mut clock = Clock::new(training.as_ref());
        let (bundle, quantization) = self.export(calibration)?;
        clock.stage("quantize and export");

        let lake20 = drawings.lake20()?;
        let mut accuracy = evaluate::float_rows(self.net, &lake20)?;
        let protocols = evaluate::standard_trials(&drawings.evaluation()?)?;
        if let (Some(_), Some(within)) = (&import, protocols.first()) {
            accuracy.extend(evaluate::float_rows(self.net, within)?);
        }
        let sets: Vec<_> = std::iter::once(&lake20).chain(&protocols).collect();
        accuracy.extend(evaluate::model_rows(&bundle, &sets)?);
        accuracy.push(Row {
            protocol: lake20.protocol.clone(),
            engine: "1-nearest-neighbour on pixels".to_owned(),
            accuracy: nearest_pixels(&lake20),
            ties: None,
        });
        clock.stage("evaluate");

        let parity = verify::compare(&bundle, &lake20)?;
        clock.stage("verify");
        let verdict = verify::verdict(&parity);
        let view = bundle.view().map_err(Failure::work)?;
        let report = Report {
            name: self.name(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_hash: self.config.hash(),
            network: self.network(Some(Footprint {
                model_bytes: view.bytes().len(),
                arena_bytes: view.arena_len(),
                embedding_bytes: view.embedding_len(),
            }))?,
            training,
            import,
            quantization: Some(quantization),
            calibration: view.calibration().as_ref().map(CalibrationReport::of),
            accuracy,
            parity,
            stages: clock.stages,
        };
        self.write(&report)?;
        Ok(verdict)
    }

    /// Exports, measures, verifies and reports what has no integers.
    fn finish_float(
        &self,
        drawings: &Drawings,
        training: Option<Training>,
    ) -> Result<Verdict, Failure> {
        let mut clock = Clock::new(training.as_ref());
        let (provenance, hash) = (provenance(self.config), self.config.hash());
        let bundle = Bundle::of_float(self.net, &provenance, &hash).map_err(Failure::work)?;
        bundle.write(self.folder).map_err(Failure::work)?;
        clock.stage("export");

        let lake20 = drawings.lake20()?;
        let split = self.config.pairs.as_ref().map(|pairs| pairs.split);
        let mut evaluation = drawings.evaluation()?;
        if split == Some(Split::Paper) {
            // The others have chosen the checkpoint.
            let lakes = |alphabet: &Alphabet| LAKE_ALPHABETS.contains(&alphabet.name.as_str());
            evaluation.alphabets.retain(lakes);
        }
        let network = self.network(None)?;
        let mut sets = evaluate::float_trials(&evaluation, network.macs)?;
        sets.insert(0, lake20.clone());
        let mut accuracy = evaluate::float_bundle_rows(&bundle, &sets)?;
        accuracy.push(evaluate::same_or_different(&bundle, &evaluation)?);
        if split == Some(Split::PeekAtEvaluation) {
            for row in &mut accuracy {
                row.protocol
                    .push_str(" (NO CLAIM: these alphabets chose the checkpoint)");
            }
        }
        accuracy.push(Row {
            protocol: lake20.protocol.clone(),
            engine: "1-nearest-neighbour on pixels".to_owned(),
            accuracy: nearest_pixels(&lake20),
            ties: None,
        });
        clock.stage("evaluate");

        let parity = verify::compare_float(&bundle, &lake20)?;
        clock.stage("verify");
        let verdict = verify::verdict(&parity);
        let report = Report {
            name: self.name(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_hash: self.config.hash(),
            network,
            training,
            import: None,
            quantization: None,
            calibration: None,
            accuracy,
            parity,
            stages: clock.stages,
        };
        self.write(&report)?;
        Ok(verdict)
    }

    /// That of the folder.
    fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    fn network(&self, device: Option<Footprint>) -> Result<Network, Failure> {
        let spec = &self.net.spec;
        Ok(Network {
            preset: self.config.preset.clone(),
            parameters: spec.parameters().map_err(Failure::work)?,
            macs: spec.macs().map_err(Failure::work)?,
            device,
        })
    }

    fn export(&self, calibration: &[Vec<u8>]) -> Result<(Bundle, QuantReport), Failure> {
        let bar = spinner("quantizing");
        let (mut quantized, report) = quantize(self.net, calibration).map_err(Failure::work)?;
        quantized.calibration = calibrate(&quantized, self.held_out).map_err(Failure::work)?;
        if quantized.calibration.is_none() {
            eprintln!("too few held-out characters: the threshold for unknown marks stays a guess");
        }
        let (provenance, hash) = (provenance(self.config), self.config.hash());
        let bundle =
            Bundle::new(self.net, &quantized, &provenance, &hash).map_err(Failure::work)?;
        bundle.write(self.folder).map_err(Failure::work)?;
        bar.finish_and_clear();
        Ok((bundle, report))
    }

    /// Writes both reports and prints one.
    fn write(&self, report: &Report) -> Result<(), Failure> {
        let json = serde_json::to_string_pretty(report).map_err(Failure::work)?;
        let at = |name| self.folder.join(name);
        write_whole(&at(REPORT_JSON), json.as_bytes()).map_err(Failure::work)?;
        write_whole(&at(REPORT_MARKDOWN), report.markdown().as_bytes()).map_err(Failure::work)?;
        if self.json {
            println!("{json}");
        } else {
            println!(
                "{}\n\n{}\n\nfiles: {folder}\nnext: onelook plot {folder} draws curves and sheets, and a page of all of it",
                report.table(),
                report.parity,
                folder = self.folder.display()
            );
        }
        Ok(())
    }
}

/// Wall time, stage after stage.
struct Clock {
    stages: Vec<Stage>,
    started: Instant,
}

impl Clock {
    fn new(training: Option<&Training>) -> Self {
        let stages = training.map(|t| Stage {
            name: "train".to_owned(),
            seconds: t.seconds,
        });
        Self {
            stages: stages.into_iter().collect(),
            started: Instant::now(),
        }
    }

    /// Ends the stage that began with the last call.
    fn stage(&mut self, name: &'static str) {
        let seconds = self.started.elapsed().as_secs_f64();
        eprintln!("{name}: {seconds:.1} s");
        self.stages.push(Stage {
            name: name.to_owned(),
            seconds,
        });
        self.started = Instant::now();
    }
}
