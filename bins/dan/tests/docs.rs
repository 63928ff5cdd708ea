//! Generated documents and the code agree; with `DAN_WRITE_DOCS=1` (`cargo xtask docs`) they are
//! written instead of compared.

use std::fmt::Write as _;
use std::path::PathBuf;

use dan::config::KEYS;
use dan_core::error::Code;

fn errors() -> String {
    let mut page = String::from(
        "# Error codes\n\nWritten by `cargo xtask docs` from `crates/dan-core/src/error.rs`.\n\n\
         Every error is a JSON body with an integer `code`. Clients key on it; codes are never changed or removed.\n\
         The transport's own refusals (400, 404 for unknown addresses, 408, 413, 414, 431) carry code 1014 with that status.\n\n\
         | Code | Name | HTTP | Text |\n|---|---|---|---|\n",
    );
    for code in Code::ALL {
        writeln!(
            page,
            "| {} | {} | {} | {} |",
            code.number(),
            code.name(),
            code.status(),
            code.text()
        )
        .unwrap_or_default();
    }
    page
}

fn configuration() -> String {
    let mut page = String::from(
        "# Configuration\n\nWritten by `cargo xtask docs` from `bins/dan/src/config/keys.rs`.\n\n\
         One TOML file. An unknown key is an error that names its nearest neighbour. Relative paths are relative to the \
         file.\n\nA secret is `{ file = \"…\" }` or `{ env = \"…\" }`, never a value. `dan doctor --config FILE` shows what is \
         in force, without secrets.\n\n| Key | Default | Meaning |\n|---|---|---|\n",
    );
    for key in KEYS {
        writeln!(
            page,
            "| `{}` | {} | {} |",
            key.name, key.default, key.meaning
        )
        .unwrap_or_default();
    }
    page
}

#[test]
fn generated_documents_agree_with_the_code() {
    let write = std::env::var_os("DAN_WRITE_DOCS").is_some();
    let docs = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    for (name, fresh) in [
        ("errors.md", errors()),
        ("configuration.md", configuration()),
    ] {
        let path = docs.join(name);
        if write {
            std::fs::write(&path, fresh).expect("docs can be written");
        } else {
            let kept = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(kept, fresh, "{name} is out of date; run cargo xtask docs");
        }
    }
}
