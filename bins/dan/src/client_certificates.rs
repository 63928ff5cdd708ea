//! Enterprise certificates: their files, read at the start and again while the node serves.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};
use dan_auth::certificate::{
    CertificateConfig, EnterpriseCertificates, Expiry, FILE_BYTES_MAX, LISTS_MAX, NamedFile,
    OcspConfig,
};
use dan_core::caller::Proof;
use dan_core::party::Realm;
use dan_core::ports::{
    AuthError, Authenticator, CallContext, Clock, Credentials, Fetch, PortFuture,
};
use tokio::task::spawn_blocking;

use crate::compose::realm;
use crate::config::Config;
use crate::looks::Looks;
use crate::output::Misuse;

/// Milliseconds of a second.
const S_MS: i64 = 1000;

/// Where the files lie and what else is to be held to.
#[derive(Clone)]
struct Setup {
    roots: PathBuf,
    intermediates: Option<PathBuf>,
    crls: Option<PathBuf>,
    ocsp: Option<OcspConfig>,
    soft_ms: i64,
    seid_v1: bool,
    realm: Realm,
}

/// Digests of what the files held, roots and intermediates apart from the lists: lists have megabytes.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    trust: [u8; 32],
    lists: [u8; 32],
}

/// What the files hold.
struct Material {
    roots: NamedFile,
    intermediates: Option<NamedFile>,
    crls: Option<Vec<NamedFile>>,
}

/// Judges client certificates by the files as they are now.
pub struct ClientCertificates {
    setup: Setup,
    live: ArcSwap<EnterpriseCertificates>,
    seen: Mutex<Seen>,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
}

impl ClientCertificates {
    /// Reads the files; `None` without `server.tls.client_roots`.
    ///
    /// # Errors
    /// Which file or key cannot be used, and why.
    pub fn open(
        config: &Config,
        fetch: &Arc<dyn Fetch>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Self>, Misuse> {
        let Some(setup) = Setup::of(config) else {
            return Ok(None);
        };
        let material = setup.read()?;
        let seen = material.digests();
        let live = setup.judge(material, fetch, clock)?;
        Ok(Some(Self {
            setup,
            seen: Mutex::new(seen),
            live: ArcSwap::from_pointee(live),
            fetch: Arc::clone(fetch),
            clock: Arc::clone(clock),
        }))
    }

    /// Roots and revocation lists, and when each ends.
    #[must_use]
    pub fn expiries(&self) -> Vec<Expiry> {
        self.live.load().expiries()
    }

    /// Whether anything says that a certificate was taken back.
    #[must_use]
    pub fn revocation_checked(&self) -> bool {
        self.live.load().revocation_checked()
    }

    /// Looks at the files every ten seconds and at each SIGHUP, until `stop`, and takes over what is new and good.
    /// What is not good is logged, and what was good stays. Dropping it ends the watch.
    pub async fn watch(self: Arc<Self>, stop: impl Future<Output = ()> + Send) {
        tokio::pin!(stop);
        let mut looks = Looks::new();
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = looks.next() => {}
            }
            // Parsing lists of megabytes is no work for a thread that serves.
            let this = Arc::clone(&self);
            if let Err(error) = spawn_blocking(move || this.look()).await {
                tracing::error!(%error, "reading the certificate files failed");
            }
        }
    }

    /// Takes over what differs from what was seen last. Called by one task only.
    fn look(&self) {
        let material = match self.setup.read() {
            Ok(material) => material,
            Err(Misuse(problem)) => {
                tracing::error!(
                    problem,
                    "certificate files cannot be read; the old ones hold on"
                );
                return;
            }
        };
        let now = material.digests();
        let before = std::mem::replace(&mut *lock(&self.seen), now);
        if now == before {
            return;
        }
        let taken = match &material.crls {
            Some(lists) if now.trust == before.trust => {
                let replaced = self.live.load().replace_crls(lists);
                replaced.map_err(|error| Misuse(error.to_string()))
            }
            Some(_) | None => self
                .setup
                .judge(material, &self.fetch, &self.clock)
                .map(|judge| self.live.store(Arc::new(judge))),
        };
        match taken {
            Ok(()) => tracing::info!("new certificate files hold from now on"),
            Err(Misuse(problem)) => {
                tracing::error!(
                    problem,
                    "new certificate files are not good; the old ones hold on"
                );
            }
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Material {
    fn digests(&self) -> Seen {
        let trust = std::iter::once(&self.roots).chain(&self.intermediates);
        Seen {
            trust: digest(trust),
            lists: digest(self.crls.iter().flatten()),
        }
    }
}

fn digest<'a>(files: impl Iterator<Item = &'a NamedFile>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for file in files {
        for part in [file.name.as_bytes(), &file.bytes] {
            context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            context.update(part);
        }
    }
    context.finish().as_ref().try_into().unwrap_or([0; 32])
}

impl Authenticator for ClientCertificates {
    fn authenticate<'a>(
        &'a self,
        presented: &'a Credentials,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Option<Proof>, AuthError>> {
        if presented.certificate.is_none() {
            return Box::pin(async { Ok(None) });
        }
        let judge = self.live.load_full();
        Box::pin(async move { judge.authenticate(presented, ctx).await })
    }
}

