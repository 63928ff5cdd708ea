//! How much one caller may ask, so that none can hurt another: rate by key and by organisation, requests at once, and
//! requests a day. Pure state in memory; [`crate::flow::Exchange::admit`] reads and keeps what must outlive the process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;

use crate::caller::Allowance;
use crate::party::OrgNumber;
use crate::ports::KeyUse;
use crate::time::{DAY_MS, Timestamp};

/// Most keys, and most organisations, that are remembered; those at rest are forgotten first.
pub const CALLERS_MAX: usize = 100_000;
/// Seconds of a day.
const DAY_S: u32 = 86_400;
/// When a caller with too many requests at once should ask again, in seconds.
const CONCURRENCY_RETRY_S: u32 = 1;
const US_PER_S: i64 = 1_000_000;

/// What every caller may ask unless its key says otherwise. 0 means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Requests a second of one key, in the long run.
    pub key_per_second: u32,
    /// Requests of one key that may come at once after a pause; at least one.
    pub key_burst: u32,
    /// Requests a second of one organisation over all its keys.
    pub organisation_per_second: u32,
    /// Requests of one organisation that may come at once after a pause; at least one.
    pub organisation_burst: u32,
    /// Requests of one key under way at the same time.
    pub key_concurrent: u32,
    /// Requests of one key a day (UTC).
    pub key_per_day: u32,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            key_per_second: 500,
            key_burst: 200,
            organisation_per_second: 1000,
            organisation_burst: 400,
            key_concurrent: 128,
            key_per_day: 0,
        }
    }
}

impl LimitSettings {
    /// No limits at all, for a node nobody else uses.
    pub const NONE: Self = Self {
        key_per_second: 0,
        key_burst: 0,
        organisation_per_second: 0,
        organisation_burst: 0,
        key_concurrent: 0,
        key_per_day: 0,
    };
}

/// Where a caller stands against one limit, as the `RateLimit` fields say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Name of the policy.
    pub name: &'static str,
    /// Requests in the window.
    pub quota: u32,
    /// Length of the window, in seconds.
    pub window_s: u32,
    /// Requests left.
    pub remaining: u32,
    /// Seconds until there are `quota` again; when none is left, until there is one.
    pub reset_s: u32,
}

/// A request that may go on. It counts as under way until this is dropped.
#[derive(Debug)]
pub struct Admission {
    /// Where its caller stands now.
    pub standings: Vec<Standing>,
    _slot: Slot,
}

/// A request over a limit; nothing was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Seconds until it is worth asking again; at least 1.
    pub retry_after_s: u32,
    /// Which limit, in words for the caller.
    pub what: &'static str,
    /// Where the caller stands.
    pub standings: Vec<Standing>,
}

/// Counts one more while it lives.
#[derive(Debug)]
struct Slot(Arc<AtomicU32>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Public identifier of the key.
    pub key_id: &'a str,
    /// The organisation behind the request.
    pub org: OrgNumber,
    /// What its key says about limits.
    pub allowance: Allowance,
}

/// Counts what callers ask.
pub struct Limiter {
    settings: LimitSettings,
    keys: Mutex<BTreeMap<String, KeyState>>,
    organisations: Mutex<BTreeMap<OrgNumber, Bucket>>,
}

/// What is known of one key.
#[derive(Default)]
struct KeyState {
    bucket: Bucket,
    under_way: Arc<AtomicU32>,
    /// Requests of `day` that the store knows of, from all nodes; `None` while it was not asked.
    stored: Option<u64>,
    /// Requests of `day` that the store does not know of yet.
    fresh: u64,
    day: i64,
    last_used: Option<Timestamp>,
}

impl KeyState {
    fn turn_to(&mut self, day: i64) {
        // A day further ahead than tomorrow is that of a clock that was wrong.
        if self.day < day || self.day > day.saturating_add(1) {
            self.day = day;
            // What the store does not have by now stays uncounted: yesterday's quota is over.
            self.fresh = 0;
            self.stored = self.stored.map(|_yesterday| 0);
        }
    }

    fn used(&self) -> u64 {
        self.stored.unwrap_or(0).saturating_add(self.fresh)
    }

    fn is_at_rest(&self, now_us: i64) -> bool {
        self.fresh == 0
            && self.bucket.full_at_us <= now_us
            && self.under_way.load(Ordering::Relaxed) == 0
    }
}

/// A token bucket, kept as the moment at which it will be full again (GCRA): nothing runs between two requests.
#[derive(Clone, Copy, Default)]
struct Bucket {
    full_at_us: i64,
}

/// Rate and size of a bucket; made only where there is a limit.
#[derive(Clone, Copy)]
struct Shape {
    per_second: i64,
    burst: i64,
}

