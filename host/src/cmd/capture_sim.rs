//! `onelook capture-sim`: a folder of simulated captures, to look at or to try a device with.

use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::args::{DataArgs, Half};
use super::{Failure, Verdict};
use crate::capture_sim::{self, SEED};
use crate::dataset::Character;
use crate::files::create_folder;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data: DataArgs,
    /// Which alphabets of the data set.
    #[arg(long, value_enum, default_value_t = Half::Evaluation)]
    alphabets: Half,
    /// Folder to write DIR/alphabet/character/01.png … to, which `onelook evaluate --images` reads.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Drawers of each character: one capture each.
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    drawers: u16,
    /// Seed of the scenes.
    #[arg(long, default_value_t = SEED)]
    seed: u64,
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    let dataset = args.alphabets.of(&args.data.open()?)?;
    let mut written = 0;
    for alphabet in &dataset.alphabets {
        for character in &alphabet.characters {
            let folder = args.out.join(&alphabet.name).join(&character.name);
            written += write(args, character, &folder, written)?;
        }
    }
    println!("{written} captures in {}", args.out.display());
    Ok(Verdict::Success)
}

/// The captures of one character; `number` keys their scenes.
fn write(
    args: &Args,
    character: &Character,
    folder: &Path,
    number: usize,
) -> Result<usize, Failure> {
    create_folder(folder).map_err(Failure::work)?;
    let drawings = character.drawings.iter().take(args.drawers.into());
    for (drawer, drawing) in drawings.clone().enumerate() {
        let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
        rng.set_stream((number + drawer) as u64);
        let capture = capture_sim::capture(drawing, &mut rng);
        let file = folder.join(format!("{:02}.png", drawer + 1));
        capture.write_png(&file).map_err(Failure::work)?;
    }
    Ok(drawings.len())
}
