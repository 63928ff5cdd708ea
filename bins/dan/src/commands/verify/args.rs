//! Arguments of `dan verify`.

use std::path::PathBuf;

use clap::Args;
use dan_core::time::Timestamp;
use dan_verify::Language;

/// What to verify, with which keys, and what it must say.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// What is checked
    #[command(flatten)]
    pub answer: AnswerArgs,
    /// The node's key set: a file, or its address /.well-known/jwks.json
    #[arg(long, value_name = "FILE|URL")]
    pub jwks: String,
    /// What it must say
    #[command(flatten)]
    pub required: RequiredArgs,
    /// Also: signed by then, and the key in use then; an RFC 3339 time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub at: Option<Timestamp>,
    /// Where it came from
    #[command(flatten)]
    pub origin: OriginArgs,
    /// Write the evidence inside a JOSE or COSE answer to this file, once everything holds
    #[arg(long, value_name = "FILE", conflicts_with = "body")]
    pub out: Option<PathBuf>,
    /// Language of the sentence: nb or en
    #[arg(long, value_name = "nb|en", default_value = "en", value_parser = language)]
    pub lang: Language,
    /// Machine-readable
    #[arg(long)]
    pub json: bool,
}

/// The answer, in one of its forms.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// File with the body, byte for byte as received
    #[arg(long, visible_alias = "view", value_name = "FILE", requires = "signature", required_unless_present_any = ["jose", "cose"])]
    pub body: Option<PathBuf>,
    /// File with the value of the X-Signature-JWT header
    #[arg(long, value_name = "FILE", requires = "body")]
    pub signature: Option<PathBuf>,
    /// File with one self-contained JWS (Accept: application/jose)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["body", "cose"])]
    pub jose: Option<PathBuf>,
    /// File with one `COSE_Sign1` (Accept: application/cose)
    #[arg(long, value_name = "FILE", conflicts_with = "body")]
    pub cose: Option<PathBuf>,
}

/// What the statement must say. What is not given is not looked at.
#[derive(Debug, Args)]
pub struct RequiredArgs {
    /// It must be about this organisation or person; `-` reads the number from standard input
    #[arg(long, value_name = "NR|-")]
    pub subject: Option<String>,
    /// It must have been given to this organisation
    #[arg(long, value_name = "NR")]
    pub expect_audience: Option<String>,
    /// It must be for this organisation
    #[arg(long, value_name = "NR")]
    pub expect_requestor: Option<String>,
    /// It must be this dataset
    #[arg(long, value_name = "NAME")]
    pub expect_dataset: Option<String>,
    /// It must be of this service
    #[arg(long, value_name = "NAME")]
    pub expect_context: Option<String>,
    /// It must rest on this accreditation
    #[arg(long, value_name = "ID")]
    pub expect_accreditation: Option<String>,
    /// It must be of the node with this public address
    #[arg(long, value_name = "URL")]
    pub expect_issuer: Option<String>,
    /// It must be this release (`x-invocationId`)
    #[arg(long, value_name = "ID")]
    pub expect_release: Option<String>,
    /// The source must have answered at this RFC 3339 time or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub retrieved_since: Option<Timestamp>,
    /// The source must have answered at this RFC 3339 time or earlier
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub retrieved_until: Option<Timestamp>,
}

/// Makes the view again from what the source answered.
#[derive(Debug, Args)]
pub struct OriginArgs {
    /// File with what the source answered, byte for byte; once for each call
    #[arg(long, value_name = "FILE")]
    pub origin: Vec<PathBuf>,
    /// Folder of the catalogue that was in force; default: the one that is built in
    #[arg(long, value_name = "DIR", requires = "origin")]
    pub catalog: Option<PathBuf>,
    /// The query that was sent, where one was
    #[arg(long, value_name = "TEXT", requires = "origin")]
    pub query: Option<String>,
    /// A parameter that was sent; with one, they must be these and no others
    #[arg(long = "parameter", value_name = "NAME=VALUE")]
    pub parameters: Vec<String>,
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "write it as 2026-11-24T12:00:00Z".to_owned())
}

fn language(text: &str) -> Result<Language, String> {
    Language::parse(text).ok_or_else(|| "write nb or en".to_owned())
}
