//! `docs/adding.md`: from an unknown API to a first signed answer, by the page's own commands.

use std::fs;

use dan_tests::node::Scratch;
use dan_tests::page::{blocks, with_free_ports};
use serde_json::{Value, json};

const HEADING: &str = "From an unknown API to a first signed answer";

#[tokio::test]
async fn a_newcomer_gets_from_an_unknown_api_to_a_signed_answer() {
    let scratch = Scratch::new();
    let commands = blocks("docs/adding.md", Some(HEADING), "sh").concat();
    let ports = ["18080", "18081", "18090", "18443", "18444", "18445"];
    let commands = with_free_ports(&commands, &ports);
    let script = format!(
        "cd {}\nset -eu\ntrap 'kill $(jobs -p)' EXIT\n{commands}",
        scratch.folder().display()
    );
    let file = scratch.write("adding.sh", script);
    let said = scratch.shell(&format!("bash {}", file.display())).await;
    let said = said.exits(0).stdout;
    assert!(said.contains("did you mean `from`?"), "{said}");
    assert!(said.contains("Employees about 998997801"), "{said}");
    let answer = fs::read_to_string(scratch.path("first").join("answer.json")).unwrap();
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let members = answer.as_object().unwrap();
    let named: Vec<&String> = members.keys().collect();
    assert_eq!(json!(named), json!(["navn", "antallAnsatte"]));
}
