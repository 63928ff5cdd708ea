//! Arguments of the binaries.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use crate::commands::verify::VerifyArgs;

/// Version and commit, as `--version` shows them.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("DAN_COMMIT"), ")");

/// A whole node on one machine: the dan API on SQLite; also the sandbox.
#[derive(Debug, Parser)]
#[command(name = "dan-edge", version = VERSION, about, after_help = "\
Try it without any set-up:   dan-edge --sandbox
Run a real node:             dan-edge --config dan.toml   (see docs/operating.md)")]
pub struct EdgeArgs {
    /// Configuration file; see docs/configuration.md
    #[arg(long, value_name = "dan.toml", conflicts_with = "sandbox")]
    pub config: Option<PathBuf>,
    /// Folder for the database and, in the sandbox, its keys and sandbox.json
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Folder of the catalogue; watched. Default: the one that is built in
    #[arg(long, value_name = "DIR")]
    pub catalog: Option<PathBuf>,
    /// Address of the public API; port 0 means any
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// Address of /livez, /readyz, /metrics, /audit/head and /keys
    #[arg(long, value_name = "ADDR")]
    pub management_listen: Option<SocketAddr>,
    /// Start a node and a fake outside world in one process; no configuration, network or account
    #[arg(long)]
    pub sandbox: bool,
    /// Sandbox: do the main job once, verify it, and end
    #[arg(long, requires = "sandbox")]
    pub once: bool,
    /// Sandbox: address of the fake outside world
    #[arg(long, value_name = "ADDR", requires = "sandbox")]
    pub sandbox_listen: Option<SocketAddr>,
}

