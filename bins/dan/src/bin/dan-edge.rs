//! A whole node on one machine; also the sandbox.

use std::process::ExitCode;

fn main() -> ExitCode {
    dan::edge::main()
}
