//! What the node itself does goes into the trail: start, stop, another catalogue, another key.

use super::{Exchange, store_fault};
use crate::audit::{Action, AuditRecord, NodeState, kid_of};
use crate::error::Fault;
use crate::ports::{Batch, Write};

/// What was recorded last about the node.
#[derive(Clone, Debug, Default)]
pub(super) struct Noted {
    catalog: String,
    kid: Option<String>,
}

impl Exchange {
    /// Records that the node starts, in this version of the program, and with which catalogue and
    /// key; and that the key begins to sign, where the newest head was signed with another. Before
    /// the first request.
    ///
    /// # Errors
    /// 1013 when the store is out of reach: a node that cannot record does not start.
    pub async fn record_start(&self, version: &str) -> Result<(), Fault> {
        let noted = self.noted_now();
        let newest = self.newest_head().await?;
        let signed_before = newest.and_then(|head| kid_of(&head.jws));
        let started = NodeState {
            version: Some(version.to_owned()),
            catalog: Some(noted.catalog.clone()),
            kid: noted.kid.clone(),
        };
        let mut rows = vec![self.act(Action::NodeStarted, started)];
        if noted.kid.is_some() && signed_before != noted.kid {
            rows.push(self.key_act(&noted));
        }
        self.append(rows).await?;
        self.remember(noted);
        Ok(())
    }

    /// Records that the node stops, makes the last head and says it in the log, for whoever keeps
    /// heads elsewhere. After the last answer and after [`Exchange::close`]; never fails, since the
    /// node ends either way.
    pub async fn record_stop(&self, version: &str) {
        let noted = self.noted_now();
        let stopped = NodeState {
            version: Some(version.to_owned()),
            catalog: Some(noted.catalog),
            kid: noted.kid,
        };
        let rows = vec![self.act(Action::NodeStopped, stopped)];
        if let Err(fault) = self.append(rows).await {
            let cause = fault.cause;
            tracing::warn!(cause, "the stop of the node could not be recorded");
        }
        self.put_last_heads().await;
        match self.newest_head().await {
            Ok(Some(head)) => {
                tracing::info!(
                    rows = head.last,
                    head = head.jws,
                    "newest head of the audit trail"
                );
            }
            Ok(None) => {}
            Err(fault) => {
                let cause = fault.cause;
                tracing::warn!(
                    cause,
                    "the newest head of the audit trail could not be read"
                );
            }
        }
    }

    /// Records another catalogue or another signing key since the last look. What cannot be
    /// recorded now is at the next look.
    pub(super) async fn note_changes(&self) {
        let (noted, now) = (self.noted(), self.noted_now());
        let mut rows = Vec::new();
        if now.catalog != noted.catalog {
            let state = NodeState {
                catalog: Some(now.catalog.clone()),
                ..NodeState::default()
            };
            rows.push(self.act(Action::CatalogReplaced, state));
        }
        if now.kid.is_some() && now.kid != noted.kid {
            rows.push(self.key_act(&now));
        }
        if rows.is_empty() {
            return;
        }
        match self.append(rows).await {
            Ok(()) => self.remember(now),
            Err(fault) => tracing::warn!(
                cause = fault.cause,
                "a change of the catalogue or the signing key is recorded later"
            ),
        }
    }

    fn noted_now(&self) -> Noted {
        Noted {
            catalog: self.catalog().version().to_owned(),
            kid: self.ports.signer.active_kid(self.now()),
        }
    }

    fn key_act(&self, noted: &Noted) -> Write {
        let state = NodeState {
            kid: noted.kid.clone(),
            ..NodeState::default()
        };
        self.act(Action::SigningKeyActivated, state)
    }

    fn act(&self, action: Action, state: NodeState) -> Write {
        Write::AppendAudit(Box::new(AuditRecord {
            node: Some(Box::new(state)),
            ..AuditRecord::done(self.now(), action, self.new_id())
        }))
    }

    async fn append(&self, rows: Vec<Write>) -> Result<(), Fault> {
        let committed = self.ports.store.commit(&Batch(rows)).await;
        committed.map_err(store_fault)
    }
}
