//! Certificate revocation lists (RFC 5280 §5), as the operator's folder holds them.
//!
//! Which list speaks about which certificate, and whether it may, is judged by webpki. What webpki
//! does not tell apart is told here: which certificate of a path is the one that no list speaks
//! of, and since when a list is out of date.

use dan_core::time::Timestamp;
use der::asn1::{AnyRef, BitStringRef};
use der::{Decode as _, Encode as _, Sequence};
use pki_types::{CertificateDer, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, CertRevocationList, EndEntityCert, Error, ExpirationPolicy, KeyUsage,
    OwnedCertRevocationList, RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy,
};
use x509_parser::der_parser::asn1_rs::{Oid, oid};
use x509_parser::prelude::{CertificateRevocationList, FromDer as _, X509Certificate};

use super::super::bundle::{Content, NamedFile};
use super::super::path::{Path, unix};
use super::wire::is_signed;
use crate::ConfigError;

/// Most lists held at a time.
pub const LISTS_MAX: usize = 256;

const DISTRIBUTION_POINTS: Oid<'static> = oid!(2.5.29.31);

/// A signed list, split into what is signed and how.
#[derive(Sequence)]
struct Signed<'a> {
    content: AnyRef<'a>,
    algorithm: AnyRef<'a>,
    signature: BitStringRef<'a>,
}

struct List {
    name: String,
    parsed: CertRevocationList<'static>,
    content: Vec<u8>,
    algorithm: Vec<u8>,
    signature: Vec<u8>,
    this_update: Timestamp,
    next_update: Timestamp,
}

/// What the lists say about one certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not revoked, by a list that is in force until `until`.
    Good {
        evidence: Timestamp,
        until: Timestamp,
    },
    /// Not revoked, by a list that was in force until `ended`.
    Stale { ended: Timestamp },
    /// Revoked, also when the list that says so is out of date.
    Revoked { evidence: Timestamp },
    /// No list speaks about it.
    Unknown,
}

/// All lists, the newest first: where two speak about the same certificates, the newer one counts.
#[derive(Default)]
pub(crate) struct Lists(Vec<List>);

impl Lists {
    /// # Errors
    /// [`ConfigError`] that names the file: damaged, or a list that cannot be understood (a delta
    /// list, or one that does not say when the next one comes).
    pub(crate) fn new(files: &[NamedFile]) -> Result<Self, ConfigError> {
        let mut lists = Vec::new();
        for file in files {
            for der in file.objects(Content::RevocationLists)? {
                let list = List::new(&der).map_err(|why| file.wrong(&why))?;
                lists.push(list);
            }
        }
        if lists.len() > LISTS_MAX {
            let text = format!("more than {LISTS_MAX} revocation lists");
            return Err(ConfigError(text));
        }
        lists.sort_by_key(|list| std::cmp::Reverse(list.this_update));
        Ok(Self(lists))
    }

    /// Issuer of each list, and when its next one is due.
    pub(crate) fn expiries(&self) -> impl Iterator<Item = (&str, Timestamp)> {
        self.0
            .iter()
            .map(|list| (list.name.as_str(), list.next_update))
    }

    /// What is said about each certificate of the path but the root, the leaf first.
    pub(crate) fn standings(&self, path: &Path, now: Timestamp) -> Vec<Standing> {
        let pairs = path
            .certificates
            .windows(2)
            .filter_map(<[Vec<u8>]>::as_array);
        let links: Vec<(&[Vec<u8>; 2], Vec<&List>)> = pairs
            .map(|pair| {
                let [certificate, issuer] = pair;
                let theirs = self
                    .0
                    .iter()
                    .filter(|list| list.may_speak_of(certificate) && list.is_of(issuer));
                (pair, theirs.collect())
            })
            .collect();
        let lists: Vec<&CertRevocationList<'_>> = links
            .iter()
            .flat_map(|(_, theirs)| theirs.iter().map(|list| &list.parsed))
            .collect();
        let all_good = whole_path_is_good(path, &lists, now);
        let mut standings = Vec::new();
        for (at, ([certificate, issuer], theirs)) in links.iter().enumerate() {
            standings.push(if all_good {
                good_by(theirs, now)
            } else if at == 0 {
                leaf_standing(certificate, issuer, theirs, now)
            } else {
                authority_standing(certificate, theirs, now)
            });
        }
        standings
    }
}

impl List {
    fn new(der: &[u8]) -> Result<Self, String> {
        const DAMAGED: &str = "a revocation list is damaged";
        let parsed = OwnedCertRevocationList::from_der(der)
            .map_err(|error| format!("a revocation list that cannot be used ({error})"))?;
        let signed = Signed::from_der(der).ok().ok_or(DAMAGED)?;
        let (_, read) = CertificateRevocationList::from_der(der)
            .ok()
            .ok_or(DAMAGED)?;
        let moment = |seconds: i64| Timestamp::from_ms(seconds.saturating_mul(1000));
        let next_update = read.next_update().ok_or("a list without nextUpdate")?;
        Ok(Self {
            name: read.issuer().to_string(),
            parsed: parsed.into(),
            content: signed.content.to_der().ok().ok_or(DAMAGED)?,
            algorithm: signed.algorithm.value().to_vec(),
            signature: signed.signature.as_bytes().ok_or(DAMAGED)?.to_vec(),
            this_update: moment(read.last_update().timestamp()),
            next_update: moment(next_update.timestamp()),
        })
    }

