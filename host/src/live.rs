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
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use crate::device::{Pace, PortError};

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

/// Threads that answer browsers: while some wait for the device, others show what is known.
const ANSWERERS: usize = 4;
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

/// The page cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The address is taken, or none of this computer's.
    #[error("cannot listen at {address}: {source}\nnext: use --listen 127.0.0.1:0 for a free port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start to serve: {0}\nnext: close other programs and try again")]
    Start(#[from] std::io::Error),
}

/// A page that is being served, until it is let go.
#[derive(Debug)]
pub struct Live {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Live {
    /// Serves the page at `listen`. `open` opens the line to the device: now, and again after it was lost.
    ///
    /// # Errors
    /// [`LiveError`] when nothing can be served. A device that does not answer is shown in the page.
    pub fn start<S: Read + Write + 'static>(
        listen: SocketAddr,
        setup: Setup,
        open: impl FnMut() -> Result<S, PortError> + Send + 'static,
    ) -> Result<Self, LiveError> {
        let failed = |source| LiveError::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let server = tiny_http::Server::from_listener(listener, None)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        let server = Arc::new(server);
        let state = Arc::new(Mutex::new(State::new(setup.port.clone())));
        let (tasks, due) = sync_channel(WAITING);
        let builder = || std::thread::Builder::new().name("live".into());
        let kept = Arc::clone(&state);
        // Made there: a client never leaves its thread.
        builder().spawn(move || Keeper::new(open, setup, kept).run(&due))?;
        let stop = Arc::new(AtomicBool::new(false));
        for _ in 0..ANSWERERS {
            let answerer = web::Answerer {
                server: Arc::clone(&server),
                state: Arc::clone(&state),
                tasks: tasks.clone(),
                stop: Arc::clone(&stop),
            };
            builder().spawn(move || answerer.run())?;
        }
        Ok(Self { address, stop })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to type into a browser of this computer.
    #[must_use]
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}/")
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // The answerers end, and with the last of them the keeper has nobody to serve.
        self.stop.store(true, Ordering::SeqCst);
    }
}
