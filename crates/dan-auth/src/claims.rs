//! What a verified token must say, and who it then stands for (pure). Source: `security.md` §3,
//! `contracts.md` §5, `wire-api.md` §2.1.

mod reading;

use std::fmt;
use std::time::Duration;

use dan_core::party::{OrgNumber, PersonNumber};
use dan_core::time::Timestamp;
use serde_json::{Map, Value};

use reading::{SystemUser, audience, name, numeric_date, organisation, scopes, system_user};

/// How far the issuer's clock may be off, in seconds (`contracts.md` §5).
pub const LEEWAY_S: f64 = 30.0;
/// Longest life of a token, in seconds, unless the operator says otherwise: Maskinporten gives two
/// minutes, Altinn half an hour. A token that lives for ever is a password.
pub const LIFETIME_S_DEFAULT: u32 = 3600;
/// Longest life that an operator may allow, in seconds: a day.
pub const LIFETIME_S_MAX: u32 = 86_400;

/// For whom a token must have been issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<'a> {
    /// The operator has said that it does not matter (`accept_any_audience`).
    Any,
    /// `aud` is this text, or an array that holds it.
    Exactly(&'a str),
}

/// What the operator lets an issuer vouch for.
#[derive(Clone, Copy, Debug)]
pub struct Policy<'a> {
    /// For whom its tokens must be.
    pub audience: Audience<'a>,
    /// Longest life of a token, in seconds.
    pub lifetime_max_s: u32,
    /// Whether tokens may stand for a person (`pid`).
    pub persons: bool,
    /// Whether tokens may stand for a system user of Altinn (`authorization_details`).
    pub system_users: bool,
    /// Where delegations may have been looked up (`delegation_source`), to the letter.
    pub delegation_sources: &'a [String],
}

impl<'a> Policy<'a> {
    /// Organisations that act for themselves, and nobody else.
    #[must_use]
    pub const fn strict(audience: Audience<'a>) -> Self {
        Self {
            audience,
            lifetime_max_s: LIFETIME_S_DEFAULT,
            persons: false,
            system_users: false,
            delegation_sources: &[],
        }
    }
}

/// Whom a token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The organisation that calls: the `consumer`, or who owns the system user.
    pub consumer: OrgNumber,
    /// Who acts for it, if anybody: the `supplier`, or the vendor of the system.
    pub supplier: Option<OrgNumber>,
    /// The person it was issued for.
    pub person: Option<PersonNumber>,
    /// Identifier of the system user, a UUID in lower case.
    pub system_user: Option<String>,
    /// Whole-word scopes, in the token's order.
    pub scopes: Vec<String>,
}

/// Which rule a token does not meet. For the log; holds no part of the token.
pub type ClaimError = &'static str;

/// What a token says, as far as we look. Nothing of it is believed before its signature has been
/// verified, and nothing is good before [`Claims::judge`].
#[derive(Clone)]
pub struct Claims {
    issuer: String,
    audience: Vec<String>,
    expires: f64,
    not_before: Option<f64>,
    issued: Option<f64>,
    consumer: OrgNumber,
    supplier: Option<OrgNumber>,
    delegation_source: Option<String>,
    person: Option<PersonNumber>,
    system_user: Option<SystemUser>,
    scopes: Vec<String>,
}

/// Shows the issuer only.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claims({:?})", self.issuer)
    }
}

