//! A node as an operator runs it, with limits on, and the sandbox as its outside world.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use dan_sandbox::consumer::Consumer;
use dan_sandbox::{Sandbox, SandboxConfig};
use http::Method;
use serde_json::Value;
use tempfile::TempDir;

const AUDIENCE: &str = "https://dan.sandbox";
const SCOPE: &str = "altinn:dataaltinnno/ebevis";
/// 32 bytes in base64.
const SUBJECT_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
/// How often the start of the node is looked for, and how long.
const LOOKS: u32 = 200;
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Who asks: an API key and a token.
pub struct Caller {
    pub key: String,
    pub token: String,
}

/// See the module. Node and folder end with it.
pub struct Place {
    node: Child,
    sandbox: Sandbox,
    folder: TempDir,
    /// Base address of the API, with its version.
    pub api: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.node.kill().ok();
        self.node.wait().ok();
    }
}

impl Place {
    /// Starts both. `None` when the release binaries are not built; it says so.
    pub async fn new() -> Option<Self> {
        let (edge, dan) = (program("dan-edge")?, program("dan")?);
        let now = || jiff::Timestamp::now().as_millisecond();
        let sandbox = Sandbox::start(SandboxConfig {
            listen: ([127, 0, 0, 1], 0).into(),
            clock: Arc::new(now),
            audience: AUDIENCE.to_owned(),
        });
        let sandbox = sandbox.await.expect("a sandbox");
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| folder.path().join(name);
        run(Command::new(dan)
            .args(["signing-key", "new", "--out"])
            .arg(file("signing.pem")));
        std::fs::write(file("subject.key"), SUBJECT_KEY).expect("a file");
        std::fs::write(file("dan.toml"), config(&sandbox)).expect("a file");
        let log = File::create(file("node.log")).expect("a file");
        let node = Command::new(edge)
            .arg("--config")
            .arg(file("dan.toml"))
            .stderr(log)
            .spawn();
        let log = file("node.log");
        let mut place = Self {
            node: node.expect("a node"),
            sandbox,
            folder,
            api: String::new(),
        };
        let mut pause = tokio::time::interval(LOOK_PAUSE);
        for _ in 0..LOOKS {
            pause.tick().await;
            if let Some(address) = serving(&log) {
                place.api = format!("http://{address}/v1");
                return Some(place);
            }
        }
        let log = std::fs::read_to_string(log).unwrap_or_default();
        panic!("the node does not serve: {log}");
    }

    /// A caller with a key and a token of this organisation.
    pub async fn caller(&self, organisation: &str) -> Caller {
        let dan = program("dan").expect("it was there before");
        let made = run(Command::new(dan)
            .args(["keys", "create", "--json", "--context", "ebevis-product"])
            .args(["--org", organisation, "--config"])
            .arg(self.folder.path().join("dan.toml")));
        let made: Value = serde_json::from_str(&made).expect("JSON");
        let base = self.sandbox.base_url();
        let url = format!("{base}/api/GetEnterpriseToken?scopes={SCOPE}&orgNo={organisation}");
        let answer = Consumer::new("", "").ask(Method::GET, &url, None).await;
        let token = answer.expect("a token").body;
        Caller {
            key: made["key"].as_str().expect("a key").to_owned(),
            token: String::from_utf8(token.to_vec()).expect("text"),
        }
    }

    /// CPU time that the node has used so far, in hundredths of a second.
    pub fn ticks(&self) -> u64 {
        let path = format!("/proc/{}/stat", self.node.id());
        let stat = std::fs::read_to_string(path).unwrap_or_default();
        let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields = behind_name.split_whitespace().skip(11).take(2);
        fields.filter_map(|field| field.parse::<u64>().ok()).sum()
    }
}

/// A binary beside this one's folder, where `cargo build --release -p dan` puts it.
fn program(name: &str) -> Option<PathBuf> {
    let ourselves = std::env::current_exe().expect("ourselves");
    let path = ourselves.parent()?.parent()?.join(name);
    if !path.exists() {
        println!("greedy: there is no {name}; run `cargo build --release -p dan` first");
        return None;
    }
    Some(path)
}

fn run(command: &mut Command) -> String {
    let ended = command.output().expect("a command");
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

/// Where the node says that it listens.
fn serving(log: &Path) -> Option<String> {
    let log = std::fs::read_to_string(log).ok()?;
    let mut lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.find(|line| line["message"] == "serving")?;
    line["api"].as_str().map(str::to_owned)
}

/// Limits and durability are the defaults of a node.
fn config(sandbox: &Sandbox) -> String {
    let outside = sandbox.base_url();
    format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        public_url = "https://dan.example.no/v1"
        behind_proxy = ["192.0.2.0/24"]
        [management]
        listen = "127.0.0.1:0"
        [[issuers]]
        name = "sandbox"
        discovery = "{outside}/.well-known/oauth-authorization-server"
        audience = "{AUDIENCE}"
        [store]
        url = "sqlite:dan.db"
        subject_key = {{ file = "subject.key" }}
        [signing]
        keys = [{{ key = {{ file = "signing.pem" }} }}]
        [settings]
        er = "{outside}/enhetsregisteret/api"
        [registry]
        url = "{outside}/enhetsregisteret/api"
        "#
    )
}
