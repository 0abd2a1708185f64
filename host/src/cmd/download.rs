//! `onelook download`: Omniglot into the cache.

use std::path::PathBuf;

use tools::Progress;
use tools::cache::Cache;

use super::{Failure, Verdict};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Address of a folder that holds the three archives, instead of the project's own.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<Verdict, Failure> {
    println!("{}", fetch(args.mirror.as_deref())?.display());
    Ok(Verdict::Success)
}

/// Downloads what is missing and returns the folder.
pub(super) fn fetch(mirror: Option<&str>) -> Result<PathBuf, Failure> {
    let cache = Cache::open().map_err(Failure::work)?;
    tools::data::download(&cache, mirror, &Progress::stderr()).map_err(Failure::work)
}

/// The folder that [`fetch`] fills.
pub(super) fn folder() -> Result<PathBuf, Failure> {
    Ok(Cache::open().map_err(Failure::work)?.path("omniglot"))
}
