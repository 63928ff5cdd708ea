//! OCSP: what is asked, what is believed, and what is done while nobody answers.

use std::time::Duration;

use dan_auth::CertificateConfig;
use dan_auth::certificate::{
    ANSWER_BYTES_MAX, FRESH_MAX_MS, OcspConfig, PAUSE_MS, SKEW_MS, SOFT_MS, WAIT_MAX,
};
use dan_core::ports::Clock as _;
use dan_core::testkit::fakes::START;
use dan_core::time::{DAY_MS, Timestamp};

use super::pki::{
    Answer, Authority, CLIENT_AUTH, HOUR_MS, House, Leaf, OCSP_SIGNING, ORG, Says, Trouble, key_of,
    name, refused, subject_of,
};

const SERIAL: u8 = 0x21;
const UNTOLD: &str = "cannot be told";
const SAID_SO: &str = "revoked, by an OCSP answer";

struct Pki {
    root: Authority,
    issuing: Authority,
    leaf: Vec<u8>,
}

impl Pki {
    fn new() -> Self {
        let root = Authority::root("Root");
        let issuing = root.below(Authority::params("Issuing"));
        let leaf = issuing.issue(&Leaf::good());
        Self {
            root,
            issuing,
            leaf,
        }
    }

    fn config(&self) -> CertificateConfig {
        CertificateConfig {
            roots: vec![self.root.file()],
            ocsp: Some(OcspConfig {
                allowed_prefixes: vec!["http://ocsp.example/".to_owned()],
                default_responder: Some("http://default.example/ocsp".to_owned()),
            }),
            ..CertificateConfig::default()
        }
    }

    fn house(&self) -> House {
        House::new(self.config())
    }

    /// Signed by the issuer, in force for a day.
    fn answer(&self, says: Says, from: Timestamp) -> Answer<'_> {
        Answer {
            says,
            about: (SERIAL, &self.issuing),
            from,
            until: Some(from.plus_ms(DAY_MS)),
            signer: &self.issuing,
            delegate: None,
            critical: false,
        }
    }

    async fn judge(&self, house: &House) -> Result<String, String> {
        house.judge(&self.leaf, &[&self.issuing.der]).await
    }
}

#[tokio::test]
async fn what_the_responder_says_counts() {
    let pki = Pki::new();
    for (says, why) in [
        (Says::Good, None),
        (Says::Revoked, Some(SAID_SO)),
        (Says::Unknown, Some(UNTOLD)),
    ] {
        let house = pki.house();
        house.responder.says(Some(pki.answer(says, START).bytes()));
        let outcome = pki.judge(&house).await;
        match why {
            Some(why) => refused(&outcome, why, why),
            None => assert_eq!(outcome.as_deref(), Ok(ORG)),
        }
        assert_eq!(house.responder.calls(), 1);
    }
}

#[tokio::test]
async fn only_a_good_answer_to_this_question_is_an_answer() {
    let pki = Pki::new();
    let stranger = Authority::root("Issuing");
    let good = || pki.answer(Says::Good, START);
    let mut other_serial = good();
    other_serial.about.0 = SERIAL + 1;
    let mut other_issuer = good();
    other_issuer.about.1 = &stranger;
    let mut wrong_signer = good();
    wrong_signer.signer = &stranger;
    let mut expired = good();
    expired.from = START.plus_ms(-2 * HOUR_MS);
    expired.until = Some(START);
    let mut future = good();
    future.from = START.plus_ms(SKEW_MS + 1000);
    let mut undated = good();
    undated.from = START.plus_ms(-2 * HOUR_MS);
    undated.until = None;
    let mut critical = good();
    critical.critical = true;
    let mut changed = good().bytes();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let cases = vec![
        ("another certificate", other_serial.bytes()),
        ("another issuer", other_issuer.bytes()),
        ("wrong signer", wrong_signer.bytes()),
        ("expired", expired.bytes()),
        ("from the future", future.bytes()),
        ("old and without an end", undated.bytes()),
        ("a critical extension", critical.bytes()),
        ("changed", changed),
        ("a refusal", vec![0x30, 3, 0x0a, 1, 6]),
        ("try later", vec![0x30, 3, 0x0a, 1, 3]),
        ("no such status", vec![0x30, 3, 0x0a, 1, 4]),
        ("success without an answer", vec![0x30, 3, 0x0a, 1, 0]),
        ("nothing", Vec::new()),
        ("junk", b"<html>".to_vec()),
        ("cut", good().bytes()[..100].to_vec()),
        ("bytes behind", [good().bytes(), vec![0]].concat()),
    ];
    for (what, answer) in cases {
        let house = pki.house();
        house.responder.says(Some(answer));
        refused(&pki.judge(&house).await, UNTOLD, what);
    }
    let mut undated = good();
    undated.until = None;
    for answer in [good(), undated] {
        let house = pki.house();
        house.responder.says(Some(answer.bytes()));
        assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    }
}

