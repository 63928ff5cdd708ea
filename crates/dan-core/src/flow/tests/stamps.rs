//! Time stamps: beside the traffic, and never in its way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use super::heads::Node;
use crate::flow::STAMP_BYTES_MAX;
use crate::ports::{CallContext, PortFuture, StampError, Store as _, TimeStamper};

/// An authority that says yes, no, or nothing.
#[derive(Default)]
struct Clerk {
    hangs: AtomicBool,
    answer: Mutex<Option<Result<Vec<u8>, StampError>>>,
    asked: Mutex<Vec<[u8; 32]>>,
}

impl Clerk {
    fn says(&self, answer: Result<Vec<u8>, StampError>) {
        *self.answer.lock().unwrap() = Some(answer);
    }
}

impl TimeStamper for Clerk {
    fn stamp<'a>(
        &'a self,
        digest: &'a [u8; 32],
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<Vec<u8>, StampError>> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(*digest);
            if self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            let answer = self.answer.lock().unwrap().clone();
            answer.unwrap_or_else(|| Ok(b"stamp".to_vec()))
        })
    }
}

/// Lets some looks at the newest head go by, with the clock standing in between.
async fn minutes(count: u32) {
    for _ in 0..count {
        tokio::time::advance(Duration::from_millis(60_001)).await;
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_head_is_stamped_once_and_an_authority_that_fails_only_counts() {
    let (node, clerk) = (Node::new(), Arc::new(Clerk::default()));
    let (stop, stopped) = oneshot::channel::<()>();
    let keeping = node
        .exchange
        .keep_stamps(Arc::clone(&clerk) as _, async move {
            stopped.await.unwrap_or_default();
        });
    let stamps = async || {
        let heads = node.fakes.store.heads(0, 10).await.unwrap();
        let stamps = heads.into_iter().map(|head| head.stamp);
        stamps.collect::<Vec<_>>()
    };
    let good = || Some(b"stamp".to_vec());
    let watching = async {
        minutes(2).await;
        assert!(clerk.asked.lock().unwrap().is_empty(), "there is no head");
        for _ in 0..2 {
            node.append(1).await;
            node.exchange.put_heads().await.unwrap();
        }
        minutes(3).await;
        assert_eq!(stamps().await, [None, good()]);
        let newest = node.exchange.newest_head().await.unwrap().unwrap();
        assert_eq!(*clerk.asked.lock().unwrap(), [newest.digest()]);

        node.append(1).await;
        node.exchange.put_heads().await.unwrap();
        clerk.says(Err(StampError("no".to_owned())));
        minutes(1).await;
        clerk.says(Ok(vec![0; STAMP_BYTES_MAX + 1]));
        minutes(1).await;
        clerk.hangs.store(true, Ordering::SeqCst);
        minutes(2).await;
        assert_eq!(stamps().await, [None, good(), None]);
        assert!(node.exchange.meter().stamps_failed.read() >= 3);
        // One that hangs holds up no stop.
        stop.send(()).unwrap();
    };
    tokio::join!(keeping, watching);
}
