//! Nodes and commands that one test starts for itself, in a folder of its own, and ends again.
//!
//! [`Scratch`] is the folder, and runs commands in it. [`Node`] is `dan-edge --config FILE`, [`Sandbox`]
//! is `dan-edge --sandbox` and serves as the outside world of nodes. A process is killed when its handle
//! is dropped, and by a watchdog when this test process ends in another way.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::client::{Answer, Call, split_url};
use crate::proof::{checked, sha256_hex};
use crate::shapes::text;
use crate::subject;

/// How long whatever is waited for may take: longer than a stop drains, and a plugin is left alone.
const WAIT_MAX: Duration = Duration::from_secs(40);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks until there is something to be seen.
///
/// # Panics
/// When there is nothing within 40 seconds.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            started.elapsed() < WAIT_MAX,
            "{what}: not within {WAIT_MAX:?}"
        );
        sleep(LOOK_EVERY).await;
    }
}

/// A binary of the node. Built at most once in a run, since it must not change under a test.
fn program(name: &str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<String, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap();
    let found = built.get(name).cloned();
    found.unwrap_or_else(|| {
        let path = subject::program(name);
        built.insert(name.to_owned(), path.clone());
        path
    })
}

/// A folder of one test. It is gone when this is dropped, so drop it last.
pub struct Scratch {
    folder: TempDir,
    started: AtomicU32,
}

