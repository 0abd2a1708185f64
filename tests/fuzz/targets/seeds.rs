//! Writes the seeds into `corpus/<target>/`, beside the manifest.
//!
//! In: nothing. Out: the files of [`fuzz::seeds`]; others in those folders are removed.

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    for seed in fuzz::seeds::all() {
        let target = folder.join(seed.target);
        fs::create_dir_all(&target)?;
        fs::write(target.join(seed.name), seed.bytes)?;
    }
    Ok(())
}
