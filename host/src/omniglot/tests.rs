use std::fs;
use std::io::Write;

use super::*;

/// A 2×2 one-bit PNG whose top left pixel is ink.
fn png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 2, 2);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().unwrap();
    writer
        .write_image_data(&[0b0100_0000, 0b1100_0000])
        .unwrap();
    writer.finish().unwrap();
    bytes
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn zip(path: &Path, names: &[&str]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(fs::File::create(path).unwrap());
    for name in names {
        zip.start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(&png()).unwrap();
    }
    zip.finish().unwrap();
    fs::read(path).unwrap()
}

const NAMES: [&str; 4] = [
    "images_background/Greek/character01/0001_01.png",
    "images_background/Greek/character01/0001_02.png",
    "images_background/Greek/character02/0002_01.png",
    "images_background/Greek/character02/0002_02.png",
];

#[test]
fn folder_and_archive_give_the_same() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    zip(&a.path().join("images_background.zip"), &NAMES);
    for name in NAMES {
        write(&b.path().join(name), &png());
    }
    let zipped = load_background(&Source::open(a.path()).unwrap()).unwrap();
    let plain = load_background(&Source::open(b.path()).unwrap()).unwrap();
    assert_eq!(zipped, plain);
    assert_eq!(zipped.alphabets[0].characters[1].name, "character02");
    assert_eq!(
        zipped.alphabets[0].characters[1].drawings[1].ink,
        [255, 0, 0, 0]
    );
}

#[test]
fn truncated_archive_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images_background.zip");
    let bytes = zip(&path, &NAMES);
    for len in [0, 10, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&path, &bytes[..len]).unwrap();
        let error = load_background(&Source::open(&path).unwrap()).unwrap_err();
        assert!(
            matches!(&error, DataError::Archive { path: at, .. } if *at == path),
            "{error}"
        );
    }
}

#[test]
fn damaged_image_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join(NAMES[0]), b"not a png");
    let error = load_background(&Source::open(folder.path()).unwrap())
        .unwrap_err()
        .to_string();
    assert!(error.contains("0001_01.png"), "{error}");
}

#[test]
fn missing_drawing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    zip(&folder.path().join("images_background.zip"), &NAMES[..3]);
    let error = load_background(&Source::open(folder.path()).unwrap())
        .unwrap_err()
        .to_string();
    assert!(error.contains("character02 holds 1 drawings"), "{error}");
}

#[test]
fn folder_without_images() {
    let folder = tempfile::tempdir().unwrap();
    let error = Source::open(folder.path()).unwrap_err();
    assert!(matches!(error, DataError::NotOmniglot { .. }), "{error}");
    fs::create_dir(folder.path().join("images_background")).unwrap();
    let error = load_background(&Source::open(folder.path()).unwrap()).unwrap_err();
    assert!(matches!(error, DataError::NoImages { .. }), "{error}");
    let error = load_runs(&Source::open(folder.path()).unwrap()).unwrap_err();
    assert!(
        matches!(error, DataError::Part { part: RUNS, .. }),
        "{error}"
    );
}

#[test]
fn a_named_place_wins_and_must_hold_data() {
    let (good, empty) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    zip(&good.path().join("images_background.zip"), &NAMES);
    let places = |data: Option<&Path>, variable: Option<&Path>, downloaded: &Path| Places {
        data: data.map(Path::to_path_buf),
        variable: variable.map(Path::to_path_buf),
        downloaded: downloaded.into(),
    };
    let (good, empty) = (good.path(), empty.path());
    assert_eq!(
        places(Some(good), Some(empty), empty)
            .locate()
            .unwrap()
            .folder(),
        good
    );
    assert_eq!(
        places(None, Some(good), empty).locate().unwrap().folder(),
        good
    );
    assert_eq!(places(None, None, good).locate().unwrap().folder(), good);
    assert!(matches!(
        places(Some(empty), None, good).locate(),
        Err(DataError::NotOmniglot { .. })
    ));
    assert!(matches!(
        places(None, None, empty).locate(),
        Err(DataError::NotFound { .. })
    ));
}

#[test]
fn runs_answer_with_the_class_of_the_query() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("all_runs/run01");
    for name in [
        "training/class01.png",
        "training/class02.png",
        "test/item01.png",
        "test/item02.png",
    ] {
        write(&run.join(name), &png());
    }
    let labels = "run01/test/item01.png run01/training/class02.png\nrun01/test/item02.png run01/training/class01.png\n";
    write(&run.join("class_labels.txt"), labels.as_bytes());
    let runs = load_runs(&Source::open(folder.path()).unwrap()).unwrap();
    assert_eq!(
        (runs.len(), runs[0].support.len(), runs[0].queries.len()),
        (1, 2, 2)
    );
    assert_eq!(runs[0].answers, [1, 0]);
    write(
        &run.join("class_labels.txt"),
        b"run01/test/item01.png run01/training/class09.png\n",
    );
    let error = load_runs(&Source::open(folder.path()).unwrap()).unwrap_err();
    assert!(matches!(error, DataError::Labels { .. }), "{error}");
}
