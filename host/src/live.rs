//! The live page: a device in a browser.
//!
//! In: how to open the line to a device, and where to listen. Out: one page without external assets,
//! which shows what the device saw last, what the network sees of it and how alike every class is, and
//! teaches it. Browsers ask over HTTP; one thread has the line and does one thing after the other.
//!
//! | module      | what it is                                                       |
//! |-------------|------------------------------------------------------------------|
//! | [`state`]   | what the page shows                                              |
//! | `keeper`    | the thread that has the line                                     |
//! | `seen`      | what the network sees of a picture                               |
//! | [`trouble`] | what may go wrong, in words for who sits before the page         |
//! | `web`       | requests and answers                                             |
//! | `page.html` | the page                                                         |

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use crate::device::{Pace, PortError};
use crate::page_server::{PageServer, ServeError};

mod keeper;
mod seen;
pub mod state;
#[cfg(test)]
mod tests;
pub mod trouble;
mod web;

pub use seen::KnownModel;

use keeper::Keeper;
use state::State;

/// What may wait for the device beside what it is doing, so that an answerer is always left.
const WAITING: usize = 2;

/// What a page is made for.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The device's port, as it is shown.
    pub port: String,
    /// How often a request is repeated.
    pub pace: Pace,
    /// Models whose framing is known.
    pub models: Vec<KnownModel>,
}

/// A page that is being served, until it is let go.
#[derive(Debug)]
pub struct Live(PageServer);

impl Live {
    /// Serves the page at `listen`. `open` opens the line to the device: now, and again after it was lost.
    ///
    /// # Errors
    /// [`ServeError`] when nothing can be served. A device that does not answer is shown in the page.
    pub fn start<S: Read + Write + 'static>(
        listen: SocketAddr,
        setup: Setup,
        open: impl FnMut() -> Result<S, PortError> + Send + 'static,
    ) -> Result<Self, ServeError> {
        let state = Arc::new(Mutex::new(State::new(setup.port.clone())));
        let (tasks, due) = sync_channel(WAITING);
        let kept = Arc::clone(&state);
        // With the last answerer it has nobody to serve, and ends.
        let answerer = web::Answerer { state, tasks };
        let server = PageServer::start(listen, move |request| answerer.answer(request))?;
        let keeper = std::thread::Builder::new().name("live".into());
        // Made there: a client never leaves its thread.
        keeper.spawn(move || Keeper::new(open, setup, kept).run(&due))?;
        Ok(Self(server))
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// What to type into a browser of this computer.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.url()
    }
}
