//! The test on a page in a browser.
//!
//! In: a [`Quiz`], and where to listen. Out: one page without external assets, which asks trial after
//! trial; pictures come inside of the answer, so that all of a trial appear at once and no address betrays
//! one. The time of an answer is taken here, from when its trial was sent first.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use tiny_http::{Method, Request};

use super::questions::Plan;
use super::record::RecordError;
use super::report::Report;
use super::{Judgement, Quiz, QuizError};
use crate::dataset::Drawing;
use crate::device::images::Grey;
use crate::page_server::{
    self, PageServer, Reply, ServeError, body, check_caller, json, refusal, typed,
};

/// The page; its style and its script are in it.
pub(super) const PAGE: &str = include_str!("page.html");

/// A quiz that is being served, until it is let go.
#[derive(Debug)]
pub struct Web {
    server: PageServer,
    desk: Arc<Mutex<Desk>>,
}

/// The quiz, and what its page is doing.
#[derive(Debug)]
struct Desk {
    quiz: Quiz,
    feedback: bool,
    /// The trial that was sent first at this time.
    sent: Option<(usize, Instant)>,
    /// Whether the person stopped.
    stopped: bool,
}

impl Web {
    /// Serves the quiz at `listen`. With `feedback` an answer is told to be right or wrong.
    ///
    /// # Errors
    /// [`ServeError`] when nothing can be served there.
    pub fn start(listen: SocketAddr, quiz: Quiz, feedback: bool) -> Result<Self, ServeError> {
        let desk = Arc::new(Mutex::new(Desk {
            quiz,
            feedback,
            sent: None,
            stopped: false,
        }));
        let asked = Arc::clone(&desk);
        let server = PageServer::start(listen, move |request| {
            reply(&asked, request)
                .unwrap_or_else(|trouble| refusal(trouble.status(), &trouble.notice()))
        })?;
        Ok(Self { server, desk })
    }

    /// What serves it.
    #[must_use]
    pub const fn server(&self) -> &PageServer {
        &self.server
    }

    /// Whether all is answered, or the person stopped.
    #[must_use]
    pub fn is_done(&self) -> bool {
        locked(&self.desk).is_done()
    }

    /// Person beside model, on what was answered.
    #[must_use]
    pub fn report(&self) -> Report {
        locked(&self.desk).quiz.report()
    }

    /// Removes a record in which nothing is answered.
    pub fn discard_if_empty(&self) {
        locked(&self.desk).quiz.record().discard_if_empty();
    }
}

/// The desk, also after a thread that had it has ended badly: every change of it is one step.
fn locked(desk: &Mutex<Desk>) -> MutexGuard<'_, Desk> {
    desk.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where the quiz stands.
#[derive(Serialize)]
struct State {
    task: String,
    plan: Plan,
    answered: usize,
    feedback: bool,
    done: bool,
    record: String,
    /// Only when it is done: before, it would tell about answers.
    report: Option<Report>,
}

/// A trial without its answer; trials and classes count from 1.
#[derive(Serialize)]
struct Asked {
    trial: usize,
    query: String,
    classes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    trial: usize,
    given: usize,
}

/// What an answer was worth, where that is told.
#[derive(Serialize)]
struct Told {
    truth: usize,
    model: usize,
    words: String,
}

#[derive(Serialize)]
struct Answered {
    #[serde(flatten)]
    state: State,
    told: Option<Told>,
}

/// A request is read before the desk is taken: who sends slowly must keep nobody waiting.
fn reply(desk: &Mutex<Desk>, request: &mut Request) -> Result<Reply, Trouble> {
    check_caller(request)?;
    let url = request.url().to_owned();
    let path = url.split('?').next().unwrap_or(&url);
    match (request.method(), path) {
        (Method::Get, "/") => Ok(typed("text/html; charset=utf-8", PAGE.into())),
        (Method::Get, "/api/state") => Ok(json(&locked(desk).state())),
        (Method::Get, "/api/trial") => Ok(json(&locked(desk).trial()?)),
        (Method::Post, "/api/answer") => {
            let given = body(request)?;
            Ok(json(&locked(desk).answer(&given)?))
        }
        (Method::Post, "/api/stop") => Ok(json(&locked(desk).stop(true))),
        (Method::Post, "/api/go-on") => Ok(json(&locked(desk).stop(false))),
        (method, _) => Err(Trouble::Nowhere(format!("{method} {path}"))),
    }
}

impl Desk {
    fn stop(&mut self, stopped: bool) -> State {
        self.stopped = stopped;
        self.sent = None;
        self.state()
    }

