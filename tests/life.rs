//! The device's life in QEMU: the same on every board, and nothing taught is lost when the power goes.
//!
//! In: the device's ELF for each board, named by `ONELOOK_DEVICE_<BOARD>`, and a small network with random
//! weights. Out: the answers of a real host's client, and what is there after `kill -9`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test file is nothing but tests and what they call"
)]

use std::process::Command;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shared::link::{Settings, Target};
use shared::model::ModelView;
use shared::session::selftest;
use tests::clutter::{clutter, mount};
use tests::flash::FlashImage;
use tests::life::Life;
use tests::taught::{
    State, Step, carry_out, check_answers, model, models, picture, settle_after_cut,
};
use tools::firmware::{AN386, BOARDS};

/// Everything that a user would do, as text.
fn transcript(life: &Life) -> Vec<String> {
    let (running, mut host) = life.start();
    let mut lines = vec![];
    let mut say = |line: String| lines.push(line);
    for class in 1..=4 {
        host.write_capture(&picture(class, 0)).unwrap();
        say(format!("{:?}", host.enrol(&format!("mark {class}"), true)));
    }
    for class in 1..=5 {
        say(format!(
            "{:?}",
            host.write_capture(&picture(class, 1)).unwrap()
        ));
        say(format!("{:?}", host.score().unwrap()));
        say(format!("{:?}", host.read_logits().unwrap()));
    }
    say(format!("{:?}", host.rename("mark 2", "two")));
    say(format!("{:?}", host.forget(Target::Class("mark 3"))));
    say(format!("{:?}", host.undo()));
    say(format!(
        "{:?}",
        host.forget(Target::Class("mark 9"))
            .map_err(|e| e.to_string())
    ));
    let settings = Settings {
        far_ppm: 1000,
        offset: 17,
    };
    say(format!("{:?}", host.configure(settings)));
    say(format!("{:08x}", host.selftest(7).unwrap()));
    running.kill();
    let (running, mut host) = life.start();
    say(format!("{:?}", host.list().unwrap()));
    say(format!("{:?}", host.settings().unwrap()));
    host.send_model(&model(2), &mut |_, _| ()).unwrap();
    host.update_commit(None).unwrap();
    running.kill();
    let (_running, mut host) = life.start();
    say(host.greeting().model.clone().unwrap());
    host.write_capture(&picture(4, 1)).unwrap();
    say(format!("{:?}", host.score().unwrap()));
    say(format!("{:?}", host.list().unwrap()));
    say(format!("{:08x}", host.selftest(7).unwrap()));
    lines
}

#[test]
fn every_board_says_the_same() {
    let transcripts = BOARDS.map(|board| transcript(&Life::new(board, &model(1))));
    for (line, first) in transcripts[0].iter().enumerate() {
        for (board, other) in BOARDS.iter().zip(&transcripts) {
            assert_eq!(&other[line], first, "{}", board.name);
        }
    }
    // And this computer computes the same.
    let file = model(2);
    let view = ModelView::new_checked(&file).unwrap();
    let (mut arena, mut a, mut b) = (vec![0; 64 << 10], [0; 1024], [0; 1024]);
    let digest = selftest::digest(&view, 7, &mut arena, &mut a, &mut b).unwrap();
    assert_eq!(transcripts[0].last(), Some(&format!("{digest:08x}")));
}

fn random_step(state: &State, rng: &mut ChaCha8Rng, fresh: u64) -> Step {
    let samples: Vec<_> = state.samples.iter().collect();
    let any = |rng: &mut ChaCha8Rng| samples[rng.random_range(0..samples.len())];
    match rng.random_range(0..10) {
        0..4 if samples.len() < 50 => Step::Enrol(format!("mark {fresh}"), fresh),
        4..7 if !samples.is_empty() => Step::ForgetSample(any(rng).0),
        7 if !samples.is_empty() => {
            let from = any(rng).1.clone();
            Step::Rename(from, format!("renamed {fresh}"))
        }
        8 => Step::Update(1 + fresh % 7),
        _ if samples.len() < 50 => {
            let marks = (0..4).map(|i| (format!("import {fresh} {i}"), fresh * 10 + i));
            Step::Import(marks.collect())
        }
        _ => Step::ForgetSample(any(rng).0),
    }
}

/// Every so many kills the device wakes up with a full bank.
const KILLS_PER_TIDYING: u32 = 5;

/// Fills the bank of `life` and kills the device while it tidies up, until it has done so; how often its flash
/// was left half done.
fn kill_while_it_tidies_up(life: &Life, rng: &mut ChaCha8Rng) -> u32 {
    FlashImage::change(&life.flash(), clutter);
    let cluttered = FlashImage::read(&life.flash());
    let epoch = mount(&mut cluttered.clone()).epoch();
    let (mut halves, mut delay) = (0, Duration::ZERO);
    loop {
        let running = life.run().spawn().unwrap();
        // A little later each time: it reaches the tidying, and at last its end.
        delay += Duration::from_millis(rng.random_range(1..20));
        std::thread::sleep(delay);
        running.kill();
        let mut flash = FlashImage::read(&life.flash());
        let changed = flash != cluttered;
        if mount(&mut flash).epoch() > epoch {
            return halves;
        }
        halves += u32::from(changed);
    }
}

/// `ONELOOK_KILLS`: how often QEMU is killed.
#[test]
fn what_was_acknowledged_outlives_kill_9() {
    let kills = std::env::var("ONELOOK_KILLS").map_or(6_u32, |n| n.parse().unwrap());
    let mut rng = ChaCha8Rng::seed_from_u64(0x0dead);
    let models = models();
    let life = Life::new(AN386, &model(8));
    let mut state = State {
        model: 8,
        ..State::default()
    };
    let (mut unsure, mut steps, mut fresh, mut tidyings) = (None, 0, 1, 0);
    // The longest step of late: the power goes within a few of them, however busy the machine is. A mean
    // would shrink, because of the steps that were cut off none is counted.
    let mut longest = Duration::from_millis(300);
    for kill in 0..=kills {
        if kill % KILLS_PER_TIDYING == KILLS_PER_TIDYING - 1 {
            tidyings += kill_while_it_tidies_up(&life, &mut rng);
        }
        let (running, mut host) = life.start();
        state = settle_after_cut(&mut host, state, unsure.take(), &models);
        check_answers(&mut host, &state, &mut rng);
        if kill == kills {
            let epoch = host.info().unwrap().flash_epoch;
            assert!(
                4 * steps > kills,
                "{steps} steps: the power went too early to tell"
            );
            println!(
                "{kills} kills, {steps} acknowledged steps, {tidyings} kills while it tidied up"
            );
            println!("epoch {epoch}, {state:?}");
            return;
        }
        let delay = longest.mul_f64(rng.random_range(0.05..3.0));
        let pid = running.pid();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(delay);
            Command::new("kill")
                .args(["-9", &pid.to_string()])
                .status()
                .unwrap();
        });
        let booted = state.model;
        while unsure.is_none() {
            fresh += 1;
            let step = random_step(&state, &mut rng, fresh);
            let begin = Instant::now();
            unsure = carry_out(&mut host, &step, &mut state);
            if unsure.is_none() {
                steps += 1;
                longest = longest.mul_f64(0.97).max(begin.elapsed());
            }
            // A model is used from the next start on: until then no other one is sent.
            if state.model != booted && unsure.is_none() {
                break;
            }
        }
        killer.join().unwrap();
        drop(running);
    }
}
