//! The catalogue as data: a folder of TOML files, or the same embedded in the binary.
//!
//! [`CatalogFiles`] holds texts, [`load`] makes of them either everything or a list of every
//! mistake, and [`Loaded::supplies`] what the core's catalogue is built from. The form of the files
//! is described in `docs/catalog.md`.

mod context;
mod dataset;
mod embedded;
mod folder;
mod order;
pub(crate) mod problem;
mod require;
pub(crate) mod section;
pub(crate) mod table;
mod upstream;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use dan_core::catalog::Supply;
use dan_core::context::ServiceContext;
use dan_core::dataset::Dataset;
use dan_core::ports::Source;
use dan_core::requirement::CpvList;
use dan_core::secret::Secret;
use dan_core::statement::hex;
use sha2::{Digest, Sha256};

pub use context::ContextFile;
pub use embedded::embedded;
pub use folder::{FILE_BYTES_MAX, FILES_MAX, Stamp};
pub use problem::{Marked, PROBLEMS_MAX, Problem};

use crate::declared::definition::Surroundings;
use crate::declared::template::Settings;
use crate::declared::upstream::Upstream;
use crate::declared::{DeclaredSource, Definition, SourcePorts};
use problem::{At, Place, Problems};
use table::{CPV_TABLE, Tables};

/// Digits of the hash that names a version.
const VERSION_DIGITS: usize = 12;

/// The texts of a catalogue, by path with `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogFiles {
    files: BTreeMap<String, String>,
}

impl CatalogFiles {
    /// The catalogue that ships with the project.
    #[must_use]
    pub fn embedded() -> Self {
        Self::from_texts(
            embedded()
                .iter()
                .map(|(path, text)| ((*path).to_owned(), (*text).to_owned())),
        )
    }

    /// Any texts, by path.
    #[must_use]
    pub fn from_texts(texts: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            files: texts.into_iter().collect(),
        }
    }

    /// The text of one file.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Paths of all files.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Names the state of the files: the beginning of a SHA-256 over paths and texts.
    #[must_use]
    pub fn version(&self) -> String {
        let mut hash = Sha256::new();
        for (path, text) in &self.files {
            for part in [path, text] {
                let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
                hash.update(length.to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        let digest: [u8; 32] = hash.finalize().into();
        hex(&digest).chars().take(VERSION_DIGITS).collect()
    }

    /// Files right in a folder whose name ends in `.toml`: path, name without the ending, text.
    fn in_folder<'a>(
        &'a self,
        folder: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
        self.files.iter().filter_map(move |(path, text)| {
            let name = path.strip_prefix(folder)?.strip_prefix('/')?;
            let name = name.strip_suffix(".toml")?;
            (!name.contains('/') && !name.starts_with('.')).then_some((
                path.as_str(),
                name,
                text.as_str(),
            ))
        })
    }
}

/// Finds the secret of a name.
pub type SecretLookup<'a> = dyn Fn(&str) -> Option<Arc<Secret>> + 'a;

/// What the files refer to outside of themselves: the node's `[settings]` and `[secrets]`.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    settings: Settings<'a>,
    secrets: &'a SecretLookup<'a>,
}

impl<'a> Environment<'a> {
    /// Settings by name (a nested one as `tilda.agder`), and a way to find secrets.
    #[must_use]
    pub const fn new(
        settings: &'a BTreeMap<String, String>,
        secrets: &'a SecretLookup<'a>,
    ) -> Self {
        Self {
            settings: Settings::Of(settings),
            secrets,
        }
    }

    /// Invents a value for every name, so that a catalogue can be checked without a node.
    #[must_use]
    pub fn invented() -> Environment<'static> {
        Environment {
            settings: Settings::Invented,
            secrets: &|_| Some(Arc::new(Secret::new("invented:secret".to_owned()))),
        }
    }
}

/// A dataset and how to get it.
#[derive(Clone, Debug)]
pub struct Declared {
    /// As the core knows it.
    pub dataset: Dataset,
    /// Compiled.
    pub definition: Arc<Definition>,
}

/// A catalogue without a mistake.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// In the order of their files' `order`, then of their identifiers.
    pub contexts: Vec<ContextFile>,
    /// By name.
    pub datasets: Vec<Declared>,
    /// The CPV codes of `tables/cpv_risk.toml`, for the rules of plugins.
    pub cpv: Option<Arc<CpvList>>,
    /// Names the state of the files.
    pub version: String,
}

impl Loaded {
    /// Contexts as the core's catalogue wants them.
    #[must_use]
    pub fn service_contexts(&self) -> Vec<ServiceContext> {
        self.contexts
            .iter()
            .map(|file| file.context.clone())
            .collect()
    }

    /// Datasets with the sources that serve them: one for each source that first calls name.
    #[must_use]
    pub fn supplies(&self, ports: &SourcePorts) -> Vec<Supply> {
        let mut by_source: BTreeMap<&str, Vec<&Declared>> = BTreeMap::new();
        for declared in &self.datasets {
            let source = declared.definition.source_name();
            by_source.entry(source).or_default().push(declared);
        }
        by_source
            .into_iter()
            .map(|(id, declared)| {
                let definitions = declared.iter().map(|one| Arc::clone(&one.definition));
                let source = DeclaredSource::new(id.to_owned(), definitions, ports.clone());
                let source: Arc<dyn Source> = Arc::new(source);
                Supply {
                    source,
                    datasets: declared.iter().map(|one| one.dataset.clone()).collect(),
                }
            })
            .collect()
    }

