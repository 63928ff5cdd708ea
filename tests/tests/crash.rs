//! A node that is killed under load, again and again on the same folder: whatever it answered has its
//! record, and the trail holds.
//!
//! `DAN_CRASH_SEED=<number>` chooses the moments, `DAN_LONG=1` kills a thousand times instead of twenty.
//! The moments are after the load began; what the machine does with them differs from run to run.

#[expect(dead_code, reason = "the other tests need more of it")]
#[path = "e2e/place.rs"]
mod place;

use std::collections::BTreeMap;
use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dan_tests::client::{Call, Connection};
use dan_tests::consumer::{COMPANY, DAN_TEST, OWNER};
use dan_tests::node::Node;
use dan_tests::proof::sha256_hex;
use dan_tests::shapes::text;
use http::Method;
use rusqlite::Connection as Database;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::task::JoinSet;
use tokio::time::sleep;

use place::{DATASET, Place, shown};

/// Kills in a usual run, and in a long one.
const KILLS: (u32, u32) = (20, 1000);
/// Connections that ask without a pause.
const CONNECTIONS: usize = 8;
/// Latest moment of a kill after the load began, in milliseconds.
const DELAY_MS_MAX: u64 = 250;
/// Kills between two full checks by the command; the links of new rows are recomputed after each.
const CHECK_EVERY: u32 = 25;

/// xorshift64: moments, not secrets.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// What one client was answered: the request, and the SHA-256 of the body.
type Answered = Arc<Mutex<Vec<(String, String)>>>;

/// Asks until the node dies.
async fn ask(mut connection: Connection, call: Call, answered: Answered, begun: Arc<AtomicBool>) {
    while let Ok(answer) = connection.attempt(call.clone()).await {
        begun.store(true, Ordering::SeqCst);
        assert!(answer.status.is_success(), "{}", answer.excerpt());
        let request = answer.header("x-invocationid").unwrap().to_owned();
        let digest = sha256_hex(&answer.body);
        answered.lock().unwrap().push((request, digest));
    }
}

/// The end of the trail as the last look found it.
struct Seen {
    sequence: i64,
    link: [u8; 32],
}

impl Seen {
    /// Reads what is new, holds that it follows, and gives it.
    fn look(&mut self, database: &Database) -> Vec<Value> {
        let sql = "SELECT sequence, body, link FROM audit WHERE sequence > ?1 ORDER BY sequence";
        let mut statement = database.prepare(sql).unwrap();
        let rows = statement.query_map([self.sequence], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?))
        });
        let mut found = Vec::new();
        for row in rows.unwrap() {
            let (sequence, body, link): (i64, String, [u8; 32]) = row.unwrap();
            assert_eq!(sequence, self.sequence + 1, "the sequence goes on");
            let mut hash = Sha256::new();
            hash.update(self.link);
            hash.update(&body);
            assert_eq!(link, <[u8; 32]>::from(hash.finalize()), "row {sequence}");
            (self.sequence, self.link) = (sequence, link);
            found.push(serde_json::from_str(&body).unwrap());
        }
        found
    }
}

/// Holds that every answer has its intent, and no outcome that says another thing.
fn recorded(rows: &[Value], answered: &[(String, String)]) -> usize {
    let mut intents: BTreeMap<&str, usize> = BTreeMap::new();
    let mut outcomes = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let request = text(row, "request_id");
        if row["phase"] == "intent" {
            assert!(intents.insert(request, at).is_none(), "two intents");
        }
        if let Some(delivered) = row["phase"].get("delivered") {
            assert!(intents.contains_key(request), "an outcome without intent");
            outcomes.insert(request, text(delivered, "digest"));
        }
    }
    for (request, digest) in answered {
        let request = request.as_str();
        assert!(intents.contains_key(request), "no record of {request}");
        if let Some(recorded) = outcomes.get(request) {
            assert_eq!(recorded, digest, "{request}");
        }
    }
    intents.len() - outcomes.len()
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

/// Starts the node, lets everybody ask, and kills it at a moment.
async fn round(place: &Place, key: &str, delay: Duration) -> Vec<(String, String)> {
    let node: Node = place.node().await;
    let token = place.sandbox.token(DAN_TEST.scope, OWNER).await;
    let client = node.client(key, &token);
    let path = format!("directharvest/{DATASET}?subject={COMPANY}");
    let (answered, begun) = (Answered::default(), Arc::new(AtomicBool::new(false)));
    let mut asking = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let call = client.call(Method::GET, &path);
        let connection = Connection::open(&node.api).await;
        let (answered, begun) = (Arc::clone(&answered), Arc::clone(&begun));
        asking.spawn(ask(connection, call, answered, begun));
    }
    while !begun.load(Ordering::SeqCst) {
        sleep(Duration::from_millis(1)).await;
    }
    sleep(delay).await;
    node.kill();
    while let Some(ended) = asking.join_next().await {
        ended.unwrap();
    }
    let mut answered = answered.lock().unwrap();
    std::mem::take(&mut *answered)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_was_answered_is_recorded_however_often_the_node_is_killed() {
    let is_long = number("DAN_LONG") == Some(1);
    let kills = if is_long { KILLS.1 } else { KILLS.0 };
    let seed = number("DAN_CRASH_SEED").unwrap_or(20_261_124);
    println!("DAN_CRASH_SEED={seed}, {kills} kills");
    let mut chance = Chance(seed.max(1));
    let mut place = Place::new().await;
    // What a client may ask is not what is tested here.
    place.set("limits", "key_per_second", 0);
    place.set("limits", "organisation_per_second", 0);
    let (_, key) = place.key(DAN_TEST, OWNER).await;
    let (file, database) = (place.file(), place.data().join("dan.db"));
    let verify = ["audit", "verify", "--json", "--config", shown(&file)];
    let mut seen = Seen {
        sequence: 0,
        link: [0; 32],
    };
    let (mut answers, mut interrupted) = (0, 0);
    for kill in 1..=kills {
        let delay = Duration::from_micros(chance.below(DELAY_MS_MAX * 1000));
        let answered = round(&place, &key, delay).await;
        assert!(!answered.is_empty(), "kill {kill}");
        answers += answered.len();
        let rows = seen.look(&Database::open(&database).unwrap());
        interrupted += recorded(&rows, &answered);
        if !is_long || kill % CHECK_EVERY == 0 || kill == kills {
            let report = place.scratch.dan(&verify).await.exits(0).json();
            assert_eq!(report["rows"], seen.sequence);
            assert_eq!(report["interrupted"], interrupted, "kill {kill}");
        }
    }
    println!(
        "{answers} answers, {interrupted} interrupted, {} rows",
        seen.sequence
    );

    // The last start puts everything under a signed head.
    let node = place.node().await;
    node.stop().await;
    let report = place.scratch.dan(&verify).await.exits(0).json();
    assert_eq!(report["covered"], report["rows"]);
}
