//! The tree is as it says: which crate may use which, how long a file may be, nothing left undone,
//! no file nobody compiles, every crate and every page of documentation is found from the front door.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

/// Lines a file may have before its tests begin.
const LINES_MAX: usize = 600;
/// Folders that are not ours to read.
const NOT_SOURCE: [&str; 3] = ["target", ".git", "node_modules"];

/// What a crate may depend on of the others, and what it must not depend on at all (a name, or the
/// beginning of one before `*`). A crate that is not here may not exist.
struct Rule {
    name: &'static str,
    may: &'static [&'static str],
    must_not: &'static [&'static str],
}

/// The crates that stand between the core and one technology; never on each other.
const ADAPTERS: [&str; 5] = [
    "dan-auth",
    "dan-http",
    "dan-sign",
    "dan-source",
    "dan-store",
];

#[rustfmt::skip]
const RULES: &[Rule] = &[
    Rule { name: "dan-core", may: &["dan-jmespath", "dan-json"], must_not: &["hyper*", "http*", "rusqlite", "tokio-postgres", "p256", "*rustls*", "reqwest"] },
    Rule { name: "dan-jmespath", may: &[], must_not: &["tokio*", "hyper*", "http*"] },
    Rule { name: "dan-auth", may: &["dan-core"], must_not: &["hyper*", "rusqlite", "tokio-postgres"] },
    Rule { name: "dan-json", may: &[], must_not: &["tokio*", "hyper*", "http*"] },
    Rule { name: "dan-verify", may: &["dan-json"], must_not: &["tokio*", "hyper*", "http*", "rusqlite", "*rustls*"] },
    Rule { name: "dan-sign", may: &["dan-core", "dan-verify"], must_not: &["hyper*", "rusqlite", "tokio-postgres"] },
    Rule { name: "dan-store", may: &["dan-core"], must_not: &["hyper*", "p256"] },
    Rule { name: "dan-source", may: &["dan-core"], must_not: &["hyper*", "rusqlite", "tokio-postgres"] },
    Rule { name: "dan-http", may: &["dan-core"], must_not: &["rusqlite", "tokio-postgres", "p256"] },
    // The outside world knows nothing of the node it is shown to.
    Rule { name: "dan-sandbox", may: &[], must_not: &["rusqlite", "tokio-postgres"] },
    Rule { name: "dan", may: &["*"], must_not: &[] },
    Rule { name: "dan-bench", may: &["*"], must_not: &[] },
    Rule { name: "dan-benches", may: &["*"], must_not: &[] },
    Rule { name: "dan-fuzz", may: &["*"], must_not: &[] },
    Rule { name: "xtask", may: &["*"], must_not: &[] },
    // A black box but for the verifier that people use offline.
    Rule { name: "dan-tests", may: &["dan-verify"], must_not: &["rusqlite", "tokio-postgres"] },
];

/// Who may start the fake outside world.
const SANDBOX_USERS: [&str; 5] = ["dan", "dan-bench", "dan-benches", "dan-tests", "xtask"];

/// What the core must not reach for: it opens no socket, reads no file, asks no clock.
const CORE_MUST_NOT_SAY: [&str; 7] = [
    "tokio::net",
    "tokio::fs",
    "std::fs",
    "std::env",
    "std::process",
    "TcpStream",
    "UdpSocket",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", shown(path)))
}

/// Every file below a folder with an extension, sorted.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if path.is_dir() && !NOT_SOURCE.contains(&name) {
                folders.push(path);
            } else if path.extension().is_some_and(|one| one == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A package: its name, its folder, its manifest.
struct Package {
    name: String,
    folder: PathBuf,
    manifest: Table,
}

fn packages() -> Vec<Package> {
    let workspace = root().join("Cargo.toml");
    let manifests = files(&root(), "toml").into_iter().filter(|path| {
        path.file_name().is_some_and(|name| name == "Cargo.toml") && *path != workspace
    });
    manifests
        .map(|path| {
            let manifest: Table = read(&path).parse().unwrap();
            let name = manifest["package"]["name"].as_str().unwrap().to_owned();
            let folder = path.parent().unwrap().to_owned();
            Package {
                name,
                folder,
                manifest,
            }
        })
        .collect()
}

/// Names a package depends on, in tables that end with one of `kinds`, whatever the target.
fn depends_on(package: &Package, kinds: &[&str]) -> BTreeSet<String> {
    let of = |table: &Table| -> Vec<String> {
        let tables = kinds.iter().filter_map(|kind| table.get(*kind)?.as_table());
        tables.flat_map(Table::iter).map(real_name).collect()
    };
    let mut all = of(&package.manifest);
    let targets = package.manifest.get("target").and_then(Value::as_table);
    for target in targets.into_iter().flat_map(Table::values) {
        all.extend(target.as_table().into_iter().flat_map(of));
    }
    all.into_iter().collect()
}

/// The name of the package behind a dependency, which may go by another.
fn real_name((name, entry): (&String, &Value)) -> String {
    let renamed = entry.get("package").and_then(Value::as_str);
    renamed.unwrap_or(name).to_owned()
}

const ALL_KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

fn fits(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(rest), Some(_)) => rest
            .strip_suffix('*')
            .is_none_or(|middle| name.contains(middle)),
        (Some(end), None) => name.ends_with(end),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == pattern,
    }
}

