//! What commands print for people and for programs, and how they end.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;
use std::sync::OnceLock;

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

/// Why not all could be said, if so: the first failure of standard output.
static UNSAID: OnceLock<String> = OnceLock::new();

/// Turns an ending into an exit status; a misuse is explained on standard error. What could not be
/// written is a misuse, whatever else came of the command.
#[must_use]
pub fn exit_code(ending: Ending) -> ExitCode {
    note_failure(std::io::stdout().lock().flush());
    let ending = match (ending, UNSAID.get()) {
        (Ok(_), Some(why)) => Err(Misuse(format!("standard output is not whole: {why}"))),
        (ending, _) => ending,
    };
    match ending {
        Ok(Outcome::Yes) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(1),
        Err(Misuse(text)) => {
            complain(&text);
            ExitCode::from(2)
        }
    }
}

/// A line for people, on standard output. A reader that has gone away (`| head`) is no fault;
/// another failure ends the command with 2, through [`exit_code`].
pub fn say(line: impl std::fmt::Display) {
    note_failure(writeln!(std::io::stdout().lock(), "{line}"));
}

/// Remembers for [`exit_code`] that something could not be said.
fn note_failure(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        UNSAID.get_or_init(|| error.to_string());
    }
}

/// A line for people, on standard error.
pub fn complain(line: impl std::fmt::Display) {
    writeln!(std::io::stderr().lock(), "{line}").unwrap_or_default();
}

/// One JSON document for programs, on standard output.
pub fn say_json(value: &impl Serialize) {
    say(serde_json::to_string_pretty(value).unwrap_or_default());
}