impl Shape {
    fn of(per_second: u32, burst: u32) -> Option<Self> {
        (per_second > 0).then(|| Self {
            per_second: per_second.into(),
            burst: burst.max(1).into(),
        })
    }

    const fn interval_us(self) -> i64 {
        match US_PER_S.checked_div(self.per_second) {
            Some(interval_us) => interval_us,
            None => US_PER_S,
        }
    }

    const fn span_us(self) -> i64 {
        self.interval_us().saturating_mul(self.burst)
    }
}

impl Bucket {
    /// With the clock set back, or a limit made smaller, a bucket is empty and no worse.
    fn settle(&mut self, shape: Option<Shape>, now_us: i64) {
        if let Some(shape) = shape {
            self.full_at_us = self.full_at_us.min(now_us.saturating_add(shape.span_us()));
        }
    }

    /// Microseconds until a request may be taken; 0 for now.
    fn wait_us(self, shape: Shape, now_us: i64) -> i64 {
        self.full_at_us
            .saturating_add(shape.interval_us())
            .saturating_sub(now_us)
            .saturating_sub(shape.span_us())
            .max(0)
    }

    fn take(&mut self, shape: Shape, now_us: i64) {
        self.full_at_us = self
            .full_at_us
            .max(now_us)
            .saturating_add(shape.interval_us());
    }

    fn standing(self, name: &'static str, shape: Shape, now_us: i64) -> Standing {
        let missing_us = self.full_at_us.saturating_sub(now_us).max(0);
        let room_us = shape.span_us().saturating_sub(missing_us).max(0);
        let remaining = count(room_us.checked_div(shape.interval_us()).unwrap_or(0));
        let reset_us = if remaining == 0 {
            self.wait_us(shape, now_us)
        } else {
            missing_us
        };
        Standing {
            name,
            quota: count(shape.burst),
            window_s: seconds_up(shape.span_us()).max(1),
            remaining,
            reset_s: seconds_up(reset_us),
        }
    }
}

/// One request against the limits that hold for it.
struct Look {
    now: Timestamp,
    now_us: i64,
    key: Option<Shape>,
    organisation: Option<Shape>,
    per_day: u32,
    concurrent: u32,
}

impl Look {
    /// Seconds to wait and the reason, when it is too much.
    fn refusal(&self, state: &KeyState, organisation: Bucket) -> Option<(u32, &'static str)> {
        let wait_s = |shape: Option<Shape>, bucket: Bucket| {
            let wait_us = shape.map_or(0, |shape| bucket.wait_us(shape, self.now_us));
            (wait_us > 0).then(|| seconds_up(wait_us))
        };
        if self.per_day > 0 && state.used() >= u64::from(self.per_day) {
            let what = "the key's requests of this day are used up";
            return Some((day_rest_s(self.now), what));
        }
        if let Some(wait_s) = wait_s(self.key, state.bucket) {
            return Some((wait_s, "too many requests with this API key"));
        }
        if let Some(wait_s) = wait_s(self.organisation, organisation) {
            return Some((wait_s, "too many requests of this organisation"));
        }
        let crowded =
            self.concurrent > 0 && state.under_way.load(Ordering::Relaxed) >= self.concurrent;
        let what = "too many requests with this API key at once";
        crowded.then_some((CONCURRENCY_RETRY_S, what))
    }

    fn standings(&self, state: &KeyState, organisation: Bucket) -> Vec<Standing> {
        let mut standings = Vec::with_capacity(3);
        let key = self.key;
        standings.extend(key.map(|shape| state.bucket.standing("key", shape, self.now_us)));
        let shape = self.organisation;
        standings
            .extend(shape.map(|shape| organisation.standing("organisation", shape, self.now_us)));
        standings.extend((self.per_day > 0).then(|| {
            Standing {
                name: "day",
                quota: self.per_day,
                window_s: DAY_S,
                remaining: u32::try_from(u64::from(self.per_day).saturating_sub(state.used()))
                    .unwrap_or(u32::MAX),
                reset_s: day_rest_s(self.now),
            }
        }));
        standings
    }
}

impl Limiter {
    /// Nobody has asked anything yet.
    #[must_use]
    pub fn new(settings: LimitSettings) -> Self {
        Self {
            settings,
            keys: Mutex::default(),
            organisations: Mutex::default(),
        }
    }

    /// Whether this caller has a quota of which the store was not asked yet.
    #[must_use]
    pub fn needs_history(&self, asker: Asker<'_>) -> bool {
        self.per_day(asker.allowance) > 0
            && lock(&self.keys)
                .get(asker.key_id)
                .is_none_or(|state| state.stored.is_none())
    }

