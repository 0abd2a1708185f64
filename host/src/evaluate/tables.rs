//! [`Figures`] as a page for people: Markdown tables.
//!
//! In: figures. Out: text. Accuracy against N is one table for each task, everything else a row.

use std::fmt::Write;

use comfy_table::{Table, presets::ASCII_MARKDOWN};

use super::figures::{Agreement, Curve, Figure, Figures, Shots, Task};
use crate::report::{Row, accuracy_table, open_set_table};

/// All tables that have something to say.
#[must_use]
pub fn page(figures: &Figures) -> String {
    let mut parts = Vec::new();
    let on_curve = |figure: &&Figure| figures.curves.iter().any(|curve| has(curve, figure));
    let rows: Vec<Row> = figures
        .figures
        .iter()
        .filter(|f| !on_curve(f))
        .map(row)
        .collect();
    if !rows.is_empty() {
        parts.push(accuracy_table(&rows));
    }
    let mut tasks: Vec<Task> = Vec::new();
    for curve in &figures.curves {
        if !tasks.contains(&curve.task) {
            tasks.push(curve.task);
            parts.push(curve_table(figures, curve.task));
        }
    }
    parts.extend(alphabet_tables(&figures.figures));
    if !figures.agreement.is_empty() {
        parts.push(agreement_lines(&figures.agreement));
    }
    if !figures.open_set.is_empty() {
        parts.push(open_set_table(&figures.open_set));
    }
    parts.join("\n\n")
}

fn has(curve: &Curve, figure: &Figure) -> bool {
    (curve.task, curve.k_shot, curve.shots, &curve.by)
        == (figure.task, figure.k_shot, figure.shots, &figure.by)
}

fn row(figure: &Figure) -> Row {
    Row {
        protocol: figure.protocol.clone(),
        engine: named(&figure.by, figure.shots),
        accuracy: figure.accuracy,
        ties: figure.ties,
    }
}

fn named(by: &str, shots: Shots) -> String {
    match shots {
        Shots::One => by.to_owned(),
        Shots::Mean => format!("{by}, mean of shots"),
        Shots::Best => format!("{by}, best shot"),
        Shots::Device => format!("{by}, as a device pools shots"),
    }
}

/// A row for each number of classes, a column for each curve of the task.
fn curve_table(figures: &Figures, task: Task) -> String {
    let curves = figures.curves.iter().filter(|curve| curve.task == task);
    let curves: Vec<&Curve> = curves.collect();
    let points = curves.iter().flat_map(|curve| &curve.points);
    let mut ways: Vec<[usize; 3]> = points
        .map(|point| [point.n_way, point.alphabets, point.accuracy.trials])
        .collect();
    ways.sort_unstable();
    ways.dedup_by_key(|[n_way, ..]| *n_way);
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let heads = ["N", "alphabets", "trials", "chance"].map(str::to_owned);
    let columns = curves.iter().map(|curve| {
        let plural = if curve.k_shot == 1 { "shot" } else { "shots" };
        format!(
            "{}, {} {plural}",
            named(&curve.by, curve.shots),
            curve.k_shot
        )
    });
    table.set_header(heads.into_iter().chain(columns));
    for [n_way, alphabets, trials] in ways {
        let cells = curves.iter().map(|curve| {
            let point = curve.points.iter().find(|point| point.n_way == n_way);
            point.map_or_else(|| "–".to_owned(), |point| point.accuracy.to_string())
        });
        let chance = format!("{:.1} %", 100.0 / n_way as f64);
        let heads = [
            n_way.to_string(),
            alphabets.to_string(),
            trials.to_string(),
            chance,
        ];
        table.add_row(heads.into_iter().chain(cells));
    }
    let title = match task {
        Task::LakeWithinAlphabet | Task::WithinAlphabet => "within alphabet",
        Task::MixedAlphabets => "mixed alphabets",
        Task::AllCharacters => "all characters",
    };
    format!("Accuracy against N, {title}:\n\n{table}")
}

/// For each set of trials a row for each alphabet, a column for whoever decided.
fn alphabet_tables(figures: &[Figure]) -> Vec<String> {
    let mut protocols: Vec<&str> = Vec::new();
    for figure in figures
        .iter()
        .filter(|figure| !figure.per_alphabet.is_empty())
    {
        if !protocols.contains(&figure.protocol.as_str()) {
            protocols.push(&figure.protocol);
        }
    }
    protocols
        .into_iter()
        .map(|protocol| alphabet_table(figures, protocol))
        .collect()
}

