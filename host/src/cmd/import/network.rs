//! A folded network gets its head, and is compared with the file it comes from.
//!
//! In: what was read and folded, and alphabets that may be trained on. Out: a [`FloatNet`] that says
//! what the file says.

use tools::Progress;

use super::super::{Failure, spinner};
use super::{Args, InkName, LabelOne};
use crate::dataset::{Background, Dataset};
use crate::engine::Input;
use crate::engine::float::Float;
use crate::engine::original::Original;
use crate::float_net::{FloatHead, FloatNet};
use crate::import::check::{Check, Subject, TOLERANCE};
use crate::import::fold::{Folded, Look};
use crate::import::pairs::Pairs;
use crate::import::{Parsed, fit, shift};

/// Images that the network is compared with its file on.
const CHECKED: usize = 17;
/// Below this, a head says *different* where it should say *same*.
const TURNED_OVER: f64 = 0.4;
/// By how much white ink on black must beat black ink on white, or the reverse, to be mentioned.
const BETTER: f64 = 0.1;

/// A network on its way.
pub(super) struct Import<'a> {
    pub(super) args: &'a Args,
    pub(super) parsed: &'a Parsed,
    pub(super) look: Look,
    pub(super) folded: &'a Folded,
    pub(super) calibration: &'a [Vec<u8>],
}

impl Import<'_> {
    /// The whole network, compared with its file.
    pub(super) fn network(
        &self,
        given: Option<FloatHead>,
        background: &Background,
    ) -> Result<(FloatNet, Check), Failure> {
        let values = self.folded.embedding_scale.len();
        let mut net = FloatNet {
            spec: self.folded.spec.clone(),
            filters: self.folded.filters.clone(),
            head: FloatHead {
                weight_hwc: vec![0.0; values],
                bias: 0.0,
            },
        };
        if let Some(layer) = self.folded.open {
            shift::lift(&mut net, layer, self.calibration).map_err(Failure::work)?;
            eprintln!(
                "note: the embedding has negative values; a constant lifts them, which no difference shows"
            );
        }
        let is_given = given.is_some();
        net.head = match given {
            Some(head) => head,
            None => fitted(&net, background.training())?,
        };
        let check = self.compare(&net)?;
        if is_given && self.args.label_one == LabelOne::Different {
            let FloatHead { weight_hwc, bias } = &mut net.head;
            let values = weight_hwc.iter_mut().chain([bias]);
            values.for_each(|value| *value = -*value);
        }
        self.check_sense(&net, background.validation(), is_given)?;
        Ok((net, check))
    }

    /// The network and the file say the same of the same images.
    fn compare(&self, net: &FloatNet) -> Result<Check, Failure> {
        let library = tools::onnxruntime::provide(&Progress::stderr()).map_err(Failure::work)?;
        let mut original = Original::open(&library, &self.args.file).map_err(Failure::work)?;
        let float = Float::new(net).map_err(Failure::work)?;
        let subject = Subject {
            float: &float,
            embedding: net.spec.embedding().map_err(Failure::work)?,
            embedding_scale: &self.folded.embedding_scale,
            output: self.parsed.output,
            image: self.parsed.image,
            look: self.look,
        };
        let images = &self.calibration[..CHECKED.min(self.calibration.len())];
        let check = subject
            .compare(&mut original, images)
            .map_err(Failure::work)?;
        if check.holds() {
            eprintln!(
                "compared with the file in onnxruntime: at most {:.1e} of the largest value differs",
                check.max_error
            );
            return Ok(check);
        }
        let file = self.args.file.display();
        if check.max_error.is_nan() {
            return Err(Failure::Usage(format!(
                "{file}: the network says the same of every image; is it trained, and are --ink and --range those of its training?"
            )));
        }
        Err(Failure::Work(format!(
            "{file}: the imported network differs from the file in onnxruntime by {:.1e} of the largest value, more than {TOLERANCE:.0e}; this is a fault of onelook import, please report it with the file",
            check.max_error
        )))
    }

    /// Whether the head says *same* of the same characters, and the images have the right colours:
    /// on background alphabets that fitted nothing.
    fn check_sense(&self, net: &FloatNet, data: &Dataset, is_given: bool) -> Result<(), Failure> {
        let drawn = Pairs::draw(data, Input::of_spec(&net.spec)).map_err(Failure::work)?;
        let float = Float::new(net).map_err(Failure::work)?;
        let separation = drawn.separation(&float).map_err(Failure::work)?;
        eprintln!(
            "pairs of held-out background alphabets told apart: {:.1} % (50 is chance)",
            100.0 * separation
        );
        if is_given && separation < TURNED_OVER {
            let other = match self.args.label_one {
                LabelOne::Same => "different",
                LabelOne::Different => "same",
            };
            return Err(Failure::Usage(format!(
                "the head's logit is larger for different characters than for the same one; say what a label of 1 meant with --label-one {other}"
            )));
        }
        let turned = drawn
            .turned_over()
            .separation(&float)
            .map_err(Failure::work)?;
        if turned > separation + BETTER {
            let ink = match self.args.ink {
                InkName::White => "black",
                InkName::Black => "white",
            };
            eprintln!(
                "warning: with --ink {ink} it would be {:.1} %; which colour was the ink that the network was trained on?",
                100.0 * turned
            );
        }
        Ok(())
    }
}

/// A head fitted to alphabets that may be trained on.
fn fitted(net: &FloatNet, data: &Dataset) -> Result<FloatHead, Failure> {
    let bar = spinner("fitting a head");
    let drawn = Pairs::draw(data, Input::of_spec(&net.spec)).map_err(Failure::work)?;
    let float = Float::new(net).map_err(Failure::work)?;
    let embeddings = drawn.embeddings(&float).map_err(Failure::work)?;
    let head = fit::fit(&embeddings, &drawn.pairs);
    bar.finish_and_clear();
    head.ok_or_else(|| {
        Failure::Work(
            "no head can be fitted: the network gives all drawings one embedding".to_owned(),
        )
    })
}
