//! Heads over the trail, and what the node records about itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::oneshot;

use super::catalog;
use crate::audit::{Action, HEAD_ROWS_MAX, HeadClaims, MerkleTree, TrailHead, link};
use crate::catalog::Catalog;
use crate::flow::Exchange;
use crate::meter::Meter;
use crate::ports::{
    Batch, CallContext, EnvelopeFormat, PortFuture, SignError, Signable, Signer, Store,
    StoredAudit, Write,
};
use crate::testkit::builders;
use crate::testkit::fakes::Fakes;
use crate::testkit::store_suite::{append, row};
use crate::time::Timestamp;

/// The key that never comes to an end.
const STALLED: &str = "stalled";

/// Signs in the form of a JWS, with a key that can be changed and taken away.
struct Pen(Mutex<Option<&'static str>>);

impl Pen {
    fn take(&self, kid: Option<&'static str>) {
        *self.0.lock().unwrap() = kid;
    }
}

impl Signer for Pen {
    fn key_set(&self, _now: Timestamp) -> String {
        String::new()
    }

    fn can_sign(&self, _format: EnvelopeFormat, _now: Timestamp) -> bool {
        true
    }

    fn active_kid(&self, _now: Timestamp) -> Option<String> {
        self.0.lock().unwrap().map(str::to_owned)
    }

    fn sign<'a>(
        &'a self,
        signable: Signable<'a>,
        format: EnvelopeFormat,
        now: Timestamp,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Vec<u8>, SignError>> {
        assert_eq!(format, EnvelopeFormat::Head);
        let kid = self.active_kid(now).ok_or(SignError("no key".to_owned()));
        if kid == Ok(STALLED.to_owned()) {
            return Box::pin(std::future::pending());
        }
        let signed = kid.map(|kid| {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"kid":"{kid}"}}"#));
            let payload = URL_SAFE_NO_PAD.encode(signable.statement);
            format!("{header}.{payload}.signature").into_bytes()
        });
        Box::pin(std::future::ready(signed))
    }
}

pub(super) struct Node {
    pub(super) fakes: Fakes,
    pen: Arc<Pen>,
    pub(super) exchange: Arc<Exchange>,
}

impl Node {
    pub(super) fn new() -> Self {
        let fakes = Fakes::new(|source| catalog(vec![], source, vec![builders::dataset("A")]));
        Self::over(fakes)
    }

    fn over(fakes: Fakes) -> Self {
        let pen = Arc::new(Pen(Mutex::new(Some("one"))));
        let mut ports = fakes.ports();
        ports.signer = Arc::clone(&pen) as _;
        let exchange = Exchange::new(ports, Fakes::settings(), Arc::new(Meter::default()));
        Self {
            fakes,
            pen,
            exchange: Arc::new(exchange),
        }
    }

    pub(super) async fn append(&self, rows: usize) {
        let writes = vec![append(&row(1)); rows];
        self.fakes.store.commit(&Batch(writes)).await.unwrap();
    }

    async fn heads(&self) -> Vec<TrailHead> {
        self.fakes.store.heads(0, 100).await.unwrap()
    }

    async fn covered(&self) -> Vec<(u64, u64)> {
        let heads = self.heads().await;
        heads.iter().map(|head| (head.first, head.last)).collect()
    }

    fn acts(&self) -> Vec<(Action, String)> {
        let records = self.fakes.store.records().into_iter();
        let told = records.filter_map(|record| {
            let node = record.node?;
            let told = [node.version, node.catalog, node.kid];
            let told: Vec<_> = told.into_iter().flatten().collect();
            Some((record.action, told.join(" ")))
        });
        told.collect()
    }
}

fn acts(expected: &[(Action, &str)]) -> Vec<(Action, String)> {
    let own = |(action, told): &(Action, &str)| (*action, (*told).to_owned());
    expected.iter().map(own).collect()
}

