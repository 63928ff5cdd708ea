//! What a caller is told of its limits (`RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10),
//! and what a refusal for too many requests costs the one who made them.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dan_core::limits::Standing;
use http::header::{HeaderName, HeaderValue};
use tokio::time::{Instant, timeout_at};

use crate::render::Outbound;

/// How long the answer to a request over a limit is held back at least, in µs: a client that asks again at once, without
/// regard to `Retry-After`, waits here and not in the way of others.
pub const REFUSAL_PAUSE_MIN_US: u64 = 100_000;
/// How much longer it may be, in µs. Many connections that run into a limit together would otherwise come back together,
/// and whoever else asks at that moment would wait behind all of them (measured by the bench `greedy`).
pub const REFUSAL_SPREAD_US: u64 = 200_000;
/// From one refusal to the next, so many µs further in the spread and around again. It is the golden section of the
/// spread, and so a row of any length is spread evenly.
const SPREAD_STEP_US: u64 = 123_607;
/// Most answers held back at once; further ones leave at once.
pub const PAUSED_MAX: usize = 4096;

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Adds the two fields; nothing when there is no limit.
pub(crate) fn tell(response: &mut Outbound, standings: &[Standing]) {
    if standings.is_empty() {
        return;
    }
    let list = |item: fn(&Standing) -> String| {
        let items: Vec<String> = standings.iter().map(item).collect();
        HeaderValue::try_from(items.join(", "))
    };
    let policy = list(|at| format!("\"{}\";q={};w={}", at.name, at.quota, at.window_s));
    let now = list(|at| format!("\"{}\";r={};t={}", at.name, at.remaining, at.reset_s));
    if let (Ok(policy), Ok(now)) = (policy, now) {
        let headers = response.headers_mut();
        headers.insert(RATE_LIMIT_POLICY, policy);
        headers.insert(RATE_LIMIT, now);
    }
}

/// Counts answers that are held back.
#[derive(Default)]
pub(crate) struct Pause {
    held: AtomicUsize,
    refusals: AtomicU64,
}

impl Pause {
    /// Waits [`REFUSAL_PAUSE_MIN_US`] and a part of [`REFUSAL_SPREAD_US`], or not at all when [`PAUSED_MAX`] wait
    /// already. Dropping it ends the wait.
    pub(crate) async fn hold(&self) {
        let Some(_place) = Place::take(&self.held) else {
            return;
        };
        let now = Instant::now();
        let until = now.checked_add(self.next()).unwrap_or(now);
        match timeout_at(until, std::future::pending::<()>()).await {
            Ok(()) | Err(_) => (),
        }
    }

    /// How long the next answer is held back.
    fn next(&self) -> Duration {
        let refusal = self.refusals.fetch_add(1, Ordering::Relaxed);
        let step = refusal
            .wrapping_mul(SPREAD_STEP_US)
            .checked_rem(REFUSAL_SPREAD_US);
        Duration::from_micros(REFUSAL_PAUSE_MIN_US.saturating_add(step.unwrap_or_default()))
    }
}

/// One of the places to wait in; free again when dropped.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(taken: &'a AtomicUsize) -> Option<Self> {
        let place = Self(taken);
        // Dropping what was one too many gives it back.
        (taken.fetch_add(1, Ordering::Relaxed) < PAUSED_MAX).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render;
    use http::StatusCode;

    #[test]
    fn both_fields_list_every_limit() {
        let mut response = render::empty(StatusCode::OK);
        tell(&mut response, &[]);
        assert!(response.headers().is_empty());
        let standing = |name, remaining| Standing {
            name,
            quota: 10,
            window_s: 60,
            remaining,
            reset_s: 7,
        };
        tell(&mut response, &[standing("key", 3), standing("day", 0)]);
        let headers = response.headers();
        assert_eq!(
            headers.get("ratelimit-policy").unwrap(),
            r#""key";q=10;w=60, "day";q=10;w=60"#
        );
        assert_eq!(
            headers.get("ratelimit").unwrap(),
            r#""key";r=3;t=7, "day";r=0;t=7"#
        );
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_wait_their_pause_and_only_so_many_at_once() {
        let pause = Pause::default();
        let began = Instant::now();
        pause.hold().await;
        assert_eq!(began.elapsed(), Duration::from_micros(REFUSAL_PAUSE_MIN_US));
        let places: Vec<_> = (0..PAUSED_MAX).map(|_| Place::take(&pause.held)).collect();
        assert!(places.iter().all(Option::is_some));
        let began = Instant::now();
        pause.hold().await;
        assert!(began.elapsed().is_zero(), "no place to wait in");
        drop(places);
        assert_eq!(pause.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn refusals_in_a_row_do_not_come_back_together() {
        let pause = Pause::default();
        for count in [16_u64, 64, 1000] {
            let mut moments: Vec<u64> = (0..count)
                .map(|_| u64::try_from(pause.next().as_micros()).unwrap())
                .collect();
            moments.sort_unstable();
            let most = REFUSAL_PAUSE_MIN_US + REFUSAL_SPREAD_US;
            assert!(
                moments
                    .iter()
                    .all(|us| (REFUSAL_PAUSE_MIN_US..most).contains(us))
            );
            // Nowhere closer than a third of what would be even, nowhere further apart than three times that.
            let even = REFUSAL_SPREAD_US / count;
            for pair in moments.windows(2) {
                let gap = pair[1] - pair[0];
                assert!(
                    (even.div_ceil(3)..=3 * even).contains(&gap),
                    "{count}: {gap}"
                );
            }
        }
    }
}
