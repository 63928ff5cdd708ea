//! `dan signing-key`: keys that sign answers.

mod table;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use dan_core::ports::{Clock as _, Signer as _};
use dan_core::secret::Secret;
use dan_core::time::Timestamp;
use dan_sign::key_ring::{KeyEntry, KeyState};
use dan_sign::rsa_key::RsaKey;
use dan_sign::soft_key::SoftKey;
use dan_verify::public_key::Algorithm;
use serde_json::json;

use self::table::{Change, changed};
use crate::args::RotateArgs;
use crate::config::{self, Config, SecretRef};
use crate::output::{Ending, Misuse, Outcome, say, say_json};
use crate::signing_keys::open_signer;
use crate::system::{SystemClock, SystemEntropy};

/// Makes a key in a new file that only its owner can read.
///
/// # Errors
/// A file that exists already or cannot be written.
pub fn new(out: &Path, rsa: bool) -> Ending {
    let algorithm = if rsa {
        Algorithm::Rs256
    } else {
        Algorithm::Es256
    };
    write_secret(out, &make(algorithm)?)?;
    say(format!(
        "wrote {}\n\nAdd it to the configuration:\n\n  [signing]\n  keys = [{{ key = {{ file = \"{}\" }} }}]",
        out.display(),
        out.display()
    ));
    Ok(Outcome::Yes)
}

fn make(algorithm: Algorithm) -> Result<Secret, Misuse> {
    let made = match algorithm {
        Algorithm::Es256 => SoftKey::generate(&SystemEntropy::new()).and_then(|key| key.to_pem()),
        Algorithm::Rs256 => RsaKey::generate().and_then(|key| key.to_pem()),
    };
    made.map_err(|error| Misuse(format!("cannot make a key: {error}")))
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

/// Shows every key with what it is doing, or the key set that the node publishes.
///
/// # Errors
/// A configuration or key that cannot be read.
pub fn list(config: &Path, jwks: bool, as_json: bool) -> Ending {
    let config = config::read(config)?;
    let signer = open_signer(&config)?;
    let now = SystemClock.now();
    if jwks {
        say(signer.key_set(now));
        return Ok(Outcome::Yes);
    }
    let entries = signer.ring().entries(now);
    if as_json {
        let keys: Vec<_> = entries.iter().zip(&config.signing.keys).map(view).collect();
        say_json(&json!({ "keys": keys }));
        return Ok(Outcome::Yes);
    }
    let or_dash = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| at.to_string());
    say("STATE    ALG    SIGNS FROM            RETIRED AT            KID");
    for key in &entries {
        say(format!(
            "{:<8} {:<6} {:<21} {:<21} {}",
            key.state.name(),
            key.algorithm.name(),
            or_dash(key.signs_from),
            or_dash(key.retired_at),
            key.kid
        ));
    }
    Ok(Outcome::Yes)
}

fn view((key, configured): (&KeyEntry, &config::SigningKey)) -> serde_json::Value {
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    json!({
        "kid": key.kid,
        "state": key.state.name(),
        "alg": key.algorithm.name(),
        "key": configured.place(),
        "signs_from": text(key.signs_from),
        "retired_at": text(key.retired_at),
        "certificate_ends": text(key.certificate_ends),
    })
}

/// Makes the next key, and says how it comes into use or, with `--write`, brings it into use.
///
/// # Errors
/// A configuration that cannot be read or changed, or a file that exists already.
pub fn rotate(args: &RotateArgs) -> Ending {
    let config = config::read(&args.config)?;
    let entries = open_signer(&config)?.ring().entries(SystemClock.now());
    let plan = Plan::new(args, &entries)?;
    write_secret(&args.out, &make(plan.algorithm)?)?;
    let readable = like_the_old(&config, &plan, &args.out);
    let file = as_configured(&config, &args.out);
    let change = Change {
        file: &file,
        signs_from: plan.signs_from,
        place: plan.place,
        ending: &plan.ending,
    };
    let mut written = format!("wrote {}", args.out.display());
    if let Err(error) = readable {
        written = format!(
            "{written}\nIt belongs to you: let the user that runs the node read it ({error})."
        );
    }
    if args.write {
        write_config(&args.config, &change)?;
        let from = plan.signs_from;
        say(format!(
            "{written}\nchanged {}\n\nA running node reads it within ten seconds (at once after `kill -HUP`). The new key is \
             published then, and signs from {from} on; until then {} does.\nLeave the old key in the list: answers it \
             signed must verify for years. Its public half is enough.",
            args.config.display(),
            plan.old
        ));
        return Ok(Outcome::Yes);
    }
    say(advice(&written, &file, &plan));
    Ok(Outcome::Yes)
}

fn advice(written: &str, file: &str, plan: &Plan) -> String {
    let (old, from) = (&plan.old, plan.signs_from);
    format!(
        "{written}\n\n\
         1. Put the new key before {old} in signing.keys, and end that one (or run this with --write, which does it):\n\n  \
         [signing]\n  keys = [\n    \
         {{ key = {{ file = \"{file}\" }}, signs_from = \"{from}\" }},\n    \
         {{ …the old one…, retired_at = \"{from}\" }},\n  ]\n\n\
         2. A running node reads it within ten seconds (at once after `kill -HUP`). The new key is published then, and \
         signs from {from} on; until then {old} does.\n\
         3. Leave the old one in the list: answers it signed must verify for years. Its public half is enough.",
    )
}

