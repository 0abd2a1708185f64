//! Folders as people may have them.

use super::*;
use crate::engine::shared::Shared;
use crate::evaluate::evaluate;
use crate::glyphs;
use crate::quantize::QuantNet;
use crate::spec::NetSpec;
use crate::trials::{mixed, within_alphabet};

/// A glyph as a picture: dark on light, or light on dark.
fn write(path: &Path, drawing: &Drawing, light: bool) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Room around the mark, as whoever photographs it leaves.
    let (h, w) = (drawing.h + 20, drawing.w + 20);
    let mut pixels = vec![if light { 30 } else { 220 }; h * w];
    for (row, inked) in drawing.ink.chunks(drawing.w).enumerate() {
        for (column, ink) in inked.iter().enumerate().filter(|(_, ink)| **ink >= 128) {
            let _ = ink;
            pixels[(row + 10) * w + column + 10] = if light { 200 } else { 40 };
        }
    }
    let grey = Grey::new(h, w, pixels).unwrap();
    match path.extension().unwrap().to_str().unwrap() {
        "pgm" => std::fs::write(path, grey.to_pgm()).unwrap(),
        "png" => grey.write_png(path).unwrap(),
        _ => image::GrayImage::from_raw(w as u32, h as u32, grey.pixels)
            .unwrap()
            .save(path)
            .unwrap(),
    }
}

/// Two alphabets of four classes with three pictures each, in all formats and both polarities.
fn folder(depth: usize) -> tempfile::TempDir {
    let data = glyphs::synthetic(3, "evaluation", 2, 4);
    let folder = tempfile::tempdir().unwrap();
    for alphabet in data.alphabets.iter().take(depth) {
        for character in &alphabet.characters {
            let mut at = folder.path().to_owned();
            if depth > 1 {
                at.push(&alphabet.name);
            }
            at.push(&character.name);
            for (index, ending) in ["png", "pgm", "bmp"].into_iter().enumerate() {
                let path = at.join(format!("{index}.{ending}"));
                write(&path, &character.drawings[index], index == 1);
            }
        }
    }
    folder
}

#[test]
fn both_depths_are_data_sets_with_trials() {
    let flat = folder(1);
    let ImageFolder { dataset, remarks } = load(flat.path()).unwrap();
    assert_eq!((dataset.alphabets.len(), dataset.n_drawings()), (1, 12));
    assert_eq!(remarks, Vec::<String>::new());
    let deep = folder(2);
    let dataset = load(deep.path()).unwrap().dataset;
    assert_eq!((dataset.alphabets.len(), dataset.n_drawings()), (2, 24));
    let within = within_alphabet(&dataset, 4, 2, 10, 1).unwrap();
    let net = QuantNet::blank(&NetSpec::preset("nano").unwrap()).unwrap();
    let model = net.to_model_bytes("").unwrap();
    let shared = Shared::new(shared::model::ModelView::new_checked(&model).unwrap());
    for set in [within, mixed(&dataset, 8, 1, 10, 1).unwrap()] {
        assert_eq!(evaluate(&set, &shared).unwrap().mean.accuracy.trials, 10);
    }
}

/// Light on dark becomes the same ink as dark on light.
#[test]
fn polarity_is_found_for_each_picture() {
    let data = glyphs::synthetic(3, "evaluation", 1, 1);
    let folder = tempfile::tempdir().unwrap();
    let source = &data.alphabets[0].characters[0].drawings[0];
    let inks = [false, true].map(|light| {
        let path = folder.path().join(format!("{light}.png"));
        write(&path, source, light);
        drawing(&path).unwrap().0.ink
    });
    assert_eq!(inks[0], inks[1]);
    let full = inks[0].iter().filter(|ink| **ink == 255).count();
    let expected = source.ink.iter().filter(|ink| **ink >= 128).count();
    assert_eq!(full, expected);
}

#[test]
fn jpeg_is_read_and_may_be_large() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    let mut picture = image::GrayImage::from_pixel(1200, 900, image::Luma([230]));
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        if x.abs_diff(600) < 60 && y.abs_diff(450) < 300 {
            pixel.0 = [20];
        }
    }
    picture.save(&path).unwrap();
    let (drawing, remark) = drawing(&path).unwrap();
    assert!(drawing.h * drawing.w <= MAX_CAPTURE && drawing.w > drawing.h);
    assert_eq!(remark, None);
    assert_eq!(drawing.ink[drawing.h / 2 * drawing.w + drawing.w / 2], 255);
    assert_eq!(drawing.ink[0], 0);
}

#[test]
fn what_cannot_be_used_is_named() {
    let error = |change: &dyn Fn(&Path)| {
        let folder = folder(1);
        change(folder.path());
        load(folder.path()).unwrap_err().to_string()
    };
    let named = |error: String, words: &[&str]| {
        for word in words.iter().chain(&["next:"]) {
            assert!(error.contains(word), "`{word}` is not in: {error}");
        }
    };
    let first = Path::new("character01");
    let damage = |root: &Path| std::fs::write(root.join(first).join("0.png"), b"nothing").unwrap();
    named(error(&damage), &["character01", "0.png"]);
    let few = |root: &Path| {
        for file in ["0.png", "1.pgm"] {
            std::fs::remove_file(root.join(first).join(file)).unwrap();
        }
    };
    named(error(&few), &["character01", "1 pictures", "needs 2"]);
    let blank = |root: &Path| {
        let grey = Grey::new(30, 30, vec![200; 900]).unwrap();
        grey.write_png(&root.join(first).join("0.png")).unwrap();
    };
    named(error(&blank), &["character01", "0.png", "no mark"]);
    let twice = |root: &Path| {
        std::fs::copy(
            root.join(first).join("0.png"),
            root.join(first).join("9.png"),
        )
        .unwrap();
    };
    named(error(&twice), &["9.png", "0.png", "same picture"]);
    let both = |root: &Path| std::fs::create_dir(root.join(first).join("more")).unwrap();
    named(error(&both), &["character01", "pictures and folders"]);
    let empty = |root: &Path| std::fs::create_dir(root.join("empty")).unwrap();
    named(error(&empty), &["empty", "0 pictures"]);
    named(
        load(Path::new("/no/such/folder")).unwrap_err().to_string(),
        &["/no/such/folder"],
    );
    let nothing = tempfile::tempdir().unwrap();
    let error = load(nothing.path()).unwrap_err().to_string();
    named(error, &["holds no folders", "class/1.png"]);
}

#[test]
fn uneven_classes_are_remarked() {
    let folder = folder(1);
    std::fs::remove_file(folder.path().join("character02/2.bmp")).unwrap();
    let remarks = load(folder.path()).unwrap().remarks;
    assert!(remarks[0].contains("the first 2 of each"), "{remarks:?}");
}