#[test]
fn the_crate_graph_is_a_star() {
    let mut wrong = Vec::new();
    let packages = packages();
    let ours: BTreeSet<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    for package in &packages {
        let name = package.name.as_str();
        let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
            wrong.push(format!("{name}: say in RULES what it may depend on"));
            continue;
        };
        let uses = depends_on(package, &ALL_KINDS);
        for other in uses.iter().filter(|other| ours.contains(other.as_str())) {
            let itself = other == name;
            if !itself && !rule.may.iter().any(|pattern| fits(pattern, other)) {
                wrong.push(format!("{name} may not depend on {other}"));
            }
        }
        let needs = depends_on(package, &["dependencies", "build-dependencies"]);
        for other in &needs {
            if rule.must_not.iter().any(|pattern| fits(pattern, other)) {
                wrong.push(format!("{name} may not depend on {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What nothing below the verifier may be: a runtime, a socket, TLS, or the node.
const VERIFIER_IS_WITHOUT: [&str; 9] = [
    "tokio*", "mio", "socket2", "hyper*", "http*", "*rustls*", "rusqlite", "dan-core", "dan-sign",
];

#[test]
fn the_verifier_stands_on_nothing_that_waits_or_listens() {
    let lock: Table = read(&root().join("Cargo.lock")).parse().unwrap();
    let needs: BTreeMap<&str, Vec<&str>> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let listed = package.get("dependencies").and_then(Value::as_array);
            let names = listed.into_iter().flatten().filter_map(Value::as_str);
            // A name that stands for two versions has the version behind it.
            let names = names.filter_map(|name| name.split(' ').next());
            (package["name"].as_str().unwrap(), names.collect())
        })
        .collect();
    let mut reached = BTreeSet::new();
    let mut next = vec!["dan-verify"];
    while let Some(name) = next.pop() {
        if reached.insert(name) {
            next.extend(&needs[name]);
        }
    }
    assert!(reached.contains("p256") && reached.contains("dan-json"));
    let wrong: Vec<&&str> = reached
        .iter()
        .filter(|name| {
            VERIFIER_IS_WITHOUT
                .iter()
                .any(|pattern| fits(pattern, name))
        })
        .collect();
    assert!(wrong.is_empty(), "dan-verify stands on {wrong:?}");
}

#[test]
fn adapters_know_the_core_and_not_each_other() {
    for package in packages() {
        if !ADAPTERS.contains(&package.name.as_str()) {
            continue;
        }
        let uses = depends_on(&package, &ALL_KINDS);
        let uses: Vec<&String> = uses.iter().filter(|name| name.starts_with("dan")).collect();
        let expected: &[&str] = match package.name.as_str() {
            "dan-sign" => &["dan-core", "dan-verify"],
            _ => &["dan-core"],
        };
        assert_eq!(uses, expected, "{}", package.name);
    }
}

#[test]
fn the_fake_world_is_for_binaries_and_tests() {
    for package in packages() {
        let uses = depends_on(&package, &ALL_KINDS).contains("dan-sandbox");
        let may = SANDBOX_USERS.contains(&package.name.as_str());
        assert!(!uses || may, "{} depends on dan-sandbox", package.name);
    }
}

#[test]
fn the_testkit_is_in_no_binary() {
    for package in packages() {
        let tables = package
            .manifest
            .get("dependencies")
            .and_then(Value::as_table);
        for (name, entry) in tables.into_iter().flat_map(Table::iter) {
            let features = entry.get("features").and_then(Value::as_array);
            let mut features = features.into_iter().flatten();
            let on = features.any(|feature| feature.as_str() == Some("testkit"));
            assert!(!on, "{} turns on the testkit of {name}", package.name);
        }
    }
}

/// What `#[cfg(test)]` in a line stands before, other attributes passed over.
fn under_test<'t>(lines: &[&'t str], at: usize) -> Option<&'t str> {
    let is_attribute = |line: &str| line.starts_with([' ', ')', '#']);
    let rest = lines.get(at + 1..)?;
    let next = rest.iter().find(|line| !is_attribute(line)).copied();
    next.filter(|_| lines[at] == "#[cfg(test)]")
}

