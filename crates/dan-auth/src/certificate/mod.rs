//! Enterprise certificates (virksomhetssertifikat) as a proof of who calls.
//!
//! The TLS layer, ours or a trusted proxy's, has seen that the peer holds the key of a certificate.
//! [`EnterpriseCertificates`] judges everything else: what the certificate is for and whom it names
//! (`subject.rs`), whether somebody we trust issued it (`path.rs`), and whether it was taken back
//! (`revocation/`). Why here and not in the handshake: `docs/decisions/0012`.
//!
//! Every refusal is [`AuthError::BadCertificate`], 401 with 1000. The reason is for the log and
//! holds nothing of the certificate.

mod bundle;
mod path;
#[cfg(test)]
mod pkits;
mod revocation;
mod subject;
mod verdicts;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dan_core::caller::Proof;
use dan_core::party::{OrgNumber, Realm};
use dan_core::ports::{
    AuthError, Authenticator, CallContext, ClientCertificate, Clock, Credentials, Fetch, PortFuture,
};
use dan_core::time::Timestamp;

pub use bundle::{FILE_BYTES_MAX, NamedFile};
pub use path::{CHAIN_BYTES_MAX, CONFIGURED_MAX, INTERMEDIATES_MAX};
pub use revocation::crl::LISTS_MAX;
pub use revocation::memory::REMEMBERED_MAX;
pub use revocation::ocsp::{
    ADDRESS_BYTES_MAX, ANSWER_BYTES_MAX, ANSWERS_MAX, FRESH_MAX_MS, OcspConfig, PAUSE_MS,
    PREFIXES_MAX, WAIT_MAX,
};
pub use revocation::wire::{RESPONDERS_MAX, SKEW_MS, UNDATED_AGE_MAX_MS};
pub use revocation::{SOFT_MS, SOFT_MS_MAX};
pub use verdicts::{ACCEPTED_MS_MAX, REFUSED_MS, VERDICTS_MAX};

use crate::ConfigError;
use path::Trust;
use revocation::Revocation;
use subject::SubjectRules;
use verdicts::Verdicts;

/// The organisation that a certificate names, whether or not anybody should believe it. For fuzzing, and to show
/// people what is in one.
///
/// # Errors
/// Why it names none that would be taken; holds nothing of the certificate.
pub fn organisation_named(
    leaf: &[u8],
    accept_seid_v1: bool,
    realm: Realm,
) -> Result<OrgNumber, &'static str> {
    let rules = SubjectRules {
        accept_seid_v1,
        realm,
    };
    subject::organisation(leaf, rules).map_err(|subject::Refused(why)| why)
}

/// What the operator says about enterprise certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateConfig {
    /// Root certificates, PEM or DER; at least one.
    pub roots: Vec<NamedFile>,
    /// Intermediates for peers that do not send theirs. They are no roots: each must lead to one.
    pub intermediates: Vec<NamedFile>,
    /// Revocation lists, PEM or DER. `None`: there are none. Empty: there should be some, and
    /// what OCSP does not decide is refused.
    pub crls: Option<Vec<NamedFile>>,
    /// Whom to ask what the lists do not decide. `None`: nobody.
    pub ocsp: Option<OcspConfig>,
    /// How long a certificate is still taken when its status cannot be learnt, in ms; 0 to
    /// [`SOFT_MS_MAX`].
    pub soft_ms: i64,
    /// Takes the number from serialNumber where there is no organizationIdentifier.
    pub accept_seid_v1: bool,
    /// Synthetic organisation numbers are refused in [`Realm::Production`]. Numbers with a wrong
    /// control digit, which some test authorities issue, are refused everywhere.
    pub realm: Realm,
}

impl Default for CertificateConfig {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            intermediates: Vec::new(),
            crls: None,
            ocsp: None,
            soft_ms: SOFT_MS,
            accept_seid_v1: false,
            realm: Realm::Production,
        }
    }
}

/// What ends at a known moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// What it is.
    pub kind: ExpiryKind,
    /// The subject of a root, the issuer of a list.
    pub name: String,
    /// When.
    pub at: Timestamp,
}