#[tokio::test]
async fn each_head_covers_the_rows_since_the_one_before() {
    let node = Node::new();
    node.exchange.put_heads().await.unwrap();
    assert_eq!(node.covered().await, []);
    node.append(3).await;
    node.exchange.put_heads().await.unwrap();
    node.exchange.put_heads().await.unwrap();
    assert_eq!(node.covered().await, [(1, 3)]);
    node.append(2).await;
    node.exchange.put_heads().await.unwrap();
    let heads = node.heads().await;
    let claims: Vec<HeadClaims> = heads
        .iter()
        .map(|head| head.claims_unverified().unwrap())
        .collect();
    assert_eq!((claims[1].first, claims[1].last), (4, 5));
    assert_eq!(claims[0].previous, None);
    assert_eq!(claims[1].previous, Some(heads[0].digest()));
    assert_eq!(claims[0].node, claims[1].node);
    assert_eq!(claims[1].iss, "https://dan.example.no/v1");
    let links = node.fakes.store.links(4, 9).await.unwrap();
    let mut tree = MerkleTree::default();
    links.iter().for_each(|link| tree.push(link));
    assert_eq!((claims[1].root, claims[1].link), (tree.root(), links[1]));
}

#[tokio::test]
async fn no_head_covers_more_than_its_limit() {
    let node = Node::new();
    let whole = usize::try_from(HEAD_ROWS_MAX).unwrap();
    node.append(whole * 2 + 1).await;
    node.exchange.put_heads().await.unwrap();
    let limit = u64::from(HEAD_ROWS_MAX);
    let expected = [
        (1, limit),
        (limit + 1, limit * 2),
        (limit * 2 + 1, limit * 2 + 1),
    ];
    assert_eq!(node.covered().await, expected);
}

#[tokio::test]
async fn another_process_goes_on_where_the_first_stopped() {
    let first = Node::new();
    first.append(2).await;
    first.exchange.put_heads().await.unwrap();
    let second = Node::over(first.fakes.clone());
    second.append(1).await;
    second.exchange.put_heads().await.unwrap();
    assert_eq!(second.covered().await, [(1, 2), (3, 3)]);
    let heads = second.heads().await;
    let node = |head: &TrailHead| head.claims_unverified().unwrap().node;
    assert_eq!(node(&heads[0]), node(&heads[1]));
}

#[tokio::test(start_paused = true)]
async fn a_row_has_its_head_within_a_second_and_an_outage_is_made_up_for() {
    let node = Node::new();
    let (stop, stopped) = oneshot::channel::<()>();
    node.exchange.record_start("1").await.unwrap();
    let exchange = Arc::clone(&node.exchange);
    let keeping = async move {
        exchange
            .keep_heads(async move { stopped.await.unwrap_or_default() })
            .await;
    };
    let watching = async {
        let second = || tokio::time::advance(Duration::from_millis(1_001));
        settle().await;
        assert_eq!(node.covered().await, [(1, 2)]);
        node.append(1).await;
        second().await;
        settle().await;
        assert_eq!(node.covered().await, [(1, 2), (3, 3)]);
        node.pen.take(None);
        node.append(1).await;
        for _ in 0..3 {
            second().await;
            settle().await;
        }
        assert_eq!(node.covered().await.len(), 2);
        assert_eq!(node.exchange.meter().heads_failed.read(), 3);
        node.pen.take(Some("one"));
        node.append(1).await;
        second().await;
        settle().await;
        assert_eq!(node.covered().await, [(1, 2), (3, 3), (4, 5)]);
        stop.send(()).unwrap();
    };
    tokio::join!(keeping, watching);
}

/// Lets what is ready run, with the clock standing still.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_node_records_its_start_its_changes_and_its_stop() {
    let node = Node::new();
    node.exchange.record_start("7.0.0").await.unwrap();
    node.exchange.note_changes().await;
    let catalog = node.exchange.catalog().version().to_owned();
    let started = format!("7.0.0 {catalog} one");
    let start = [
        (Action::NodeStarted, &*started),
        (Action::SigningKeyActivated, "one"),
    ];
    assert_eq!(node.acts(), acts(&start));

    node.pen.take(Some("two"));
    let (newer, _) = Catalog::build(Vec::new(), Vec::new(), "newer".to_owned());
    node.fakes.catalog.replace(newer);
    node.exchange.note_changes().await;
    node.exchange.note_changes().await;
    node.exchange.record_stop("7.0.0").await;
    let all = [
        start[0],
        start[1],
        (Action::CatalogReplaced, "newer"),
        (Action::SigningKeyActivated, "two"),
        (Action::NodeStopped, "7.0.0 newer two"),
    ];
    assert_eq!(node.acts(), acts(&all));
    let newest = node.exchange.newest_head().await.unwrap().unwrap();
    assert_eq!(newest.last, 5, "the stop itself is under the last head");

    // The next start is with the key of the newest head: nothing began.
    let next = Node::over(node.fakes.clone());
    next.pen.take(Some("two"));
    next.exchange.record_start("7.0.1").await.unwrap();
    assert_eq!(next.acts().len(), 6);
    next.pen.take(Some("three"));
    next.exchange.record_start("7.0.1").await.unwrap();
    assert_eq!(next.acts().last().unwrap().0, Action::SigningKeyActivated);
}