impl Scratch {
    /// An empty folder.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("dan-e2e-").tempdir();
        Self {
            folder: folder.unwrap(),
            started: AtomicU32::new(0),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders it lies in.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Starts a command; what it says is kept in the folder `said`.
    fn start(&self, command: &mut Command) -> Process {
        let number = self.started.fetch_add(1, Ordering::SeqCst);
        let out = self.write(&format!("said/{number}.out"), "");
        let err = self.write(&format!("said/{number}.err"), "");
        let child = command
            .stdin(Stdio::null())
            .stdout(fs::File::create(&out).unwrap())
            .stderr(fs::File::create(&err).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Process {
            watchdog: subject::watch(&child, self.folder.path()),
            child,
            what: format!("{command:?}"),
            out,
            err,
        }
    }

    /// Runs a command to its end.
    pub async fn run(&self, command: &mut Command) -> Ended {
        let mut process = self.start(command);
        let code = process.ended().await;
        Ended {
            what: process.what.clone(),
            code,
            stdout: fs::read_to_string(&process.out).unwrap(),
            stderr: fs::read_to_string(&process.err).unwrap(),
        }
    }

    /// Runs `dan`.
    pub async fn dan<A: AsRef<std::ffi::OsStr>>(&self, arguments: &[A]) -> Ended {
        self.run(Command::new(program("dan")).args(arguments)).await
    }

    /// Runs a `dan-edge` that is to end by itself.
    pub async fn dan_edge<A: AsRef<std::ffi::OsStr>>(&self, arguments: &[A]) -> Ended {
        self.run(Command::new(program("dan-edge")).args(arguments))
            .await
    }

    /// Runs lines of a shell, which find `dan` and `dan-edge`, from the root of the workspace; ends at
    /// the first that fails.
    pub async fn shell(&self, lines: &str) -> Ended {
        program("dan-edge");
        let binaries = program("dan").parent().unwrap().to_owned();
        let mut path = vec![binaries];
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-euc", lines])
            .current_dir(root)
            .env("PATH", std::env::join_paths(path).unwrap());
        self.run(&mut command).await
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// The command, for messages.
    pub what: String,
    /// Exit status; `None` after a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// Holds that it ended with this status, and gives it back.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A process of ours and its watchdog.
struct Process {
    child: Child,
    watchdog: Child,
    what: String,
    out: PathBuf,
    err: PathBuf,
}

impl Process {
    /// Waits until it ends by itself; `None` when a signal ended it.
    async fn ended(&mut self) -> Option<i32> {
        let what = self.what.clone();
        let status = until(&what, async || self.child.try_wait().unwrap()).await;
        status.code()
    }

    fn signal(&self, name: &str) {
        let number = self.child.id().to_string();
        let kill = ["-c", "kill -s \"$1\" \"$2\"", "kill", name, &number];
        let status = Command::new("sh").args(kill).status().unwrap();
        assert!(status.success(), "no {name} to {}", self.what);
    }
}

impl Drop for Process {
    /// The watchdog goes first: while the process is not waited for, nobody else has its number.
    fn drop(&mut self) {
        self.watchdog.kill().ok();
        self.child.kill().ok();
        self.child.wait().ok();
        self.watchdog.wait().ok();
    }
}

/// A node that serves.
pub struct Node {
    process: Process,
    /// Host and port of the API.
    pub address: String,
    /// Its address without a path, over plain HTTP.
    pub root: String,
    /// Base address of the API, with its version.
    pub api: String,
    /// Base address of health and metrics.
    pub management: String,
}

impl Node {
    /// Starts `dan-edge --config FILE` and waits until it serves. It listens on any free port, and logs
    /// as `DAN_LOG` is set to here.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn start(scratch: &Scratch, config: &Path, log: &str) -> Self {
        let mut command = Command::new(program("dan-edge"));
        command.arg("--config").arg(config).env("DAN_LOG", log);
        let mut process = scratch.start(&mut command);
        let serving = until("the node serves", async || {
            let log = fs::read_to_string(&process.err).unwrap();
            let ended = process.child.try_wait().unwrap();
            assert!(ended.is_none(), "the node ended: {log}");
            let mut lines = log
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok());
            lines.find(|line: &Value| line["message"] == "serving")
        })
        .await;
        let address = text(&serving, "api").to_owned();
        let root = format!("http://{address}");
        Self {
            address,
            process,
            api: format!("{root}/v1"),
            root,
            management: format!("http://{}", text(&serving, "management")),
        }
    }

    /// Asks it to end with SIGTERM, and does not wait.
    pub fn terminate(&self) {
        self.process.signal("TERM");
    }

    /// Tells it with SIGHUP that files have changed.
    pub fn hang_up(&self) {
        self.process.signal("HUP");
    }

    /// Waits until it has ended by itself, and gives its exit status.
    pub async fn ended(mut self) -> Option<i32> {
        self.process.ended().await
    }

    /// Ends it as an operator does, and holds that it ends well.
    ///
    /// # Panics
    /// When its exit status is not 0.
    pub async fn stop(self) {
        self.terminate();
        assert_eq!(self.ended().await, Some(0), "after SIGTERM");
    }

    /// Kills it where it stands.
    pub fn kill(self) {
        drop(self);
    }

    /// Memory it holds at this moment, in KiB; `None` where the system does not tell.
    #[must_use]
    pub fn memory_kib(&self) -> Option<u64> {
        let path = format!("/proc/{}/status", self.process.child.id());
        let status = fs::read_to_string(path).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.trim().parse().ok()
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.process.err).unwrap()
    }

    /// A caller without a key and a token.
    #[must_use]
    pub fn anonymous(&self) -> Client {
        self.client("", "")
    }

    /// A caller; an empty key or token is not sent.
    #[must_use]
    pub fn client(&self, key: &str, token: &str) -> Client {
        Client {
            api: self.api.clone(),
            key: key.to_owned(),
            token: token.to_owned(),
        }
    }

    /// The published keys.
    pub async fn keys(&self) -> Value {
        let url = format!("{}/.well-known/jwks.json", self.root);
        Call::new(Method::GET, url).send().await.ok().json()
    }

    /// What `/readyz` says, whatever its status.
    pub async fn ready(&self) -> Value {
        let url = format!("{}/readyz", self.management);
        Call::new(Method::GET, url).send().await.json()
    }

    /// The value of a metric without labels.
    ///
    /// # Panics
    /// When there is none.
    pub async fn metric(&self, name: &str) -> u64 {
        let url = format!("{}/metrics", self.management);
        let page = Call::new(Method::GET, url).send().await.ok();
        let page = String::from_utf8(page.body.to_vec()).unwrap();
        let line = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = line.unwrap_or_else(|| panic!("no metric {name} in {page}"));
        value.parse().unwrap()
    }
}

/// Holds that an answer with evidence is proven by these keys: digests and signature. Gives the claims.
///
/// # Panics
/// When it is not.
#[track_caller]
pub fn proven_by(answer: &Answer, keys: &Value) -> Value {
    let shown = answer.excerpt();
    assert!(answer.status.is_success(), "{shown}");
    let digest = STANDARD.encode(Sha256::digest(&answer.body));
    let claimed = answer.proof("content-digest");
    assert_eq!(claimed, Some(&*format!("sha-256=:{digest}:")), "{shown}");
    let signature = answer.proof("x-signature-jwt").unwrap_or_default();
    let claims = checked(signature, keys).unwrap_or_else(|why| panic!("{why}: {shown}"));
    assert_eq!(claims["SHA256PayloadDigest"], sha256_hex(&answer.body));
    assert_eq!(Some(text(&claims, "jti")), answer.header("x-invocationid"));
    claims
}

/// A caller of one node.
#[derive(Clone)]
pub struct Client {
    api: String,
    key: String,
    token: String,
}

impl Client {
    /// A request to the API; `path` comes after the version and begins without a slash.
    #[must_use]
    pub fn call(&self, method: Method, path: &str) -> Call {
        let mut call = Call::new(method, format!("{}/{path}", self.api));
        if !self.key.is_empty() {
            call = call.header("Ocp-Apim-Subscription-Key", &self.key);
        }
        if !self.token.is_empty() {
            call = call.header("Authorization", &format!("Bearer {}", self.token));
        }
        call
    }

