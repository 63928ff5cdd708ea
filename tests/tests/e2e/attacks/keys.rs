//! API keys: misshapen, guessed, ended, somebody else's, and tried too often.

use dan_tests::consumer::{AGENCY, EBEVIS, OWNER};
use dan_tests::shapes::text;

use super::{Bench, Outcome, Row, invalid};
use crate::place::{Place, shown};

/// Wrong keys an address may try in a minute (`contracts.md` §5).
const WRONG_MAX: usize = 10;
const MISSHAPEN: Outcome = invalid("not the form of an API key");
const UNKNOWN: Outcome = invalid("unknown API key");
const WRONG_SECRET: Outcome = invalid("wrong secret of an API key");
const ENDED: Outcome = invalid("expired API key");
const MISSING: Outcome = Outcome::Refused(401, 1023, "send your API key");
const OTHER_OWNER: Outcome = Outcome::Refused(403, 1019, "different organisations: key");
const ELSEWHERE: Outcome = Outcome::Refused(403, 1019, "may not be used from your address");

/// What `dan keys` made of a command, before the node starts.
async fn keys(place: &Place, arguments: &[&str]) -> (String, String) {
    let file = place.file();
    let all = [&["keys"], arguments, &["--config", shown(&file), "--json"]].concat();
    let made = place.scratch.dan(&all).await.exits(0).json();
    let key = made["key"].as_str().unwrap_or_default();
    (text(&made, "id").to_owned(), key.to_owned())
}

/// Keys as an operator leaves them: rotated, revoked, of another organisation, for one network.
struct Ring {
    old: String,
    new: String,
    /// Rotated as well, without a day for the change.
    past: String,
    revoked: String,
    of_another: String,
    for_a_network: String,
}

impl Ring {
    async fn made_at(place: &Place) -> Self {
        let create = |org: &'static str| ["create", "--context", EBEVIS.id, "--org", org];
        let (rotated, old) = keys(place, &create(OWNER)).await;
        let (_, new) = keys(place, &["rotate", &rotated]).await;
        let (rotated, past) = keys(place, &create(OWNER)).await;
        keys(place, &["rotate", &rotated, "--overlap", "0"]).await;
        let (id, revoked) = keys(place, &create(OWNER)).await;
        let file = place.file();
        let revoke = ["keys", "revoke", &id, "--config", shown(&file)];
        place.scratch.dan(&revoke).await.exits(0);
        let (_, of_another) = keys(place, &create(AGENCY)).await;
        let network = [&create(OWNER)[..], &["--network", "198.51.100.0/24"]].concat();
        let (_, for_a_network) = keys(place, &network).await;
        Self {
            old,
            new,
            past,
            revoked,
            of_another,
            for_a_network,
        }
    }
}

/// The same key with its last digit another one.
fn guessed(key: &str) -> String {
    let (start, last) = key.split_at(key.len() - 1);
    format!("{start}{}", if last == "0" { "1" } else { "0" })
}

#[tokio::test]
async fn no_attack_with_a_key_gets_in_and_each_leaves_one_trace() {
    let place = Place::new().await;
    let ring = Ring::made_at(&place).await;
    let bench = Bench::of(place).await;
    let token = bench.place.sandbox.token(EBEVIS.scope, OWNER).await;
    let mut all = presented(&bench, &ring);
    all.extend(in_other_places(&bench));
    all.extend(tried_too_often(&bench));
    let all: Vec<Row> = all.into_iter().map(|row| row.bearer(&token)).collect();
    println!("{} attacks with keys", all.len());
    bench.hold(all).await;
}

/// In the header.
fn presented(bench: &Bench, ring: &Ring) -> Vec<Row> {
    let key = &bench.key;
    let (id, _) = key.rsplit_once('_').unwrap();
    let unknown = format!("dan_0123456789ab_{}", "0123456789abcdef".repeat(3));
    let row = |what: &str, outcome, key: &str| Row::new(what, outcome).key(key);
    let network = |what: &str, outcome| row(what, outcome, &ring.for_a_network);
    vec![
        row("a good key", Outcome::Taken, key),
        row("one digit too few", MISSHAPEN, &key[..key.len() - 1]),
        row("one digit too many", MISSHAPEN, &format!("{key}0")),
        row("upper case", MISSHAPEN, &key.to_uppercase()),
        row("a key twice", MISSHAPEN, &format!("{key}, {key}")),
        row("its public part alone", MISSHAPEN, id),
        row("10 kB", MISSHAPEN, &"0".repeat(10_000)),
        row("SQL", MISSHAPEN, "dan_0123456789ab_' OR 1=1 --"),
        row("a key that nobody made", UNKNOWN, &unknown),
        row("one digit wrong", WRONG_SECRET, &guessed(key)),
        row("the old key of two", Outcome::Taken, &ring.old),
        row("the new key of two", Outcome::Taken, &ring.new),
        row("the old key of two after its last day", ENDED, &ring.past),
        row("a key that was ended", ENDED, &ring.revoked),
        row("another organisation's key", OTHER_OWNER, &ring.of_another),
        network("from its network", Outcome::Taken).from("198.51.100.7"),
        network("from another network", ELSEWHERE),
        Row::new("no key", MISSING),
        row("an empty key", MISSING, ""),
        // Not text, so it is nothing.
        row(
            "full-width digits",
            MISSING,
            &key.replace('1', "\u{ff11}").replace('2', "\u{ff12}"),
        ),
        Row::new("a NUL behind", Outcome::Unread(400, 1014)).key(&format!("{key}\0")),
    ]
}

/// In the query string, where percent-encoding brings what a header cannot, and where it must not be.
fn in_other_places(bench: &Bench) -> Vec<Row> {
    let key = &bench.key;
    let row = |what: &str, outcome, value: &str| {
        let row = Row::new(what, outcome).secret(key);
        row.query(format!("?subscription-key={value}"))
    };
    let wide = key.replacen('_', "_%EF%BC%91", 1);
    let elsewhere = Row::new("in the field of the token", MISSING).secret(key);
    vec![
        row("in the query", Outcome::Taken, key),
        row("a NUL in the query", MISSHAPEN, &format!("{key}%00")),
        row("full-width digits in the query", MISSHAPEN, &wide),
        row("a newline in the query", MISSHAPEN, &format!("{key}%0Ax")),
        elsewhere.header("X-Api-Key", key),
    ]
}

/// Ten wrong ones from one address, and then only wrong ones are held up, and only from there.
fn tried_too_often(bench: &Bench) -> Vec<Row> {
    const FROM: &str = "192.0.2.1";
    let wrong = guessed(&bench.key);
    let row = |what: String, outcome| Row::new(what, outcome).key(&wrong);
    let mut all: Vec<Row> = (1..=WRONG_MAX)
        .map(|number| row(format!("wrong key {number}"), WRONG_SECRET).from(FROM))
        .collect();
    let held = Outcome::Refused(429, 1029, "too many wrong API keys");
    all.push(row("one too many".to_owned(), held).from(FROM));
    all.push(row("from another address".to_owned(), WRONG_SECRET).from("192.0.2.2"));
    let good = Row::new("a good key from the address that tried", Outcome::Taken);
    all.push(good.key(&bench.key).from(FROM));
    all.push(row("and one more".to_owned(), held).from(FROM));
    all
}
