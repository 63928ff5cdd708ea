//! `docs/identity.md`: its commands are run as they stand, but for the ports and the folder.

use std::fs;
use std::process::Command;

use dan_tests::node::Scratch;
use dan_tests::page::{blocks, with_free_ports};
use dan_tests::shapes::text;
use serde_json::Value;

/// Whether the programs that the page asks for are here; says so when one is not.
fn has_programs() -> bool {
    let missing = ["openssl", "curl", "jq", "bash"]
        .into_iter()
        .find(|program| {
            let starts = Command::new(program).arg("--help").output();
            starts.is_err()
        });
    if let Some(program) = missing {
        eprintln!("SKIPPED: there is no {program} on this machine");
    }
    missing.is_none()
}

/// Those that the page names.
const PORTS: [&str; 7] = [
    "18080", "18081", "18090", "18443", "18444", "18445", "18446",
];

#[tokio::test]
async fn each_way_in_works_as_it_is_documented() {
    if !has_programs() {
        return;
    }
    let scratch = Scratch::new();
    let commands = blocks("docs/identity.md", None, "sh").concat();
    let commands = with_free_ports(&commands, &PORTS);
    let script = format!(
        "cd {}\nset -eu\ntrap 'kill $(jobs -p)' EXIT\n{commands}",
        scratch.folder().display()
    );
    let file = scratch.write("identity.sh", script);
    let said = scratch
        .shell(&format!("bash {}", file.display()))
        .await
        .exits(0);
    let read = |name: &str| {
        let path = scratch.path("identity").join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    for way in ["way1.json", "way2.json", "way3.json"] {
        let answer: Value = serde_json::from_str(&read(way)).unwrap();
        let status = &answer["evidenceStatus"];
        assert_eq!(
            text(status, "evidenceCodeName"),
            "UnitBasicInformation",
            "{way}"
        );
    }
    assert!(read("refused.json").contains("caller.refused"));
    assert_eq!(read("revoked.json").trim(), "true");
    let wrong: Vec<&str> = said
        .stdout
        .lines()
        .filter(|line| line.starts_with("WRONG"))
        .collect();
    assert!(wrong[0].contains("aud does not name us"), "{wrong:?}");
    assert!(wrong[1].contains("revoked"), "{wrong:?}");
}
