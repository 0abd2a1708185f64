//! A test taken by nobody in particular: what is asked, kept, shown and reported.

mod page;

use std::path::Path;

use icy_sixel::SixelImage;

use super::pictures::{BLOCKS, DOTS, Pictures, kitty, sixel, tile};
use super::questions::{Plan, Protocol, Questions};
use super::record::{Header, Record};
use super::report::Contestant;
use super::terminal::{self, Ending, Heard, Screen};
use super::*;
use crate::dataset::{Dataset, Drawing};
use crate::evaluate::alphabets::Catalogue;
use crate::glyphs;
use crate::plot::canvas::Picture;
use crate::trials::{lake20, within_alphabet};

const PLAN: Plan = Plan {
    protocol: Protocol::Within,
    n_way: 5,
    trials: 4,
    seed: 3,
};

fn data() -> Dataset {
    glyphs::synthetic(3, "evaluation", 2, 6)
}

fn questions(plan: Plan) -> Questions {
    let data = data();
    let pool = within_alphabet(&data, plan.n_way, 1, plan.trials, plan.seed).unwrap();
    Questions::choose(plan, &pool, &Catalogue::of(&data)).unwrap()
}

/// The right classes.
fn truths(questions: &Questions) -> Vec<usize> {
    let trials = questions.set().trials.iter();
    trials.map(|trial| trial.answer).collect()
}

/// A quiz against a model that always takes the first class.
fn quiz(path: &Path) -> Quiz {
    let questions = questions(PLAN);
    let record = match path.exists() {
        true => Record::resume(path, &questions),
        false => Record::create(path, Header::of(&questions, "synthetic")),
    };
    let contestant = Contestant {
        name: "first".into(),
        sha256: String::new(),
        choices: vec![0; PLAN.trials],
    };
    Quiz::new(questions, contestant, record.unwrap())
}

/// What the dialogue shows for these lines, and how it ends.
fn dialogue(quiz: &mut Quiz, feedback: bool, lines: &[String]) -> (Ending, String) {
    let mut screen = Screen {
        out: Vec::new(),
        columns: 80,
        pictures: Pictures::Dots,
        feedback,
    };
    let mut lines = lines.iter().cloned();
    let hear = || lines.next().map_or(Heard::End, Heard::Line);
    let ending = terminal::run(quiz, &mut screen, hear).unwrap();
    (ending, String::from_utf8(screen.out).unwrap())
}

#[test]
fn the_plan_decides_and_the_pool_is_not_exceeded() {
    let glyphs = glyphs::load(1);
    let names = Catalogue::of(&glyphs.evaluation);
    let pool = lake20(&glyphs.runs);
    let plan = |trials, seed| Plan {
        protocol: Protocol::Lake20,
        n_way: 20,
        trials,
        seed,
    };
    let all = Questions::choose(plan(400, 1), &pool, &names).unwrap();
    let again = Questions::choose(plan(400, 1), &pool, &names).unwrap();
    let other = Questions::choose(plan(400, 2), &pool, &names).unwrap();
    assert_eq!(all.fingerprint(), again.fingerprint());
    assert_ne!(all.fingerprint(), other.fingerprint());
    // Every trial once, with its truth where its name is, at every place.
    let mut places = [0; 20];
    for (trial, truth) in truths(&all).into_iter().enumerate() {
        places[truth] += 1;
        let query = names.place(all.query(trial).unwrap());
        assert_eq!(query.character, all.character(trial, truth));
        assert_eq!(query.alphabet, all.alphabet(trial));
        assert_eq!(all.classes(trial).len(), 20);
    }
    assert!(places.iter().all(|&count| count > 5), "{places:?}");
    let refused = Questions::choose(plan(401, 1), &pool, &names).unwrap_err();
    assert!(refused.to_string().contains("there are 400"), "{refused}");
}