#[tokio::test]
async fn a_change_that_cannot_be_recorded_is_recorded_later_and_a_start_is_refused() {
    let node = Node::new();
    node.exchange.record_start("1").await.unwrap();
    node.fakes.store.set_down(true);
    node.pen.take(Some("two"));
    node.exchange.note_changes().await;
    assert!(node.exchange.record_start("1").await.is_err());
    node.exchange.record_stop("1").await;
    node.fakes.store.set_down(false);
    assert_eq!(node.acts().len(), 2);
    node.exchange.note_changes().await;
    assert_eq!(
        node.acts().last(),
        Some(&(Action::SigningKeyActivated, "two".to_owned()))
    );
}

#[tokio::test]
async fn a_head_whose_last_row_changed_meanwhile_is_not_put() {
    let node = Node::new();
    node.append(2).await;
    let links = node.fakes.store.links(1, 9).await.unwrap();
    let head = TrailHead {
        first: 1,
        last: 2,
        jws: String::new(),
        stamp: None,
    };
    let write = Write::AppendHead {
        value: Box::new(head),
        link: links[0],
        previous: 0,
    };
    assert!(node.fakes.store.commit(&Batch(vec![write])).await.is_err());
}

/// One with write access to the database, who makes links anew where they are changed.
type Forger = fn(&mut Vec<StoredAudit>, &mut Vec<TrailHead>);

fn relink(rows: &mut [StoredAudit]) {
    let mut previous = [0; 32];
    for row in rows {
        row.link = link(&previous, row.text.as_bytes());
        previous = row.link;
    }
}

#[tokio::test]
async fn a_trail_that_was_changed_behind_the_node_is_not_signed() {
    let forgers: [Forger; 5] = [
        |rows, heads| {
            rows[1].text.push('x');
            relink(rows);
            heads.clear();
        },
        |rows, _| {
            rows[1].text.push('x');
            relink(rows);
        },
        |_, heads| heads.truncate(1),
        |rows, heads| {
            rows.clear();
            heads.clear();
        },
        |_, heads| heads[1].jws.push('x'),
    ];
    for (forge, number) in forgers.into_iter().zip(1..) {
        let node = Node::new();
        for _ in 0..2 {
            node.append(2).await;
            node.exchange.put_heads().await.unwrap();
        }
        node.fakes.store.forge(forge);
        node.append(2).await;
        let left = node.heads().await;
        let refused = node.exchange.put_heads().await.unwrap_err();
        let cause = refused.cause.unwrap();
        assert!(cause.starts_with("the trail was changed behind"), "{cause}");
        // Nor later, nor at the stop.
        assert!(node.exchange.put_heads().await.is_err());
        node.exchange.record_stop("1").await;
        assert_eq!(node.heads().await, left, "forger {number}");
    }
}

#[tokio::test]
async fn a_row_that_is_not_the_signed_one_is_seen_at_the_start() {
    let before = Node::new();
    before.append(3).await;
    before.exchange.put_heads().await.unwrap();
    before.fakes.store.forge(|rows, _| {
        rows[0].text.push('x');
        relink(rows);
    });
    let node = Node::over(before.fakes.clone());
    node.append(1).await;
    assert!(node.exchange.put_heads().await.is_err());
    assert_eq!(node.covered().await, [(1, 3)]);
}

#[tokio::test]
async fn a_trail_that_is_distrusted_is_not_signed() {
    let node = Node::new();
    node.append(1).await;
    node.exchange
        .distrust_trail("its signature is false".to_owned());
    assert!(node.exchange.put_heads().await.is_err());
    assert_eq!(node.covered().await, []);
}

#[tokio::test(start_paused = true)]
async fn a_stop_does_not_wait_for_the_heads_that_are_missing() {
    let node = Node::new();
    node.exchange.record_start("1").await.unwrap();
    node.pen.take(Some(STALLED));
    let (stop, stopped) = oneshot::channel::<()>();
    let keeping = node
        .exchange
        .keep_heads(async move { stopped.await.unwrap_or_default() });
    let stopping = async {
        settle().await;
        stop.send(()).unwrap();
        tokio::time::Instant::now()
    };
    let ((), begun) = tokio::join!(keeping, stopping);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}
