//! What commands print for people and for programs, and how they end.

use std::io::Write as _;
use std::process::ExitCode;

use serde::Serialize;

/// How a command ended (`contracts.md` §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done and true: 0.
    Yes,
    /// Done and the answer is no: 1.
    No,
}

/// Wrong usage or configuration: 2, with what to do.
#[derive(Debug)]
pub struct Misuse(pub String);

impl From<String> for Misuse {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// What every command returns.
pub type Ending = Result<Outcome, Misuse>;

/// Turns an ending into an exit status; a misuse is explained on standard error.
#[must_use]
pub fn exit_code(ending: Ending) -> ExitCode {
    match ending {
        Ok(Outcome::Yes) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(Misuse(text)) => {
            complain(&text);
            ExitCode::from(2)
        }
    }
}

/// A line for people, on standard output. A reader that has gone away (`| head`) is no fault.
pub fn say(line: impl std::fmt::Display) {
    writeln!(std::io::stdout().lock(), "{line}").unwrap_or_default();
}

/// A line for people, on standard error.
pub fn complain(line: impl std::fmt::Display) {
    writeln!(std::io::stderr().lock(), "{line}").unwrap_or_default();
}

/// One JSON document for programs, on standard output.
pub fn say_json(value: &impl Serialize) {
    say(serde_json::to_string_pretty(value).unwrap_or_default());
}