    fn is_done(&self) -> bool {
        self.stopped || self.quiz.next().is_none()
    }

    fn state(&self) -> State {
        let plan = self.quiz.questions().plan();
        let done = self.is_done();
        State {
            task: self.quiz.task(),
            plan,
            answered: self.quiz.answered(),
            feedback: self.feedback,
            done,
            record: self.quiz.record().path().display().to_string(),
            report: done.then(|| self.quiz.report()),
        }
    }

    fn trial(&mut self) -> Result<Asked, Trouble> {
        let trial = match self.quiz.next() {
            Some(trial) if !self.stopped => trial,
            _ => return Err(Trouble::Done),
        };
        let questions = self.quiz.questions();
        let query = questions.query(trial).ok_or(Trouble::Done)?;
        let classes = questions.classes(trial);
        let asked = Asked {
            trial: trial + 1,
            query: picture(query)?,
            classes: classes.into_iter().map(picture).collect::<Result<_, _>>()?,
        };
        if self.sent.is_none_or(|(sent, _)| sent != trial) {
            self.sent = Some((trial, Instant::now()));
        }
        Ok(asked)
    }

    fn answer(&mut self, given: &Given) -> Result<Answered, Trouble> {
        let sent = self.sent.filter(|(trial, _)| trial + 1 == given.trial);
        let (trial, since) = sent.ok_or(Trouble::NotAsked(given.trial))?;
        let class = given.given.wrapping_sub(1);
        let seconds = since.elapsed().as_secs_f64();
        let judged = self.quiz.answer(trial, class, seconds)?;
        self.sent = None;
        let Judgement { truth, model, .. } = judged;
        let told = self.feedback.then(|| Told {
            truth: truth + 1,
            model: model + 1,
            words: judged.words(),
        });
        Ok(Answered {
            state: self.state(),
            told,
        })
    }
}

/// Black ink on white paper, as an address that holds it.
fn picture(drawing: &Drawing) -> Result<String, Trouble> {
    let grey = drawing.ink.iter().map(|ink| 255 - ink).collect();
    let grey = Grey::new(drawing.h, drawing.w, grey).ok_or(Trouble::Picture)?;
    let png = grey.to_png().map_err(|_| Trouble::Picture)?;
    Ok(format!(
        "data:image/png;base64,{}",
        BASE64_STANDARD.encode(png)
    ))
}

/// Why something was not done, in words for who sits before the page.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// What no page of this program asks.
    #[error(
        "{0}\nnext: open this page itself, by the address that `onelook quiz` printed; docs/quiz.md has the requests"
    )]
    Fault(#[from] page_server::Fault),
    /// There is nothing at an address.
    #[error("there is nothing at {0}\nnext: open / for the page; docs/quiz.md has the requests")]
    Nowhere(String),
    /// There is no trial left to ask.
    #[error("the quiz is done\nnext: reload the page to see how it ended")]
    Done,
    /// The answer is to another trial than the one that is asked.
    #[error(
        "trial {0} is not the one that is asked; another page may have answered it\nnext: reload the page"
    )]
    NotAsked(usize),
    /// A drawing has no pixels.
    #[error(
        "a drawing of this trial has no pixels\nnext: end the quiz, and begin one with other drawings"
    )]
    Picture,
    /// The answer is not kept.
    #[error("{0}\nnext: answer again, or end the quiz with Ctrl-C where it was started")]
    Quiz(#[from] QuizError),
}

/// A trouble as the page shows it.
#[derive(Serialize)]
struct Notice {
    what: String,
    next: String,
}

impl Trouble {
    const fn status(&self) -> u16 {
        use page_server::Fault;
        match self {
            Self::Fault(Fault::Request(_)) | Self::Quiz(QuizError::Class { .. }) => 400,
            Self::Fault(Fault::Foreign(_)) => 403,
            Self::Nowhere(_) => 404,
            Self::Done
            | Self::NotAsked(_)
            | Self::Quiz(
                QuizError::Trial { .. } | QuizError::Record(RecordError::Answered { .. }),
            ) => 409,
            Self::Fault(Fault::TooLarge { .. }) => 413,
            Self::Picture | Self::Quiz(QuizError::Record(_)) => 500,
        }
    }

    fn notice(&self) -> Notice {
        let text = self.to_string();
        let (what, next) = text.split_once("\nnext: ").unwrap_or((&text, ""));
        Notice {
            what: what.into(),
            next: next.into(),
        }
    }
}
