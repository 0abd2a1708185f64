//! A local HTTP server for tests, which can also break off in the middle of an answer.
//!
//! In: one answer per request, in order. Out: an address; afterwards, the paths that were asked for.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How to answer one request.
#[derive(Clone)]
pub(crate) enum Answer {
    /// The body, whole.
    Whole(Vec<u8>),
    /// Announces `body`, sends `at` bytes of it and hangs up.
    Cut { body: Vec<u8>, at: usize },
    /// No body.
    Status(u16),
}

pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

pub(crate) fn serve(answers: Vec<Answer>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for answer in answers {
            let Ok((stream, _)) = listener.accept() else {
                return;
            };
            log.lock().unwrap().push(handle(stream, &answer));
        }
    });
    Server { address, asked }
}

fn handle(mut stream: TcpStream, answer: &Answer) -> String {
    let mut lines = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let (status, length, body) = match answer {
        Answer::Whole(body) => (200, body.len(), &body[..]),
        Answer::Cut { body, at } => (200, body.len(), &body[..*at]),
        Answer::Status(code) => (*code, 0, &[][..]),
    };
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body))
        .ok();
    request.split(' ').nth(1).unwrap_or_default().to_owned()
}