/// Commands for people at a terminal: verify answers, manage keys, check catalogues, find faults.
#[derive(Debug, Parser)]
#[command(name = "dan", version = VERSION, about, after_help = "\
Exit status: 0 done and true, 1 done and the answer is no, 2 wrong usage or configuration.")]
pub struct DanArgs {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What `dan` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check an answer with the published keys; offline, years later
    Verify(Box<VerifyArgs>),
    /// API keys of consumers
    Keys {
        /// What to do
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Keys that sign answers
    SigningKey {
        /// What to do
        #[command(subcommand)]
        command: SigningKeyCommand,
    },
    /// The catalogue of datasets
    Catalog {
        /// What to do
        #[command(subcommand)]
        command: CatalogCommand,
    },
    /// The audit trail
    Audit {
        /// What to do
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Look for what is wrong with a configuration: one cause and one fix each
    Doctor {
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// File with a consumer's token that is not accepted, to find out why
        #[arg(long, value_name = "FILE")]
        token: Option<PathBuf>,
        /// PEM file with a consumer's certificate that is not accepted, intermediates behind it
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
}

/// API keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key; it is shown once
    Create {
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Identifier of the service context, for instance ebevis-product
        #[arg(long, value_name = "ID")]
        context: String,
        /// What it is for and how far it reaches
        #[command(flatten)]
        wish: KeyWish,
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// List every key, without the keys themselves
    List {
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// Make a successor; the old key keeps working for a while
    Rotate {
        /// Public identifier of the key
        id: String,
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Days the old key keeps working
        #[arg(long, value_name = "DAYS", default_value_t = crate::commands::keys::OVERLAP_DAYS_DEFAULT)]
        overlap: u32,
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// End a key now
    Revoke {
        /// Public identifier of the key
        id: String,
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
}

/// How far a new key reaches.
#[derive(Debug, Args)]
pub struct KeyWish {
    /// Organisation number of the consumer; without it the key is bound to nobody
    #[arg(long, value_name = "NR")]
    pub org: Option<String>,
    /// A name for people
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// Scope of a holder who comes with an enterprise certificate and no token; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", requires = "org")]
    pub scopes: Vec<String>,
    /// Network it may be used from, for instance 198.51.100.0/24; may be repeated
    #[arg(long = "network", value_name = "CIDR")]
    pub networks: Vec<String>,
    /// Requests a second; default: the node's own limit
    #[arg(long, value_name = "N")]
    pub per_second: Option<u32>,
    /// Requests a day (UTC); default: the node's own limit
    #[arg(long, value_name = "N")]
    pub per_day: Option<u32>,
    /// Days after which it ends by itself
    #[arg(long, value_name = "DAYS")]
    pub days: Option<u32>,
}

/// Signing keys.
#[derive(Debug, Subcommand)]
pub enum SigningKeyCommand {
    /// Make a key in a new file: P-256, or RSA
    New {
        /// The file; must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// RSA of 3072 bits, for consumers that pin an enterprise certificate
        #[arg(long)]
        rsa: bool,
    },
    /// Make the next key, and bring it into use without a gap or say how
    Rotate(RotateArgs),
    /// Show every key: next, active, standby or retired, and since or until when
    List {
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The key set that is published instead
        #[arg(long, conflicts_with = "json")]
        jwks: bool,
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
}

/// `dan signing-key rotate`.
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// File of the new key; must not exist
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Change the configuration file, instead of saying how
    #[arg(long)]
    pub write: bool,
    /// Seconds that the key is published before it signs
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400)]
    pub lead_s: u64,
    /// An RSA key; otherwise one of the kind that signs now
    #[arg(long)]
    pub rsa: bool,
    /// A P-256 key
    #[arg(long, conflicts_with = "rsa")]
    pub p256: bool,
}

/// The catalogue.
#[derive(Debug, Subcommand)]
pub enum CatalogCommand {
    /// Find every mistake in a folder in one run, and run every example
    Check {
        /// The folder
        dir: PathBuf,
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// Say rule by rule what an application would be answered, and why
    Explain(ExplainArgs),
    /// Say what a change of the catalogue changes for whom; exits with 1 when somebody gets more
    Diff {
        /// The folder as it is
        old: PathBuf,
        /// The folder as it would be
        new: PathBuf,
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
    /// Draft a source, a dataset and an example from a source's OpenAPI document
    New {
        /// Name of the dataset
        name: String,
        /// The document, version 3, as JSON
        #[arg(long, value_name = "FILE")]
        from_openapi: PathBuf,
        /// Which of its paths; without it, they are listed
        #[arg(long, value_name = "PATH")]
        path: Option<String>,
        /// Names of the values that are wanted, with commas between them; all, when not given
        #[arg(long, value_name = "NAMES", value_delimiter = ',')]
        values: Vec<String>,
        /// Folder to write to
        #[arg(long, value_name = "DIR", default_value = "catalog")]
        out: PathBuf,
    },
    /// Show what a dataset is, who may have it and what it gives
    Show {
        /// Name of the dataset
        dataset: String,
        /// Only as it stands in this service context
        #[arg(long, value_name = "NAME")]
        context: Option<String>,
        /// The folder; default: the catalogue that is built in
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Machine-readable
        #[arg(long)]
        json: bool,
    },
}

/// An application and who makes it.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// File with the body of POST authorization
    #[arg(long, value_name = "FILE")]
    pub request: PathBuf,
    /// Name or identifier of the service context; default: the first that offers the datasets
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Organisation number of the caller; default: the requestor
    #[arg(long = "as", value_name = "ORG")]
    pub owner: Option<String>,
    /// Scopes of the caller's token, separated by space or comma
    #[arg(long, value_name = "SCOPES", default_value = "")]
    pub scopes: String,
    /// Another subject than the one in the file
    #[arg(long, value_name = "ID")]
    pub subject: Option<String>,
    /// The request offers a token for the source
    #[arg(long)]
    pub own_token: bool,
    /// The catalogue's folder; default: that of the configuration, else the one that is built in
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Configuration whose registers are asked; without it nobody is asked, and facts are unknown
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Machine-readable
    #[arg(long)]
    pub json: bool,
}

/// The audit trail.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Check every row, every signed head, and heads kept elsewhere; say the first bad record
    Verify(AuditVerifyArgs),
    /// Write every row and head as a JSON object a line
    Export {
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Write national identity numbers in clear; that it was done is recorded
        #[arg(long)]
        show_persons: bool,
    },
    /// Write who fetched what about one person or organisation, and why; that it was done is recorded
    Extract(AuditExtractArgs),
    /// Write the last rows
    Tail {
        /// Configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// How many
        #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
        count: u32,
    },
}

/// Which trail to check, and against what.
#[derive(Debug, Args)]
pub struct AuditVerifyArgs {
    /// Configuration file: check the store of this node
    #[arg(long, value_name = "FILE", required_unless_present = "file")]
    pub config: Option<PathBuf>,
    /// Check a file that `dan audit export` wrote; needs no configuration
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "config",
        requires = "jwks"
    )]
    pub file: Option<PathBuf>,
    /// The node's key set; without it, the keys of the configuration
    #[arg(long, value_name = "FILE")]
    pub jwks: Option<PathBuf>,
    /// Heads that were kept elsewhere, one a line; may be given several times
    #[arg(long, value_name = "FILE")]
    pub head: Vec<PathBuf>,
    /// Address that the node had, as its heads say it (iss); may be given several times. With
    /// --config the configured address is one
    #[arg(long, value_name = "URL")]
    pub issuer: Vec<String>,
    /// Machine-readable
    #[arg(long)]
    pub json: bool,
}

/// About whom, and from when to when.
#[derive(Debug, Args)]
pub struct AuditExtractArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Organisation number or identity number; - reads it from standard input. Arguments show in
    /// lists of processes, so give identity numbers through - or --subject-file
    #[arg(long, value_name = "NR|-", required_unless_present = "subject_file")]
    pub subject: Option<String>,
    /// File with the number
    #[arg(long, value_name = "FILE", conflicts_with = "subject")]
    pub subject_file: Option<PathBuf>,
    /// Not before this moment, for instance 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Before this moment
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Language of the page
    #[arg(long, value_name = "LANG", default_value = "en")]
    pub lang: Language,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Languages of pages for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Norwegian Bokmål.
    Nb,
    /// English.
    En,
}
