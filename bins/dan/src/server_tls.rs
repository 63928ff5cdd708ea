//! TLS of the public listener: read from its files at the start, and again while the node serves.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};
use dan_core::time::Timestamp;
use dan_http::tls::{Reloadable, ServerConfig, not_after, server_config};
use tokio::task::spawn_blocking;

use crate::config::{Config, SecretRef};
use crate::looks::Looks;
use crate::output::Misuse;

/// Largest file of certificates, in bytes.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// Where certificate, key and client roots lie.
#[derive(Clone, Debug)]
struct Files {
    certificate: PathBuf,
    key: SecretRef,
    client_roots: Option<PathBuf>,
    folder: PathBuf,
}

/// What the files hold.
struct Material {
    settings: Result<Arc<ServerConfig>, Misuse>,
    /// Digest of all of them, so that a key is not kept to compare.
    digest: Vec<u8>,
    certificate: Vec<u8>,
}

/// The listener's TLS, and what is needed to look at its files again.
pub(crate) struct ServerTls {
    files: Files,
    digest: Vec<u8>,
    live: Arc<Reloadable>,
    ends: Arc<ArcSwap<ChainEnds>>,
}

/// Subject of each certificate of the chain and when it ends, the server's own first.
pub(crate) type ChainEnds = Vec<(String, Timestamp)>;

impl ServerTls {
    /// Reads the files; `None` without `[server.tls]`.
    ///
    /// # Errors
    /// Which file cannot be used, and why; never what is in it.
    pub(crate) fn open(config: &Config) -> Result<Option<Self>, Misuse> {
        let Some(tls) = &config.server.tls else {
            return Ok(None);
        };
        let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) else {
            return Ok(None);
        };
        let files = Files {
            certificate: config.resolve(certificate),
            key: key.clone(),
            client_roots: tls.client_roots.as_ref().map(|path| config.resolve(path)),
            folder: config.folder.clone(),
        };
        let material = files.read()?;
        let live = Arc::new(Reloadable::new(material.settings?));
        let ends = not_after(&material.certificate);
        Ok(Some(Self {
            ends: Arc::new(ArcSwap::from_pointee(ends)),
            files,
            digest: material.digest,
            live,
        }))
    }

    /// What the listener takes its settings from.
    pub(crate) fn live(&self) -> Arc<Reloadable> {
        Arc::clone(&self.live)
    }

    /// When the chain that serves now ends.
    pub(crate) fn ends(&self) -> Arc<ArcSwap<ChainEnds>> {
        Arc::clone(&self.ends)
    }

    /// Looks at the files every ten seconds and at each SIGHUP, until `stop`, and swaps what is new and good. What is
    /// not good is logged, and what was good stays. Dropping it ends the watch.
    pub(crate) async fn watch(mut self, stop: impl Future<Output = ()> + Send) {
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
        let files = self.files.clone();
        let material = match spawn_blocking(move || files.read()).await {
            Ok(Ok(material)) => material,
            Ok(Err(Misuse(problem))) => {
                tracing::error!(
                    problem,
                    "the TLS files cannot be read; the old ones serve on"
                );
                return;
            }
            Err(error) => {
                tracing::error!(%error, "reading the TLS files failed");
                return;
            }
        };
        if material.digest == self.digest {
            return;
        }
        self.digest = material.digest;
        match material.settings {
            Ok(settings) => {
                self.live.replace(settings);
                let ends = not_after(&material.certificate);
                let own = ends.first().map(|(_, end)| end.to_string());
                let not_after = own.unwrap_or_default();
                self.ends.store(Arc::new(ends));
                tracing::info!(not_after, "new TLS files serve from now on");
            }
            Err(Misuse(problem)) => {
                tracing::error!(
                    problem,
                    "the new TLS files are not good; the old ones serve on"
                );
            }
        }
    }
}

impl Files {
    fn read(&self) -> Result<Material, Misuse> {
        let certificate = read_pem("server.tls.certificate", &self.certificate)?;
        let key = self
            .key
            .read(&self.folder)
            .map_err(|error| Misuse(format!("server.tls.key: {error}")))?;
        let roots = self
            .client_roots
            .as_ref()
            .map(|path| read_pem("server.tls.client_roots", path))
            .transpose()?;
        let mut digest = Context::new(&SHA256);
        for part in [
            &certificate,
            key.expose().as_bytes(),
            roots.as_deref().unwrap_or_default(),
        ] {
            digest.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(part);
        }
        let settings = server_config(&certificate, key.expose().as_bytes(), roots.as_deref())
            .map_err(|error| Misuse(format!("server.tls: {error}")));
        Ok(Material {
            settings,
            digest: digest.finish().as_ref().to_vec(),
            certificate,
        })
    }
}

fn read_pem(key: &str, path: &PathBuf) -> Result<Vec<u8>, Misuse> {
    let problem =
        |error: io::Error| Misuse(format!("{key}: cannot read {}: {error}", path.display()));
    let size = std::fs::metadata(path).map_err(problem)?.len();
    if size > PEM_BYTES_MAX {
        return Err(Misuse(format!(
            "{key}: {} is larger than 1 MiB",
            path.display()
        )));
    }
    std::fs::read(path).map_err(problem)
}
