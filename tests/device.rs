//! The firmware in QEMU against the desktop: the same bits, and every refusal as one line.
//!
//! In: the firmware's ELF for each board, named by `ONELOOK_FIRMWARE_<BOARD>`, and files with random
//! content that these tests write. Out: the device's lines equal those of `shared` on the desktop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

use std::fs;
use std::time::Instant;

use host::spec::NetSpec;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use shared::decide::nearest;
use shared::episode_file::{EpisodeRepr, TrialRepr};
use shared::model::ModelView;
use shared::net::Encoder;
use tests::nets::{random_mark, random_model, redrawn, tiny_net};
use tests::{device, device_elf, run_device};
use tools::Progress;
use tools::firmware::{AN386, BOARDS, Board, Symbols};
use tools::icount::{Icount, Window};
use tools::qemu::QemuError;

/// Trials as this file's tests need them: the query's class is known.
struct Trials {
    side: usize,
    images: Vec<Vec<u8>>,
    n_way: u16,
    k_shot: u16,
    trials: Vec<(u16, Vec<u16>)>,
    answers: Vec<usize>,
}

impl Trials {
    /// `n` trials, `n`-way: `k_shot` drawings of each of `n` marks, one more as the query. Every
    /// trial shows the classes in another order.
    fn random(side: usize, n: u16, k_shot: u16, rng: &mut ChaCha8Rng) -> Self {
        let marks: Vec<_> = (0..n).map(|_| random_mark(side, rng)).collect();
        let drawings = usize::from(n * (k_shot + 1));
        let images = (0..drawings)
            .map(|index| redrawn(&marks[index % usize::from(n)], rng))
            .collect();
        let (mut trials, mut answers) = (vec![], vec![]);
        for query in 0..n {
            let order: Vec<_> = (0..n).map(|place| (place * 3 + query * 7) % n).collect();
            let shots = |&mark: &u16| (1..=k_shot).map(move |shot| shot * n + mark);
            trials.push((query, order.iter().flat_map(shots).collect()));
            answers.push(order.iter().position(|&mark| mark == query).unwrap());
        }
        Self {
            side,
            images,
            n_way: n,
            k_shot,
            trials,
            answers,
        }
    }

    fn emit(&self) -> Vec<u8> {
        let trials: Vec<_> = self
            .trials
            .iter()
            .map(|(query, supports)| TrialRepr {
                query: *query,
                supports,
            })
            .collect();
        let repr = EpisodeRepr {
            image: shared::shape::Hwc::new(self.side, self.side, 1),
            images: &self.images.concat(),
            n_way: self.n_way,
            k_shot: self.k_shot,
            trials: &trials,
        };
        let mut bytes = vec![0; repr.buffer_len().unwrap()];
        repr.emit(&mut bytes).unwrap();
        bytes
    }

    /// What the device must print, computed on the desktop.
    fn expected(&self, model: &[u8]) -> Vec<String> {
        let model = ModelView::new_checked(model).unwrap();
        let mut arena = vec![0; model.arena_len()];
        let embeddings: Vec<_> = self
            .images
            .iter()
            .map(|image| {
                let mut embedding = vec![0; model.embedding_len()];
                Encoder::new(model)
                    .embed(image, &mut arena, &mut embedding)
                    .unwrap();
                embedding
            })
            .collect();
        let fingerprint = model.fingerprint().map(|byte| format!("{byte:02x}"));
        let mut lines = vec![format!("model {}", fingerprint.concat())];
        for (index, (query, supports)) in self.trials.iter().enumerate() {
            let embedding = |image: u16| &embeddings[usize::from(image)];
            let logit = |&support: &u16| {
                let logit = model.decider().logit(embedding(*query), embedding(support));
                logit.unwrap()
            };
            let logits: Vec<_> = supports.iter().map(logit).collect();
            let (support, _) = nearest(logits.iter().copied()).unwrap();
            let class = support / usize::from(self.k_shot);
            assert_eq!(class, self.answers[index], "a mark is nearest to itself");
            let logits: String = logits.iter().map(|logit| format!(" {logit}")).collect();
            lines.push(format!("trial {index} answer {class} logits{logits}"));
        }
        lines
    }
}

fn assert_same(board: Board, spec: &NetSpec, n: u16, k_shot: u16) {
    let mut rng = ChaCha8Rng::seed_from_u64(0x0e1);
    let folder = tempfile::tempdir().unwrap();
    let model = random_model(spec, &mut rng);
    let trials = Trials::random(spec.input_side, n, k_shot, &mut rng);
    fs::write(folder.path().join("model.onelook"), &model).unwrap();
    fs::write(folder.path().join("trials.bin"), trials.emit()).unwrap();

    let start = Instant::now();
    let run = run_device(board, folder.path()).unwrap();
    let (images, seconds) = (trials.images.len(), start.elapsed().as_secs_f64());
    println!("{}: {images} embeddings in {seconds:.1} s", board.name);
    let lines: Vec<_> = run.stdout.lines().collect();
    let expected = trials.expected(&model);
    for (line, expected) in lines.iter().zip(&expected) {
        assert_eq!(line, expected);
    }
    assert_eq!(lines.len(), expected.len());
}

