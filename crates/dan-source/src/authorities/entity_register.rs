//! [`EntityRegister`]: facts about organisations from Enhetsregisteret (`engine.md` §8).
//!
//! "Not there" and "could not ask" are kept apart (W-23): only 404 and 410 are answers besides 200.
//! Documents are read leniently. Answers are cached, one question at a time; old ones stand in while
//! the register is out of reach.

mod document;

use std::sync::Arc;

use dan_core::party::OrgNumber;
use dan_core::ports::{
    CallContext, Clock, Fact, FactError, FactQuery, Facts, Fetch, FetchReply, FetchRequest,
    PortFuture, Unit,
};
use dan_core::time::Timestamp;
use dan_core::ttl::{Freshness, TtlMap};
use tokio::time::timeout_at;

use super::line::{self, Line};
use document::{Place, read_page, read_unit};

/// How long a unit or a list of units is used without asking again, in milliseconds (12 h).
pub const FRESH_MS: i64 = 12 * 3_600_000;
/// How long it stands in when the register cannot be asked, in milliseconds (7 days).
pub const STALE_MS: i64 = 7 * 86_400_000;
/// How long "there is none" is believed, in milliseconds (10 min).
pub const ABSENT_MS: i64 = 600_000;
/// Longest wait for one call, in milliseconds (`engine.md` §5.3).
pub const CALL_MS_MAX: u64 = line::CALL_MS_MAX;
/// Largest document of one unit, in bytes.
pub const UNIT_BYTES_MAX: usize = 256 << 10;
/// Largest page of units, in bytes.
pub const PAGE_BYTES_MAX: usize = 4 << 20;
/// Pages of sub units that are read; more are refused, since half a list is a wrong answer.
pub const PAGES_MAX: usize = 20;
/// Units a page is asked to hold.
pub const PAGE_UNITS: usize = 100;
/// Units that are kept in the cache.
pub const UNITS_KEPT_MAX: usize = 4_096;
/// Lists of sub units that are kept in the cache.
pub const LISTS_KEPT_MAX: usize = 64;
/// The authority, in words a consumer knows.
const AUTHORITY: &str = "the entity register";

/// Facts about units. Ask it through [`Facts`].
pub struct EntityRegister {
    base: String,
    line: Line,
    clock: Arc<dyn Clock>,
    units: TtlMap<OrgNumber, Option<Arc<Unit>>>,
    below: TtlMap<OrgNumber, Arc<[Arc<Unit>]>>,
}

impl EntityRegister {
    /// A register at `base`, for instance `https://data.brreg.no/enhetsregisteret/api`.
    #[must_use]
    pub fn new(base: &str, fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            line: Line::new(AUTHORITY, fetch, Arc::clone(&clock)),
            clock,
            units: TtlMap::new(UNITS_KEPT_MAX),
            below: TtlMap::new(LISTS_KEPT_MAX),
        }
    }

    async fn unit(
        &self,
        number: OrgNumber,
        ctx: &CallContext,
    ) -> Result<Option<Arc<Unit>>, FactError> {
        let now = self.clock.now();
        let judge = |unit: &Option<Arc<Unit>>, made| freshness(unit.is_some(), now, made);
        let asking = self.ask_unit(number, ctx);
        self.units.get_or_make(&number, now, judge, asking).await
    }

    async fn sub_units(
        &self,
        number: OrgNumber,
        ctx: &CallContext,
    ) -> Result<Arc<[Arc<Unit>]>, FactError> {
        let now = self.clock.now();
        let judge = |units: &Arc<[Arc<Unit>]>, made| freshness(!units.is_empty(), now, made);
        let asking = self.ask_sub_units(number, ctx);
        self.below.get_or_make(&number, now, judge, asking).await
    }

    /// Main unit, else sub unit. A document that came with 410, or with a date of deletion, is a
    /// deleted unit.
    async fn ask_unit(
        &self,
        number: OrgNumber,
        ctx: &CallContext,
    ) -> Result<Option<Arc<Unit>>, FactError> {
        for place in [Place::Main, Place::Sub] {
            let url = format!("{}/{}/{number}", self.base, place.path());
            let reply = self.call(url, UNIT_BYTES_MAX, ctx).await?;
            let unit = match reply.status {
                200 => Some(read_unit(&reply.body, number, place, false).map_err(failure)?),
                // Whether a body comes with it is up to the register.
                410 => read_unit(&reply.body, number, place, true).ok(),
                _ => None,
            };
            if let Some(unit) = unit {
                return Ok(Some(Arc::new(unit)));
            }
        }
        Ok(None)
    }

    async fn ask_sub_units(
        &self,
        number: OrgNumber,
        ctx: &CallContext,
    ) -> Result<Arc<[Arc<Unit>]>, FactError> {
        let path = Place::Sub.path();
        let mut url = format!(
            "{}/{path}?overordnetEnhet={number}&size={PAGE_UNITS}",
            self.base
        );
        let mut seen = Vec::new();
        let mut units = Vec::new();
        loop {
            let reply = self.call(url.clone(), PAGE_BYTES_MAX, ctx).await?;
            if reply.status != 200 {
                // 404 and 410: nothing is known below that number.
                return Ok(units.into());
            }
            seen.push(url);
            let page = read_page(&reply.body).map_err(failure)?;
            units.extend(page.units.into_iter().map(Arc::new));
            let Some(next) = page.next else {
                return Ok(units.into());
            };
            if !is_same_origin(&self.base, &next) {
                return Err(failure("the next page lies elsewhere".to_owned()));
            }
            if seen.contains(&next) || seen.len() >= PAGES_MAX {
                let reason = format!("more than {PAGES_MAX} pages, or pages in a circle");
                return Err(failure(reason));
            }
            url = next;
        }
    }

    /// One GET. The answer is 200, 404 or 410; anything else is a failure, never "not found".
    async fn call(
        &self,
        url: String,
        bytes_max: usize,
        ctx: &CallContext,
    ) -> Result<FetchReply, FactError> {
        let request = FetchRequest::get(AUTHORITY, url, bytes_max);
        let is_answer = |status| matches!(status, 200 | 404 | 410);
        self.line.send(request, is_answer, ctx).await
    }
}

