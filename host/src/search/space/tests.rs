//! Search spaces as people write them, right and wrong.

use super::*;

fn koch() -> Config {
    Config::preset("koch").unwrap()
}

fn parse(entries: &str) -> Result<Space, SpaceError> {
    Space::parse(&format!("parameters = [\n{entries}\n]"), &koch())
}

#[track_caller]
fn refused(entry: &str, words: &[&str]) {
    let error = parse(entry).unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

#[test]
fn values_reach_their_fields() {
    let space = parse(
        r#"
        { field = "train.learning_rate", kind = "log", low = 1e-4, high = 1e-1 },
        { field = "pairs.optimizer.layers[2].momentum", kind = "linear", low = 0, high = 0.9 },
        { field = "network.layers[0].kernel", kind = "integer", low = 3, high = 20 },
        { field = "pairs.init", kind = "choice", values = ["he", "koch"] },
        { field = "train.dropout", kind = "linear", low = 0.0, high = 0.5 },
        "#,
    )
    .unwrap();
    let values = [
        Value::Real(0.02),
        Value::Real(0.3),
        Value::Whole(12),
        Value::Word("he".to_owned()),
        Value::Real(0.25),
    ];
    let config = space.configured(&koch(), &values).unwrap();
    assert!((config.train.learning_rate - 0.02).abs() < 1e-12);
    assert!((config.train.dropout - 0.25).abs() < 1e-12);
    let pairs = config.pairs.unwrap();
    assert_eq!(pairs.init, crate::config::Init::He);
    let PairOptimizer::Momentum { layers, .. } = pairs.optimizer else {
        panic!("no momentum")
    };
    // The others start as the common rule.
    assert!(layers.iter().all(|rule| rule.learning_rate == 0.02));
    let momenta: Vec<f64> = layers.iter().map(|rule| rule.momentum).collect();
    assert_eq!(momenta, [0.9, 0.9, 0.3, 0.9, 0.9, 0.9]);
    assert_eq!(config.preset, "custom");
    let labels = ["learning_rate", "momentum", "kernel", "init", "dropout"];
    assert_eq!(space.labels(), labels);
}

#[test]
fn what_does_not_fit_is_a_misfit() {
    let space = parse(
        r#"{ field = "network.layers[6].kernel", kind = "integer", low = 3, high = 20 },
        { field = "network.layers[4].kernel", kind = "integer", low = 3, high = 20 }"#,
    )
    .unwrap();
    assert_eq!(space.labels(), ["layers[6].kernel", "layers[4].kernel"]);
    assert!(
        space
            .configured(&koch(), &[Value::Whole(4), Value::Whole(4)])
            .is_ok()
    );
    let misfit = space
        .configured(&koch(), &[Value::Whole(20), Value::Whole(20)])
        .unwrap_err();
    assert!(misfit.0.contains("network.layers[6]"), "{misfit:?}");
}

#[test]
fn an_unknown_field_is_named_with_the_nearest() {
    let entry = |field: &str| {
        format!("{{ field = \"{field}\", kind = \"linear\", low = 0.1, high = 0.2 }}")
    };
    refused(
        &entry("train.learning_rat"),
        &[
            "parameters[0] (train.learning_rat)",
            "`train.learning_rate`",
        ],
    );
    // It is left out of the configuration where it has its default.
    refused(&entry("train.dropuot"), &["`train.dropout`"]);
    refused(&entry("pairs.optimiser.l2"), &["`pairs.optimizer.l2`"]);
    refused(
        &entry("network.layers[99].c_out"),
        &["no such field", "network.layers["],
    );
    refused(&entry("network.layers[1].c_out"), &["no such field"]);
    refused(&entry("learning_rate"), &["`train.learning_rate`"]);
    refused(&entry("train"), &["a table, not a value"]);
}

#[test]
fn a_wrong_kind_is_named() {
    let entry = |field: &str, rest: &str| format!("{{ field = \"{field}\", {rest} }}");
    let rate = |rest: &str| entry("train.learning_rate", rest);
    refused(
        &rate("kind = \"lgo\", low = 0.1, high = 0.2"),
        &["kind `lgo`", "nearest one is `log`"],
    );
    refused(&rate("kind = \"log\", low = 0, high = 0.2"), &["above 0"]);
    refused(
        &rate("kind = \"linear\", low = 0.2, high = 0.2"),
        &["0.2 to 0.2 is no range"],
    );
    refused(
        &rate("kind = \"linear\", low = 0.2"),
        &["kind `linear` needs high"],
    );
    refused(
        &rate("kind = \"linear\", low = 0.2, high = 0.3, step = 1"),
        &["step means nothing"],
    );
    refused(
        &rate("kind = \"linear\", low = 0.2, high = 30"),
        &["30 is out of range", "at most 1"],
    );
    refused(
        &rate("kind = \"choice\", values = [0.1]"),
        &["less than two"],
    );
    refused(
        &rate("kind = \"choice\", values = [0.1, \"a\"]"),
        &["takes numbers, not a"],
    );
    refused(
        &rate("kind = \"linear\", lwo = 0.2, high = 1"),
        &["nearest valid field is `low`"],
    );
    let kernel = |rest: &str| entry("network.layers[0].kernel", rest);
    refused(
        &kernel("kind = \"log\", low = 3, high = 20"),
        &["whole numbers", "kind `integer`"],
    );
    refused(
        &kernel("kind = \"integer\", low = 3.5, high = 20"),
        &["3.5 is no whole number"],
    );
    refused(
        &kernel("kind = \"integer\", low = 3, high = 5, step = 3"),
        &["less than two"],
    );
    refused(
        &kernel("kind = \"integer\", low = 3, high = 5, step = 0"),
        &["at least 1"],
    );
    refused(
        &entry("pairs.init", "kind = \"linear\", low = 0, high = 1"),
        &["words", "kind `choice`"],
    );
    refused(
        &entry("pairs.init", "kind = \"choice\", values = [\"he\", \"hi\"]"),
        &["does not take hi"],
    );
    refused("", &["parameters is empty"]);
}

/// What trials are compared by is not for them to choose.
#[test]
fn the_objective_stays() {
    let entry = |field: &str, values: &str| {
        format!("{{ field = \"{field}\", kind = \"choice\", values = [{values}] }}")
    };
    refused(
        &entry("pairs.split", "\"held_out\", \"paper\""),
        &["evaluation alphabets"],
    );
    refused(&entry("train.steps", "100, 200"), &["--rungs"]);
    let twice = entry("train.learning_rate", "0.1, 0.2");
    refused(&format!("{twice},\n{twice}"), &["parameters[1]", "twice"]);
}

#[test]
fn a_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("space.toml");
    std::fs::write(&path, "parameters = []").unwrap();
    let error = Space::read(&path, &koch()).unwrap_err().to_string();
    assert!(error.contains("space.toml: parameters is empty"), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = Space::read(&path, &koch()).unwrap_err().to_string();
    assert!(error.contains("space.toml: No such file"), "{error}");
}