/// Kinds of things that end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryKind {
    /// A root certificate: from then on nothing below it is taken.
    Root,
    /// A revocation list: from then on its issuer's certificates are taken for the soft period.
    RevocationList,
}

/// Finds [`Proof::Certificate`].
pub struct EnterpriseCertificates {
    trust: Trust,
    revocation: Revocation,
    rules: SubjectRules,
    verdicts: Verdicts,
    /// Counts the sets of revocation lists; a verdict of an older set is not used again.
    edition: AtomicU64,
    clock: Arc<dyn Clock>,
}

impl EnterpriseCertificates {
    /// Reads everything in `config`; asks nobody yet.
    ///
    /// # Errors
    /// [`ConfigError`], in words for the operator, with the file where it is about one.
    pub fn new(
        config: CertificateConfig,
        fetch: &Arc<dyn Fetch>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        let trust = Trust::new(&config.roots, &config.intermediates)?;
        let lists = config.crls.as_deref();
        let revocation = Revocation::new(lists, config.ocsp, config.soft_ms, fetch, clock)?;
        Ok(Self {
            trust,
            revocation,
            rules: SubjectRules {
                accept_seid_v1: config.accept_seid_v1,
                realm: config.realm,
            },
            verdicts: Verdicts::default(),
            edition: AtomicU64::new(0),
            clock: Arc::clone(clock),
        })
    }

    /// Whether anything says that a certificate was taken back. False is the operator's choice, and
    /// worth a word.
    #[must_use]
    pub fn revocation_checked(&self) -> bool {
        self.revocation.is_checked()
    }

    /// Puts new revocation lists in the place of all old ones. What was found with the old ones
    /// counts no more. May be called at any time. Parses on the calling thread, a list of 7 MB in 0.2 s:
    /// not for a thread that serves requests.
    ///
    /// # Errors
    /// [`ConfigError`] that names the file when one cannot be used; then the old lists stay.
    pub fn replace_crls(&self, files: &[NamedFile]) -> Result<(), ConfigError> {
        self.revocation.replace_lists(files)?;
        self.edition.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// Roots and revocation lists, and when each ends.
    #[must_use]
    pub fn expiries(&self) -> Vec<Expiry> {
        let roots = self.trust.roots().map(|(name, at)| Expiry {
            kind: ExpiryKind::Root,
            name: name.to_owned(),
            at,
        });
        let lists = self.revocation.expiries().into_iter();
        let lists = lists.map(|(name, at)| Expiry {
            kind: ExpiryKind::RevocationList,
            name,
            at,
        });
        roots.chain(lists).collect()
    }

    /// The organisation that a presented chain proves. Only verdicts that cost something are kept:
    /// a flood of worthless chains does not drive out the good ones.
    async fn judge(
        &self,
        chain: &ClientCertificate,
        ctx: &CallContext,
    ) -> Result<OrgNumber, String> {
        path::check_size(chain)?;
        let now = self.clock.now();
        let edition = self.edition.load(Ordering::SeqCst);
        let key = verdicts::key_of(chain);
        if let Some(known) = self.verdicts.find(&key, edition, now) {
            return known;
        }
        let path = self.trust.path(chain, now)?;
        let org = subject::organisation(&chain.leaf, self.rules)
            .map_err(|subject::Refused(why)| why.to_owned())?;
        let (outcome, until) = match self.revocation.check(&path, now, ctx).await {
            Ok(until) => (Ok(org), until),
            Err(why) => (Err(why.to_owned()), path.not_after),
        };
        self.verdicts
            .keep(key, edition, outcome.clone(), (now, until));
        outcome
    }
}

impl Authenticator for EnterpriseCertificates {
    fn authenticate<'a>(
        &'a self,
        presented: &'a Credentials,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Option<Proof>, AuthError>> {
        Box::pin(async move {
            let Some(chain) = &presented.certificate else {
                return Ok(None);
            };
            let org = self.judge(chain, ctx).await;
            let org = org.map_err(AuthError::BadCertificate)?;
            Ok(Some(Proof::Certificate { org }))
        })
    }
}
