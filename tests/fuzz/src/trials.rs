//! A trials file of any bytes: what reaches a device over the wire.
//!
//! The first byte says whether the checksum is repaired. What is accepted is whole: every index
//! names an image, and writing it again gives the same trials.

use shared::episode_file::{EpisodeRepr, EpisodeView, TrialRepr};

use crate::repair_crc;

/// Bytes of trials and images that are looked at in full.
const MAX_COST: usize = 100_000;

/// The target.
pub fn run(bytes: &[u8]) {
    let Some((&repair, file)) = bytes.split_first() else {
        return;
    };
    if repair % 2 == 0 {
        look_at(file);
        return;
    }
    let mut file = file.to_vec();
    if let Some(len) = u32::try_from(file.len()).ok().map(u32::to_le_bytes)
        && let Some(field) = file.get_mut(8..12)
    {
        field.copy_from_slice(&len);
    }
    repair_crc(&mut file);
    look_at(&file);
}

fn look_at(file: &[u8]) {
    let episode = match EpisodeView::new_checked(file) {
        Ok(episode) => episode,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let supports = episode.n_way() * episode.k_shot();
    assert_eq!(episode.trials().count(), episode.n_trials());
    assert!(episode.image(episode.n_images()).is_none());
    if file.len() > MAX_COST {
        return;
    }
    for trial in episode.trials() {
        assert_eq!(trial.supports().count(), supports);
        for index in trial.supports().chain([trial.query()]) {
            let image = episode.image(index).map(<[u8]>::len);
            assert_eq!(image, Some(episode.image_shape().len()), "image {index}");
        }
    }
    assert_eq!(written_again(&episode), answers(&episode));
}

/// Query and supports of every trial.
type Answers = Vec<(usize, Vec<usize>)>;

fn answers(episode: &EpisodeView<'_>) -> Answers {
    let trials = episode.trials();
    trials
        .map(|trial| (trial.query(), trial.supports().collect()))
        .collect()
}

fn written_again(episode: &EpisodeView<'_>) -> Answers {
    let narrow = |index: usize| u16::try_from(index).expect("an index is a u16");
    let trials = answers(episode);
    let supports: Vec<Vec<u16>> = trials
        .iter()
        .map(|(_, supports)| supports.iter().copied().map(narrow).collect())
        .collect();
    let trials: Vec<_> = trials
        .iter()
        .zip(&supports)
        .map(|((query, _), supports)| TrialRepr {
            query: narrow(*query),
            supports,
        })
        .collect();
    let images: Vec<u8> = (0..episode.n_images())
        .flat_map(|index| episode.image(index).unwrap_or_default())
        .copied()
        .collect();
    let repr = EpisodeRepr {
        image: episode.image_shape(),
        images: &images,
        n_way: narrow(episode.n_way()),
        k_shot: narrow(episode.k_shot()),
        trials: &trials,
    };
    let mut file = vec![0xa5; repr.buffer_len().expect("it was read from a file")];
    repr.emit(&mut file).expect("it was read from a file");
    let again = EpisodeView::new_checked(&file).expect("the writer checks");
    for index in 0..episode.n_images() {
        assert_eq!(again.image(index), episode.image(index));
    }
    answers(&again)
}
