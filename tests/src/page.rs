//! Pages of the documentation whose commands are run as they stand, but for the ports.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

/// The blocks of a page in one language, in their order; those below a heading of the second level
/// where one is named. Each ends with a line end.
///
/// # Panics
/// When there is no such page or heading.
#[must_use]
pub fn blocks(page: &str, heading: Option<&str>, language: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = fs::read_to_string(root.join(page)).unwrap();
    let text = match heading {
        None => text.as_str(),
        Some(heading) => {
            let (_, below) = text.split_once(&format!("\n## {heading}\n")).unwrap();
            below.split("\n## ").next().unwrap()
        }
    };
    let start = format!("{language}\n");
    let blocks = text.split("\n```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.strip_prefix(&start).map(|block| format!("{block}\n")))
        .collect()
}

/// The same with ports that are free right now in the place of those that the page names.
///
/// # Panics
/// When the page does not name one of them.
#[must_use]
pub fn with_free_ports(commands: &str, named: &[&str]) -> String {
    let listeners: Vec<_> = named
        .iter()
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let mut commands = commands.to_owned();
    for (port, listener) in named.iter().zip(&listeners) {
        assert!(commands.contains(port), "{port}");
        let free = listener.local_addr().unwrap().port().to_string();
        commands = commands.replace(port, &free);
    }
    commands
}
