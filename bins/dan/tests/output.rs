//! What a command says must arrive: a full disk is not silence.
#![cfg(target_os = "linux")]

use std::fs::OpenOptions;
use std::process::{Command, Stdio};

fn checks_the_catalogue() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dan"));
    let catalogue = concat!(env!("CARGO_MANIFEST_DIR"), "/../../catalog");
    command.args(["catalog", "check", "--json", catalogue]);
    command
}

#[test]
fn a_command_that_cannot_say_what_it_found_fails() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = checks_the_catalogue().stdout(full).output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    let complained = String::from_utf8(ended.stderr).unwrap();
    assert!(complained.contains("standard output"), "{complained}");
    let ended = checks_the_catalogue().output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
}

#[test]
fn a_reader_that_has_gone_away_is_no_fault() {
    let mut command = checks_the_catalogue();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
