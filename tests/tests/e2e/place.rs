//! A folder with the configuration and the keys of one real node, and a sandbox as its outside world.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dan_tests::client::Answer;
use dan_tests::consumer::{COMPANY, Service};
use dan_tests::node::{Client, Node, Sandbox, Scratch};
use dan_tests::shapes::text;
use toml::{Table, Value};

/// A dataset from the register.
pub(crate) const DATASET: &str = "UnitBasicInformation";
/// What the sandbox's issuer makes tokens for.
pub(crate) const AUDIENCE: &str = "https://dan.sandbox";
/// What a node calls itself here, wherever it listens.
pub(crate) const PUBLIC_URL: &str = "https://dan.example.no/v1";
/// 32 bytes in base64.
pub(crate) const SUBJECT_KEY: &str = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

/// See the module. The sandbox ends before the folder goes.
pub(crate) struct Place {
    pub(crate) config: Table,
    pub(crate) sandbox: Sandbox,
    pub(crate) scratch: Scratch,
}

impl Place {
    /// A configuration in production, with every source at the sandbox.
    pub(crate) async fn new() -> Self {
        let scratch = Scratch::new();
        let sandbox = Sandbox::start(&scratch, &[]).await;
        let key = scratch.path("signing.pem");
        scratch
            .dan(&["signing-key", "new", "--out", key.to_str().unwrap()])
            .await
            .exits(0);
        scratch.write("subject.key", SUBJECT_KEY);
        fs::create_dir(scratch.path("data")).unwrap();
        let outside = &sandbox.outside;
        let config = format!(
            r#"
            [server]
            listen = "127.0.0.1:0"
            public_url = "{PUBLIC_URL}"
            # Somebody must end TLS for that address; nobody here has one of these.
            behind_proxy = ["192.0.2.0/24"]
            [management]
            listen = "127.0.0.1:0"
            [[issuers]]
            name = "sandbox"
            discovery = "{outside}/.well-known/oauth-authorization-server"
            audience = "{AUDIENCE}"
            [store]
            url = "sqlite:data/dan.db"
            subject_key = {{ file = "subject.key" }}
            [signing]
            keys = [{{ key = {{ file = "signing.pem" }} }}]
            [settings]
            er = "{outside}/enhetsregisteret/api"
            testdata = "{outside}/testdata"
            skatt = "{outside}/skatt"
            [registry]
            url = "{outside}/enhetsregisteret/api"
            "#
        );
        Self {
            config: config.parse().unwrap(),
            sandbox,
            scratch,
        }
    }

    /// Changes one key of one section.
    pub(crate) fn set(&mut self, section: &str, key: &str, value: impl Into<Value>) {
        set(&mut self.config, section, key, value);
    }

    /// The entity register lies there, as authority and as source.
    pub(crate) fn register_at(&mut self, url: &str) {
        self.set("settings", "er", url);
        self.set("registry", "url", url);
    }

    /// The catalogue is the shipped one with a mistake in it.
    pub(crate) fn break_catalogue(&mut self) {
        let folder = self.scratch.path("broken");
        copy_folder(&shipped_catalogue(), &folder);
        self.scratch
            .write("broken/datasets/Broken.toml", "[dataset");
        self.set("catalog", "path", shown(&folder));
    }

    /// The configuration as a file, written anew.
    pub(crate) fn file(&self) -> PathBuf {
        self.scratch.write("dan.toml", self.config.to_string())
    }

    /// Where the node may write.
    pub(crate) fn data(&self) -> PathBuf {
        self.scratch.path("data")
    }

    /// Starts a node.
    pub(crate) async fn node(&self) -> Node {
        Node::start(&self.scratch, &self.file(), "info").await
    }

    /// Makes an API key with `dan keys create`: its identifier and the key.
    pub(crate) async fn key(&self, service: Service, organisation: &str) -> (String, String) {
        let file = self.file();
        let arguments = ["keys", "create", "--config", shown(&file)];
        let more = ["--context", service.id, "--org", organisation, "--json"];
        let made = self.scratch.dan(&[&arguments[..], &more].concat()).await;
        let made = made.exits(0).json();
        (text(&made, "id").to_owned(), text(&made, "key").to_owned())
    }

    /// A caller with a key and a token of its own for a service.
    pub(crate) async fn client(&self, node: &Node, service: Service, owner: &str) -> Client {
        let (_, key) = self.key(service, owner).await;
        let token = self.sandbox.token(service.scope, owner).await;
        node.client(&key, &token)
    }
}

/// Changes one key of one section of a configuration.
pub(crate) fn set(config: &mut Table, section: &str, key: &str, value: impl Into<Value>) {
    let section = config.entry(section).or_insert(Table::new().into());
    let section = section.as_table_mut().unwrap();
    section.insert(key.to_owned(), value.into());
}

/// The rows of an exported trail, without its heads.
pub(crate) fn exported_rows(export: &str) -> Vec<serde_json::Value> {
    let lines = export
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|line: &serde_json::Value| line.get("head").is_none())
        .collect()
}

/// A path as an argument.
pub(crate) fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The catalogue that ships with the project.
pub(crate) fn shipped_catalogue() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("catalog")
}

/// Copies a folder and all below it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
        }
    }
}

/// Whether `openssl` is here; says so when it is not.
pub(crate) fn has_openssl() -> bool {
    let here = Command::new("openssl").arg("version").output().is_ok();
    if !here {
        eprintln!("SKIPPED: there is no openssl on this machine");
    }
    here
}

/// Whether `openssl` is here, and a `curl` that speaks HTTP/2; says so when one is not.
pub(crate) fn has_openssl_and_curl() -> bool {
    let curl = Command::new("curl").arg("--version").output();
    let able = curl.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).contains("HTTP2"));
    if !able {
        eprintln!("SKIPPED: there is no curl with HTTP/2 on this machine");
    }
    able && has_openssl()
}

/// `docs/operating.md`.
pub(crate) fn operators_page() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join("docs/operating.md")).unwrap()
}

/// Asks for a dataset about [`COMPANY`].
pub(crate) async fn harvest(client: &Client, dataset: &str) -> Answer {
    let path = format!("directharvest/{dataset}?subject={COMPANY}");
    client.get(&path).await
}