/// What a rotation does.
struct Plan {
    algorithm: Algorithm,
    signs_from: Timestamp,
    place: usize,
    ending: Vec<usize>,
    /// Names of the keys that end, for people.
    old: String,
}

impl Plan {
    /// The new key is of the kind of the one that signs, unless the arguments say another. It goes
    /// before all of its kind, and ends those that have no end yet.
    fn new(args: &RotateArgs, entries: &[KeyEntry]) -> Result<Self, Misuse> {
        let active = entries.iter().find(|key| key.state == KeyState::Active);
        let algorithm = match (args.rsa, args.p256, active) {
            (true, _, _) => Algorithm::Rs256,
            (_, true, _) | (_, _, None) => Algorithm::Es256,
            (_, _, Some(key)) => key.algorithm,
        };
        let of_kind = |key: &KeyEntry| key.algorithm == algorithm;
        if let Some(next) = entries
            .iter()
            .find(|key| of_kind(key) && key.state == KeyState::Next)
        {
            return Err(Misuse(format!(
                "{} is to sign already, and has not begun; a rotation is under way",
                next.kid
            )));
        }
        let lead = args.lead_s.saturating_mul(1000);
        let now = SystemClock.now().as_seconds().saturating_mul(1000);
        let signs_from = Timestamp::from_ms(now).plus_ms(i64::try_from(lead).unwrap_or(i64::MAX));
        let ends = |key: &KeyEntry| {
            of_kind(key)
                && key.state != KeyState::Retired
                && key.retired_at.is_none_or(|at| signs_from < at)
        };
        let mut ending = Vec::new();
        let mut old = Vec::new();
        for (place, key) in entries.iter().enumerate() {
            if ends(key) {
                ending.push(place);
                old.push(key.kid.as_str());
            }
        }
        let first = entries.iter().position(of_kind);
        Ok(Self {
            algorithm,
            signs_from,
            // A key of a new kind goes last: the first one goes on signing what it can.
            place: first.unwrap_or(entries.len()),
            old: old.join(", "),
            ending,
        })
    }
}

/// Who may read the old key may read the new one: the command is run by root, the node is not.
fn like_the_old(config: &Config, plan: &Plan, out: &Path) -> std::io::Result<()> {
    /// Nobody but owner and group, and nobody executes it.
    const MODE_MAX: u32 = 0o660;
    let mut files = plan.ending.iter().filter_map(|place| {
        match config.signing.keys.get(*place)?.key.as_ref()? {
            SecretRef::File(file) => Some(config.resolve(file)),
            SecretRef::Env(_) => None,
        }
    });
    let Some(old) = files.next() else {
        return Ok(());
    };
    let old = fs::metadata(old)?;
    let new = fs::metadata(out)?;
    if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
        chown(out, Some(old.uid()), Some(old.gid()))?;
    }
    let mode = old.permissions().mode() & MODE_MAX;
    fs::set_permissions(out, fs::Permissions::from_mode(mode))
}

/// The path as the configuration says it: relative to its own folder where it lies below that.
fn as_configured(config: &Config, out: &Path) -> String {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let (folder, out) = (real(&config.folder), real(out));
    let path = out.strip_prefix(&folder).unwrap_or(&out);
    path.display().to_string()
}

/// Writes the changed file beside the old one, sees that it is good, and puts it in its place.
fn write_config(path: &Path, change: &Change<'_>) -> Result<(), Misuse> {
    // What a link points to is changed, and the link stays.
    let path: PathBuf = fs::canonicalize(path)
        .map_err(|error| Misuse(format!("cannot read {}: {error}", path.display())))?;
    let failed = |error: &dyn std::fmt::Display| {
        Misuse(format!(
            "{} was not changed: {error}; the new key is there, bring it in by hand",
            path.display()
        ))
    };
    let text = fs::read_to_string(&path).map_err(|error| failed(&error))?;
    let text = changed(&text, change).map_err(|error| failed(&error))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new()
        .prefix(".dan-")
        .suffix(".toml")
        .tempfile_in(folder)
        .map_err(|error| failed(&error))?;
    file.write_all(text.as_bytes())
        .and_then(|()| {
            file.as_file()
                .set_permissions(fs::metadata(&path)?.permissions())
        })
        .and_then(|()| {
            // A node that runs as another user must be able to read it still.
            let old = fs::metadata(&path)?;
            std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid()))
        })
        .and_then(|()| file.as_file().sync_all())
        .map_err(|error| failed(&error))?;
    config::read(file.path())
        .map_err(Misuse)
        .and_then(|config| open_signer(&config))
        .map_err(|Misuse(error)| failed(&error))?;
    file.persist(&path).map_err(|error| failed(&error))?;
    // The name is in the folder only once the folder is written.
    fs::File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| failed(&error))
}
