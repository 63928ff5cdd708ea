//! [`Watch`]: whether the trail in the store is still the one that this process signed.
//!
//! Whoever can write the database can make rows, links and heads anew, but not what a running
//! process remembers. Before each head the newest one in the store is held against it; a node never
//! signs a trail that was changed behind it.

use std::sync::PoisonError;

use super::{Exchange, store_fault};
use crate::audit::{HeadClaims, TrailHead};
use crate::error::{Code, Fault};
use crate::ports::StoreError;

/// What a head was, and the link of the last row under it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Anchor {
    last: u64,
    link: [u8; 32],
    digest: [u8; 32],
}

impl Anchor {
    fn of(head: &TrailHead, claims: &HeadClaims) -> Self {
        Self {
            last: head.last,
            link: claims.link,
            digest: head.digest(),
        }
    }
}

/// What a process remembers of the heads.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The newest head; the outer `None` until it was read, the inner where there was none.
    known: Option<Option<Anchor>>,
    /// The head that was handed to the store last; whether it took it may not be known.
    tried: Option<Anchor>,
    /// What was found changed. Ends all signing until the next start.
    changed: Option<String>,
}

impl Watch {
    /// Takes the newest head and the link of the row it ends with. Why not, where the trail is
    /// another one than it was.
    fn compare(&mut self, newest: Option<&Anchor>, row: Option<[u8; 32]>) -> Result<(), String> {
        if let Some(why) = &self.changed {
            return Err(why.clone());
        }
        let is_known = match &self.known {
            None => true,
            Some(known) => {
                known.as_ref() == newest || (newest.is_some() && self.tried.as_ref() == newest)
            }
        };
        let why = match (newest, &self.known) {
            (Some(head), _) if is_known && row == Some(head.link) => None,
            (Some(head), _) if is_known => Some(format!(
                "record {} is not the one that was signed",
                head.last
            )),
            (None, _) if is_known => None,
            (Some(head), _) => Some(format!(
                "the head over record {} was not made by this process",
                head.last
            )),
            (None, Some(Some(head))) => Some(format!(
                "the head over record {} and all before it are gone",
                head.last
            )),
            (None, _) => Some("the heads are gone".to_owned()),
        };
        match why {
            None => {
                self.known = Some(newest.cloned());
                Ok(())
            }
            Some(why) => Err(self.distrust(why)),
        }
    }

    fn distrust(&mut self, why: String) -> String {
        tracing::error!(
            reason = why,
            "the trail was changed behind the node; nothing of it is signed until the next start"
        );
        self.changed = Some(why.clone());
        why
    }
}

impl Exchange {
    /// No head is signed by this process any more, since `why`. For whoever finds, before the first
    /// one, that the trail is not the node's; says so in the log.
    pub fn distrust_trail(&self, why: String) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.distrust(why);
    }

    /// Holds the newest head, and the row it ends with, against what this process remembers.
    ///
    /// # Errors
    /// 1013 when the store is out of reach, and 1015 for another trail.
    pub(super) async fn watch_trail(
        &self,
        newest: Option<(&TrailHead, &HeadClaims)>,
    ) -> Result<(), Fault> {
        let row = match newest {
            Some((head, claims)) if head.last == claims.last => {
                match self.ports.store.links(head.last, 1).await {
                    Ok(links) => links.first().copied(),
                    Err(StoreError::Corrupt(_)) => None,
                    Err(error) => return Err(store_fault(error)),
                }
            }
            _ => None,
        };
        let newest = newest.map(|(head, claims)| Anchor::of(head, claims));
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.compare(newest.as_ref(), row).map_err(|why| {
            let cause = format!("the trail was changed behind the node: {why}");
            Fault::new(Code::InternalServerError).because(cause)
        })
    }

    /// Remembers a head before the store is asked to take it: its answer may be lost.
    pub(super) fn note_head(&self, head: &TrailHead, claims: &HeadClaims) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.tried = Some(Anchor::of(head, claims));
    }

    /// The store has taken the head that was noted: from now on it is the newest.
    pub(super) fn head_was_taken(&self) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = watch.tried.take() {
            watch.known = Some(Some(taken));
        }
    }
}
