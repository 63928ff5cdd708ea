//! Asking OCSP responders (RFC 6960, RFC 5019): whom, how often, and how long an answer serves.
//!
//! The address comes from the certificate only where the operator's list allows it, so that a
//! certificate cannot make this node call where its maker likes (`security.md` §4, row 16).

use std::time::Duration;

use bytes::Bytes;
use dan_core::ports::{CallContext, Clock, Fetch, FetchRequest, Method};
use dan_core::time::Timestamp;
use dan_core::ttl::{Freshness, TtlMap};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};
use x509_parser::der_parser::asn1_rs::{Oid, oid};
use x509_parser::prelude::{FromDer as _, GeneralName, ParsedExtension, X509Certificate};

use super::memory::Key;
use super::wire::{Question, Spoken};
use crate::ConfigError;

/// Largest answer taken, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longest address of a responder, in bytes.
pub const ADDRESS_BYTES_MAX: usize = 1024;
/// Longest wait for a responder, whatever the request's deadline.
pub const WAIT_MAX: Duration = Duration::from_secs(5);
/// How long an answer serves without asking again, in ms, even if it is in force for longer: so
/// long a revocation may go unseen.
pub const FRESH_MAX_MS: i64 = 10 * 60 * 1000;
/// Pause after a try that brought no answer, in ms.
pub const PAUSE_MS: i64 = 10 * 1000;
/// Most certificates whose answers are kept. When they are full they are dropped and asked again.
pub const ANSWERS_MAX: usize = 4096;
/// Most prefixes of responders' addresses.
pub const PREFIXES_MAX: usize = 32;

const OCSP: Oid<'static> = oid!(1.3.6.1.5.5.7.48.1);

/// Which responders may be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OcspConfig {
    /// An address in a certificate counts only when it begins with one of these, for instance
    /// `http://ocsp.buypass.no/`: scheme, host and a slash at least. Empty: none counts.
    pub allowed_prefixes: Vec<String>,
    /// Who is asked about a leaf whose own address does not count. `None`: nobody.
    pub default_responder: Option<String>,
}

