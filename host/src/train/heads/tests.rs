//! Heads on their own, and every contestant from end to end.

use super::*;
use crate::glyphs;
use crate::trials;

fn tensor(values: &[f32], shape: [i64; 3]) -> Tensor {
    Tensor::from_slice(values).reshape(shape)
}

fn nearest(scores: &Tensor) -> Vec<i64> {
    Vec::<i64>::try_from(&scores.argmax(-1, false).flatten(0, -1)).unwrap()
}

/// The nearest by angle, however long.
#[test]
fn cosines_see_angles() {
    let supports = tensor(&[3.0, 0.0, 0.0, 0.5], [1, 2, 2]);
    let queries = tensor(&[0.1, 0.01, 1.0, 9.0], [1, 2, 2]);
    let scores = matching::cosines(&queries, &supports).unwrap();
    assert_eq!(nearest(&scores), [0, 1]);
    let tuned = transfer::tuned_scores(&queries, &supports).unwrap();
    assert_eq!(nearest(&tuned), [0, 1]);
}

/// A trained last layer knows its own examples, also where they are hardly apart.
#[test]
fn tuning_tells_what_is_alike_apart() {
    let supports = tensor(&[1.0, 0.2, 1.0, 0.3, 1.0, 0.4], [1, 3, 2]);
    let scores = transfer::tuned_scores(&supports, &supports).unwrap();
    let chosen = nearest(&scores);
    assert!(chosen[0] == 0 && chosen[2] == 2, "{chosen:?}");
}

/// Another set, another embedding; trials side by side do not see each other.
#[test]
fn context_is_that_of_the_own_set() {
    tch::manual_seed(1);
    let context = Context::new(4, Device::Cpu).unwrap();
    let options = (Kind::Float, Device::Cpu);
    let (supports, queries) = (
        Tensor::randn([2, 3, 4], options),
        Tensor::randn([2, 2, 4], options),
    );
    let of = |queries: &Tensor, supports: &Tensor| {
        let supports = context.of_supports(supports).unwrap();
        context.of_queries(queries, &supports).unwrap()
    };
    let together = of(&queries, &supports);
    let alone = of(&queries.narrow(0, 1, 1), &supports.narrow(0, 1, 1));
    assert!(
        (together.narrow(0, 1, 1) - &alone)
            .abs()
            .max()
            .double_value(&[])
            < 1e-5
    );
    let elsewhere = of(&queries.narrow(0, 1, 1), &supports.narrow(0, 0, 1));
    assert!((elsewhere - alone).abs().max().double_value(&[]) > 1e-3);
}

#[test]
fn every_contestant_learns_something() {
    let text = "[train]\nsteps = 60\nepisodes = 3\nn_way = 5\nlearning_rate = 0.01\nwarmup = 1\n\
        precision = \"float32\"\nthreads = 1\n[network]\ninput_side = 16\nframing = \"mark\"\nlayers = [\n\
        { op = \"conv\", c_out = 6, kernel = 3, stride = 2, pad = 1 },\n\
        { op = \"max_pool\", kernel = 2, stride = 2 }]";
    let config = Config::parse(text).unwrap();
    let data = glyphs::synthetic(5, "background", 4, 20);
    let held_out = data.alphabets[3].name.clone();
    let background = Background::new(data, &[&held_out]).unwrap();
    let trials = [trials::within_alphabet(background.validation(), 5, 1, 200, 1).unwrap()];
    let never = AtomicBool::new(false);
    let session = HeadsSession {
        config: &config,
        background: &background,
        trials: &trials,
        device: Device::Cpu,
        interrupted: &never,
    };
    for contestant in Contestant::ALL {
        let reached = session.run(contestant).unwrap().unwrap();
        let accuracy = reached.accuracy[0].1;
        // One of five by chance.
        assert!(accuracy.mean > 0.4, "{contestant:?}: {accuracy}");
        assert_eq!((accuracy.trials, reached.steps), (200, 60));
    }
    let stopped = AtomicBool::new(true);
    let session = HeadsSession {
        interrupted: &stopped,
        ..session
    };
    assert!(session.run(Contestant::Siamese).unwrap().is_none());
}