/// Lake's shape of a run: 20 trials, 20-way, the same 20 supports in each.
#[test]
fn twenty_way_trials_have_the_same_bits() {
    assert_same(AN386, &NetSpec::preset("micro").unwrap(), 20, 1);
}

#[test]
fn several_shots_have_the_same_bits_on_every_board() {
    for board in BOARDS {
        assert_same(board, &tiny_net(8, 1), 5, 3);
    }
}

#[test]
fn a_whole_net_has_the_same_bits_on_every_board() {
    for board in BOARDS {
        assert_same(board, &NetSpec::preset("nano").unwrap(), 3, 1);
    }
}

/// A power cut leaves no output, comes at the very store, and whoever cuts knows how many there are.
#[test]
fn the_power_is_cut_at_the_store_that_was_asked_for() {
    let mut rng = ChaCha8Rng::seed_from_u64(0x0ff);
    let folder = tempfile::tempdir().unwrap();
    let model = random_model(&tiny_net(8, 1), &mut rng);
    let trials = Trials::random(8, 2, 1, &mut rng).emit();
    fs::write(folder.path().join("model.onelook"), model).unwrap();
    fs::write(folder.path().join("trials.bin"), trials).unwrap();
    let symbols = Symbols::read(&device_elf(AN386)).unwrap();
    let stack = Window {
        first: symbols.address("_stack_end").unwrap(),
        end: symbols.address("_stack_start").unwrap(),
    };
    let icount = Icount::provide(&Progress::quiet()).unwrap();
    let icount = icount.count_stores(stack);

    let (whole, counts) = icount.run(device(AN386, folder.path())).unwrap();
    assert!(whole.unwrap().stdout.contains("trial 1 answer"));
    let stores = counts.nv_stores.unwrap();
    for cut in [1, stores / 2, stores] {
        let run = device(AN386, folder.path());
        let (result, counts) = icount.clone().cut_at(cut).run(run).unwrap();
        assert!(matches!(result, Err(QemuError::Guest { .. })), "{cut}");
        assert_eq!((counts.cut, counts.nv_stores), (Some(cut), None));
    }
}

/// Files that the device must refuse, and how its line starts behind `error `.
struct Refusal<'a> {
    model: Option<&'a [u8]>,
    trials: Option<&'a [u8]>,
    line: &'a str,
}

#[test]
fn every_refusal_is_one_line_and_a_failure() {
    let mut rng = ChaCha8Rng::seed_from_u64(0xbad);
    let good_model = random_model(&tiny_net(8, 1), &mut rng);
    let good_trials = Trials::random(8, 2, 1, &mut rng).emit();
    let flipped = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        bytes[100] ^= 1;
        bytes
    };
    // Its input alone fills the arena.
    let wide_model = random_model(&tiny_net(256, 8), &mut rng);
    let wide_trials = Trials::random(256, 2, 1, &mut rng).emit();
    let (damaged_model, damaged_trials) = (flipped(&good_model), flipped(&good_trials));
    let cut = &good_model[..good_model.len() - 4];
    let too_large = vec![0; 256 * 1024 + 1];
    let case = |model, trials, line| Refusal {
        model,
        trials,
        line,
    };
    let cases = [
        case(None, None, "model.onelook: absent: put it in the folder"),
        case(Some(&good_model), None, "trials.bin: absent: put it in"),
        case(Some(b""), None, "model.onelook: truncated: 0 bytes"),
        case(Some(cut), None, "model.onelook: truncated: "),
        case(
            Some(&damaged_model),
            None,
            "model.onelook: damaged: its CRC-32 is ",
        ),
        case(
            Some(&too_large),
            None,
            "model.onelook: too large: 262145 bytes, this board has room for 262144",
        ),
        case(
            Some(&good_model),
            Some(&damaged_trials),
            "trials.bin: damaged: its CRC-32 is ",
        ),
        case(
            Some(&good_model),
            Some(&wide_trials),
            "trials.bin: its images are 256×256, the model's input is 8×8",
        ),
        case(
            Some(&wide_model),
            Some(&wide_trials),
            "model.onelook: needs an arena of 66916 bytes, this board has 65536",
        ),
    ];
    for case in cases {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("model.onelook", case.model), ("trials.bin", case.trials)] {
            if let Some(content) = content {
                fs::write(folder.path().join(name), content).unwrap();
            }
        }
        let failure = run_device(AN386, folder.path());
        let Err(QemuError::Guest { said, .. }) = failure else {
            panic!("must fail: {}", case.line);
        };
        let start = format!("error {}", case.line);
        assert!(said.starts_with(&start), "{start}\n{said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
    }
}
