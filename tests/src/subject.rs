//! Which node is under test.
//!
//! By default the suite starts `dan-edge --sandbox` once for the whole run, on any free ports and with
//! a folder of its own, and ends it with the run. Another node is named by the environment:
//!
//! | Variable | Meaning |
//! |---|---|
//! | `DAN_SANDBOX_JSON` | path of the `sandbox.json` of a sandbox that is running already |
//! | `DAN_SUBJECT` | base address of the API with its version, for instance `http://host:8080/v1` |
//! | `DAN_SUBJECT_OUTSIDE` | with it: the outside world the node asks, as the sandbox has it: token generator and control interface |
//! | `DAN_SUBJECT_KEY_EBEVIS`, `…_DROSJELOYVE`, `…_TILDA`, `…_DIHE`, `…_DANTEST` | with it: an API key for each service context |
//! | `DAN_SUBJECT_JWKS` | the published keys; default `/.well-known/jwks.json` of the same host |
//! | `DAN_SUBJECT_PUBLIC_URL` | what the node calls itself in statements and `Location`; default the base address |
//!
//! Plain HTTP only: put the suite beside the node, not before its TLS.
//!
//! The node that the suite starts is built first when it is missing or older than its sources. It does
//! not depend on the suite in any way: a watchdog, whose standard input is a pipe that ends with the
//! test process, kills it and removes its folder, however that process ended.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::{park_timeout, yield_now};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::client::split_url;

/// How long a node may take until it serves.
const START_MAX: Duration = Duration::from_secs(120);
/// How often it is looked after meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What the watchdog runs: `$1` is the node's process, `$2` its folder.
const WATCHDOG: &str = r#"cat >/dev/null; kill -9 "$1"; rm -rf -- "$2""#;

/// The node under test and the world around it.
pub struct Subject {
    /// Base address of the API, with its version and without a slash at the end.
    pub api: String,
    /// Base address of the outside world.
    pub outside: String,
    /// Address of the published keys.
    pub jwks: String,
    /// What the node calls itself.
    pub public_url: String,
    keys: BTreeMap<String, String>,
    node: Option<Node>,
}

/// A node of our own. The watchdog's pipe ends with this process, and the node with the pipe.
struct Node {
    _process: Child,
    _watchdog: Child,
}

/// The node under test; started at the first call.
///
/// # Panics
/// When there is none.
pub fn subject() -> &'static Subject {
    static SUBJECT: OnceLock<Subject> = OnceLock::new();
    SUBJECT.get_or_init(Subject::find)
}

