//! What a caller is told of its limits (`RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers-10),
//! and what a refusal for too many requests costs the one who made them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dan_core::limits::Standing;
use http::header::{HeaderName, HeaderValue};
use tokio::time::{Instant, timeout_at};

use crate::render::Outbound;

/// How long the answer to a request over a limit is held back: a client that asks again at once, without regard to
/// `Retry-After`, waits here and not in the way of others.
pub const REFUSAL_PAUSE: Duration = Duration::from_millis(200);
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
pub(crate) struct Pause(AtomicUsize);

impl Pause {
    /// Waits [`REFUSAL_PAUSE`], or not at all when [`PAUSED_MAX`] wait already. Dropping it ends the wait.
    pub(crate) async fn hold(&self) {
        let Some(_place) = Place::take(&self.0) else {
            return;
        };
        let now = Instant::now();
        let until = now.checked_add(REFUSAL_PAUSE).unwrap_or(now);
        match timeout_at(until, std::future::pending::<()>()).await {
            Ok(()) | Err(_) => (),
        }
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
        assert_eq!(began.elapsed(), REFUSAL_PAUSE);
        let places: Vec<_> = (0..PAUSED_MAX).map(|_| Place::take(&pause.0)).collect();
        assert!(places.iter().all(Option::is_some));
        let began = Instant::now();
        pause.hold().await;
        assert!(began.elapsed().is_zero(), "no place to wait in");
        drop(places);
        assert_eq!(pause.0.load(Ordering::Relaxed), 0);
    }
}
