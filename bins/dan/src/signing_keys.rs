//! The keys that sign answers: read from the table `[signing]` and its files at the start, and again
//! while the node serves, so that keys rotate without a restart.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use aws_lc_rs::digest::{Context, SHA256};
use dan_core::ports::Clock as _;
use dan_core::secret::Secret;
use dan_core::time::Timestamp;
use dan_http::management::SigningHealth;
use dan_sign::key_ring::{KeyRing, KeySource, KeySpec};
use dan_sign::token_key::{self, TokenSpec};
use dan_sign::{RingSigner, SignConfig};
use tokio::task::spawn_blocking;

use crate::config::{self, Config, SigningKey};
use crate::looks::Looks;
use crate::output::Misuse;
use crate::system::SystemClock;

/// Largest file of certificates, in bytes.
const CERTIFICATE_BYTES_MAX: u64 = 64 * 1024;

/// What the files of one key hold.
struct Material {
    /// The key itself, or the PIN of its token.
    secret: Secret,
    certificate: Option<String>,
}

/// The table and everything it names, as read at one moment.
struct Table {
    config: Config,
    materials: Vec<Material>,
    /// Digest of all of it, so that no key is kept to compare.
    digest: Vec<u8>,
}

/// The node's signer, and what is needed to look at its keys again.
pub struct SigningKeys {
    signer: Arc<RingSigner>,
    /// Of the table in force.
    digest: Vec<u8>,
    /// Of the table whose PIN was refused last; empty: none.
    refused: Vec<u8>,
    /// The configuration file; `None`: there is none to read again.
    file: Option<Arc<Path>>,
    /// Why the table that is there now is not in force.
    problem: Arc<ArcSwapOption<String>>,
}

/// Reads the signing keys, for a command.
///
/// # Errors
/// What is wrong with which key.
pub fn open_signer(config: &Config) -> Result<RingSigner, Misuse> {
    let specs = specs(config, materials(config)?)?;
    RingSigner::new(&SignConfig { keys: specs }, SystemClock.now())
        .map_err(|error| Misuse(format!("signing.keys: {error}")))
}

impl SigningKeys {
    /// Reads the keys; each that may sign proves that it can.
    ///
    /// # Errors
    /// What is wrong with which key.
    pub fn open(config: &Config) -> Result<Self, Misuse> {
        let materials = materials(config)?;
        let digest = digest(config, &materials);
        let keys = specs(config, materials)?;
        let signer = RingSigner::new(&SignConfig { keys }, SystemClock.now())
            .map_err(|error| Misuse(format!("signing.keys: {error}")))?;
        Ok(Self {
            signer: Arc::new(signer),
            digest,
            refused: Vec::new(),
            file: config.file.as_deref().map(Arc::from),
            problem: Arc::default(),
        })
    }

    /// Signs with the keys in force.
    #[must_use]
    pub fn signer(&self) -> Arc<RingSigner> {
        Arc::clone(&self.signer)
    }

    /// Says how it stands with the keys.
    #[must_use]
    pub fn health(&self) -> Box<dyn Fn() -> SigningHealth + Send + Sync> {
        let (signer, problem) = (self.signer(), Arc::clone(&self.problem));
        Box::new(move || {
            let now = SystemClock.now();
            let ring = signer.ring();
            SigningHealth {
                active: ring.active_kid(now).map(str::to_owned),
                keys: ring.entries(now).len(),
                problem: problem.load().as_deref().cloned(),
            }
        })
    }

    /// Looks at the table and its files every ten seconds and at each SIGHUP, until `stop`, and swaps what is new and
    /// good. What is not good is logged and shown, and what was good stays. Dropping it ends the watch.
    pub async fn watch(mut self, stop: impl Future<Output = ()> + Send) {
        tokio::pin!(stop);
        let mut looks = Looks::new();
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = looks.next() => {}
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let Some(file) = self.file.clone() else {
            return;
        };
        let known = [self.digest.clone(), self.refused.clone()];
        let read = spawn_blocking(move || read_if_new(&file, known)).await;
        match read {
            Ok(Found::Same) => {
                self.refused.clear();
                self.problem.store(None);
            }
            Ok(Found::RefusedBefore) => {}
            Ok(Found::New(ring, digest)) => {
                self.digest = digest;
                self.refused.clear();
                self.problem.store(None);
                self.replace(*ring);
            }
            Ok(Found::Bad(digest, problem)) => {
                self.refused = if is_about_a_pin(&problem) {
                    digest
                } else {
                    Vec::new()
                };
                self.refuse(problem);
            }
            Err(error) => self.refuse(format!("reading the keys failed: {error}")),
        }
    }

    fn replace(&self, ring: KeyRing) {
        let now = SystemClock.now();
        let before = self.signer.ring();
        let early = ring.unannounced(&before, now).join(", ");
        if !early.is_empty() {
            tracing::warn!(
                keys = early,
                "signing keys sign at once that were never published: who fetched the key set before cannot verify them; \
                 give a new key a signs_from"
            );
        }
        let kept = kids(&ring, now);
        let lost: Vec<String> = kids(&before, now).difference(&kept).cloned().collect();
        if !lost.is_empty() {
            tracing::warn!(
                keys = lost.join(", "),
                "signing keys are not published any more: what they signed cannot be verified with the key set; keep \
                 them in signing.keys with a retired_at"
            );
        }
        let active = ring.active_kid(now).unwrap_or_default().to_owned();
        self.signer.replace(ring);
        tracing::info!(active, keys = kept.len(), "new signing keys are in force");
    }

    /// Says it once, not every ten seconds.
    fn refuse(&self, problem: String) {
        if self.problem.load().as_deref() == Some(&problem) {
            return;
        }
        tracing::error!(
            problem,
            "the new signing keys are not good; the old ones stay in force"
        );
        self.problem.store(Some(Arc::new(problem)));
    }
}

