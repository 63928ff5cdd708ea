//! What the limits promise.

use super::*;

const NOW: Timestamp = Timestamp::from_ms(1_767_225_600_000);

fn settings() -> LimitSettings {
    LimitSettings {
        key_per_second: 10,
        key_burst: 5,
        organisation_per_second: 20,
        organisation_burst: 8,
        key_concurrent: 3,
        key_per_day: 0,
    }
}

fn asker<'a>(key_id: &'a str, allowance: Allowance) -> Asker<'a> {
    let org = OrgNumber::parse("991825827").unwrap();
    Asker {
        key_id,
        org,
        allowance,
    }
}

/// How many of many requests at one moment are let through, each ended at once.
fn let_through(limiter: &Limiter, key_id: &str, allowance: Allowance, now: Timestamp) -> usize {
    (0..100)
        .filter(|_| limiter.admit(asker(key_id, allowance), now).is_ok())
        .count()
}

#[test]
fn a_key_has_its_burst_and_then_its_rate() {
    let limiter = Limiter::new(settings());
    let usual = Allowance::default();
    assert_eq!(let_through(&limiter, "a", usual, NOW), 5);
    let refused = limiter.admit(asker("a", usual), NOW).unwrap_err();
    assert_eq!(refused.retry_after_s, 1);
    assert_eq!(refused.standings[0].remaining, 0);
    assert_eq!(let_through(&limiter, "a", usual, NOW.plus_ms(99)), 0);
    assert_eq!(let_through(&limiter, "a", usual, NOW.plus_ms(100)), 1);
    assert_eq!(let_through(&limiter, "a", usual, NOW.plus_ms(10_000)), 5);
}

#[test]
fn the_keys_of_one_organisation_share_its_rate_and_others_do_not() {
    let limiter = Limiter::new(settings());
    let usual = Allowance::default();
    assert_eq!(let_through(&limiter, "a", usual, NOW), 5);
    assert_eq!(let_through(&limiter, "b", usual, NOW), 3);
    let other = Asker {
        org: OrgNumber::parse("974760673").unwrap(),
        ..asker("c", usual)
    };
    assert!(limiter.admit(other, NOW).is_ok());
}

#[test]
fn a_keys_own_allowance_replaces_the_usual_one() {
    let limiter = Limiter::new(LimitSettings {
        organisation_per_second: 0,
        ..settings()
    });
    let own = Allowance {
        per_second: Some(50),
        per_day: None,
    };
    assert_eq!(let_through(&limiter, "a", own, NOW), 100);
    assert_eq!(let_through(&limiter, "a", own, NOW), 0);
    let none = Limiter::new(LimitSettings::NONE);
    assert_eq!(let_through(&none, "a", Allowance::default(), NOW), 100);
    let standings = none.admit(asker("a", Allowance::default()), NOW).unwrap();
    assert!(standings.standings.is_empty());
}

#[test]
fn requests_under_way_count_until_they_end() {
    let limiter = Limiter::new(settings());
    let ask = || limiter.admit(asker("a", Allowance::default()), NOW);
    let held: Vec<_> = (0..3).map(|_| ask().unwrap()).collect();
    let refused = ask().unwrap_err();
    assert!(refused.what.contains("at once"), "{refused:?}");
    assert_eq!(refused.standings[0].remaining, 2, "a refusal takes nothing");
    drop(held);
    assert!(ask().is_ok());
}

#[test]
fn a_quota_counts_what_other_nodes_and_earlier_runs_used_and_ends_with_the_day() {
    let limiter = Limiter::new(LimitSettings::NONE);
    let own = Allowance {
        per_second: None,
        per_day: Some(10),
    };
    assert!(limiter.needs_history(asker("a", own)));
    let known = KeyUse {
        key_id: "a".to_owned(),
        last_used: NOW,
        day: day_of(NOW),
        count: 7,
    };
    limiter.learn("a", Some(&known), NOW);
    assert!(!limiter.needs_history(asker("a", own)));
    let admission = limiter.admit(asker("a", own), NOW).unwrap();
    assert_eq!(admission.standings[0].remaining, 2);
    assert_eq!(let_through(&limiter, "a", own, NOW), 2);
    let refused = limiter.admit(asker("a", own), NOW).unwrap_err();
    assert_eq!(refused.retry_after_s, 86_400);
    let tomorrow = NOW.plus_ms(DAY_MS);
    assert_eq!(let_through(&limiter, "a", own, tomorrow), 10);
}

#[test]
fn uses_are_taken_once_and_can_be_put_back() {
    let limiter = Limiter::new(LimitSettings::NONE);
    let own = Allowance {
        per_second: None,
        per_day: Some(10),
    };
    limiter.learn("a", None, NOW);
    assert_eq!(let_through(&limiter, "a", own, NOW), 10);
    let taken = limiter.take_uses();
    assert_eq!((taken.len(), taken[0].count), (1, 10));
    assert_eq!(limiter.take_uses(), []);
    assert!(
        limiter.admit(asker("a", own), NOW).is_err(),
        "still counted"
    );
    limiter.put_back(&taken);
    assert!(limiter.admit(asker("a", own), NOW).is_err(), "not twice");
    assert_eq!(limiter.take_uses(), taken);
}

#[test]
fn the_clock_set_back_empties_a_bucket_at_worst() {
    let limiter = Limiter::new(settings());
    let usual = Allowance::default();
    let_through(&limiter, "a", usual, NOW);
    let earlier = NOW.plus_ms(-3_600_000);
    assert_eq!(let_through(&limiter, "a", usual, earlier), 0);
    assert_eq!(let_through(&limiter, "a", usual, earlier.plus_ms(1000)), 5);
}

#[test]
fn a_clock_that_was_ahead_freezes_no_quota() {
    let limiter = Limiter::new(LimitSettings::NONE);
    let own = Allowance {
        per_second: None,
        per_day: Some(10),
    };
    let ahead = KeyUse {
        key_id: "a".to_owned(),
        last_used: NOW,
        day: day_of(NOW) + 400,
        count: 10,
    };
    limiter.learn("a", Some(&ahead), NOW);
    assert_eq!(let_through(&limiter, "a", own, NOW), 10);
    // Our own clock jumps ahead and comes back.
    let later = NOW.plus_ms(DAY_MS * 400);
    assert_eq!(let_through(&limiter, "a", own, later), 10);
    assert_eq!(let_through(&limiter, "a", own, NOW), 10);
}