#[test]
fn a_dialogue_is_kept_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quiz.jsonl");
    let truths = truths(&questions(PLAN));
    let wrong = (truths[1] + 1) % 5;
    let mut first = quiz(&path);
    let lines = ["?", "six", "0", "6"].map(str::to_owned);
    let lines: Vec<String> = lines
        .into_iter()
        .chain([truths[0], wrong].map(|class| (class + 1).to_string()))
        .collect();
    let (ending, shown) = dialogue(&mut first, true, &lines);
    assert_eq!(ending, Ending::Stopped);
    for words in [
        "4 trials, 5-way",
        "trial 3 of 4",
        "`six` is no answer",
        "`0` is",
        "`6` is",
        "--resume",
    ] {
        assert!(shown.contains(words), "`{words}` is not in {shown}");
    }
    assert!(
        shown.contains("Right.") && shown.contains(&format!("Wrong: it is {}.", truths[1] + 1))
    );
    // The path is as long as it is; a person's line ends the prompt's.
    let lines = shown
        .lines()
        .filter(|line| !line.starts_with("Answers go to"));
    let lines = lines.flat_map(|line| line.split(", ? for help): "));
    for line in lines {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let busy = Record::resume(&path, &questions(PLAN)).unwrap_err();
    assert!(busy.to_string().contains("is open in another quiz"));
    drop(first);

    let mut second = quiz(&path);
    assert_eq!((second.answered(), second.next()), (2, Some(2)));
    let lines: Vec<String> = truths[2..]
        .iter()
        .map(|class| (class + 1).to_string())
        .collect();
    let (ending, shown) = dialogue(&mut second, false, &lines);
    assert_eq!((ending, second.next()), (Ending::Done, None));
    assert!(!shown.contains("Right") && !shown.contains("Wrong"));

    let report = second.report();
    let (person, model) = (report.person.unwrap(), report.model.unwrap());
    let first_is_right = truths.iter().filter(|&&truth| truth == 0).count();
    assert_eq!((person.correct, person.trials), (3, 4));
    assert_eq!((model.correct, model.trials), (first_is_right, 4));
    let both = report.both;
    assert_eq!(
        both.both_right + both.only_person + both.only_model + both.both_wrong,
        4
    );
    assert_eq!(report.mistakes.len(), 1);
    assert_eq!(
        (report.mistakes[0].trial, report.mistakes[0].given),
        (2, wrong + 1)
    );
    let rows = &report.per_alphabet;
    assert_eq!(rows.iter().map(|row| row.trials).sum::<usize>(), 4);
    assert!(
        report
            .words()
            .contains("| you         | 3 of 4 | 75.0 %   | 30.1–95.4 %"),
        "{}",
        report.words()
    );
    assert!(report.median_seconds.is_some());
}

#[test]
fn nothing_answered_is_no_figure_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quiz.jsonl");
    let quiz = quiz(&path);
    let report = quiz.report();
    assert_eq!(
        (report.person, report.model, report.median_seconds),
        (None, None, None)
    );
    assert_eq!(report.words(), "No trial was answered.\n");
    quiz.record().discard_if_empty();
    assert!(!path.exists());
}

#[test]
fn a_damaged_record_is_refused_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quiz.jsonl");
    let truths = truths(&questions(PLAN));
    let mut quiz = quiz(&path);
    for (trial, &truth) in truths.iter().take(3).enumerate() {
        quiz.answer(trial, truth, 1.5).unwrap();
    }
    assert!(matches!(quiz.answer(1, 0, 1.0), Err(QuizError::Record(_))));
    assert!(matches!(
        quiz.answer(3, 5, 1.0),
        Err(QuizError::Class { .. })
    ));
    drop(quiz);
    let text = std::fs::read_to_string(&path).unwrap();
    let refused = |text: &str, words: &[&str]| {
        std::fs::write(&path, text).unwrap();
        let error = Record::header(&path).and_then(|_| Record::resume(&path, &questions(PLAN)));
        let error = error.unwrap_err().to_string();
        for word in words {
            assert!(error.contains(word), "`{word}` is not in {error}");
        }
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            text,
            "it is left as it was"
        );
    };
    refused("", &["line 1", "empty", "--record"]);
    refused("{}\n", &["line 1", "`format`"]);
    refused(
        &text.replace("onelook-quiz-1", "onelook-quiz-2"),
        &["line 1", "onelook-quiz-2"],
    );
    refused(
        &text.replace("\"sha256\":\"", "\"sha256\":\"0"),
        &["line 1", "`sha256`", "--data"],
    );
    let cut = text.trim_end().strip_suffix('}').unwrap();
    refused(cut, &["line 4", "cut off", "remove it"]);
    let twice = format!("{text}{}\n", text.lines().nth(1).unwrap());
    refused(&twice, &["line 5", "trial 1 is answered twice"]);
    refused(
        &text.replace("\"trial\":2", "\"trial\":9"),
        &["line 3", "`trial` is 9", "1 to 4"],
    );
    refused(
        &text.replace("\"trial\":2", "\"trial\":0"),
        &["line 3", "`trial` is 0"],
    );
    refused(
        &text.replace("\"given\":", "\"given\":7"),
        &["line 2", "`given`", "1 to 5"],
    );
    refused(
        &text.replace("\"truth\":", "\"truth\":7"),
        &["line 2", "`truth`"],
    );
    refused(&text.replace("1.5", "-1.5"), &["line 2", "`seconds`"]);

    // The fix that it names: without the line the trial is asked again. An editor may drop the last end.
    let without: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("\"trial\":2"))
        .collect();
    std::fs::write(&path, without.join("\n")).unwrap();
    let mut quiz = self::quiz(&path);
    assert_eq!((quiz.answered(), quiz.next()), (2, Some(1)));
    quiz.answer(1, truths[1], 2.0).unwrap();
    drop(quiz);
    assert_eq!(self::quiz(&path).answered(), 3);
}

