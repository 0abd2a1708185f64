//! The same encoder under several heads, trained with the same batches for as many steps: what the head alone is
//! worth, and whether it should see the whole support set.
//!
//! In: a configuration, background drawings, trials. Out: what a [`Contestant`] reaches. `matching` compares by
//! cosine, with or without the context of the set; `transfer` fits a last layer to each support set. Nothing
//! here is exported: the network that a device runs has the siamese head. The weights are those of the last step.

mod matching;
mod transfer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use tch::{Device, Kind, Reduction, Tensor, no_grad};

use super::TrainError;
use super::batch::{Batch, Batches};
use super::classifier::Classifier;
use super::loss::loss;
use super::net::{Mode, Net, Parameter};
use super::optimizer::Optimizer;
use super::schedule::Schedule;
use super::state::{drop_out, images};
use super::validate::embed_all;
use crate::config::{Config, TrainConfig};
use crate::dataset::Background;
use crate::heads::{Contestant, Reached};
use crate::trials::{Accuracy, TrialSet};
use matching::{Context, Cosine};

/// Batches prepared ahead of libtorch.
const PREFETCH: usize = 4;
/// Trials that are decided at once.
const TRIALS: usize = 100;
/// Share of the embedding that [`Contestant::SiameseDropout`] hides.
const DROPOUT: f64 = 0.5;

/// What all contestants are given.
#[derive(Debug)]
pub struct HeadsSession<'a> {
    /// Encoder, steps, batches, augmentation.
    pub config: &'a Config,
    /// Alphabets to learn from.
    pub background: &'a Background,
    /// What is asked at the end.
    pub trials: &'a [TrialSet],
    /// Where to compute.
    pub device: Device,
    /// Becomes true when the user presses Ctrl-C.
    pub interrupted: &'a AtomicBool,
}

/// Scores of queries against supports.
#[derive(Debug)]
enum Head {
    Siamese,
    Cosine(Cosine),
    Context(Box<Context>, Cosine),
    Transfer(Classifier),
    TransferTuned(Classifier),
}

impl HeadsSession<'_> {
    /// Trains one and asks it; `None` when the user has had enough.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn run(&self, contestant: Contestant) -> Result<Option<Reached>, TrainError> {
        let mut config = self.config.clone();
        let train = &mut config.train;
        match contestant {
            Contestant::SiameseDropout => train.dropout = DROPOUT,
            Contestant::SiamesePairs => (train.episode_loss, train.pair_loss) = (0.0, 1.0),
            _ => {}
        }
        if train.threads > 0 {
            tch::set_num_threads(i32::try_from(train.threads).unwrap_or(i32::MAX));
        }
        tch::manual_seed(train.seed.cast_signed());
        let precision = train.precision.resolve();
        let net = Net::new(&config.network()?, precision, self.device)?;
        let head = self.head(contestant, &net)?;
        let started = Instant::now();
        if !self.train(&config, &net, &head)? {
            return Ok(None);
        }
        let seconds = started.elapsed().as_secs_f64();
        let accuracy = self.trials.iter().map(|set| {
            let accuracy = no_grad(|| self.accuracy(&net, &head, set))?;
            Ok((set.protocol.clone(), accuracy))
        });
        let siamese = matches!(head, Head::Siamese);
        let parts = net.parameters().into_iter();
        let parts = parts.filter(|part| siamese || !part.name.starts_with("head."));
        let parts = parts.chain(head.kept());
        Ok(Some(Reached {
            contestant,
            parameters: parts.map(|part| part.tensor.numel()).sum(),
            steps: config.train.steps,
            seconds,
            accuracy: accuracy.collect::<Result<_, TrainError>>()?,
        }))
    }

    fn head(&self, contestant: Contestant, net: &Net) -> Result<Head, TrainError> {
        let d = net.spec().embedding()?.len();
        let n_labels = Batches::n_labels(self.background.training(), &self.config.augment);
        let classifier = || Classifier::new(n_labels, d, self.device);
        Ok(match contestant {
            Contestant::Siamese | Contestant::SiameseDropout | Contestant::SiamesePairs => {
                Head::Siamese
            }
            Contestant::Matching => Head::Cosine(Cosine::new(self.device)?),
            Contestant::MatchingContext => {
                let context = Context::new(d as i64, self.device)?;
                Head::Context(Box::new(context), Cosine::new(self.device)?)
            }
            Contestant::Transfer => Head::Transfer(classifier()?),
            Contestant::TransferTuned => Head::TransferTuned(classifier()?),
        })
    }

    /// Whether training came to its end.
    fn train(&self, config: &Config, net: &Net, head: &Head) -> Result<bool, TrainError> {
        let train = &config.train;
        let mut parameters = net.parameters();
        parameters.extend(head.trained());
        let mut optimizer = Optimizer::new(parameters, config);
        let mut schedule = Schedule::new(train);
        let network = config.network()?;
        let data = self.background.training();
        let mut batches = Batches::new(data, train, &config.augment, &network);
        std::thread::scope(|scope| {
            let (sender, receiver) = sync_channel(PREFETCH);
            // Ends when the receiver is gone.
            scope.spawn(move || (0..).all(|step| sender.send(batches.batch(step)).is_ok()));
            for step in 0..train.steps {
                if self.interrupted.load(Ordering::Relaxed) {
                    return Ok(false);
                }
                let batch = receiver.recv().map_err(|_| TrainError::Batches)?;
                let images = images(&batch.images, network.input_side, self.device)?;
                let embeddings = net.embed(&images, Mode::Train)?; // [n_drawers * n_classes, d]
                let embeddings = drop_out(embeddings, train, step)?;
                let loss = head.loss(net, &embeddings, &batch, train)?;
                optimizer.minimize(&loss, schedule.pace(config, step))?;
                let loss = loss.f_double_value(&[])?;
                if !loss.is_finite() {
                    return Err(TrainError::Diverged { step, loss });
                }
                schedule.advance(train, step + 1, 0.0);
            }
            Ok(true)
        })
    }

    fn accuracy(&self, net: &Net, head: &Head, set: &TrialSet) -> Result<Accuracy, TrainError> {
        let embeddings = embed_all(net, set, self.device)?;
        let d = net.spec().embedding()?.len() as i64;
        let embeddings = Tensor::f_from_slice(&embeddings)?
            .f_reshape([-1, d])?
            .to_device(self.device);
        let rows = |places: Vec<i64>, shape: [i64; 3]| {
            let places = Tensor::f_from_slice(&places)?.to_device(self.device);
            Ok::<_, TrainError>(embeddings.f_index_select(0, &places)?.f_reshape(shape)?)
        };
        let mut right = 0;
        for trials in set.trials.chunks(TRIALS) {
            let (n, ways) = (trials.len() as i64, set.n_way() as i64);
            let queries = trials.iter().map(|trial| trial.query as i64);
            let queries = rows(queries.collect(), [n, 1, d])?;
            // One shot for each class.
            let supports = trials
                .iter()
                .flat_map(|trial| trial.support.iter().flatten());
            let supports = rows(supports.map(|&at| at as i64).collect(), [n, ways, d])?;
            let scores = head.scores(net, &queries, &supports)?; // [n, 1, ways]
            let best = scores.f_argmax(-1, false)?.f_flatten(0, -1)?;
            let best = Vec::<i64>::try_from(&best.to_device(Device::Cpu))?;
            let answers = trials.iter().map(|trial| trial.answer as i64);
            right += best
                .into_iter()
                .zip(answers)
                .filter(|(a, b)| a == b)
                .count();
        }
        Ok(Accuracy::of(right, set.trials.len()))
    }
}

