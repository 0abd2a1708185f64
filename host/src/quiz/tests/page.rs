//! The page's requests, asked by a real client.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use super::super::web::{PAGE, Web};
use super::{PLAN, questions, quiz, truths};

/// A quiz on a page, asked by a real client.
struct Page(Web);

impl Page {
    fn of(path: &Path, feedback: bool) -> Self {
        let here: SocketAddr = "127.0.0.1:0".parse().unwrap();
        Self(Web::start(here, quiz(path), feedback).unwrap())
    }

    fn ask(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("http://{}{path}", self.0.server().address());
        let agent = ureq::Agent::new_with_config(
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .build(),
        );
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = agent.run(request.body(body.to_owned()).unwrap()).unwrap();
        let status = response.status().as_u16();
        let text = response.body_mut().read_to_string().unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path, "", &[])
    }

    fn answer(&self, trial: usize, given: usize) -> (u16, Value) {
        let body = json!({ "trial": trial, "given": given }).to_string();
        self.ask("POST", "/api/answer", &body, &[])
    }
}

#[test]
fn a_page_asks_one_trial_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let page = Page::of(&folder.path().join("quiz.jsonl"), true);
    let truths = truths(&questions(PLAN));
    assert_eq!(page.get("/").1, Value::String(PAGE.into()));
    // Nothing was asked yet, so nothing can be answered.
    assert_eq!(page.answer(1, 1).0, 409);
    let (_, asked) = page.get("/api/trial");
    assert_eq!(
        (&asked["trial"], asked["classes"].as_array().unwrap().len()),
        (&json!(1), 5)
    );
    assert!(
        asked["query"]
            .as_str()
            .unwrap()
            .starts_with("data:image/png;base64,")
    );
    assert_eq!(
        asked.as_object().unwrap().len(),
        3,
        "no answer in the question"
    );
    assert_eq!(page.get("/api/state").1["report"], Value::Null);
    for wrong in [0, 6] {
        let (status, answer) = page.answer(1, wrong);
        assert_eq!(status, 400, "{answer}");
        assert!(answer["error"]["what"].as_str().unwrap().contains("1 to 5"));
    }
    assert_eq!(page.answer(2, 1).0, 409);
    let (status, answer) = page.answer(1, truths[0] + 1);
    assert_eq!(
        (status, &answer["told"]["truth"]),
        (200, &json!(truths[0] + 1))
    );
    assert_eq!(page.answer(1, 1).0, 409, "an answer is final");

    let (_, stopped) = page.ask("POST", "/api/stop", "", &[]);
    assert_eq!(
        (&stopped["done"], &stopped["report"]["person"]["correct"]),
        (&json!(true), &json!(1))
    );
    assert_eq!(page.get("/api/trial").0, 409);
    assert!(page.0.is_done());
    page.ask("POST", "/api/go-on", "", &[]);
    for trial in 2..=4 {
        assert_eq!(page.get("/api/trial").1["trial"], trial);
        assert_eq!(page.answer(trial, truths[trial - 1] + 1).0, 200);
    }
    let (_, state) = page.get("/api/state");
    assert_eq!(
        (&state["done"], &state["report"]["person"]["mean"]),
        (&json!(true), &json!(1.0))
    );
    assert_eq!(page.0.report().answered, 4);
}

#[test]
fn a_page_may_tell_nothing_and_obeys_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let page = Page::of(&folder.path().join("quiz.jsonl"), false);
    page.get("/api/trial");
    let (_, answer) = page.answer(1, 1);
    assert_eq!(
        (&answer["told"], &answer["report"], &answer["answered"]),
        (&Value::Null, &Value::Null, &json!(1))
    );
    let foreign = [("Origin", "http://evil.example")];
    let (status, answer) = page.ask("POST", "/api/stop", "", &foreign);
    assert_eq!(status, 403, "{answer}");
    assert!(!page.0.is_done());
    assert_eq!(page.get("/api/elsewhere").0, 404);
    let long = "x".repeat(5000);
    assert_eq!(page.ask("POST", "/api/answer", &long, &[]).0, 413);
    assert_eq!(page.ask("POST", "/api/answer", "{}", &[]).0, 400);
    for outside in ["http:", "https:", "src=\"/", "@import", "url("] {
        assert!(!PAGE.contains(outside), "{outside}");
    }
    let here = page.0.server().address();
    let taken = Web::start(here, quiz(&folder.path().join("other.jsonl")), true);
    assert!(
        taken
            .unwrap_err()
            .to_string()
            .contains("--listen 127.0.0.1:0")
    );
}