fn alphabet_table(figures: &[Figure], protocol: &str) -> String {
    let columns: Vec<&Figure> = figures.iter().filter(|f| f.protocol == protocol).collect();
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    let names = columns.iter().map(|figure| named(&figure.by, figure.shots));
    let heads = ["alphabet", "trials"].map(str::to_owned);
    table.set_header(heads.into_iter().chain(names));
    let first = columns
        .first()
        .map_or(&[][..], |figure| &figure.per_alphabet);
    for (place, alphabet) in first.iter().enumerate() {
        // Every column is over the same trials, so over the same alphabets.
        let cells = columns
            .iter()
            .filter_map(|figure| figure.per_alphabet.get(place));
        let cells = cells.map(|cell| cell.accuracy.to_string());
        let heads = [
            alphabet.alphabet.clone(),
            alphabet.accuracy.trials.to_string(),
        ];
        table.add_row(heads.into_iter().chain(cells));
    }
    format!("By alphabet of the query, {protocol}:\n\n{table}")
}

fn agreement_lines(agreement: &[Agreement]) -> String {
    let mut text = "Compared with shared, trial by trial:\n".to_owned();
    for compared in agreement {
        let Agreement {
            protocol,
            engine,
            trials,
            differing_decisions,
            ..
        } = compared;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n- {engine}, {protocol}: {differing_decisions} of {trials} decisions differ"
        );
        let _ = match compared.differing_logits {
            Some(logits) => write!(text, ", {logits} trials have a differing logit"),
            None => {
                let [drop, error] = compared.drop().map(|share| 100.0 * share);
                write!(
                    text,
                    ", shared is right in {drop:.2} ± {error:.2} points fewer"
                )
            }
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::figures::{AlphabetFigure, FORMAT, Kind, curves};
    use crate::trials::Accuracy;

    fn figure(n_way: usize, k_shot: usize, by: &str) -> Figure {
        let accuracy = Accuracy::of(90 + n_way, 100);
        Figure {
            protocol: format!("within_alphabet_{n_way}way_{k_shot}shot"),
            task: Task::WithinAlphabet,
            n_way,
            k_shot,
            alphabets: 20,
            characters: 100,
            by: by.to_owned(),
            kind: Kind::Engine,
            shots: Shots::One,
            chance: 1.0 / n_way as f64,
            accuracy,
            ties: None,
            per_alphabet: vec![AlphabetFigure {
                alphabet: "Angelic".to_owned(),
                accuracy,
            }],
        }
    }

    #[test]
    fn figures_are_rows_curves_and_alphabets() {
        let all = vec![figure(2, 1, "a"), figure(5, 1, "a"), figure(5, 5, "b")];
        let figures = Figures {
            format: FORMAT.to_owned(),
            version: String::new(),
            model_sha256: String::new(),
            data: "omniglot".to_owned(),
            alphabets: "evaluation".to_owned(),
            seed: 1,
            curves: curves(&all),
            figures: all,
            agreement: vec![Agreement {
                protocol: "p".to_owned(),
                engine: "device".to_owned(),
                trials: 400,
                differing_decisions: 0,
                differing_logits: Some(0),
                right_by_shared_only: 0,
                right_by_engine_only: 0,
            }],
            timings: Vec::new(),
            skipped: Vec::new(),
            open_set: Vec::new(),
            confusions: Vec::new(),
        };
        let page = page(&figures);
        let has = |words: &str| assert!(page.contains(words), "`{words}` is not in:\n{page}");
        has("| within_alphabet_5way_5shot | b ");
        assert!(
            !page.contains("| within_alphabet_2way_1shot | a "),
            "{page}"
        );
        has("| N | alphabets | trials | chance | a, 1 shot");
        has("| 2 | 20        | 100    | 50.0 % | 92.00 % ± 2.71 |");
        has("| Angelic  | 100 ");
        has("device, p: 0 of 400 decisions differ, 0 trials have a differing logit");
        // What is written is read again; reals may lose their last bit on the way.
        let json = serde_json::to_string(&figures).unwrap();
        let read: Figures = serde_json::from_str(&json).unwrap();
        assert_eq!(read.agreement, figures.agreement);
        assert_eq!(read.curves[0].points[1].accuracy.correct, 95);
        assert_eq!(super::page(&read), page);
    }
}
