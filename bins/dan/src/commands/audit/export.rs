//! `dan audit export`: the whole trail, rows and heads, one JSON object a line.

use std::path::Path;

use dan_core::audit::Action;
use dan_core::ports::{Store, StoreError, TrailRow};
use dan_store::Access;
use dan_store::trail::{Piece, Shown, TrailCursor, head_line, row_line};

use super::{record_reading, shown};
use crate::commands::{config_and_store, store_failed};
use crate::output::{Ending, Misuse, Outcome, complain, say};

/// Writes every row and every head, each head behind the last row it covers. A trail that was
/// touched is written too, with what is sealed left sealed where it does not follow; the answer is
/// no then.
///
/// # Errors
/// A store that cannot be opened or read.
pub(super) async fn run(config: &Path, show_persons: bool) -> Ending {
    let (_, store) = config_and_store(config, Access::Reader)?;
    let store = store.as_ref();
    if show_persons {
        record_reading(store, Action::TrailExported, None).await?;
    }
    let mut cursor = TrailCursor::new(store);
    let mut outcome = Outcome::Yes;
    while let Some(piece) = cursor.next().await.map_err(store_failed)? {
        match piece {
            Piece::Head(head) => say(head_line(&head)),
            Piece::Rows(rows) => {
                let parties = parties(store, &rows, show_persons).await?;
                if parties.is_none() && outcome == Outcome::Yes {
                    complain("the trail was touched; `dan audit verify` says where");
                    outcome = Outcome::No;
                }
                let mut parties = parties.unwrap_or_default().into_iter();
                for row in rows {
                    say(row_line(&row, parties.next().unwrap_or_default()));
                }
            }
        }
    }
    Ok(outcome)
}

/// What stands for the parties of these rows; `None` when they do not follow from one another.
async fn parties(
    store: &dyn Store,
    rows: &[TrailRow],
    show_persons: bool,
) -> Result<Option<Vec<Shown>>, Misuse> {
    let first = rows.first().map_or(1, |row| row.sequence);
    let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    match store.audit(first, count).await {
        Ok(read) => {
            let read = read.iter().map(|row| shown(&row.record, show_persons));
            Ok(Some(read.collect()))
        }
        Err(StoreError::Corrupt(_)) => Ok(None),
        Err(error) => Err(store_failed(error)),
    }
}