impl Facts for EntityRegister {
    fn find<'a>(
        &'a self,
        query: &'a FactQuery,
        ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Fact, FactError>> {
        Box::pin(async move {
            let asking = async {
                match query {
                    FactQuery::Unit(number) => self.unit(*number, ctx).await.map(Fact::Unit),
                    FactQuery::SubUnits(number) => {
                        let units = self.sub_units(*number, ctx).await?;
                        Ok(Fact::Units(units.to_vec()))
                    }
                    FactQuery::HasRole { .. } | FactQuery::HasRight { .. } => Err(failure(
                        "it knows nothing about roles and rights".to_owned(),
                    )),
                }
            };
            // Waiting for somebody who asks the same counts too.
            timeout_at(ctx.deadline, asking)
                .await
                .unwrap_or_else(|_elapsed| Err(self.line.late()))
        })
    }
}

fn failure(cause: String) -> FactError {
    FactError {
        authority: AUTHORITY.to_owned(),
        cause,
    }
}

fn freshness(present: bool, now: Timestamp, made: Timestamp) -> Freshness {
    let age = now.as_ms().saturating_sub(made.as_ms());
    let fresh = if present { FRESH_MS } else { ABSENT_MS };
    if (0..fresh).contains(&age) {
        Freshness::Fresh
    } else if present && age < STALE_MS {
        Freshness::Stale
    } else {
        Freshness::Dead
    }
}

/// Whether `url` has scheme, host and port of `base`, letter by letter (`engine.md` W-43).
fn is_same_origin(base: &str, url: &str) -> bool {
    let Some((scheme, rest)) = base.split_once("://") else {
        return false;
    };
    let host = rest.split('/').next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    url.strip_prefix(scheme)
        .and_then(|url| url.strip_prefix("://"))
        .and_then(|url| url.strip_prefix(host))
        .is_some_and(|path| path.starts_with('/') && path.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_same_origin_is_followed() {
        let base = "https://data.brreg.no/enhetsregisteret/api";
        assert!(is_same_origin(base, "https://data.brreg.no/x?page=1"));
        assert!(is_same_origin(
            "http://127.0.0.1:81",
            "http://127.0.0.1:81/x"
        ));
        for url in [
            "",
            "/enhetsregisteret/api/underenheter?page=1",
            "//data.brreg.no/x",
            "http://data.brreg.no/x",
            "https://data.brreg.no",
            "https://data.brreg.no.evil.example/x",
            "https://data.brreg.no@evil.example/x",
            "https://data.brreg.no:444/x",
            "https://DATA.brreg.no/x",
            "https://data.brreg.no/x y",
            "https://data.brreg.no/\\evil.example",
            "https://data.brreg.no/x\r\nhost: evil",
        ] {
            assert!(!is_same_origin(base, url), "{url}");
        }
        assert!(!is_same_origin("data.brreg.no", "data.brreg.no/x"));
    }

    #[test]
    fn age_decides_and_a_clock_set_back_makes_nothing_fresh() {
        let judge =
            |present, age| freshness(present, Timestamp::from_ms(age), Timestamp::from_ms(0));
        assert_eq!(judge(true, FRESH_MS - 1), Freshness::Fresh);
        assert_eq!(judge(true, FRESH_MS), Freshness::Stale);
        assert_eq!(judge(true, STALE_MS), Freshness::Dead);
        assert_eq!(judge(true, -1), Freshness::Stale);
        assert_eq!(judge(false, ABSENT_MS - 1), Freshness::Fresh);
        assert_eq!(judge(false, ABSENT_MS), Freshness::Dead);
        assert_eq!(judge(false, -1), Freshness::Dead);
    }
}