impl Head {
    /// `[t][q][d]` queries against `[t][s][d]` supports: `[t][q][s]`, larger is more alike.
    fn scores(&self, net: &Net, queries: &Tensor, supports: &Tensor) -> Result<Tensor, TrainError> {
        match self {
            Self::Siamese => net.logits(queries, supports),
            Self::Cosine(cosine) => cosine.scores(queries, supports),
            Self::Context(context, cosine) => {
                let supports = context.of_supports(supports)?;
                cosine.scores(&context.of_queries(queries, &supports)?, &supports)
            }
            Self::Transfer(_) => matching::cosines(queries, supports),
            Self::TransferTuned(_) => transfer::tuned_scores(queries, supports),
        }
    }

    /// Mean over the episodes of a batch, whose drawings by the first drawer are the queries and by the second the
    /// supports, and then the other way round.
    fn loss(
        &self,
        net: &Net,
        embeddings: &Tensor,
        batch: &Batch,
        train: &TrainConfig,
    ) -> Result<Tensor, TrainError> {
        if let Self::Transfer(classifier) | Self::TransferTuned(classifier) = self {
            let labels = batch.labels.repeat(batch.n_drawers);
            return classifier.loss(embeddings, &labels, train.label_smoothing);
        }
        // The configuration asks for two drawers at least.
        let n = batch.n_classes as i64;
        let (first, second) = (
            &embeddings.f_narrow(0, 0, n)?,
            &embeddings.f_narrow(0, n, n)?,
        );
        let mut losses = Vec::new();
        let mut at = 0;
        for &n_way in &batch.episodes {
            let block = |of: &Tensor| of.f_narrow(0, at, n_way as i64)?.f_unsqueeze(0);
            let (a, b) = (block(first)?, block(second)?); // [1, n_way, d]
            at += n_way as i64;
            losses.push(match self {
                Self::Siamese => loss(&net.logits(&a, &b)?.f_squeeze_dim(0)?, train)?,
                _ => {
                    let one_way = self.softmax(net, &a, &b)? + self.softmax(net, &b, &a)?;
                    one_way * 0.5
                }
            });
        }
        Ok(Tensor::f_stack(&losses, 0)?.f_mean(Kind::Float)?)
    }

    /// Cross-entropy of the attention over the supports, query `i` belongs to support `i`.
    fn softmax(
        &self,
        net: &Net,
        queries: &Tensor,
        supports: &Tensor,
    ) -> Result<Tensor, TrainError> {
        let scores = self.scores(net, queries, supports)?.f_squeeze_dim(0)?;
        let target = Tensor::f_arange(scores.size2()?.0, (Kind::Int64, scores.device()))?;
        let no_weight: Option<Tensor> = None;
        Ok(scores.f_cross_entropy_loss(&target, no_weight, Reduction::Mean, -100, 0.0)?)
    }

    /// What is trained beside the encoder.
    fn trained(&self) -> Vec<Parameter> {
        match self {
            Self::Transfer(classifier) | Self::TransferTuned(classifier) => classifier.parameters(),
            _ => self.kept(),
        }
    }

    /// What takes part in a decision.
    fn kept(&self) -> Vec<Parameter> {
        match self {
            Self::Siamese | Self::Transfer(_) | Self::TransferTuned(_) => Vec::new(),
            Self::Cosine(cosine) => cosine.parameters(),
            Self::Context(context, cosine) => {
                let mut all = context.parameters();
                all.extend(cosine.parameters());
                all
            }
        }
    }
}

#[cfg(test)]
mod tests;