/// A responder of its own key, by the issuer's hand or another's.
fn delegate(issuer: &Authority, responder: &Authority, change: fn(&mut Leaf)) -> Vec<u8> {
    let mut leaf = Leaf::of(&[]);
    leaf.subject = name(&[&[(&[0x55, 4, 3], 0x0c, "Responder")]]);
    leaf.extended = Some(vec![OCSP_SIGNING]);
    change(&mut leaf);
    issuer.issue_as(&leaf, &subject_of(&issuer.der), &key_of(&responder.der))
}

#[tokio::test]
async fn a_responder_speaks_for_the_issuer_when_the_issuer_says_so() {
    let pki = Pki::new();
    let responder = Authority::root("Responder");
    let none = |_: &mut Leaf| ();
    let expired = |leaf: &mut Leaf| leaf.valid.1 = START.plus_ms(-1000);
    let client = |leaf: &mut Leaf| leaf.extended = Some(vec![CLIENT_AUTH]);
    let anything = |leaf: &mut Leaf| leaf.extended = None;
    let signing = |leaf: &mut Leaf| leaf.key_usage = Some([6, 0x40]);
    for (what, issuer, change, taken) in [
        (
            "sent by the issuer",
            &pki.issuing,
            none as fn(&mut Leaf),
            true,
        ),
        ("sent by the root", &pki.root, none, false),
        ("sent by itself", &responder, none, false),
        ("expired", &pki.issuing, expired, false),
        ("not for OCSP", &pki.issuing, client, false),
        ("for nothing in particular", &pki.issuing, anything, false),
        ("not for signing answers", &pki.issuing, signing, true),
    ] {
        let certificate = delegate(issuer, &responder, change);
        let mut answer = pki.answer(Says::Good, START);
        answer.signer = &responder;
        answer.delegate = Some(&certificate);
        let house = pki.house();
        house.responder.says(Some(answer.bytes()));
        let outcome = pki.judge(&house).await;
        if taken {
            assert_eq!(outcome.as_deref(), Ok(ORG), "{what}");
        } else {
            refused(&outcome, UNTOLD, what);
        }
    }
    // Another leaf of the same issuer cannot speak for it, not even for itself.
    let mut answer = pki.answer(Says::Good, START);
    answer.signer = &responder;
    answer.delegate = Some(&pki.leaf);
    let house = pki.house();
    house.responder.says(Some(answer.bytes()));
    refused(&pki.judge(&house).await, UNTOLD, "a leaf");
}

#[tokio::test]
async fn an_answer_serves_for_a_while_and_then_a_new_one_is_asked_for() {
    let pki = Pki::new();
    let house = pki.house();
    house
        .responder
        .says(Some(pki.answer(Says::Good, START).bytes()));
    for _ in 0..5 {
        assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    }
    house.clock.advance_ms(FRESH_MAX_MS - 1);
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    assert_eq!(house.responder.calls(), 1);
    let now = START.plus_ms(FRESH_MAX_MS);
    house
        .responder
        .says(Some(pki.answer(Says::Revoked, now).bytes()));
    house.clock.advance_ms(1);
    refused(&pki.judge(&house).await, SAID_SO, "revoked since");
    assert_eq!(house.responder.calls(), 2);
}

#[tokio::test]
async fn an_answer_serves_no_longer_than_it_says() {
    let pki = Pki::new();
    let house = pki.house();
    let mut short = pki.answer(Says::Good, START);
    short.until = Some(START.plus_ms(20_000));
    house.responder.says(Some(short.bytes()));
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    house.clock.advance_ms(20_000);
    let now = house.clock.now();
    house
        .responder
        .says(Some(pki.answer(Says::Revoked, now).bytes()));
    refused(&pki.judge(&house).await, SAID_SO, "after its end");
}