fn kids(ring: &KeyRing, now: Timestamp) -> BTreeSet<String> {
    ring.entries(now).into_iter().map(|key| key.kid).collect()
}

/// `CKR_PIN_INCORRECT` and its kin, by the name the token gives (PKCS#11 3.1 §5.1.7).
fn is_about_a_pin(problem: &str) -> bool {
    problem.to_ascii_lowercase().contains("pin")
}

/// What a look at the table found.
enum Found {
    /// The one that is in force.
    Same,
    /// One whose PIN was wrong. It is not tried again until it changes: a token counts, and locks itself.
    RefusedBefore,
    /// The ring that it asks for, and its digest.
    New(Box<KeyRing>, Vec<u8>),
    /// What is wrong with it, and its digest, which is empty where it could not be read.
    Bad(Vec<u8>, String),
}

fn read_if_new(file: &Path, [known, refused]: [Vec<u8>; 2]) -> Found {
    let table = match read_table(file) {
        Ok(table) => table,
        Err(Misuse(problem)) => return Found::Bad(Vec::new(), problem),
    };
    if table.digest == known {
        return Found::Same;
    }
    if table.digest == refused {
        return Found::RefusedBefore;
    }
    let digest = table.digest.clone();
    let ring = specs(&table.config, table.materials).and_then(|specs| {
        KeyRing::new(&specs, SystemClock.now())
            .map_err(|error| Misuse(format!("signing.keys: {error}")))
    });
    match ring {
        Ok(ring) => Found::New(Box::new(ring), digest),
        Err(Misuse(problem)) => Found::Bad(digest, problem),
    }
}

fn read_table(file: &Path) -> Result<Table, Misuse> {
    let config = config::read(file)?;
    let materials = materials(&config)?;
    Ok(Table {
        digest: digest(&config, &materials),
        config,
        materials,
    })
}

fn materials(config: &Config) -> Result<Vec<Material>, Misuse> {
    if config.signing.keys.is_empty() {
        return Err(Misuse(
            "signing.keys is empty: every answer is signed; make a key with `dan signing-key new --out \
             signing.pem`, then add keys = [{ key = { file = \"signing.pem\" } }]"
                .to_owned(),
        ));
    }
    let keys = config.signing.keys.iter();
    keys.map(|key| material(config, key)).collect()
}

fn material(config: &Config, key: &SigningKey) -> Result<Material, Misuse> {
    let (name, secret) = match (&key.key, &key.pkcs11) {
        (Some(key), None) => ("signing.keys[].key", key),
        (None, Some(token)) => ("signing.keys[].pkcs11.pin", &token.pin),
        (Some(_), Some(_)) | (None, None) => {
            return Err(Misuse(
                "signing.keys[].key: give `key` or `pkcs11`, one of the two".to_owned(),
            ));
        }
    };
    let certificate = key.certificate.as_ref();
    let certificate = certificate.map(|path| read_certificate(&config.resolve(path)));
    Ok(Material {
        secret: config.secret(name, secret)?,
        certificate: certificate.transpose()?,
    })
}

fn read_certificate(path: &Path) -> Result<String, Misuse> {
    let problem = |error: &dyn std::fmt::Display| {
        let path = path.display();
        Misuse(format!(
            "signing.keys[].certificate: cannot read {path}: {error}"
        ))
    };
    let size = std::fs::metadata(path)
        .map_err(|error| problem(&error))?
        .len();
    if size > CERTIFICATE_BYTES_MAX {
        return Err(problem(&"it is larger than 64 KiB"));
    }
    std::fs::read_to_string(path).map_err(|error| problem(&error))
}

/// `Debug` of the table shows where secrets lie, and none of them.
fn digest(config: &Config, materials: &[Material]) -> Vec<u8> {
    let mut digest = Context::new(&SHA256);
    let table = format!("{:?} {:?}", config.signing, config.folder);
    let mut add = |part: &[u8]| {
        digest.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(part);
    };
    add(table.as_bytes());
    for material in materials {
        add(material.secret.expose().as_bytes());
        add(material
            .certificate
            .as_deref()
            .unwrap_or_default()
            .as_bytes());
    }
    digest.finish().as_ref().to_vec()
}

fn specs(config: &Config, materials: Vec<Material>) -> Result<Vec<KeySpec>, Misuse> {
    let pairs = config.signing.keys.iter().zip(materials);
    pairs
        .map(|(key, material)| spec(config, key, material))
        .collect()
}

fn spec(config: &Config, key: &SigningKey, material: Material) -> Result<KeySpec, Misuse> {
    let moment = |name: &str, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => Timestamp::parse(text).map(Some).ok_or_else(|| {
            Misuse(format!(
                "signing.keys[].{name}: `{text}` is no moment such as 2030-01-31T12:00:00Z"
            ))
        }),
    };
    let source = match &key.pkcs11 {
        None => KeySource::Pem(material.secret),
        Some(token) => {
            let spec = TokenSpec {
                module: config.resolve(&token.module),
                token: token.token.clone(),
                label: token.label.clone(),
                pin: material.secret,
            };
            let opened = token_key::open(spec);
            let opened = opened.map_err(|error| {
                let place = key.place();
                Misuse(format!("signing.keys[].pkcs11 ({place}): {error}"))
            })?;
            KeySource::Held(opened)
        }
    };
    Ok(KeySpec {
        kid: key.kid.clone(),
        certificate: material.certificate,
        signs_from: moment("signs_from", &key.signs_from)?,
        retired_at: moment("retired_at", &key.retired_at)?,
        ..KeySpec::new(source)
    })
}
