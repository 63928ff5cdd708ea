//! Developer tasks: `cargo xtask test` runs everything that must pass before a change lands.
//!
//! It has no dependencies, so that it starts on a bare machine, and it calls nothing but cargo and,
//! where a tool is missing, the package manager.
#![expect(clippy::print_stderr, reason = "a task tells what it does")]

use std::process::{Command, ExitCode};

const HELP: &str = "\
cargo xtask test          format, lints, documentation, then every test
cargo xtask test --long   the same, every crate alone as well, and the long runs of random tests
cargo xtask docs          write docs/errors.md and docs/configuration.md from the code
cargo xtask fuzz          every fuzz target for a minute, with cargo-fuzz; --seconds N for longer
cargo xtask deny          licences, bans and sources, with cargo-deny";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["test"] => test(false),
        ["test", "--long"] => test(true),
        ["docs"] => docs(),
        ["fuzz"] => fuzz("60"),
        ["fuzz", "--seconds", seconds] => fuzz(seconds),
        ["deny"] => deny(),
        _ => {
            eprintln!("{HELP}");
            return ExitCode::from(2);
        }
    };
    if done {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Stops at the first step that fails. Tests come last, so that their result is the last line.
fn test(long: bool) -> bool {
    install_missing()
        && cargo(&["fmt", "--all", "--check"], &[])
        && cargo(
            &[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--",
                "-D",
                "warnings",
            ],
            &[],
        )
        && cargo(
            &["doc", "--workspace", "--no-deps", "--locked", "--quiet"],
            &[("RUSTDOCFLAGS", "-D warnings")],
        )
        && (!long || crates_alone())
        && signing_features()
        && cargo(
            &["test", "--workspace", "--locked"],
            if long { &[("DAN_LONG", "1")] } else { &[] },
        )
}

/// Keys in a PKCS#11 token are a feature that the workspace is not built with; and the verifier and the
/// signer must build where there is no C compiler.
fn signing_features() -> bool {
    let token = ["--locked", "-p", "dan-sign", "--features", "pkcs11"];
    let without = ["check", "--locked", "--no-default-features", "-p"];
    cargo(
        &[
            &["clippy"],
            &token[..],
            &["--all-targets", "--", "-D", "warnings"],
        ]
        .concat(),
        &[],
    ) && cargo(
        &[&["test"], &token[..], &["--test", "pkcs11"]].concat(),
        &[],
    ) && cargo(
        &["check", "--locked", "-p", "dan", "--features", "pkcs11"],
        &[],
    ) && cargo(&[&without[..], &["dan-verify"]].concat(), &[])
        && cargo(&[&without[..], &["dan-sign"]].concat(), &[])
}

/// No feature may leak in from a neighbour.
fn crates_alone() -> bool {
    let crates = [
        "dan-jmespath",
        "dan-json",
        "dan-verify",
        "dan-core",
        "dan-auth",
        "dan-sign",
        "dan-store",
        "dan-source",
        "dan-http",
        "dan-sandbox",
    ];
    crates.iter().all(|name| {
        cargo(&["check", "--locked", "-p", name], &[])
            && cargo(&["check", "--locked", "-p", name, "--all-features"], &[])
    })
}

/// Generated documents are compared by a test of `bins/dan`; with this variable it writes them.
fn docs() -> bool {
    cargo(
        &["test", "--locked", "-p", "dan", "--test", "docs"],
        &[("DAN_WRITE_DOCS", "1")],
    )
}

/// Fuzz targets of `tests/fuzz`.
const FUZZ_TARGETS: [&str; 5] = [
    "token",
    "key_set",
    "client_certificate",
    "http_head",
    "route_path",
];

/// Runs on stable: no sanitizer, since there is no unsafe code here for one to watch.
fn fuzz(seconds: &str) -> bool {
    let installed = exists("cargo-fuzz") || cargo(&["install", "cargo-fuzz", "--locked"], &[]);
    installed && FUZZ_TARGETS.iter().all(|target| fuzz_one(target, seconds))
}

/// What is found is kept in `tests/fuzz/corpus`, out of version control. Real certificates are read from where
/// `DAN_SHARED` says, if they are there.
fn fuzz_one(target: &str, seconds: &str) -> bool {
    let found = format!("tests/fuzz/corpus/{target}");
    let shared = std::env::var_os("DAN_SHARED").map_or_else(
        || "../shared".to_owned(),
        |folder| folder.to_string_lossy().into_owned(),
    );
    let seeds = format!("{shared}/suites/seid-certificates/leaf");
    let limit = format!("-max_total_time={seconds}");
    let mut arguments = vec![
        "fuzz",
        "run",
        "--fuzz-dir",
        "tests/fuzz",
        "--sanitizer",
        "none",
        target,
        &found,
    ];
    if target == "client_certificate" && std::path::Path::new(&seeds).is_dir() {
        arguments.push(&seeds);
    }
    arguments.extend(["--", &limit, "-rss_limit_mb=1024", "-timeout=5"]);
    std::fs::create_dir_all(&found).is_ok() && cargo(&arguments, &[])
}

fn deny() -> bool {
    cargo(&["deny", "check", "bans", "licenses", "sources"], &[])
}

/// What the build and the tests call by name, with the Debian package that has it.
const TOOLS: [(&str, &str); 7] = [
    ("cc", "gcc"),
    ("git", "git"),
    ("ar", "binutils"),
    ("openssl", "openssl"),
    ("curl", "curl"),
    ("jq", "jq"),
    ("softhsm2-util", "softhsm2"),
];

/// Installs tools that are missing; on a machine without `apt-get` it says which.
fn install_missing() -> bool {
    let missing: Vec<&str> = TOOLS
        .iter()
        .filter(|(tool, _)| !exists(tool))
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return components();
    }
    eprintln!("installing {}", missing.join(", "));
    let installed = run(Command::new("apt-get").arg("update"))
        && run(Command::new("apt-get")
            .args(["install", "-y", "--no-install-recommends"])
            .args(&missing));
    if !installed {
        eprintln!(
            "install these by hand, then try again: {}",
            missing.join(", ")
        );
    }
    installed && components()
}

/// `rustfmt` and `clippy` come with most toolchains.
fn components() -> bool {
    let missing: Vec<&str> = ["cargo-fmt", "cargo-clippy"]
        .into_iter()
        .filter(|tool| !starts(tool))
        .map(|tool| {
            if tool == "cargo-fmt" {
                "rustfmt"
            } else {
                "clippy"
            }
        })
        .collect();
    missing.is_empty()
        || run(Command::new("rustup")
            .args(["component", "add"])
            .args(&missing))
}

/// Whether there is such a program, whatever it thinks of the argument.
fn exists(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok()
}

fn starts(tool: &str) -> bool {
    Command::new(tool)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

fn cargo(arguments: &[&str], variables: &[(&str, &str)]) -> bool {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    run(Command::new(cargo)
        .args(arguments)
        .envs(variables.iter().copied()))
}

fn run(command: &mut Command) -> bool {
    eprintln!("> {command:?}");
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("cannot start {command:?}: {error}");
            false
        }
    }
}
