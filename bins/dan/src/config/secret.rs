//! `{ file = "…" }` or `{ env = "…" }`: secrets are named, never written.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use dan_core::secret::Secret;
use serde::Deserialize;

/// Largest file a secret is read from, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Where a secret lies.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub enum SecretRef {
    /// In a file; one trailing newline is not part of it.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    file: Option<PathBuf>,
    env: Option<String>,
}

impl TryFrom<Raw> for SecretRef {
    type Error = &'static str;

    fn try_from(raw: Raw) -> Result<Self, Self::Error> {
        match (raw.file, raw.env) {
            (Some(file), None) => Ok(Self::File(file)),
            (None, Some(env)) => Ok(Self::Env(env)),
            _ => Err("a secret is { file = \"…\" } or { env = \"…\" }, one of the two"),
        }
    }
}

impl SecretRef {
    /// Reads it; `folder` is what relative files are relative to.
    ///
    /// # Errors
    /// What is missing or unreadable, and what to do; never the content.
    pub fn read(&self, folder: &Path) -> Result<Secret, String> {
        let text = match self {
            Self::File(file) => {
                let path = folder.join(file);
                let size = std::fs::metadata(&path).map_or(0, |about| about.len());
                if size > SECRET_BYTES_MAX {
                    return Err(format!("{} is larger than 64 KiB", path.display()));
                }
                std::fs::read_to_string(&path).map_err(|error| unreadable(&path, &error))?
            }
            Self::Env(name) => variable(name)
                .ok_or_else(|| format!("the environment variable {name} is not set"))?,
        };
        let secret = Secret::new(text.trim_end_matches(['\n', '\r']).to_owned());
        if secret.is_empty() {
            return Err(format!("{self} is empty"));
        }
        Ok(secret)
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> String {
    let kind = error.kind();
    let fix = if kind == ErrorKind::NotFound {
        "make the file, or correct the path"
    } else if kind == ErrorKind::PermissionDenied {
        "give the user that runs the node read access to it (chown, chmod 600)"
    } else {
        "it must be a text file"
    };
    format!("cannot read {}: {error}; {fix}", path.display())
}

#[expect(
    clippy::disallowed_methods,
    reason = "configuration names the variable; it is read once"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl std::fmt::Display for SecretRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(file) => write!(f, "file {}", file.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_written_in_the_file_is_refused() {
        #[derive(Debug, Deserialize)]
        struct Holder {
            #[expect(dead_code, reason = "only whether it can be read matters")]
            key: SecretRef,
        }
        for text in [
            "key = \"hunter2\"",
            "key = {}",
            "key = { file = \"a\", env = \"b\" }",
        ] {
            let error = toml::from_str::<Holder>(text).unwrap_err().to_string();
            assert!(!error.contains("unwrap"), "{error}");
        }
        assert!(toml::from_str::<Holder>("key = { file = \"a\" }").is_ok());
    }

    #[test]
    fn what_is_missing_is_named() {
        let folder = Path::new("/nonexistent");
        let error = SecretRef::File("k.pem".into()).read(folder).unwrap_err();
        assert!(error.contains("k.pem"));
        let error = SecretRef::Env("DAN_TEST_NOT_SET".to_owned())
            .read(folder)
            .unwrap_err();
        assert!(error.contains("DAN_TEST_NOT_SET"));
    }
}