impl Claims {
    /// Reads the payload of a token.
    ///
    /// # Errors
    /// [`ClaimError`] for claims that are missing or have the wrong shape, and for a token that is bound to
    /// a key (`cnf`): it is worth nothing without the proof of that key, which we do not read.
    pub fn read(claims: &Map<String, Value>) -> Result<Self, ClaimError> {
        let issuer = claims.get("iss").and_then(Value::as_str);
        let issuer = issuer.ok_or("iss is missing or no text")?.to_owned();
        if claims.contains_key("cnf") {
            return Err("the token is bound to a key (cnf)");
        }
        let person = match claims.get("pid") {
            None => None,
            Some(pid) => Some(
                pid.as_str()
                    .and_then(PersonNumber::parse)
                    .ok_or("pid is no national identity number")?,
            ),
        };
        let consumer = claims.get("consumer").ok_or("consumer is missing")?;
        let supplier = match claims.get("supplier") {
            None => None,
            Some(claim) => Some(organisation(claim).ok_or("supplier is malformed")?),
        };
        let delegation_source = match claims.get("delegation_source") {
            None => None,
            Some(source) => Some(name(source).ok_or("delegation_source is malformed")?),
        };
        let system_user = match claims.get("authorization_details") {
            None => None,
            Some(details) => Some(system_user(details)?),
        };
        Ok(Self {
            issuer,
            audience: audience(claims.get("aud")),
            expires: numeric_date(claims, "exp", "exp is no date")?.ok_or("exp is missing")?,
            not_before: numeric_date(claims, "nbf", "nbf is no date")?,
            issued: numeric_date(claims, "iat", "iat is no date")?,
            consumer: organisation(consumer).ok_or("consumer is malformed")?,
            supplier,
            delegation_source,
            person,
            system_user,
            scopes: scopes(claims.get("scope")),
        })
    }

    /// Who says so.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// When the token is good for nobody any more, its leeway included.
    #[must_use]
    pub fn ends(&self) -> Timestamp {
        let ms =
            Duration::try_from_secs_f64(self.expires + LEEWAY_S).map_or(0, |at| at.as_millis());
        Timestamp::from_ms(i64::try_from(ms).unwrap_or(0))
    }

    /// Judges the claims of a token whose signature was verified with the keys of [`Claims::issuer`].
    ///
    /// A token without scopes is good here: which scopes it takes is decided when proofs are joined.
    ///
    /// # Errors
    /// [`ClaimError`], the first rule that is not met.
    pub fn judge(&self, policy: &Policy<'_>, now: Timestamp) -> Result<Principal, ClaimError> {
        self.in_force(f64::from(policy.lifetime_max_s), now)?;
        let meant_for_us = match policy.audience {
            Audience::Any => true,
            Audience::Exactly(ours) => self.audience.iter().any(|one| one == ours),
        };
        if !meant_for_us {
            return Err("aud does not name us");
        }
        if self.person.is_some() && !policy.persons {
            return Err("the token stands for a person (pid); issuers.persons = true takes such");
        }
        self.check_delegation(policy)?;
        let (consumer, supplier) = match &self.system_user {
            None => (self.consumer, self.supplier),
            Some(_) if !policy.system_users => {
                return Err(
                    "the token stands for a system user (authorization_details); \
                     issuers.system_users = true takes such",
                );
            }
            Some(_) if self.supplier.is_some() => {
                return Err("the token is a supplier's and a system user's at once");
            }
            Some(user) => (user.owner, Some(self.consumer)),
        };
        Ok(Principal {
            consumer,
            supplier,
            person: self.person,
            system_user: self.system_user.as_ref().map(|user| user.id.clone()),
            scopes: self.scopes.clone(),
        })
    }

    /// Who acts for another must say who has seen that he may, and that must be somebody we trust.
    fn check_delegation(&self, policy: &Policy<'_>) -> Result<(), ClaimError> {
        match (self.supplier, &self.delegation_source) {
            (None, _) => Ok(()),
            (Some(_), None) => Err("supplier without delegation_source"),
            (Some(_), Some(source)) if policy.delegation_sources.contains(source) => Ok(()),
            (Some(_), Some(_)) => Err(
                "the token is delegated, and its delegation_source is not one of issuers.delegation_sources",
            ),
        }
    }

    /// `exp`, `nbf` and `iat` against the clock, with [`LEEWAY_S`] (RFC 7519 §4.1).
    fn in_force(&self, lifetime_max_s: f64, now: Timestamp) -> Result<(), ClaimError> {
        let now = seconds(now);
        if now >= self.expires + LEEWAY_S {
            return Err("expired");
        }
        if self.expires > now + lifetime_max_s + LEEWAY_S {
            return Err("exp is too far ahead (issuers.lifetime_max_s)");
        }
        if self.not_before.is_some_and(|start| start > now + LEEWAY_S) {
            return Err("not valid yet (nbf)");
        }
        if self.issued.is_some_and(|made| made > now + LEEWAY_S) {
            return Err("issued in the future (iat)");
        }
        if self
            .issued
            .is_some_and(|made| self.expires - made > lifetime_max_s)
        {
            return Err("exp is too long after iat (issuers.lifetime_max_s)");
        }
        Ok(())
    }
}