impl Subject {
    /// The API key of a service context, by the context's id.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn key(&self, context_id: &str) -> &str {
        self.keys
            .get(context_id)
            .unwrap_or_else(|| panic!("there is no API key for {context_id}"))
    }

    /// True when the suite started it, so that it has no past.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        self.node.is_some()
    }

    fn find() -> Self {
        if let Some(base) = variable("DAN_SUBJECT") {
            return Self::named(&base);
        }
        match variable("DAN_SANDBOX_JSON") {
            Some(path) => Self::described(Path::new(&path), None),
            None => Self::started(),
        }
    }

    fn named(base: &str) -> Self {
        let api = base.trim_end_matches('/').to_owned();
        let needed = |name: &str| {
            variable(name).unwrap_or_else(|| panic!("DAN_SUBJECT is set, but {name} is not"))
        };
        let key = |id: &str, name: &str| {
            let value = variable(&format!("DAN_SUBJECT_KEY_{name}"));
            value.map(|value| (id.to_owned(), value))
        };
        let keys = [
            key("ebevis-product", "EBEVIS"),
            key("drosjeloyve-product", "DROSJELOYVE"),
            key("tilsynsdata-product", "TILDA"),
            key("dihe-product", "DIHE"),
            key("dantest-product", "DANTEST"),
        ];
        let host = split_url(&api).0.to_owned();
        Self {
            outside: needed("DAN_SUBJECT_OUTSIDE")
                .trim_end_matches('/')
                .to_owned(),
            jwks: variable("DAN_SUBJECT_JWKS")
                .unwrap_or_else(|| format!("http://{host}/.well-known/jwks.json")),
            public_url: variable("DAN_SUBJECT_PUBLIC_URL").unwrap_or_else(|| api.clone()),
            keys: keys.into_iter().flatten().collect(),
            node: None,
            api,
        }
    }

    fn described(file: &Path, node: Option<Node>) -> Self {
        let text =
            fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let facts: Value = serde_json::from_str(&text).expect("sandbox.json is JSON");
        let address = |name: &str| {
            let text = facts[name].as_str();
            let text = text.unwrap_or_else(|| panic!("sandbox.json has no {name}"));
            text.trim_end_matches('/').to_owned()
        };
        let keys = facts["keys"].as_object().expect("sandbox.json has keys");
        let keys = keys.iter().map(|(id, key)| {
            let key = key.as_str().expect("a key is text");
            (id.clone(), key.to_owned())
        });
        let api = address("api");
        Self {
            outside: address("outside"),
            jwks: address("jwks"),
            public_url: api.clone(),
            keys: keys.collect(),
            node,
            api,
        }
    }

    fn started() -> Self {
        let binary = program("dan-edge");
        let folder = tempfile::Builder::new()
            .prefix("dan-conformance-")
            .tempdir()
            .unwrap()
            .keep();
        let log = folder.join("node.log");
        let output = fs::File::create(&log).unwrap();
        let mut process = Command::new(&binary)
            .arg("--sandbox")
            .args(["--listen", "127.0.0.1:0"])
            .args(["--management-listen", "127.0.0.1:0"])
            .args(["--sandbox-listen", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let watchdog = watch(&process, &folder);
        let file = folder.join("sandbox.json");
        let started = Instant::now();
        while !file.exists() {
            let log = || fs::read_to_string(&log).unwrap_or_default();
            if let Some(status) = process.try_wait().unwrap() {
                panic!("dan-edge ended before it served ({status}):\n{}", log());
            }
            assert!(
                started.elapsed() < START_MAX,
                "dan-edge wrote no sandbox.json within {START_MAX:?}:\n{}",
                log()
            );
            yield_now();
            park_timeout(LOOK_EVERY);
        }
        let node = Node {
            _process: process,
            _watchdog: watchdog,
        };
        Self::described(&file, Some(node))
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Starts the watchdog of a process: it kills the process and removes the folder when this test process
/// has ended, however it ended. To call it off, kill it before the process is waited for.
///
/// # Panics
/// When there is no shell.
#[must_use]
pub fn watch(process: &Child, folder: &Path) -> Child {
    Command::new("sh")
        .args(["-c", WATCHDOG, "watchdog", &process.id().to_string()])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell")
}

/// A binary of the node beside this test's own folder, built anew when it is missing or older than its
/// sources.
///
/// # Panics
/// When it does not build.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().and_then(Path::parent).unwrap();
    let binary = profile.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let built = modified(&binary);
    if built.is_some_and(|built| newest(root).is_none_or(|newest| newest <= built)) {
        return binary;
    }
    let built_as = profile.file_name().and_then(|name| name.to_str()).unwrap();
    let profile_name = if built_as == "debug" { "dev" } else { built_as };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(root)
        .args(["build", "--quiet", "--bin", name])
        .args(["--profile", profile_name, "--target-dir"])
        .arg(profile.parent().unwrap())
        .stdin(Stdio::null())
        .status()
        .expect("cargo");
    assert!(status.success(), "{name} does not build");
    binary
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

/// When anything the binary is made of changed last.
fn newest(root: &Path) -> Option<SystemTime> {
    let parts = ["Cargo.toml", "Cargo.lock", "crates", "bins/dan", "catalog"];
    parts
        .into_iter()
        .filter_map(|part| newest_below(&root.join(part)))
        .max()
}

fn newest_below(path: &Path) -> Option<SystemTime> {
    let Ok(entries) = fs::read_dir(path) else {
        return modified(path);
    };
    entries
        .filter_map(|entry| newest_below(&entry.ok()?.path()))
        .max()
}