#[tokio::test]
async fn while_the_responder_is_down_the_last_good_answer_serves_for_the_soft_period() {
    let pki = Pki::new();
    let house = pki.house();
    refused(&pki.judge(&house).await, UNTOLD, "never answered");
    house
        .responder
        .says(Some(pki.answer(Says::Good, START).bytes()));
    house.clock.advance_ms(PAUSE_MS);
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    house.responder.says(None);
    house.clock.advance_ms(SOFT_MS - 1);
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    house.clock.advance_ms(1);
    refused(&pki.judge(&house).await, UNTOLD, "after the soft period");
    house.clock.advance_ms(PAUSE_MS);
    let now = house.clock.now();
    house
        .responder
        .says(Some(pki.answer(Says::Good, now).bytes()));
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
}

#[tokio::test]
async fn the_soft_period_begins_when_the_answer_came_and_not_when_it_was_used() {
    let pki = Pki::new();
    let house = pki.house();
    house
        .responder
        .says(Some(pki.answer(Says::Good, START).bytes()));
    for _ in 0..SOFT_MS / 60_000 {
        assert_eq!(pki.judge(&house).await.unwrap(), ORG);
        house.responder.says(None);
        house.clock.advance_ms(60_000);
    }
    refused(&pki.judge(&house).await, UNTOLD, "an hour later");
}

#[tokio::test]
async fn who_was_revoked_is_not_let_in_while_the_responder_is_down() {
    let pki = Pki::new();
    let house = pki.house();
    house
        .responder
        .says(Some(pki.answer(Says::Good, START).bytes()));
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    house.clock.advance_ms(FRESH_MAX_MS);
    let now = house.clock.now();
    house
        .responder
        .says(Some(pki.answer(Says::Revoked, now).bytes()));
    refused(&pki.judge(&house).await, SAID_SO, "revoked");
    house.responder.says(None);
    for _ in 0..3 {
        house.clock.advance_ms(FRESH_MAX_MS);
        refused(&pki.judge(&house).await, "revoked, as known before", "down");
    }
    // An answer that was made before does not help either.
    house.clock.advance_ms(PAUSE_MS);
    house
        .responder
        .says(Some(pki.answer(Says::Good, START).bytes()));
    refused(&pki.judge(&house).await, "newer evidence", "replayed");
}

/// The holder of a certificate can write it down in another way: with ECDSA, r and n - s sign the same.
#[tokio::test]
async fn a_revoked_certificate_stays_out_also_under_another_signature_of_its_issuer() {
    let pki = Pki::new();
    let house = pki.house();
    house
        .responder
        .says(Some(pki.answer(Says::Revoked, START).bytes()));
    refused(&pki.judge(&house).await, SAID_SO, "revoked");
    house.responder.says(None);
    house.clock.advance_ms(FRESH_MAX_MS);
    let again = pki.issuing.issue(&Leaf::good());
    assert_ne!(again, pki.leaf);
    let outcome = house.judge(&again, &[&pki.issuing.der]).await;
    refused(&outcome, "revoked, as known before", "signed anew");
}