fn seconds(moment: Timestamp) -> f64 {
    // Exact: milliseconds of any real date are far below 2^53.
    moment.as_ms() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
    const NOW_S: i64 = 1_700_000_000;
    const ISSUER: &str = "https://issuer.example/";
    const US: &str = "https://dan.example";

    fn good() -> Map<String, Value> {
        let claims = json!({
            "iss": ISSUER, "aud": US, "exp": 1_700_000_100, "iat": 1_700_000_000,
            "scope": "altinn:dataaltinnno dan:test",
            "consumer": {"authority": "iso6523-actorid-upis", "ID": "0192:991825827"},
        });
        claims.as_object().unwrap().clone()
    }

    fn judge(claims: &Map<String, Value>, policy: &Policy<'_>) -> Result<Principal, ClaimError> {
        Claims::read(claims)?.judge(policy, NOW)
    }

    const STRICT: Policy<'_> = Policy::strict(Audience::Exactly(US));

    fn check(name: &str, value: Value) -> Result<Principal, ClaimError> {
        check_by(&STRICT, &[(name, value)])
    }

    fn check_by(policy: &Policy<'_>, changes: &[(&str, Value)]) -> Result<Principal, ClaimError> {
        let mut claims = good();
        for (name, value) in changes {
            claims.insert((*name).to_owned(), value.clone());
        }
        judge(&claims, policy)
    }

    fn without(name: &str) -> Result<Principal, ClaimError> {
        let mut claims = good();
        claims.shift_remove(name);
        judge(&claims, &STRICT)
    }

    #[test]
    fn a_good_token_stands_for_its_consumer() {
        let principal = judge(&good(), &STRICT).unwrap();
        assert_eq!(principal.consumer.as_str(), "991825827");
        assert_eq!(principal.supplier, None);
        assert_eq!(principal.scopes, ["altinn:dataaltinnno", "dan:test"]);
    }

    #[test]
    fn expiry_has_thirty_seconds_of_leeway_and_no_more() {
        let expired = |ago: i64| {
            let mut claims = good();
            claims.shift_remove("iat");
            claims.insert("exp".to_owned(), json!(NOW_S.saturating_sub(ago)));
            judge(&claims, &STRICT)
        };
        for ago in [-3630, -3600, 0, 5, 29] {
            assert!(expired(ago).is_ok(), "{ago}");
        }
        for ago in [30, 31, 1000, -3631, -86_400] {
            assert!(expired(ago).is_err(), "{ago}");
        }
        for fraction in [1_700_000_000.0, 1_700_000_000.5, 1_699_999_969.5] {
            assert!(check("exp", json!(fraction)).is_err(), "{fraction}");
        }
    }

    #[test]
    fn starts_in_the_future_have_the_same_leeway() {
        for name in ["nbf", "iat"] {
            assert!(
                check(name, json!(NOW_S.saturating_add(30))).is_ok(),
                "{name}"
            );
            assert!(
                check(name, json!(NOW_S.saturating_add(31))).is_err(),
                "{name}"
            );
            assert!(without(name).is_ok(), "{name}");
        }
    }

    #[test]
    fn dates_are_plausible_numbers() {
        assert!(without("exp").is_err());
        for name in ["exp", "nbf", "iat"] {
            for value in [
                json!("1700000100"),
                json!(-1),
                json!(1e308),
                json!(u64::MAX),
                json!(null),
                json!([1_700_000_100]),
                json!(true),
            ] {
                assert!(check(name, value.clone()).is_err(), "{name} {value}");
            }
        }
    }

    #[test]
    fn the_issuer_is_a_text() {
        for wrong in [json!([ISSUER]), json!(null), json!(7)] {
            assert!(check("iss", wrong.clone()).is_err(), "{wrong}");
        }
        assert!(without("iss").is_err());
    }

    #[test]
    fn the_audience_is_checked_unless_any_is_accepted() {
        for right in [json!(US), json!([US]), json!(["other", US])] {
            assert!(check("aud", right.clone()).is_ok(), "{right}");
        }
        for wrong in [
            json!("unspecified"),
            json!("https://dan.example/"),
            json!(""),
            json!([]),
            json!(["other"]),
            json!([US, 1]),
            json!({ US: US }),
            json!(null),
        ] {
            assert!(check("aud", wrong.clone()).is_err(), "{wrong}");
            let mut claims = good();
            claims.insert("aud".to_owned(), wrong.clone());
            assert!(
                judge(&claims, &Policy::strict(Audience::Any)).is_ok(),
                "{wrong}"
            );
        }
        assert!(without("aud").is_err());
    }

    #[test]
    fn organisations_have_one_form() {
        let form = |id: &str| json!({"authority": "iso6523-actorid-upis", "ID": id});
        let policy = Policy {
            delegation_sources: &["b".to_owned()],
            ..STRICT
        };
        let check =
            |name, value| check_by(&policy, &[("delegation_source", json!("b")), (name, value)]);
        for name in ["consumer", "supplier"] {
            assert!(check(name, form("0192:974760673")).is_ok(), "{name}");
            for wrong in [
                json!("0192:991825827"),
                json!(null),
                json!([form("0192:991825827")]),
                json!({"ID": "0192:991825827"}),
                json!({"authority": "iso6523-actorid-upis"}),
                json!({"authority": "ISO6523-ACTORID-UPIS", "ID": "0192:991825827"}),
                json!({"authority": "iso6523-actorid-upis", "id": "0192:991825827"}),
                json!({"authority": "iso6523-actorid-upis", "ID": 991_825_827}),
                form("0192: 991825827"),
                form("0192:991825827 "),
                form("991825827"),
                form("0192:99182582A"),
                form("0192:9918258270"),
                form("0192:991825828"),
                form("0192:000000000"),
                form("0192:974760673:991825827"),
                form("0192::991825827"),
                form("9908:991825827"),
                form("0088:991825827"),
                form("0192:９９１８２５８２７"),
                form("0192:99182582\0"),
                form(""),
            ] {
                assert!(check(name, wrong.clone()).is_err(), "{name} {wrong}");
            }
        }
        assert!(without("consumer").is_err());
    }

    fn org(number: &str) -> Value {
        json!({"authority": "iso6523-actorid-upis", "ID": format!("0192:{number}")})
    }

    #[test]
    fn a_supplier_is_noted_and_the_consumer_stays_the_principal() {
        let trusted = ["https://altinn.example/a".to_owned(), "b".to_owned()];
        let policy = Policy {
            delegation_sources: &trusted,
            ..STRICT
        };
        let delegated = |source: Value| {
            let claims = [
                ("supplier", org("974760673")),
                ("delegation_source", source),
            ];
            check_by(&policy, &claims)
        };
        for source in &trusted {
            let principal = delegated(json!(source)).unwrap();
            assert_eq!(principal.consumer.as_str(), "991825827");
            assert_eq!(principal.supplier, OrgNumber::parse("974760673"));
        }
        for source in [
            json!("https://altinn.example/a/"),
            json!("https://altinn.example/A"),
            json!(""),
            json!(null),
            json!(["b"]),
        ] {
            assert!(delegated(source.clone()).is_err(), "{source}");
        }
        let alone = check_by(&policy, &[("supplier", org("974760673"))]);
        assert_eq!(alone, Err("supplier without delegation_source"));
    }

    #[test]
    fn a_delegated_token_is_refused_with_the_key_that_would_take_it() {
        let claims = [
            ("supplier", org("974760673")),
            ("delegation_source", json!("b")),
        ];
        let refused = check_by(&STRICT, &claims).unwrap_err();
        assert!(refused.contains("issuers.delegation_sources"), "{refused}");
        // Without a supplier nobody acts for anybody.
        assert!(check("delegation_source", json!("b")).is_ok());
    }

    #[test]
    fn a_token_of_a_person_is_good_where_the_operator_says_so() {
        let policy = Policy {
            persons: true,
            ..STRICT
        };
        let of = |pid: Value| check_by(&policy, &[("pid", pid)]);
        let person = of(json!("07056120453")).unwrap().person;
        assert_eq!(person, PersonNumber::parse("07056120453"));
        for wrong in [
            json!("07056120454"),
            json!("991825827"),
            json!(""),
            json!(null),
            json!(7_056_120_453_u64),
            json!(["07056120453"]),
        ] {
            assert!(of(wrong.clone()).is_err(), "{wrong}");
        }
        let refused = check("pid", json!("07056120453")).unwrap_err();
        assert!(refused.contains("issuers.persons"), "{refused}");
    }

    #[test]
    fn a_person_stands_in_no_debug() {
        let mut claims = good();
        claims.insert("pid".to_owned(), json!("07056120453"));
        let claims = Claims::read(&claims).unwrap();
        let policy = Policy {
            persons: true,
            ..STRICT
        };
        let principal = claims.judge(&policy, NOW).unwrap();
        assert!(!format!("{claims:?} {principal:?}").contains("0705612"));
    }

    #[test]
    fn the_owner_of_a_system_user_is_the_principal_and_the_vendor_acts_for_it() {
        let policy = Policy {
            system_users: true,
            delegation_sources: &["b".to_owned()],
            ..STRICT
        };
        let id = "2f1c5a1e-6c0b-4b0e-9d7f-5a6b7c8d9e0f";
        let details = json!([{
            "type": "urn:altinn:systemuser", "systemuser_id": [id],
            "systemuser_org": org("974760673"), "system_id": "991825827_x",
        }]);
        let claim = ("authorization_details", details);
        let principal = check_by(&policy, std::slice::from_ref(&claim)).unwrap();
        assert_eq!(principal.consumer.as_str(), "974760673");
        assert_eq!(principal.supplier, OrgNumber::parse("991825827"));
        assert_eq!(principal.system_user.as_deref(), Some(id));
        let refused = check_by(&STRICT, std::slice::from_ref(&claim)).unwrap_err();
        assert!(refused.contains("issuers.system_users"), "{refused}");
        let both = [
            claim,
            ("supplier", org("974760673")),
            ("delegation_source", json!("b")),
        ];
        assert!(check_by(&policy, &both).is_err());
    }

    #[test]
    fn the_life_of_a_token_is_measured_from_now_and_from_its_beginning() {
        let policy = Policy {
            lifetime_max_s: 120,
            ..STRICT
        };
        let of = |iat: i64, exp: i64| {
            let at = |s: i64| json!(NOW_S.saturating_add(s));
            check_by(&policy, &[("iat", at(iat)), ("exp", at(exp))]).is_ok()
        };
        assert!(of(0, 120) && of(-100, 20) && of(30, 150));
        assert!(!of(0, 121) && !of(-101, 20) && !of(30, 151));
        let without_iat = |exp: i64| {
            let mut claims = good();
            claims.shift_remove("iat");
            claims.insert("exp".to_owned(), json!(NOW_S.saturating_add(exp)));
            judge(&claims, &policy).is_ok()
        };
        assert!(without_iat(150) && !without_iat(151));
    }

    #[test]
    fn a_token_ends_with_its_leeway() {
        let claims = Claims::read(&good()).unwrap();
        assert_eq!(claims.ends(), NOW.plus_ms(130_000));
    }

    #[test]
    fn bound_tokens_are_refused() {
        assert!(check("cnf", json!({"jkt": "x"})).is_err());
        assert!(check("cnf", json!({"x5t#S256": "x"})).is_err());
        assert!(check("cnf", json!(null)).is_err());
    }

    #[test]
    fn scopes_are_whole_words_of_a_text() {
        for (claim, expected) in [
            (json!("a b"), vec!["a", "b"]),
            (json!(" a  b "), vec!["a", "b"]),
            (json!("a,b"), vec!["a,b"]),
            (json!("a\tb"), vec!["a\tb"]),
            (json!(""), vec![]),
            (json!(["a", "b"]), vec![]),
            (json!({"a": "b"}), vec![]),
            (json!(null), vec![]),
        ] {
            assert_eq!(check("scope", claim).unwrap().scopes, expected);
        }
        assert_eq!(without("scope").unwrap().scopes, Vec::<String>::new());
    }
}