impl Setup {
    fn of(config: &Config) -> Option<Self> {
        let tls = config.server.tls.as_ref()?;
        let roots = config.resolve(tls.client_roots.as_ref()?);
        let asked = !tls.client_ocsp.is_empty() || tls.client_ocsp_default.is_some();
        Some(Self {
            roots,
            intermediates: tls
                .client_intermediates
                .as_ref()
                .map(|path| config.resolve(path)),
            crls: tls.client_crls.as_ref().map(|path| config.resolve(path)),
            ocsp: asked.then(|| OcspConfig {
                allowed_prefixes: tls.client_ocsp.clone(),
                default_responder: tls.client_ocsp_default.clone(),
            }),
            soft_ms: i64::from(tls.client_revocation_soft_s).saturating_mul(S_MS),
            seid_v1: tls.client_seid_v1,
            realm: realm(config.server.realm),
        })
    }

    fn read(&self) -> Result<Material, Misuse> {
        let intermediates = self.intermediates.as_deref();
        Ok(Material {
            roots: read("server.tls.client_roots", &self.roots)?,
            intermediates: intermediates
                .map(|path| read("server.tls.client_intermediates", path))
                .transpose()?,
            crls: self.crls.as_deref().map(read_folder).transpose()?,
        })
    }

    fn judge(
        &self,
        material: Material,
        fetch: &Arc<dyn Fetch>,
        clock: &Arc<dyn Clock>,
    ) -> Result<EnterpriseCertificates, Misuse> {
        let config = CertificateConfig {
            roots: vec![material.roots],
            intermediates: material.intermediates.into_iter().collect(),
            crls: material.crls,
            ocsp: self.ocsp.clone(),
            soft_ms: self.soft_ms,
            accept_seid_v1: self.seid_v1,
            realm: self.realm,
        };
        EnterpriseCertificates::new(config, fetch, clock)
            .map_err(|error| Misuse(format!("server.tls: {error}")))
    }
}

fn read(key: &str, path: &Path) -> Result<NamedFile, Misuse> {
    let shown = path.display();
    let wrong = |what: String| Misuse(format!("{key}: {shown}: {what}"));
    let about = std::fs::metadata(path).map_err(|error| wrong(error.to_string()))?;
    if about.len() > u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX) {
        return Err(wrong(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    Ok(NamedFile {
        name: shown.to_string(),
        bytes,
    })
}

/// Every file of the folder that is not hidden, by name.
fn read_folder(folder: &Path) -> Result<Vec<NamedFile>, Misuse> {
    const KEY: &str = "server.tls.client_crls";
    let wrong = |error: std::io::Error| Misuse(format!("{KEY}: {}: {error}", folder.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if !hidden && path.is_file() {
            paths.push(path);
        }
        if paths.len() > LISTS_MAX {
            return Err(Misuse(format!("{KEY}: more than {LISTS_MAX} files")));
        }
    }
    paths.sort();
    paths.iter().map(|path| read(KEY, path)).collect()
}