impl OcspConfig {
    /// # Errors
    /// [`ConfigError`] for an address without scheme or host, a prefix that another host's name
    /// could begin with, or nobody to ask at all.
    fn check(&self) -> Result<(), ConfigError> {
        let wrong = |what: String| Err(ConfigError(format!("OCSP: {what}")));
        if self.allowed_prefixes.is_empty() && self.default_responder.is_none() {
            return wrong("neither a default responder nor an allowed prefix is given".to_owned());
        }
        if self.allowed_prefixes.len() > PREFIXES_MAX {
            return wrong(format!("more than {PREFIXES_MAX} allowed prefixes"));
        }
        for prefix in &self.allowed_prefixes {
            if host_of(prefix).is_none_or(|(_, path)| path.is_none()) {
                return wrong(format!(
                    "the prefix {prefix:?} must have http:// or https://, a host and a slash"
                ));
            }
        }
        match &self.default_responder {
            Some(address) if host_of(address).is_none() => wrong(format!(
                "the default responder {address:?} is no http or https address"
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Whom to ask about this certificate. The default responder is one for leaves: about their
    /// issuers only the address in the certificate serves.
    fn responder(&self, certificate: &[u8], is_leaf: bool) -> Option<String> {
        let own = addresses(certificate)
            .into_iter()
            .find(|address| self.allows(address));
        own.or_else(|| self.default_responder.clone().filter(|_| is_leaf))
    }

    fn allows(&self, address: &str) -> bool {
        let Some((_, path)) = host_of(address) else {
            return false;
        };
        // An address that ends with its host means the root.
        let address = match path {
            Some(_) => address.to_owned(),
            None => format!("{address}/"),
        };
        self.allowed_prefixes
            .iter()
            .any(|prefix| address.starts_with(prefix.as_str()))
    }
}

/// Host, and what follows its slash, of an address that is plain enough to compare as text.
fn host_of(address: &str) -> Option<(&str, Option<&str>)> {
    let rest = address
        .strip_prefix("http://")
        .or_else(|| address.strip_prefix("https://"))?;
    let plain = address.len() <= ADDRESS_BYTES_MAX
        && address.bytes().all(|byte| byte.is_ascii_graphic())
        && !address.contains(['\\', '#', '%'])
        && !address.contains("/..");
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) => (host, Some(path)),
        None => (rest, None),
    };
    let is_host = !host.is_empty() && !host.contains(['@', '?']);
    (plain && is_host).then_some((host, path))
}

/// OCSP addresses in a certificate (authority information access, RFC 5280 §4.2.2.1).
fn addresses(certificate: &[u8]) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for extension in parsed.extensions() {
        if let ParsedExtension::AuthorityInfoAccess(access) = extension.parsed_extension() {
            for description in &access.accessdescs {
                if description.access_method == OCSP
                    && let GeneralName::URI(address) = description.access_location
                {
                    found.push(address.to_owned());
                }
            }
        }
    }
    found
}

/// What came of asking, and how long it serves.
#[derive(Clone, Copy)]
struct Asked {
    spoken: Option<Spoken>,
    at: Timestamp,
    until: Timestamp,
}

/// Asks responders; one question about a certificate is under way at a time.
pub(crate) struct Responders {
    config: OcspConfig,
    fetch: Arc<dyn Fetch>,
    clock: Arc<dyn Clock>,
    answers: TtlMap<Key, Asked>,
}

/// What is known of a certificate after asking.
pub(crate) enum Outcome {
    /// In force.
    Spoken {
        spoken: Spoken,
        /// When the answer came.
        at: Timestamp,
        /// Until when it serves.
        until: Timestamp,
    },
    /// Whom we asked did not answer, or not well.
    Silence,
    /// There is nobody to ask about it.
    NobodyToAsk,
}

impl Responders {
    /// # Errors
    /// [`ConfigError`] when an address is not safe.
    pub(crate) fn new(
        config: OcspConfig,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            config,
            fetch,
            clock,
            answers: TtlMap::new(ANSWERS_MAX),
        })
    }

    /// What a responder says about the certificate, asked now or not long ago. May be dropped: who
    /// waits for the same answer asks instead.
    pub(crate) async fn ask(
        &self,
        question: &Question<'_>,
        certificate: &[u8],
        is_leaf: bool,
        ctx: &CallContext,
    ) -> Outcome {
        let Some(address) = self.config.responder(certificate, is_leaf) else {
            return Outcome::NobodyToAsk;
        };
        let now = self.clock.now();
        let serves = |asked: &Asked, made: Timestamp| {
            if made <= now && now < asked.until {
                Freshness::Fresh
            } else {
                Freshness::Dead
            }
        };
        let asking = async {
            let spoken = self.flight(question, address, ctx).await;
            let spoken = spoken.map_err(|error| {
                tracing::warn!(error, "no OCSP answer");
            });
            let until = spoken.map_or(now.plus_ms(PAUSE_MS), |spoken| {
                let fresh = now.plus_ms(FRESH_MAX_MS);
                spoken.next_update.map_or(fresh, |next| next.min(fresh))
            });
            let spoken = spoken.ok();
            Ok::<_, std::convert::Infallible>(Asked {
                spoken,
                at: now,
                until,
            })
        };
        let asked = self
            .answers
            .get_or_make(&question.key(), now, serves, asking)
            .await;
        match asked {
            Ok(Asked {
                spoken: Some(spoken),
                at,
                until,
            }) => Outcome::Spoken { spoken, at, until },
            Ok(Asked { spoken: None, .. }) => Outcome::Silence,
            Err(never) => match never {},
        }
    }

    async fn flight(
        &self,
        question: &Question<'_>,
        url: String,
        ctx: &CallContext,
    ) -> Result<Spoken, String> {
        let request = question.request().ok_or("the question cannot be written")?;
        let request = FetchRequest {
            method: Method::Post,
            url,
            headers: vec![("accept", "application/ocsp-response".to_owned())],
            authorization: None,
            secret_headers: Vec::new(),
            body: Some(("application/ocsp-request", Bytes::from(request))),
            reply_bytes_max: ANSWER_BYTES_MAX,
            peer: "OCSP responder".to_owned(),
        };
        let latest = Instant::now().checked_add(WAIT_MAX);
        let deadline = latest.map_or(ctx.deadline, |latest| latest.min(ctx.deadline));
        let ctx = CallContext {
            deadline,
            ..ctx.clone()
        };
        let reply = timeout_at(deadline, self.fetch.fetch(request, &ctx))
            .await
            .ok()
            .ok_or("no answer in time")?
            .map_err(|error| error.to_string())?;
        if reply.status != 200 {
            return Err(format!("status {}", reply.status));
        }
        if reply.body.len() > ANSWER_BYTES_MAX {
            return Err("the answer is too large".to_owned());
        }
        let spoken = question.read(&reply.body, self.clock.now());
        spoken.map_err(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(prefixes: &[&str]) -> OcspConfig {
        OcspConfig {
            allowed_prefixes: prefixes.iter().map(|one| (*one).to_owned()).collect(),
            default_responder: None,
        }
    }

    #[test]
    fn a_prefix_that_another_host_could_begin_with_is_refused() {
        for prefix in [
            "",
            "http",
            "http://",
            "http:///",
            "http://ocsp.example",
            "ftp://ocsp.example/",
            "http://a@ocsp.example/",
            "http://ocsp.example?/",
            "ocsp.example/",
        ] {
            let said = config(&[prefix]).check().unwrap_err().0;
            assert!(said.starts_with("OCSP: "), "{prefix}: {said}");
        }
        assert_eq!(config(&["http://ocsp.example/"]).check(), Ok(()));
        assert!(config(&[]).check().is_err());
        let mut default = config(&[]);
        default.default_responder = Some("http://ocsp.example".to_owned());
        assert_eq!(default.check(), Ok(()));
        default.default_responder = Some("ocsp.example".to_owned());
        assert!(default.check().is_err());
    }

    #[test]
    fn addresses_in_certificates_count_only_below_an_allowed_prefix() {
        let config = config(&["http://ocsp.example/", "https://b.example/ocsp"]);
        for good in [
            "http://ocsp.example",
            "http://ocsp.example/",
            "http://ocsp.example/ca/3",
            "https://b.example/ocsp",
            "https://b.example/ocsp/x",
        ] {
            assert!(config.allows(good), "{good}");
        }
        for bad in [
            "https://ocsp.example/",
            "http://ocsp.example.evil.test/",
            "http://ocsp.example:8080/",
            "http://ocsp.example@evil.test/",
            "http://ocsp.example\\@evil.test/",
            "http://evil.test/http://ocsp.example/",
            "HTTP://ocsp.example/",
            "http://OCSP.example/",
            "https://b.example/",
            "https://b.example/x/../ocsp",
            "http://ocsp.example/a b",
            "http://169.254.169.254/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(!config.allows(bad), "{bad}");
        }
        let long = format!("http://ocsp.example/{}", "a".repeat(ADDRESS_BYTES_MAX));
        assert!(!config.allows(&long));
    }
}