    /// Reads an address.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).send().await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path).json(body).send().await
    }
}

/// A sandbox: a node, and an outside world that other nodes can be shown to.
pub struct Sandbox {
    /// Its own node.
    pub node: Node,
    /// Base address of the outside world.
    pub outside: String,
    /// Its data folder.
    pub folder: PathBuf,
    card: Value,
}

impl Sandbox {
    /// Starts `dan-edge --sandbox` with further arguments, and waits until it serves.
    ///
    /// # Panics
    /// When it ends instead.
    pub async fn start(scratch: &Scratch, arguments: &[&str]) -> Self {
        let number = scratch.started.load(Ordering::SeqCst);
        let folder = scratch.path(&format!("sandbox-{number}"));
        let mut command = Command::new(program("dan-edge"));
        command
            .arg("--sandbox")
            .args(["--listen", "127.0.0.1:0"])
            .args(["--management-listen", "127.0.0.1:0"])
            .args(["--sandbox-listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(&folder)
            .args(arguments);
        let mut process = scratch.start(&mut command);
        let card = until("the sandbox serves", async || {
            let ended = process.child.try_wait().unwrap();
            let log = || fs::read_to_string(&process.err).unwrap();
            assert!(ended.is_none(), "the sandbox ended: {}", log());
            fs::read_to_string(folder.join("sandbox.json")).ok()
        })
        .await;
        let card: Value = serde_json::from_str(&card).unwrap();
        let api = text(&card, "api").to_owned();
        Self {
            node: Node {
                process,
                address: split_url(&api).0.to_owned(),
                root: format!("http://{}", split_url(&api).0),
                management: text(&card, "management").to_owned(),
                api,
            },
            outside: text(&card, "outside").to_owned(),
            folder,
            card,
        }
    }

    /// The API key of a service context of its own node.
    #[must_use]
    pub fn key(&self, context_id: &str) -> &str {
        text(&self.card["keys"], context_id)
    }

    /// A token for an organisation.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn token(&self, scope: &str, organisation: &str) -> String {
        let query = format!("scopes={scope}&orgNo={organisation}");
        let url = format!("{}/api/GetEnterpriseToken?{query}", self.outside);
        let answer = Call::new(Method::GET, url).send().await.ok();
        String::from_utf8(answer.body.to_vec()).expect("a token is text")
    }

    /// Makes a service of the outside world fail (`contracts.md` §2).
    ///
    /// # Panics
    /// When it is refused.
    pub async fn break_it(&self, name: &str, fault: &Value) {
        let call = Call::new(Method::PUT, self.control("faults", name)).json(fault);
        let answer = call.send().await;
        assert!(answer.status.is_success(), "{}", answer.excerpt());
    }

    /// Ends the fault of a service.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn mend(&self, name: &str) {
        let call = Call::new(Method::DELETE, self.control("faults", name));
        let answer = call.send().await;
        assert!(answer.status.is_success(), "{}", answer.excerpt());
    }

    /// How many calls a service has had.
    ///
    /// # Panics
    /// When the answer has no count.
    pub async fn count(&self, name: &str) -> u64 {
        let calls = Call::new(Method::GET, self.control("calls", name));
        calls.send().await.ok().json()["count"]
            .as_u64()
            .expect("a count")
    }

    fn control(&self, kind: &str, name: &str) -> String {
        format!("{}/control/{kind}/{name}", self.outside)
    }
}
