//! Installs what the programs of `docs/proof.md` and the verify page are tested with: Python with
//! pyjwt, Node.js with jose, and a browser. The libraries go into the target folder, pinned in
//! `tests/snippets/`; a test never installs anything.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{exists, run};

/// Tells the tests where the libraries are, and that they have to be there.
pub(crate) const FOLDER_VARIABLE: &str = "DAN_PROOF_TOOLS";

/// Names that a browser goes by; the tests look for them in the same order.
const BROWSERS: [&str; 4] = [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
];

/// Debian packages of the interpreters and of the browser that are not here.
pub(crate) fn missing_packages() -> Vec<&'static str> {
    let mut missing: Vec<&str> = [("python3", "python3"), ("node", "nodejs"), ("npm", "npm")]
        .into_iter()
        .filter(|(tool, _)| !exists(tool))
        .map(|(_, package)| package)
        .collect();
    let has_venv = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_venv {
        missing.push("python3-venv");
    }
    if !BROWSERS.iter().any(|browser| exists(browser)) {
        missing.push("chromium-headless-shell");
    }
    missing
}

/// Where the libraries are.
pub(crate) fn folder() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    let folder = target.join("proof-tools");
    std::path::absolute(&folder).unwrap_or(folder)
}

/// Installs the libraries, where they are not there in these versions.
pub(crate) fn install() -> bool {
    let folder = folder();
    if std::fs::create_dir_all(&folder).is_err() {
        eprintln!("cannot make {}", folder.display());
        return false;
    }
    python(&folder) && javascript(&folder)
}

fn python(folder: &Path) -> bool {
    const PINNED: &str = "tests/snippets/requirements.txt";
    let environment = folder.join("python");
    if is_current(folder, "requirements.txt", PINNED) {
        return true;
    }
    run(Command::new("python3")
        .args(["-m", "venv"])
        .arg(&environment))
        && run(Command::new(environment.join("bin/python"))
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ])
            .args(["--only-binary", ":all:", "--requirement", PINNED]))
        && keep(folder, "requirements.txt", PINNED)
}

fn javascript(folder: &Path) -> bool {
    const PINNED: &str = "tests/snippets/package-lock.json";
    let place = folder.join("node");
    if is_current(&place, "package-lock.json", PINNED) && place.join("node_modules").is_dir() {
        return true;
    }
    std::fs::create_dir_all(&place).is_ok()
        && keep(&place, "package.json", "tests/snippets/package.json")
        && keep(&place, "package-lock.json", PINNED)
        && run(Command::new("npm")
            .args([
                "ci",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--silent",
            ])
            .current_dir(&place))
}

/// Whether what is installed was installed from this file.
fn is_current(folder: &Path, name: &str, pinned: &str) -> bool {
    let read = |path: &Path| std::fs::read(path).ok();
    let installed = read(&folder.join(name));
    installed.is_some() && installed == read(Path::new(pinned))
}

fn keep(folder: &Path, name: &str, pinned: &str) -> bool {
    let copied = std::fs::copy(pinned, folder.join(name));
    if let Err(error) = &copied {
        eprintln!("cannot copy {pinned}: {error}");
    }
    copied.is_ok()
}
