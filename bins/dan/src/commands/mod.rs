//! The commands for people, one file each.

pub mod audit;
pub mod catalog;
pub mod doctor;
pub mod explain;
pub mod keys;
pub mod signing_key;
pub mod verify;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;

use dan_core::ports::{Store, StoreError};
use dan_store::Access;

use crate::args::{CatalogCommand, Command, DanArgs, KeysCommand, SigningKeyCommand};
use crate::compose::open_store;
use crate::config::{self, Config};
use crate::output::{Ending, Misuse, exit_code};

/// Runs `dan`.
#[must_use]
pub fn main() -> ExitCode {
    let args = DanArgs::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    exit_code(match runtime {
        Ok(runtime) => runtime.block_on(run(args.command)),
        Err(error) => Err(Misuse(format!("cannot start: {error}"))),
    })
}

async fn run(command: Command) -> Ending {
    match command {
        Command::Verify(args) => verify::run(&args).await,
        Command::Keys { command } => run_keys(command).await,
        Command::SigningKey { command } => match command {
            SigningKeyCommand::New { out, rsa } => signing_key::new(&out, rsa),
            SigningKeyCommand::Rotate(args) => signing_key::rotate(&args),
            SigningKeyCommand::List { config, jwks, json } => {
                signing_key::list(&config, jwks, json)
            }
        },
        Command::Catalog { command } => match command {
            CatalogCommand::Check { dir, json } => catalog::check(&dir, json),
            CatalogCommand::Diff { old, new, json } => catalog::diff::run(&old, &new, json),
            CatalogCommand::New {
                name,
                from_openapi,
                path,
                values,
                out,
            } => catalog::draft::run(&catalog::draft::Wish {
                name: &name,
                openapi: &from_openapi,
                path: path.as_deref(),
                values: &values,
                out: &out,
            }),
            CatalogCommand::Explain(args) => explain::run(&args).await,
            CatalogCommand::Show {
                dataset,
                context,
                dir,
                json,
            } => catalog::show(&dataset, context.as_deref(), dir.as_deref(), json),
        },
        Command::Audit { command } => audit::run(command).await,
        Command::Doctor {
            config,
            token,
            certificate,
            json,
        } => doctor::run(&config, &doctor::Presented { token, certificate }, json).await,
    }
}

async fn run_keys(command: KeysCommand) -> Ending {
    match command {
        KeysCommand::Create {
            config,
            context,
            wish,
            json,
        } => keys::create(&config, &context, wish, json).await,
        KeysCommand::List { config, json } => keys::list(&config, json).await,
        KeysCommand::Rotate {
            id,
            config,
            overlap,
            json,
        } => keys::rotate(&config, &id, overlap, json).await,
        KeysCommand::Revoke { id, config, json } => keys::revoke(&config, &id, json).await,
    }
}

/// The configuration and its store, opened beside a node that may be running; [`Access::Reader`]
/// for what has nothing to do where there is no database.
///
/// # Errors
/// What is wrong with either.
fn config_and_store(path: &Path, access: Access) -> Result<(Config, Arc<dyn Store>), Misuse> {
    let config = config::read(path)?;
    let store = open_store(&config, None, access)?;
    Ok((config, store))
}

fn store_failed(error: StoreError) -> Misuse {
    Misuse(match error {
        StoreError::Conflict => "somebody else changed it at the same time; try again".to_owned(),
        StoreError::Unavailable(cause) => format!("the store is not available: {cause}"),
        StoreError::Corrupt(cause) => format!("the store holds something unreadable: {cause}"),
    })
}
