//! `dan audit`: the trail of who, what, about whom, on which basis.

use std::path::Path;

use dan_core::audit::{AuditRecord, Phase};
use dan_core::party::Party;
use dan_core::ports::StoredAudit;
use dan_core::statement::hex;
use dan_store::verify_audit;
use serde_json::{Value, json};

use super::{config_and_store, store_failed};
use crate::output::{Ending, Outcome, say};

/// Rows read at once.
const PAGE_ROWS: u32 = 1000;

/// Recomputes the chain over every row.
///
/// # Errors
/// A store that cannot be opened. A broken chain is no error but the answer no.
pub async fn verify(config: &Path) -> Ending {
    let (_, store) = config_and_store(config)?;
    match verify_audit(store.as_ref()).await {
        Ok(verified) => {
            say(format!(
                "{} rows, the chain holds; last link {}",
                verified.rows,
                hex(&verified.link)
            ));
            Ok(Outcome::Yes)
        }
        Err(dan_core::ports::StoreError::Corrupt(what)) => {
            say(format!("BROKEN: {what}"));
            Ok(Outcome::No)
        }
        Err(error) => Err(store_failed(error)),
    }
}

/// Writes every row as one JSON object a line.
///
/// # Errors
/// A store that cannot be opened or read.
pub async fn export(config: &Path, show_persons: bool) -> Ending {
    let (_, store) = config_and_store(config)?;
    let mut next = 1;
    loop {
        let rows = store.audit(next, PAGE_ROWS).await.map_err(store_failed)?;
        let Some(last) = rows.last() else {
            return Ok(Outcome::Yes);
        };
        next = last.sequence.saturating_add(1);
        for row in &rows {
            say(describe(row, show_persons));
        }
    }
}

/// Writes the last rows, at most `count`.
///
/// # Errors
/// A store that cannot be opened or read.
pub async fn tail(config: &Path, count: u32) -> Ending {
    let (_, store) = config_and_store(config)?;
    let mut kept: Vec<StoredAudit> = Vec::new();
    let mut next = 1;
    loop {
        let rows = store.audit(next, PAGE_ROWS).await.map_err(store_failed)?;
        let Some(last) = rows.last() else { break };
        next = last.sequence.saturating_add(1);
        kept.extend(rows);
        let surplus = kept
            .len()
            .saturating_sub(usize::try_from(count).unwrap_or(usize::MAX));
        kept.drain(..surplus);
    }
    for row in &kept {
        say(describe(row, false));
    }
    Ok(Outcome::Yes)
}

fn describe(row: &StoredAudit, show_persons: bool) -> Value {
    let AuditRecord {
        at, action, phase, ..
    } = &row.record;
    let (phase, detail) = match phase {
        Phase::Done => ("done", Value::Null),
        Phase::Intent => ("intent", Value::Null),
        Phase::Delivered { digest, body_bytes } => (
            "delivered",
            json!({"sha256": hex(digest), "bytes": body_bytes}),
        ),
        Phase::BrokenOff { body_bytes, code } => {
            ("broken_off", json!({"bytes": body_bytes, "code": code}))
        }
        Phase::Failed { code } => ("failed", json!({"code": code})),
    };
    let party = |party: &Option<Party>| {
        party.as_ref().map(|party| match show_persons {
            true => party.expose_canonical(),
            false => party.to_string(),
        })
    };
    json!({
        "sequence": row.sequence,
        "at": at.to_string(),
        "action": action.name(),
        "phase": phase,
        "detail": detail,
        "request": row.record.request_id,
        "key": row.record.key_id,
        "owner": row.record.owner.map(|owner| owner.to_string()),
        "supplier": row.record.supplier.map(|supplier| supplier.to_string()),
        "system_user": row.record.system_user,
        "context": row.record.context,
        "dataset": row.record.dataset,
        "accreditation": row.record.accreditation,
        "requestor": party(&row.record.requestor),
        "subject": party(&row.record.subject),
        "basis": row.record.basis,
        "external_reference": row.record.external_reference,
        "link": hex(&row.link),
    })
}