    /// Whether this issuer made the list: by name, by key, and by what the key may be used for.
    /// Another authority's list under the same name does not stand in the way of the right one.
    fn is_of(&self, issuer: &[u8]) -> bool {
        let der = CertificateDer::from(issuer);
        let named = EndEntityCert::try_from(&der)
            .is_ok_and(|certificate| certificate.subject() == self.parsed.issuer());
        named
            && may_sign_lists(issuer)
            && is_signed(&der, &self.algorithm, &self.content, &self.signature)
    }

    /// A list for a part of its issuer's certificates says so in an issuing distribution point. It
    /// speaks only of certificates that name a distribution point: webpki would also take it for
    /// those that name none, which it may leave out.
    fn may_speak_of(&self, certificate: &[u8]) -> bool {
        if self.parsed.issuing_distribution_point().is_none() {
            return true;
        }
        X509Certificate::from_der(certificate).is_ok_and(|(_, parsed)| {
            let mut extensions = parsed.extensions().iter();
            extensions.any(|extension| extension.oid == DISTRIBUTION_POINTS)
        })
    }

    fn standing(&self, revoked: bool, now: Timestamp) -> Standing {
        if revoked {
            Standing::Revoked {
                evidence: self.this_update,
            }
        } else if now < self.next_update {
            Standing::Good {
                evidence: self.this_update,
                until: self.next_update,
            }
        } else {
            Standing::Stale {
                ended: self.next_update,
            }
        }
    }
}

fn may_sign_lists(issuer: &[u8]) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(issuer) else {
        return false;
    };
    let usage = parsed.key_usage();
    usage.is_ok_and(|usage| usage.is_none_or(|usage| usage.value.crl_sign()))
}

fn whole_path_is_good(path: &Path, lists: &[&CertRevocationList<'_>], now: Timestamp) -> bool {
    let ([leaf, between @ .., root], false) = (path.certificates.as_slice(), lists.is_empty())
    else {
        return false;
    };
    let depth = RevocationCheckDepth::Chain;
    verify(
        [leaf, root],
        between,
        lists,
        (depth, ExpirationPolicy::Enforce),
        unix(now),
    )
    .is_ok()
}

/// Good by those of the lists that are in force: as old as the oldest, as long as the shortest.
fn good_by(lists: &[&List], now: Timestamp) -> Standing {
    let in_force = || lists.iter().filter(|list| now < list.next_update);
    let evidence = in_force().map(|list| list.this_update).min();
    let until = in_force().map(|list| list.next_update).min();
    match (evidence, until) {
        (Some(evidence), Some(until)) => Standing::Good { evidence, until },
        _ => Standing::Unknown,
    }
}

/// About the leaf, by webpki, so that lists for a part of the certificates are understood.
fn leaf_standing(leaf: &[u8], issuer: &[u8], lists: &[&List], now: Timestamp) -> Standing {
    let parsed: Vec<&CertRevocationList<'_>> = lists.iter().map(|list| &list.parsed).collect();
    let judge = |expiry| {
        let depth = RevocationCheckDepth::EndEntity;
        verify([leaf, issuer], &[], &parsed, (depth, expiry), unix(now))
    };
    let revoked = lists
        .iter()
        .map(|list| list.this_update)
        .max()
        .map_or(Standing::Unknown, |evidence| Standing::Revoked { evidence });
    match judge(ExpirationPolicy::Enforce) {
        Ok(()) => good_by(lists, now),
        Err(Error::CertRevoked) => revoked,
        Err(Error::CrlExpired { next_update, .. }) => match judge(ExpirationPolicy::Ignore) {
            Ok(()) => Standing::Stale {
                ended: Timestamp::from_ms(
                    i64::try_from(next_update.as_secs())
                        .unwrap_or(i64::MAX)
                        .saturating_mul(1000),
                ),
            },
            Err(Error::CertRevoked) => revoked,
            Err(_) => Standing::Unknown,
        },
        Err(_) => Standing::Unknown,
    }
}

/// About an authority's certificate, from lists that speak about all that their issuer issued.
fn authority_standing(certificate: &[u8], lists: &[&List], now: Timestamp) -> Standing {
    let der = CertificateDer::from(certificate);
    let Ok(certificate) = EndEntityCert::try_from(&der) else {
        return Standing::Unknown;
    };
    let whole = |list: &&&List| list.parsed.issuing_distribution_point().is_none();
    let Some(list) = lists.iter().find(whole) else {
        return Standing::Unknown;
    };
    match list.parsed.find_serial(certificate.serial()) {
        Ok(found) => list.standing(found.is_some(), now),
        Err(_) => Standing::Unknown,
    }
}

fn verify(
    [leaf, root]: [&[u8]; 2],
    between: &[Vec<u8>],
    lists: &[&CertRevocationList<'_>],
    (depth, expiry): (RevocationCheckDepth, ExpirationPolicy),
    now: UnixTime,
) -> Result<(), Error> {
    let options = RevocationOptionsBuilder::new(lists)
        .ok()
        .ok_or(Error::UnknownRevocationStatus)?
        .with_depth(depth)
        .with_status_policy(UnknownStatusPolicy::Deny)
        .with_expiration_policy(expiry)
        .build();
    let (leaf, root) = (CertificateDer::from(leaf), CertificateDer::from(root));
    let anchors = [webpki::anchor_from_trusted_cert(&root)?];
    let between: Vec<CertificateDer<'_>> = between
        .iter()
        .map(|der| CertificateDer::from(der.as_slice()))
        .collect();
    let leaf = EndEntityCert::try_from(&leaf)?;
    let path = leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        &between,
        now,
        KeyUsage::client_auth(),
        Some(options),
        None,
    );
    path.map(drop)
}
