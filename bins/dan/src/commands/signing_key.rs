//! `dan signing-key`: keys that sign answers.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use dan_core::ports::{Clock as _, Signer as _};
use dan_core::secret::Secret;
use dan_sign::soft_key::SoftKey;

use crate::compose::open_signer;
use crate::config;
use crate::output::{Ending, Misuse, Outcome, say};
use crate::system::{SystemClock, SystemEntropy};

/// Days a new key is published before it signs.
const ROTATION_LEAD_DAYS: u32 = 1;

/// Makes a P-256 key in a new file that only its owner can read.
///
/// # Errors
/// A file that exists already or cannot be written.
pub fn new(out: &Path) -> Ending {
    let failed = |error: String| Misuse(format!("cannot make a key: {error}"));
    let key =
        SoftKey::generate(&SystemEntropy::new()).map_err(|error| failed(error.to_string()))?;
    let pem = key.to_pem().map_err(|error| failed(error.to_string()))?;
    write_secret(out, &pem)?;
    say(format!(
        "wrote {}\n\nAdd it to the configuration:\n\n  [signing]\n  keys = [{{ key = {{ file = \"{}\" }} }}]",
        out.display(),
        out.display()
    ));
    Ok(Outcome::Yes)
}

/// Writes a secret to a new file with mode 600.
///
/// # Errors
/// A file that exists already or cannot be written.
pub fn write_secret(out: &Path, secret: &Secret) -> Result<(), Misuse> {
    let failed = |error: std::io::Error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            return Misuse(format!(
                "{} exists; a key is never overwritten",
                out.display()
            ));
        }
        Misuse(format!("cannot write {}: {error}", out.display()))
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out)
        .map_err(failed)?;
    file.write_all(secret.expose().as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

/// Shows the key set that the node publishes.
///
/// # Errors
/// A configuration or key that cannot be read.
pub fn list(config: &Path) -> Ending {
    let config = config::read(config)?;
    let signer = open_signer(&config)?;
    say(signer.key_set(SystemClock.now()));
    Ok(Outcome::Yes)
}

/// Says how to rotate: a node never changes its own configuration.
///
/// # Errors
/// A configuration that cannot be read, or a file that exists already.
pub fn rotate(config_path: &Path, out: &Path) -> Ending {
    let config = config::read(config_path)?;
    let signer = open_signer(&config)?;
    let now = SystemClock.now();
    let key =
        SoftKey::generate(&SystemEntropy::new()).map_err(|error| Misuse(error.to_string()))?;
    let pem = key.to_pem().map_err(|error| Misuse(error.to_string()))?;
    write_secret(out, &pem)?;
    let active = signer.ring().active_kid(now).unwrap_or("none");
    let from = now.plus_days(ROTATION_LEAD_DAYS);
    say(format!(
        "wrote {file}\n\n\
         1. Put the new key FIRST in signing.keys, and end the old one ({active}):\n\n  \
         [signing]\n  keys = [\n    \
         {{ key = {{ file = \"{file}\" }}, signs_from = \"{from}\" }},\n    \
         {{ …the old one…, retired_at = \"{from}\" }},\n  ]\n\n\
         2. Restart. The new key is published now and signs from {from} on; until then the old one does.\n\
         3. Leave the old one in the list: answers it signed must verify for years. Its public half is enough.",
        file = out.display()
    ));
    Ok(Outcome::Yes)
}
