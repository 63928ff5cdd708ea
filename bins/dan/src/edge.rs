//! `dan-edge`: from arguments to a running node.

use std::process::ExitCode;

use clap::Parser as _;
use tracing_subscriber::EnvFilter;

use crate::args::EdgeArgs;
use crate::config;
use crate::lifecycle;
use crate::output::{Ending, Misuse, Outcome, exit_code};
use crate::sandbox;
use crate::serve::Running;

/// Runs `dan-edge`.
#[must_use]
pub fn main() -> ExitCode {
    let args = EdgeArgs::parse();
    exit_code(run(&args))
}

fn run(args: &EdgeArgs) -> Ending {
    if args.config.is_none() && !args.sandbox {
        return Err(Misuse(
            "say what to run:\n  dan-edge --sandbox            a node and a fake outside world; nothing else is needed\n  \
             dan-edge --config dan.toml    a real node; docs/operating.md shows the way"
                .to_owned(),
        ));
    }
    log(if args.sandbox { "warn" } else { "info" });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Misuse(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        if args.sandbox {
            sandbox::run(args).await
        } else {
            node(args).await
        }
    })
}

async fn node(args: &EdgeArgs) -> Ending {
    let path = args
        .config
        .as_deref()
        .ok_or_else(|| Misuse("--config is missing".to_owned()))?;
    let mut config = config::read(path)?;
    if let Some(listen) = args.listen {
        config.server.listen = listen;
    }
    if let Some(listen) = args.management_listen {
        config.management.listen = listen;
    }
    if let Some(catalog) = &args.catalog {
        config.catalog.path =
            Some(std::path::absolute(catalog).unwrap_or_else(|_| catalog.clone()));
    }
    config::check(&config)?;
    let running = Running::start(&config, args.data_dir.as_deref()).await?;
    lifecycle::signal(lifecycle::Hangup::Reloads)
        .await
        .map_err(|error| Misuse(error.to_string()))?;
    running.stop().await;
    Ok(Outcome::Yes)
}

/// JSON lines on standard error; `DAN_LOG` narrows or widens them (for instance `debug`).
fn log(level: &str) {
    let filter = EnvFilter::try_from_env("DAN_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .init();
}