    /// Takes over what the store knows of a key's use; `None` when it knows nothing. What it knows of a day further
    /// ahead than tomorrow does not count.
    pub fn learn(&self, key_id: &str, known: Option<&KeyUse>, now: Timestamp) {
        let today = day_of(now);
        let known = known.filter(|known| known.day <= today.saturating_add(1));
        let mut keys = lock(&self.keys);
        let state = keys.entry(key_id.to_owned()).or_default();
        state.turn_to(known.map_or(today, |known| known.day.max(today)));
        state.stored = Some(
            known
                .filter(|known| known.day == state.day)
                .map_or(0, |known| known.count),
        );
    }

    /// Counts a request, or says why not.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub fn admit(&self, asker: Asker<'_>, now: Timestamp) -> Result<Admission, Exceeded> {
        let now_us = now.as_ms().saturating_mul(1000);
        let key_shape = self.key_shape(asker.allowance);
        let org_shape = Shape::of(
            self.settings.organisation_per_second,
            self.settings.organisation_burst,
        );
        let per_day = self.per_day(asker.allowance);
        let mut keys = lock(&self.keys);
        if keys.len() >= CALLERS_MAX && !keys.contains_key(asker.key_id) {
            keys.retain(|_, state| !state.is_at_rest(now_us));
        }
        let state = keys.entry(asker.key_id.to_owned()).or_default();
        state.turn_to(day_of(now));
        let mut organisations = lock(&self.organisations);
        if organisations.len() >= CALLERS_MAX && !organisations.contains_key(&asker.org) {
            organisations.retain(|_, bucket| bucket.full_at_us > now_us);
        }
        let organisation = organisations.entry(asker.org).or_default();

        state.bucket.settle(key_shape, now_us);
        organisation.settle(org_shape, now_us);
        let look = Look {
            now,
            now_us,
            key: key_shape,
            organisation: org_shape,
            per_day,
            concurrent: self.settings.key_concurrent,
        };
        if let Some((retry_after_s, what)) = look.refusal(state, *organisation) {
            return Err(Exceeded {
                retry_after_s: retry_after_s.max(1),
                what,
                standings: look.standings(state, *organisation),
            });
        }
        if let Some(shape) = key_shape {
            state.bucket.take(shape, now_us);
        }
        if let Some(shape) = org_shape {
            organisation.take(shape, now_us);
        }
        state.fresh = state.fresh.saturating_add(1);
        state.last_used = Some(now);
        state.under_way.fetch_add(1, Ordering::Relaxed);
        Ok(Admission {
            standings: look.standings(state, *organisation),
            _slot: Slot(Arc::clone(&state.under_way)),
        })
    }

    /// Takes out what the store does not know of yet. Give it back with [`Limiter::put_back`] if it cannot be kept.
    #[must_use]
    pub fn take_uses(&self) -> Vec<KeyUse> {
        let mut keys = lock(&self.keys);
        let mut uses = Vec::new();
        for (key_id, state) in keys.iter_mut() {
            if let Some(last_used) = state.last_used.take() {
                uses.push(KeyUse {
                    key_id: key_id.clone(),
                    last_used,
                    day: state.day,
                    count: state.fresh,
                });
                state.stored = state
                    .stored
                    .map(|stored| stored.saturating_add(state.fresh));
                state.fresh = 0;
            }
        }
        uses
    }

    /// Undoes [`Limiter::take_uses`].
    pub fn put_back(&self, uses: &[KeyUse]) {
        let mut keys = lock(&self.keys);
        for used in uses {
            let state = keys.entry(used.key_id.clone()).or_default();
            state.last_used = state.last_used.max(Some(used.last_used));
            if state.day <= used.day {
                state.day = used.day;
                state.fresh = state.fresh.saturating_add(used.count);
                state.stored = state.stored.map(|stored| stored.saturating_sub(used.count));
            }
        }
    }

    fn key_shape(&self, allowance: Allowance) -> Option<Shape> {
        match allowance.per_second {
            // Twice what comes in a second, as the node's own default.
            Some(own) => Shape::of(own.max(1), own.saturating_mul(2)),
            None => Shape::of(self.settings.key_per_second, self.settings.key_burst),
        }
    }

    fn per_day(&self, allowance: Allowance) -> u32 {
        allowance.per_day.unwrap_or(self.settings.key_per_day)
    }
}

/// Days since 1970-01-01, UTC.
fn day_of(now: Timestamp) -> i64 {
    now.as_ms().div_euclid(DAY_MS)
}

/// Seconds until the next day begins; at least 1.
fn day_rest_s(now: Timestamp) -> u32 {
    let rest_ms = DAY_MS.saturating_sub(now.as_ms().rem_euclid(DAY_MS));
    seconds_up(rest_ms.saturating_mul(1000)).max(1)
}

fn seconds_up(us: i64) -> u32 {
    count(
        us.saturating_add(US_PER_S)
            .saturating_sub(1)
            .div_euclid(US_PER_S),
    )
}

fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

/// Each state is whole whenever the lock is free.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