#[tokio::test]
async fn many_who_come_at_once_cost_one_question() {
    let pki = Pki::new();
    let house = pki.house();
    house
        .responder
        .says(Some(pki.answer(Says::Good, START).bytes()));
    let (one, two, three) = tokio::join!(pki.judge(&house), pki.judge(&house), pki.judge(&house));
    for outcome in [one, two, three] {
        assert_eq!(outcome.unwrap(), ORG);
    }
    assert_eq!(house.responder.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn trouble_with_the_responder_is_no_answer_and_ends_in_time() {
    let pki = Pki::new();
    for trouble in [Trouble::Status(500), Trouble::Status(302), Trouble::Hangs] {
        let house = pki.house();
        house
            .responder
            .says(Some(pki.answer(Says::Good, START).bytes()));
        house.responder.has(Some(trouble));
        let began = tokio::time::Instant::now();
        refused(&pki.judge(&house).await, UNTOLD, "trouble");
        let longest = WAIT_MAX.saturating_add(Duration::from_millis(2));
        assert!(began.elapsed() <= longest);
        house.responder.has(None);
        house.clock.advance_ms(PAUSE_MS);
        assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    }
    let house = pki.house();
    house.responder.says(Some(vec![0x30; ANSWER_BYTES_MAX + 1]));
    refused(&pki.judge(&house).await, UNTOLD, "too large");
}

#[tokio::test(start_paused = true)]
async fn who_goes_away_while_the_responder_is_asked_keeps_nobody_out() {
    let pki = Pki::new();
    let house = pki.house();
    house
        .responder
        .says(Some(pki.answer(Says::Good, START).bytes()));
    house.responder.has(Some(Trouble::Hangs));
    let impatient = tokio::time::timeout(Duration::from_millis(10), pki.judge(&house));
    assert!(impatient.await.is_err());
    house.responder.has(None);
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    assert_eq!(house.responder.calls(), 2);
}

#[tokio::test]
async fn a_responder_that_is_down_is_not_asked_for_each_request() {
    let pki = Pki::new();
    let house = pki.house();
    for _ in 0..50 {
        refused(&pki.judge(&house).await, UNTOLD, "down");
        // The same certificate in other company.
        let sent: [&[u8]; 2] = [&pki.root.der, &pki.issuing.der];
        refused(&house.judge(&pki.leaf, &sent).await, UNTOLD, "down");
    }
    assert_eq!(house.responder.calls(), 1);
    house.clock.advance_ms(PAUSE_MS);
    refused(&pki.judge(&house).await, UNTOLD, "still down");
    assert_eq!(house.responder.calls(), 2);
}

#[tokio::test]
async fn only_addresses_that_the_operator_allows_are_called() {
    let pki = Pki::new();
    for (own, called) in [
        (None, "http://default.example/ocsp"),
        (Some("http://ocsp.example"), "http://ocsp.example"),
        (Some("http://ocsp.example/x"), "http://ocsp.example/x"),
        (
            Some("http://169.254.169.254/"),
            "http://default.example/ocsp",
        ),
        (
            Some("http://ocsp.example.evil.test/"),
            "http://default.example/ocsp",
        ),
    ] {
        let mut leaf = Leaf::good();
        leaf.ocsp = own;
        let leaf = pki.issuing.issue(&leaf);
        let house = pki.house();
        house
            .responder
            .says(Some(pki.answer(Says::Good, START).bytes()));
        let outcome = house.judge(&leaf, &[&pki.issuing.der]).await;
        assert_eq!(outcome.unwrap(), ORG);
        assert_eq!(*house.responder.addresses.lock().unwrap(), [called]);
    }
    // Nobody to ask: it cannot be told.
    let mut config = pki.config();
    config.ocsp.as_mut().unwrap().default_responder = None;
    let house = House::new(config);
    refused(&pki.judge(&house).await, UNTOLD, "nobody");
    assert_eq!(house.responder.calls(), 0);
}

#[tokio::test]
async fn ocsp_decides_what_lists_do_not() {
    let pki = Pki::new();
    let with = |lists| {
        let mut config = pki.config();
        config.crls = Some(lists);
        House::new(config)
    };
    let root = || pki.root.list(&[], -HOUR_MS, DAY_MS);
    // The lists say all: nobody is asked.
    let house = with(vec![root(), pki.issuing.list(&[], -HOUR_MS, DAY_MS)]);
    assert_eq!(pki.judge(&house).await.unwrap(), ORG);
    assert_eq!(house.responder.calls(), 0);
    // Nothing about the leaf, or nothing new: the responder is.
    for lists in [
        vec![root()],
        vec![root(), pki.issuing.list(&[], -9 * HOUR_MS, -3 * HOUR_MS)],
    ] {
        let house = with(lists);
        house
            .responder
            .says(Some(pki.answer(Says::Good, START).bytes()));
        assert_eq!(pki.judge(&house).await.unwrap(), ORG);
        assert_eq!(house.responder.calls(), 1);
    }
    // Nothing about the issuer, and nobody to ask about it.
    let house = with(vec![pki.issuing.list(&[], -HOUR_MS, DAY_MS)]);
    house
        .responder
        .says(Some(pki.answer(Says::Good, START).bytes()));
    refused(&pki.judge(&house).await, UNTOLD, "issuer");
    // On the list: no responder makes it good.
    let house = with(vec![root(), pki.issuing.list(&[SERIAL], -HOUR_MS, DAY_MS)]);
    house
        .responder
        .says(Some(pki.answer(Says::Good, START).bytes()));
    refused(&pki.judge(&house).await, "by a revocation list", "listed");
    assert_eq!(house.responder.calls(), 0);
}
