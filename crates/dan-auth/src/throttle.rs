//! How many wrong tries one address has left (`contracts.md` §5).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Mutex;

use dan_core::time::Timestamp;

use crate::jwks::{is_within, lock};

/// Wrong tries an address has in [`WINDOW_MS`].
pub const WRONG_TRIES_MAX: usize = 10;
/// The span in which tries are counted, in ms.
pub const WINDOW_MS: i64 = 60 * 1000;
/// Most addresses that are remembered; the one that was quiet longest is forgotten first.
pub const ADDRESSES_MAX: usize = 10_000;
/// The part of an IPv6 address that one network shares: its owner has all the rest.
const IPV6_NETWORK: u128 = u128::MAX << 64;

/// Counts wrong tries by address, over a sliding window.
#[derive(Default)]
pub(crate) struct Throttle(Mutex<Tries>);

#[derive(Default)]
struct Tries {
    by_address: BTreeMap<IpAddr, VecDeque<Timestamp>>,
    by_age: BTreeSet<(Timestamp, IpAddr)>,
}

impl Throttle {
    /// Counts a wrong try. When the address has none left, it is not counted, and the seconds until
    /// it has one again are given.
    ///
    /// # Errors
    /// Seconds to wait, from 1 to 60.
    pub(crate) fn count_wrong(&self, address: IpAddr, now: Timestamp) -> Result<(), u32> {
        let address = network(address);
        let mut tries = lock(&self.0);
        let mut own = tries.take(address);
        own.retain(|at| is_within(*at, now, WINDOW_MS));
        let verdict = match own.front() {
            Some(first) if own.len() >= WRONG_TRIES_MAX => Err(seconds_left(*first, now)),
            Some(_) | None => {
                own.push_back(now);
                Ok(())
            }
        };
        tries.put(address, own);
        verdict
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let tries = lock(&self.0);
        assert_eq!(tries.by_address.len(), tries.by_age.len());
        tries.by_address.len()
    }
}

impl Tries {
    fn take(&mut self, address: IpAddr) -> VecDeque<Timestamp> {
        let own = self.by_address.remove(&address).unwrap_or_default();
        if let Some(last) = own.back() {
            self.by_age.remove(&(*last, address));
        }
        own
    }

    fn put(&mut self, address: IpAddr, own: VecDeque<Timestamp>) {
        let Some(last) = own.back() else {
            return;
        };
        self.by_age.insert((*last, address));
        self.by_address.insert(address, own);
        if self.by_address.len() > ADDRESSES_MAX
            && let Some((_, quietest)) = self.by_age.pop_first()
        {
            self.by_address.remove(&quietest);
        }
    }
}

/// Rounded up, at least one.
fn seconds_left(first: Timestamp, now: Timestamp) -> u32 {
    let left_ms = first.plus_ms(WINDOW_MS).as_ms().saturating_sub(now.as_ms());
    u32::try_from(left_ms.saturating_add(999).div_euclid(1000)).map_or(1, |left| left.max(1))
}

/// What counts as one address: an IPv4 address, or the /64 of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & IPV6_NETWORK)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

    fn v4(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(number).into()
    }

    fn exhausted(address: IpAddr) -> Throttle {
        let throttle = Throttle::default();
        for _ in 0..WRONG_TRIES_MAX {
            assert_eq!(throttle.count_wrong(address, NOW), Ok(()));
        }
        throttle
    }

    #[test]
    fn the_eleventh_wrong_try_in_a_minute_waits_for_the_first_to_age() {
        let throttle = exhausted(v4(1));
        assert_eq!(throttle.count_wrong(v4(1), NOW), Err(60));
        assert_eq!(throttle.count_wrong(v4(1), NOW.plus_ms(30_500)), Err(30));
        assert_eq!(throttle.count_wrong(v4(1), NOW.plus_ms(59_999)), Err(1));
        assert_eq!(throttle.count_wrong(v4(1), NOW.plus_ms(60_000)), Ok(()));
    }

    #[test]
    fn tries_spread_over_time_are_counted_over_any_minute() {
        let throttle = Throttle::default();
        for step in 0..100 {
            let at = NOW.plus_ms(i64::from(step).saturating_mul(6_000));
            assert_eq!(throttle.count_wrong(v4(1), at), Ok(()), "{step}");
        }
        let at = NOW.plus_ms(594_001);
        assert!(throttle.count_wrong(v4(1), at).is_err());
    }

    #[test]
    fn other_addresses_are_not_affected_but_one_network_is_one() {
        assert_eq!(exhausted(v4(1)).count_wrong(v4(2), NOW), Ok(()));
        let throttle = exhausted("2001:db8::1".parse().unwrap());
        let same = "2001:db8::ffff:2".parse().unwrap();
        assert!(throttle.count_wrong(same, NOW).is_err());
        let other = "2001:db8:0:1::1".parse().unwrap();
        assert!(throttle.count_wrong(other, NOW).is_ok());
        let throttle = exhausted("192.0.2.1".parse().unwrap());
        let mapped = "::ffff:192.0.2.1".parse().unwrap();
        assert!(throttle.count_wrong(mapped, NOW).is_err());
    }

    #[test]
    fn the_clock_set_back_locks_nobody_out() {
        let throttle = exhausted(v4(1));
        let earlier = NOW.plus_ms(-3_600_000);
        assert_eq!(throttle.count_wrong(v4(1), earlier), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_the_quietest_is_forgotten_first() {
        let throttle = exhausted(v4(0));
        let later = NOW.plus_ms(1);
        let many = u32::try_from(ADDRESSES_MAX).unwrap();
        for number in 1..many {
            assert_eq!(throttle.count_wrong(v4(number), later), Ok(()));
        }
        assert!(throttle.count_wrong(v4(0), later).is_err());
        assert_eq!(throttle.count_wrong(v4(many), later), Ok(()));
        assert_eq!(throttle.len(), ADDRESSES_MAX);
        assert_eq!(throttle.count_wrong(v4(0), later), Ok(()));
        assert_eq!(throttle.len(), ADDRESSES_MAX);
    }
}
