//! A real browser without a window, driven over the pipe of its debugging protocol: no port, no
//! driver, no network. It ends with its handle.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// Names that a browser goes by.
const BROWSERS: [&str; 4] = [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
];
/// How long an answer of the browser, or what a page is waited for, may take.
const WAIT_MAX: Duration = Duration::from_secs(40);
/// Hands the pipes of the debugging protocol, 3 and 4, through standard input and output.
const START: &str = r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

/// A browser with one page.
pub struct Browser {
    process: Child,
    input: ChildStdin,
    output: Receiver<Value>,
    session: String,
    sent: u64,
    /// Addresses that the page has asked for.
    pub asked: Vec<String>,
    _profile: TempDir,
}

/// The browser of this machine; `None`, and a line that says so, where there is none. Where
/// `DAN_PROOF_TOOLS` is set, `cargo xtask` has installed one, and it has to be there.
///
/// # Panics
/// When it has to be there and is not.
#[must_use]
pub fn installed() -> Option<PathBuf> {
    let starts = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
    let found = BROWSERS.iter().find(starts).map(PathBuf::from);
    if found.is_none() {
        let needed = std::env::var_os("DAN_PROOF_TOOLS").is_some();
        assert!(!needed, "there is no Chromium on this machine");
        eprintln!("SKIPPED: there is no Chromium on this machine; `cargo xtask tools` installs it");
    }
    found
}

impl Browser {
    /// Opens a file.
    ///
    /// # Panics
    /// When the browser does not start or does not open it.
    #[must_use]
    pub fn open(program: &Path, page: &Path) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut process = Command::new("sh")
            .args(["-c", START, "sh"])
            .arg(program)
            .args(["--headless", "--remote-debugging-pipe"])
            // Root, as in a container, has no sandbox of the browser's.
            .args(["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-extensions", "--lang=en-US"])
            .args(["--disable-background-networking", "--disable-sync"])
            .arg("--host-resolver-rules=MAP * ~NOTFOUND")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (send, output) = channel();
        let pipe = process.stdout.take().unwrap();
        std::thread::spawn(move || {
            for message in BufReader::new(pipe).split(0) {
                let message = message
                    .ok()
                    .and_then(|text| serde_json::from_slice(&text).ok());
                let Some(message) = message else { return };
                if send.send(message).is_err() {
                    return;
                }
            }
        });
        let mut browser = Self {
            input: process.stdin.take().unwrap(),
            process,
            output,
            session: String::new(),
            sent: 0,
            asked: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", attach);
        attached["sessionId"]
            .as_str()
            .unwrap()
            .clone_into(&mut browser.session);
        browser.call("Network.enable", json!({}));
        browser.call("Page.enable", json!({}));
        let url = format!("file://{}", page.display());
        browser.call("Page.navigate", json!({"url": url}));
        browser.until("document.readyState === 'complete'");
        browser
    }

    /// Puts a file into an input of the page, or empties it, as a person does.
    ///
    /// # Panics
    /// When there is no such input.
    pub fn choose(&mut self, selector: &str, file: Option<&Path>) {
        let Some(file) = file else {
            let input = format!("document.querySelector('{selector}')");
            let emptied = format!("{input}.value = ''; {input}.dispatchEvent(new Event('change'))");
            self.evaluate(&emptied);
            return;
        };
        let document = self.call("DOM.getDocument", json!({}));
        let root = &document["root"]["nodeId"];
        let node = self.call(
            "DOM.querySelector",
            json!({"nodeId": root, "selector": selector}),
        );
        let choice = json!({"nodeId": node["nodeId"], "files": [file]});
        self.call("DOM.setFileInputFiles", choice);
    }

    /// What an expression is, once its promise is kept.
    ///
    /// # Panics
    /// When it throws.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let ask = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", ask);
        let thrown = answer.get("exceptionDetails");
        assert!(thrown.is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Looks until an expression is true.
    ///
    /// # Panics
    /// When it is not in time.
    pub fn until(&mut self, expression: &str) {
        let started = Instant::now();
        while self.evaluate(expression) != true {
            assert!(started.elapsed() < WAIT_MAX, "{expression}: not in time");
        }
    }

    /// Calls a method of the debugging protocol.
    ///
    /// # Panics
    /// When the browser refuses or is silent.
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut message = json!({"id": self.sent, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = Value::from(self.session.as_str());
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).unwrap();
        self.input.flush().unwrap();
        loop {
            let answer = self.output.recv_timeout(WAIT_MAX);
            let mut answer = answer.unwrap_or_else(|error| panic!("{method}: {error}"));
            if answer["method"] == "Network.requestWillBeSent" {
                let url = answer["params"]["request"]["url"].as_str();
                self.asked.push(url.unwrap_or_default().to_owned());
            }
            if answer["id"] == self.sent {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.process.kill().unwrap_or_default();
        self.process.wait().map(|_| ()).unwrap_or_default();
    }
}
