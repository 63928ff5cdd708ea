//! `docs/proof.md`: its commands and its programs are run, on true answers and on forged ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dan_tests::node::{Ended, Scratch};
use dan_tests::page::{blocks, with_free_ports};

use crate::proof_snippet::{check, open};

const PAGE: &str = "docs/proof.md";

/// The only block in a language.
fn block(language: &str) -> String {
    let [block] = blocks(PAGE, None, language).try_into().unwrap();
    block
}

/// Where the libraries of the programs are: put there by `cargo xtask`, which then also says that
/// they have to be there.
fn libraries(of: &str) -> Option<PathBuf> {
    let named = std::env::var_os("DAN_PROOF_TOOLS").map(PathBuf::from);
    let folder = named.clone().unwrap_or_else(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        root.join("target/proof-tools")
    });
    let found = folder.join(of);
    if found.exists() {
        return Some(found);
    }
    assert!(named.is_none(), "{} is not there", found.display());
    eprintln!("SKIPPED: {of} is not there; `cargo xtask tools` installs it");
    None
}

/// Answers and keys in `proof/`, by the page's own commands.
async fn fetched(scratch: &Scratch, more: &str) -> Ended {
    let commands = blocks(PAGE, None, "sh").concat();
    let commands = with_free_ports(&commands, &["18080", "18081", "18090"]);
    let script = format!(
        "cd {}\nset -eu\ntrap 'kill $(jobs -p)' EXIT\n{commands}\n{more}",
        scratch.folder().display()
    );
    let file = scratch.write("proof.sh", script);
    scratch.shell(&format!("bash {}", file.display())).await
}

fn has_programs() -> bool {
    let missing = ["bash", "curl", "jq"]
        .into_iter()
        .find(|program| Command::new(program).arg("--help").output().is_err());
    if let Some(program) = missing {
        eprintln!("SKIPPED: there is no {program} on this machine");
    }
    missing.is_none()
}

/// Ways to forge what was fetched: the file, and what is put in the place of what stands there.
const FORGERIES: [(&str, &str, &str); 2] = [
    ("answer.json", "992037601", "998997801"),
    (
        "answer.json",
        "\"OrganizationName\"",
        "\"organizationName\"",
    ),
];

/// Runs a program on the answers, then on forged ones; each time in `proof/`.
async fn runs(scratch: &Scratch, program: &mut dyn FnMut() -> Command) {
    let folder = scratch.path("proof");
    let mut run = async || {
        let mut command = program();
        command
            .args(["answer.json", "answer.sig", "answer.jose", "keys.json"])
            .current_dir(&folder);
        scratch.run(&mut command).await
    };
    let said = run().await.exits(0).stdout;
    assert!(
        said.contains("verified: UnitBasicInformation 0192:992037601 2"),
        "{said}"
    );
    assert!(said.contains("inside: "), "{said}");
    for (file, from, to) in FORGERIES {
        let path = folder.join(file);
        let genuine = fs::read_to_string(&path).unwrap();
        assert!(genuine.contains(from), "{file} {from}");
        fs::write(&path, genuine.replace(from, to)).unwrap();
        let said = run().await.exits(1);
        assert!(
            said.stderr.contains("not the one that was signed"),
            "{said:?}"
        );
        fs::write(&path, genuine).unwrap();
    }
    // Two signatures change places: each is genuine, neither is of that purpose.
    let (beside, inside) = (folder.join("answer.sig"), folder.join("answer.jose"));
    let aside = folder.join("aside");
    fs::rename(&beside, &aside).unwrap();
    fs::rename(&inside, &beside).unwrap();
    fs::rename(&aside, &inside).unwrap();
    run().await.exits(1);
    fs::rename(&beside, &aside).unwrap();
    fs::rename(&inside, &beside).unwrap();
    fs::rename(&aside, &inside).unwrap();
    // The key was retired before, is for something else, or is another.
    let keys = folder.join("keys.json");
    let genuine = fs::read_to_string(&keys).unwrap();
    for (from, to) in [
        ("\"kty\"", "\"exp\":1,\"kty\""),
        ("\"kty\"", "\"nbf\":9999999999,\"kty\""),
        ("\"kid\":\"", "\"kid\":\"x"),
    ] {
        assert!(genuine.contains(from), "{genuine}");
        fs::write(&keys, genuine.replace(from, to)).unwrap();
        run().await.exits(1);
    }
    fs::write(&keys, genuine).unwrap();
    run().await.exits(0);
}

#[tokio::test]
async fn the_commands_and_programs_of_the_page_verify_true_answers_and_no_others() {
    if !has_programs() {
        return;
    }
    let scratch = Scratch::new();
    let said = fetched(&scratch, "").await.exits(0).stdout;
    let english =
        "Enhetsregisteret's UnitBasicInformation about 992037601, for 991825827, retrieved 2";
    let norwegian = "Enhetsregisterets UnitBasicInformation om 992037601, for 991825827, hentet 2";
    // Detached, COSE, and the view that was made again.
    assert_eq!(said.matches(english).count(), 3, "{said}");
    assert_eq!(said.matches(norwegian).count(), 1, "{said}");
    assert!(said.contains("byte for byte"), "{said}");

    rust(&scratch);
    if let Some(python) = libraries("python") {
        let file = scratch.write("proof/check.py", block("python"));
        let program = python.join("bin/python");
        runs(&scratch, &mut || {
            let mut command = Command::new(&program);
            command.arg(&file);
            command
        })
        .await;
    }
    if let Some(node) = libraries("node") {
        let modules = scratch.path("proof/node_modules");
        std::os::unix::fs::symlink(node.join("node_modules"), modules).unwrap();
        let file = scratch.write("proof/check.mjs", block("javascript"));
        runs(&scratch, &mut || {
            let mut command = Command::new("node");
            command.arg(&file);
            command
        })
        .await;
    }
}

fn rust(scratch: &Scratch) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/proof_snippet.rs");
    assert_eq!(
        block("rust"),
        fs::read_to_string(file).unwrap(),
        "two texts"
    );
    let read = |name: &str| fs::read_to_string(scratch.path("proof").join(name)).unwrap();
    let (body, signature) = (read("answer.json"), read("answer.sig"));
    let (envelope, keys) = (read("answer.jose"), read("keys.json"));
    let said = check(body.as_bytes(), &signature, &keys).unwrap();
    assert!(said.ends_with("unchanged"), "{said}");
    assert_eq!(open(&envelope, &keys).unwrap(), body.as_bytes());
    for (file, from, to) in FORGERIES {
        assert_eq!(file, "answer.json");
        let forged = body.replace(from, to);
        assert!(check(forged.as_bytes(), &signature, &keys).is_err());
    }
    assert!(check(body.as_bytes(), &envelope, &keys).is_err());
    assert!(open(&signature, &keys).is_err());
    assert!(open(&envelope, &keys.replace("\"kty\"", "\"exp\":1,\"kty\"")).is_err());
}
