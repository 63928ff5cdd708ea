//! Commands for people at a terminal.

use std::process::ExitCode;

fn main() -> ExitCode {
    dan::commands::main()
}