/// A record tells the truth only of what is answered, and is never overwritten.
#[test]
fn a_record_does_not_betray() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quiz.jsonl");
    let mut quiz = quiz(&path);
    let header = std::fs::read_to_string(&path).unwrap();
    assert!(
        !header.contains("truth") && !header.contains("answer"),
        "{header}"
    );
    quiz.answer(0, 0, 1.0).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2);
    let questions = questions(PLAN);
    let again = Record::create(&path, Header::of(&questions, "synthetic"));
    assert!(again.unwrap_err().to_string().contains("--resume"));
}

#[test]
fn tiles_show_the_mark() {
    // A bar across the middle of a large paper, three pixels high.
    let mut ink = vec![0; 60 * 60];
    for y in 28..31 {
        ink[y * 60 + 10..y * 60 + 50].fill(255);
    }
    let bar = Drawing { h: 60, w: 60, ink };
    let dots = tile(&bar, DOTS, 12);
    assert_eq!((dots.len(), dots[0].chars().count()), (6, 12));
    let has_ink = |line: &String| line.chars().any(|c| c != '\u{2800}');
    // It may lie between two lines.
    let inked = dots.iter().filter(|line| has_ink(line)).count();
    assert!((1..=2).contains(&inked), "{dots:#?}");
    assert!(
        dots.iter().any(|line| !line.contains('\u{2800}')),
        "as wide as the tile: {dots:#?}"
    );
    let blocks = tile(&bar, BLOCKS, 12);
    let middle = blocks.iter().filter(|line| line.contains(['▀', '▄', '█']));
    assert!((1..=2).contains(&middle.count()), "{blocks:#?}");
    // No ink, and no pixels.
    for side in [0, 9] {
        let empty = Drawing {
            h: side,
            w: side,
            ink: vec![0; side * side],
        };
        assert!(!tile(&empty, DOTS, 12).iter().any(has_ink));
    }
}

#[test]
fn pictures_for_terminals_that_know_them() {
    let of = |is_terminal, variables: &[(&str, &str)]| {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Pictures::Auto.resolved(is_terminal, variable)
    };
    let kitten = [("TERM", "xterm-kitty")];
    assert_eq!(of(true, &kitten), Pictures::Kitty);
    assert_eq!(of(false, &kitten), Pictures::Dots);
    assert_eq!(of(true, &[kitten[0], ("TMUX", "1")]), Pictures::Dots);
    assert_eq!(of(true, &[("TERM", "xterm-256color")]), Pictures::Dots);
    assert_eq!(of(true, &[("TERM", "foot")]), Pictures::Sixel);
    let iterm = [("TERM", "xterm"), ("TERM_PROGRAM", "iTerm.app")];
    assert_eq!(of(true, &iterm), Pictures::Sixel);
    let sequence = kitty(&[0; 4000], 80);
    assert_eq!(sequence.matches("\x1b_G").count(), 2);
    assert!(
        sequence.starts_with("\x1b_Ga=T,f=100,q=2,c=80,m=1;") && sequence.contains("\x1b_Gm=0;")
    );
}

#[test]
fn sixels_are_the_picture() {
    // Ink, paper and a border, two sixels high.
    let (w, h) = (13, 12);
    let colour = |at: usize| match at % 3 {
        0 => [0, 0, 0],
        1 => [255, 255, 255],
        _ => [0, 102, 204],
    };
    let rgb: Vec<u8> = (0..w * h).flat_map(colour).collect();
    let picture = Picture {
        size: [w as u32, h as u32],
        rgb,
    };
    let shown = SixelImage::decode(sixel(&picture).unwrap().as_bytes()).unwrap();
    assert_eq!((shown.width, shown.height), (w, h));
    let pixels = shown.pixels.chunks(4).map(|rgba| &rgba[..3]);
    for (shown, meant) in pixels.zip(picture.rgb.chunks(3)) {
        // Sixels have colours in percent.
        let near = shown.iter().zip(meant).all(|(a, b)| a.abs_diff(*b) <= 3);
        assert!(near, "{shown:?} is not {meant:?}");
    }
}
