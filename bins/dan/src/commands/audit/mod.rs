//! `dan audit`: the trail of who, what, about whom, on which basis.

mod export;
mod extract;
mod extract_page;
mod verify;

use std::path::Path;

use dan_core::audit::{Action, AuditRecord};
use dan_core::party::Party;
use dan_core::ports::{Batch, Clock as _, Store, StoredAudit, TrailRow, Write, random_id};
use dan_store::Access;
use dan_store::trail::{Shown, row_view};
use serde_json::Value;

use super::{config_and_store, store_failed};
use crate::args::AuditCommand;
use crate::output::{Ending, Misuse, Outcome, say};
use crate::system::{SystemClock, SystemEntropy};

/// Rows read at once.
const PAGE_ROWS: u32 = 1_000;

/// Runs one of the commands.
///
/// # Errors
/// What is wrong with the arguments, the configuration or the store.
pub async fn run(command: AuditCommand) -> Ending {
    match command {
        AuditCommand::Verify(args) => verify::run(&args).await,
        AuditCommand::Export {
            config,
            show_persons,
        } => export::run(&config, show_persons).await,
        AuditCommand::Extract(args) => extract::run(&args).await,
        AuditCommand::Tail { config, count } => tail(&config, count).await,
    }
}

/// Writes the last rows, at most `count`.
///
/// # Errors
/// A store that cannot be opened or read.
async fn tail(config: &Path, count: u32) -> Ending {
    let (_, store) = config_and_store(config, Access::Reader)?;
    let store = store.as_ref();
    let newest = store.newest_head().await.map_err(store_failed)?;
    // At least as many as are wanted, and whatever came since the newest head.
    let covered = newest.map_or(0, |head| head.last);
    let mut next = covered.saturating_sub(u64::from(count)).saturating_add(1);
    let mut kept: Vec<StoredAudit> = Vec::new();
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
    for row in kept {
        let shown = shown(&row.record, false);
        say(Value::Object(row_view(&unread(row), shown)));
    }
    Ok(Outcome::Yes)
}

/// What stands for the parties of a row: masked, unless persons are to be shown.
fn shown(record: &AuditRecord, show_persons: bool) -> Shown {
    let party = |party: &Option<Party>| {
        party.as_ref().map(|party| match show_persons {
            true => party.expose_canonical(),
            false => party.to_string(),
        })
    };
    Shown {
        requestor: party(&record.requestor),
        subject: party(&record.subject),
    }
}

fn unread(row: StoredAudit) -> TrailRow {
    TrailRow {
        sequence: row.sequence,
        text: row.text,
        link: row.link,
    }
}

/// Records that somebody read the trail, before anything is shown.
///
/// # Errors
/// A store that does not take it: then nothing is shown.
async fn record_reading(
    store: &dyn Store,
    action: Action,
    subject: Option<Party>,
) -> Result<(), Misuse> {
    let request_id = random_id(&SystemEntropy::new());
    let record = AuditRecord {
        subject,
        ..AuditRecord::done(SystemClock.now(), action, request_id)
    };
    let batch = Batch(vec![Write::AppendAudit(Box::new(record))]);
    store.commit(&batch).await.map_err(store_failed)
}
