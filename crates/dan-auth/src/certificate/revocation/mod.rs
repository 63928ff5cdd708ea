//! Whether a certificate has been taken back: by revocation lists, by OCSP, or by what was known
//! before.
//!
//! Lists are asked first. What they do not decide OCSP is asked about. Where neither decides, a
//! soft period runs, and then the certificate is refused: not knowing is no.

pub(crate) mod crl;
pub(crate) mod memory;
pub(crate) mod ocsp;
pub(crate) mod wire;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use dan_core::ports::{CallContext, Clock, Fetch};
use dan_core::time::Timestamp;

use super::bundle::NamedFile;
use super::path::Path;
use crate::ConfigError;
use crl::{Lists, Standing};
use memory::Memory;
use ocsp::{OcspConfig, Outcome, Responders};
use wire::Question;

/// How long a certificate is still taken when its status cannot be learnt, in ms, counted from
/// the last good OCSP answer or from the moment the list should have been renewed
/// (`security.md` F29).
pub const SOFT_MS: i64 = 60 * 60 * 1000;
/// Longest soft period that an operator may choose, in ms.
pub const SOFT_MS_MAX: i64 = 7 * 24 * 60 * 60 * 1000;

/// One certificate of a path and the one that issued it.
struct Link<'p> {
    certificate: &'p [u8],
    issuer: &'p [u8],
    is_leaf: bool,
    /// When the path ends.
    not_after: Timestamp,
}

/// Everything known about who has been taken back.
pub(crate) struct Revocation {
    lists: ArcSwapOption<Lists>,
    responders: Option<Responders>,
    memory: Memory,
    soft_ms: i64,
}

impl Revocation {
    /// `lists`: `None` when the operator has none, empty when there should be some and are none.
    ///
    /// # Errors
    /// [`ConfigError`] for a damaged list or an OCSP address that is not safe.
    pub(crate) fn new(
        lists: Option<&[NamedFile]>,
        ocsp: Option<OcspConfig>,
        soft_ms: i64,
        fetch: &Arc<dyn Fetch>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ConfigError> {
        if !(0..=SOFT_MS_MAX).contains(&soft_ms) {
            let text = format!("the soft period of revocation must be 0 to {SOFT_MS_MAX} ms");
            return Err(ConfigError(text));
        }
        let lists = lists.map(Lists::new).transpose()?.map(Arc::new);
        let responders = ocsp
            .map(|config| Responders::new(config, Arc::clone(fetch), Arc::clone(clock)))
            .transpose()?;
        Ok(Self {
            lists: ArcSwapOption::new(lists),
            responders,
            memory: Memory::default(),
            soft_ms,
        })
    }

    pub(crate) fn is_checked(&self) -> bool {
        self.responders.is_some() || self.lists.load().is_some()
    }

    /// # Errors
    /// [`ConfigError`] for a damaged list; then the old ones stay.
    pub(crate) fn replace_lists(&self, files: &[NamedFile]) -> Result<(), ConfigError> {
        let lists = Lists::new(files)?;
        self.lists.store(Some(Arc::new(lists)));
        Ok(())
    }

    /// Issuer of each list, and when its next one is due.
    pub(crate) fn expiries(&self) -> Vec<(String, Timestamp)> {
        let lists = self.lists.load();
        let all = lists.iter().flat_map(|lists| lists.expiries());
        all.map(|(name, until)| (name.to_owned(), until)).collect()
    }

    /// Until when the path may be taken for good without asking again.
    ///
    /// # Errors
    /// Why it may not be taken, for the log.
    pub(crate) async fn check(
        &self,
        path: &Path,
        now: Timestamp,
        ctx: &CallContext,
    ) -> Result<Timestamp, &'static str> {
        let mut until = path.not_after;
        if !self.is_checked() {
            return Ok(until);
        }
        let lists = self.lists.load_full();
        let standings = lists.as_ref().map(|lists| lists.standings(path, now));
        let pairs = path.certificates.windows(2);
        for (at, [certificate, issuer]) in pairs.filter_map(<[Vec<u8>]>::as_array).enumerate() {
            let link = Link {
                certificate,
                issuer,
                is_leaf: at == 0,
                not_after: path.not_after,
            };
            let standing = standings
                .as_ref()
                .map(|all| all.get(at).copied().unwrap_or(Standing::Unknown));
            until = until.min(self.decide(&link, standing, now, ctx).await?);
        }
        Ok(until)
    }

    /// `standing` is `None` where no lists are configured.
    async fn decide(
        &self,
        link: &Link<'_>,
        standing: Option<Standing>,
        now: Timestamp,
        ctx: &CallContext,
    ) -> Result<Timestamp, &'static str> {
        const KNOWN_AS_REVOKED: &str = "revoked, by newer evidence than what calls it good";
        let question = Question::about(link.certificate, link.issuer)
            .ok_or("a certificate that nobody can be asked about")?;
        let key = question.key();
        match standing {
            Some(Standing::Revoked { evidence }) => {
                self.memory.revoke(key, evidence);
                return Err("revoked, by a revocation list");
            }
            Some(Standing::Good { evidence, until }) => {
                let good = self.memory.confirm(key, evidence, now);
                return if good {
                    Ok(until)
                } else {
                    Err(KNOWN_AS_REVOKED)
                };
            }
            Some(Standing::Stale { .. } | Standing::Unknown) | None => (),
        }
        let outcome = match &self.responders {
            Some(responders) => {
                let asked = responders.ask(&question, link.certificate, link.is_leaf, ctx);
                asked.await
            }
            None => Outcome::NobodyToAsk,
        };
        match outcome {
            Outcome::Spoken { spoken, .. } if spoken.revoked => {
                self.memory.revoke(key, spoken.this_update);
                Err("revoked, by an OCSP answer")
            }
            Outcome::Spoken { spoken, at, until } => {
                let good = self.memory.confirm(key, spoken.this_update, at);
                if good {
                    Ok(until)
                } else {
                    Err(KNOWN_AS_REVOKED)
                }
            }
            // OCSP alone cannot speak of authorities that name no responder.
            Outcome::NobodyToAsk if standing.is_none() && !link.is_leaf => Ok(link.not_after),
            Outcome::Silence | Outcome::NobodyToAsk => self.soft(&key, standing, now),
        }
    }

    /// Nobody says anything now: what was said before counts for a while.
    fn soft(
        &self,
        key: &memory::Key,
        standing: Option<Standing>,
        now: Timestamp,
    ) -> Result<Timestamp, &'static str> {
        if self.memory.is_revoked(key) {
            return Err("revoked, as known before");
        }
        let ended = match standing {
            Some(Standing::Stale { ended }) => Some(ended),
            Some(Standing::Good { .. } | Standing::Revoked { .. } | Standing::Unknown) | None => {
                None
            }
        };
        let since = ended.max(self.memory.last_good(key));
        let until = since.map(|since| since.plus_ms(self.soft_ms));
        until
            .filter(|until| now < *until)
            .ok_or("whether it is revoked cannot be told, and the soft period is over")
    }
}