    /// Runs the examples of every dataset. Empty when all come out as expected.
    #[must_use]
    pub fn run_examples(&self) -> Vec<Problem> {
        self.datasets
            .iter()
            .flat_map(|declared| declared.definition.run_examples())
            .collect()
    }
}

impl Loaded {
    /// Lets every call of every dataset fail in every way. What does not come out as declared, and
    /// how many faults were tried.
    #[must_use]
    pub fn try_faults(&self) -> (Vec<Problem>, usize) {
        let mut all = (Vec::new(), 0_usize);
        for declared in &self.datasets {
            let (problems, tried) = declared.definition.try_faults();
            all.0.extend(problems);
            all.1 = all.1.saturating_add(tried);
        }
        all
    }
}

/// Reads and compiles everything.
///
/// # Errors
/// Every mistake of every file, by file and line; nothing of the catalogue is used then.
pub fn load(files: &CatalogFiles, environment: &Environment<'_>) -> Result<Loaded, Vec<Problem>> {
    let problems = Problems::default();
    let loaded = read_all(files, environment, &problems);
    if problems.count() > 0 {
        return Err(problems.into_sorted());
    }
    Ok(loaded)
}

/// Everything that can be said about a folder in one run: files that cannot be read, mistakes in
/// those that can, and examples of the good ones that do not come out. Blocks the thread.
///
/// # Errors
/// All of it, by file and line.
pub fn check_folder(root: &Path, environment: &Environment<'_>) -> Result<Loaded, Vec<Problem>> {
    let problems = Problems::default();
    let files = folder::read(root, &problems);
    let loaded = read_all(&files, environment, &problems);
    problems.extend(loaded.run_examples());
    problems.extend(loaded.try_faults().0);
    if problems.count() > 0 {
        return Err(problems.into_sorted());
    }
    Ok(loaded)
}

/// What has no mistake; the rest is reported.
fn read_all(files: &CatalogFiles, environment: &Environment<'_>, problems: &Problems) -> Loaded {
    let upstreams: BTreeMap<String, Option<Arc<Upstream>>> = files
        .in_folder("sources")
        .map(|(path, name, text)| {
            let read = upstream::read(path, name, text, environment, problems);
            (name.to_owned(), read)
        })
        .collect();
    let tables = read_tables(files, problems);
    let cpv = read_cpv(&tables, problems);
    let around = Surroundings {
        settings: environment.settings,
        upstreams: &upstreams,
        tables: &tables,
        datasets: &BTreeMap::new(),
        files,
    };
    let (contexts, all_known) = read_contexts(files, &around, problems);
    let names: Vec<String> = contexts
        .iter()
        .map(|file| file.context.name.clone())
        .collect();
    let names = all_known.then_some(names.as_slice());
    let datasets = order::read(files, names, &around, problems);
    check_aliases(&datasets, problems);
    Loaded {
        contexts,
        datasets,
        cpv,
        version: files.version(),
    }
}

/// The contexts, and whether every file of them could be read.
fn read_contexts(
    files: &CatalogFiles,
    around: &Surroundings<'_>,
    problems: &Problems,
) -> (Vec<ContextFile>, bool) {
    let mut contexts: Vec<ContextFile> = Vec::new();
    let mut all_known = true;
    for (path, id, text) in files.in_folder("contexts") {
        let Some(read) = context::read((path, id, text), around, problems) else {
            all_known = false;
            continue;
        };
        let twin = contexts.iter().find(|known| {
            known.context.name == read.context.name || known.context.id.eq_ignore_ascii_case(id)
        });
        if let Some(twin) = twin {
            let what = format!(
                "the context is the same as contexts/{}.toml by name or identifier",
                twin.context.id
            );
            problems.add(&Place::whole(path), what);
        }
        contexts.push(read);
    }
    contexts.sort_by(|a, b| (a.order, &a.context.id).cmp(&(b.order, &b.context.id)));
    (contexts, all_known)
}

fn read_tables(files: &CatalogFiles, problems: &Problems) -> Tables {
    let mut tables = BTreeMap::new();
    for (path, name, text) in files.in_folder("tables") {
        let name = At::new(name.to_owned(), Place::whole(path));
        let named = crate::declared::definition::check_name(&name, "a table", problems);
        let table = table::read(path, text, problems);
        if named {
            tables.insert(name.value, table);
        }
    }
    tables
}

/// The list that plugins' rules go by. It has to be one whether or not a rule of a file names it.
fn read_cpv(tables: &Tables, problems: &Problems) -> Option<Arc<CpvList>> {
    let table = tables.get(CPV_TABLE)?.as_ref()?;
    match table.cpv() {
        Ok(list) => Some(Arc::new(list)),
        Err(mistake) => {
            let place = Place::whole(&format!("tables/{CPV_TABLE}.toml"));
            problems.report(&place, mistake);
            None
        }
    }
}

/// A name is given once: by a dataset's file, or by an alias in one context.
fn check_aliases(datasets: &[Declared], problems: &Problems) {
    let mut taken: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for declared in datasets {
        let dataset = &declared.dataset;
        let own = dataset
            .contexts
            .iter()
            .filter(|_| dataset.aliases.is_empty())
            .map(|context| (context.as_str(), dataset.name.as_str()));
        let aliases = dataset
            .aliases
            .iter()
            .map(|alias| (alias.context.as_str(), alias.name.as_str()));
        for key in own.chain(aliases) {
            if let Some(other) = taken.insert(key, &dataset.name) {
                let (context, name) = key;
                let place = Place::whole(&format!("datasets/{}.toml", dataset.name));
                let what = format!("`{name}` in {context} is also given by {other}");
                problems.hint(&place, what, "choose another name or alias");
            }
        }
    }
}