/// The lines of a file before its tests; all of it where it has none.
fn production(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let begins = |at: &usize| {
        under_test(&lines, *at).is_some_and(|next| next.starts_with("mod ") && next.ends_with('{'))
    };
    let end = (0..lines.len()).find(begins).unwrap_or(lines.len());
    lines[..end].to_vec()
}

/// Source that ends up with users: what the compiler finds below `src` without tests and without the
/// kit for them.
fn production_files() -> Vec<PathBuf> {
    let mut reached = BTreeSet::new();
    for package in packages() {
        let src = package.folder.join("src");
        for root in roots(&package.folder)
            .iter()
            .filter(|root| root.starts_with(&src))
        {
            reach(root, true, Tests::Without, &mut reached);
        }
    }
    let kit = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "testkit");
    reached.into_iter().filter(|path| !kit(path)).collect()
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<String> = production_files()
        .iter()
        .map(|path| (shown(path), production(&read(path)).len()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{path} has {lines} lines before its tests"))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let mute: Vec<String> = production_files()
        .iter()
        .filter(|path| !read(path).starts_with("//!"))
        .map(|path| shown(path))
        .collect();
    assert!(mute.is_empty(), "{}", mute.join("\n"));
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    // In two halves, so that this file is not its own finding.
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[ig", "nore"),
    ];
    let mut found = Vec::new();
    for path in files(&root(), "rs") {
        let text = read(&path);
        for (number, line) in text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", shown(&path), number + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_core_does_no_io() {
    let mut found = Vec::new();
    for path in files(&root().join("crates/dan-core/src"), "rs") {
        let text = read(&path);
        for line in production(&text) {
            let code = line.split("//").next().unwrap_or_default();
            if CORE_MUST_NOT_SAY.iter().any(|word| code.contains(word)) {
                found.push(format!("{}: {}", shown(&path), line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Files from which the compiler starts in a package.
fn roots(folder: &Path) -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = ["src/lib.rs", "src/main.rs", "build.rs"]
        .map(|name| folder.join(name))
        .to_vec();
    for kind in ["src/bin", "tests", "benches", "examples"] {
        for entry in fs::read_dir(folder.join(kind)).into_iter().flatten() {
            let path = entry.unwrap().path();
            roots.push(if path.is_dir() {
                path.join("main.rs")
            } else {
                path
            });
        }
    }
    roots.retain(|path| path.is_file() && path.extension().is_some_and(|one| one == "rs"));
    roots
}

/// The name in `mod name;`, whoever may see it.
fn declared_module(line: &str) -> Option<&str> {
    let line = line.split("//").next()?.trim();
    let line = match line.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1,
        Some(rest) => rest,
        None => line,
    };
    let name = line.trim().strip_prefix("mod ")?.strip_suffix(';')?.trim();
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    is_name.then_some(name)
}

/// Whether modules that are there for tests only count.
#[derive(Clone, Copy, PartialEq)]
enum Tests {
    With,
    Without,
}

fn declared_modules(text: &str, tests: Tests) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    let hidden: BTreeSet<&str> = (0..lines.len())
        .filter_map(|at| declared_module(under_test(&lines, at)?))
        .filter(|_| tests == Tests::Without)
        .collect();
    let all = lines.iter().filter_map(|line| declared_module(line));
    all.filter(|name| !hidden.contains(name)).collect()
}

/// Adds a file and all that its `mod` lines lead to.
fn reach(file: &Path, is_root: bool, tests: Tests, reached: &mut BTreeSet<PathBuf>) {
    if !reached.insert(file.to_owned()) {
        return;
    }
    let folder = file.parent().unwrap();
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap();
    let below = if is_root || stem == "mod" {
        folder.to_owned()
    } else {
        folder.join(stem)
    };
    for name in declared_modules(&read(file), tests) {
        let beside = below.join(format!("{name}.rs"));
        let inside = below.join(name).join("mod.rs");
        let next = [beside, inside].into_iter().find(|path| path.is_file());
        if let Some(next) = next {
            reach(&next, false, tests, reached);
        }
    }
}

#[test]
fn every_source_file_is_compiled() {
    let mut orphans = Vec::new();
    for package in packages() {
        let mut reached = BTreeSet::new();
        for root in roots(&package.folder) {
            reach(&root, true, Tests::With, &mut reached);
        }
        for part in ["src", "tests", "benches", "examples"] {
            // A package that lies in another's folder is looked at by itself.
            let inner = |path: &PathBuf| {
                let mut above = path.ancestors().skip(1);
                above.find(|folder| folder.join("Cargo.toml").is_file()) != Some(&package.folder)
            };
            let all = files(&package.folder.join(part), "rs").into_iter();
            orphans.extend(all.filter(|path| !inner(path) && !reached.contains(path)));
        }
    }
    let orphans: Vec<String> = orphans.iter().map(|path| shown(path)).collect();
    assert!(
        orphans.is_empty(),
        "no mod line leads to\n{}",
        orphans.join("\n")
    );
}

#[test]
fn files_on_the_map_exist() {
    let map = read(&root().join("ARCHITECTURE.md"));
    let missing: Vec<&str> = map
        .split('`')
        .filter(|name| name.contains("/src/") && name.ends_with(".rs"))
        .filter(|name| !name.contains([' ', '*']))
        .filter(|name| {
            let places = [root().join(name), root().join("crates").join(name)];
            !places.iter().any(|place| place.is_file())
        })
        .collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md names {missing:?}");
}

#[test]
fn every_crate_is_on_the_map() {
    let map = read(&root().join("ARCHITECTURE.md"));
    let words: BTreeSet<&str> = map
        .split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)))
        .collect();
    let missing: Vec<String> = packages()
        .into_iter()
        .map(|package| package.name)
        .filter(|name| !words.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "ARCHITECTURE.md does not name {missing:?}"
    );
}

#[test]
fn every_page_is_linked_from_the_front_door() {
    let readme = read(&root().join("README.md"));
    let pages = fs::read_dir(root().join("docs")).expect("docs");
    let names = pages.map(|page| page.unwrap().file_name().into_string().unwrap());
    let missing: Vec<String> = names
        .filter(|name| name.ends_with(".md"))
        .filter(|name| {
            !["", "./"]
                .iter()
                .any(|at| readme.contains(&format!("]({at}docs/{name}")))
        })
        .collect();
    assert!(
        missing.is_empty(),
        "README.md does not link docs/ {missing:?}"
    );
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    let skip = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "examples");
    for page in files(&root(), "md").into_iter().filter(|path| !skip(path)) {
        let text = read(&page);
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
        {
            let target = link.0.split('#').next().unwrap_or_default();
            let outside = target.contains("://") || target.starts_with("mailto:");
            if target.is_empty() || outside || target.contains(char::is_whitespace) {
                continue;
            }
            if !page.parent().unwrap().join(target).exists() {
                broken.push(format!("{}: {target}", shown(&page)));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_helpers_of_this_file_see_what_they_should() {
    assert_eq!(declared_module("pub(crate) mod a_1; // why"), Some("a_1"));
    assert_eq!(declared_module("mod tests {"), None);
    assert_eq!(declared_module("// mod gone;"), None);
    assert_eq!(
        production("a\n#[cfg(test)]\nfn b() {}\n#[cfg(test)]\nmod t {\n").len(),
        3
    );
    let attributed = "#[cfg(test)]\n#[expect(\n    x\n)]\nmod t;\npub mod p;";
    assert_eq!(declared_modules(attributed, Tests::With), ["t", "p"]);
    assert_eq!(declared_modules(attributed, Tests::Without), ["p"]);
    assert_eq!(production(attributed).len(), 6);
    assert!(fits("hyper*", "hyper-util") && !fits("hyper*", "http"));
    assert!(fits("*", "x") && fits("*rustls*", "tokio-rustls") && !fits("p256", "p256x"));
    let renamed: Table = r#"[dependencies]
        h = { package = "hyper", version = "1" }"#
        .parse()
        .unwrap();
    let package = Package {
        name: String::new(),
        folder: PathBuf::new(),
        manifest: renamed,
    };
    assert!(depends_on(&package, &ALL_KINDS).contains("hyper"));
    let counted: BTreeMap<&str, usize> = RULES.iter().fold(BTreeMap::new(), |mut counted, rule| {
        *counted.entry(rule.name).or_default() += 1;
        counted
    });
    assert!(counted.values().all(|times| *times == 1), "{counted:?}");
}
