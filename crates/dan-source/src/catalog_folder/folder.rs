//! Reads a folder of catalogue files, within bounds, and tells cheaply whether it has changed.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::CatalogFiles;
use super::problem::{Place, Problem, Problems, suggestion};

/// Largest file of a catalogue, in bytes.
pub const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most files of a catalogue.
pub const FILES_MAX: usize = 5000;
/// How deep folders may nest below the five.
const DEPTH_MAX: usize = 4;

/// The folders of a catalogue.
const FOLDERS: [&str; 5] = ["contexts", "sources", "datasets", "tables", "examples"];

/// What files look like from outside: path, time of change and size of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp(BTreeMap<String, (Option<SystemTime>, u64)>);

impl CatalogFiles {
    /// Reads the five folders of a catalogue below `root`.
    ///
    /// Other files and folders are left alone, but for a folder that looks like a misspelt one.
    /// Links are followed, since folders are often mounted that way. Blocks the thread.
    ///
    /// # Errors
    /// What cannot be read, is too large, or is no UTF-8.
    pub fn read_folder(root: &Path) -> Result<Self, Vec<Problem>> {
        let problems = Problems::default();
        let files = read(root, &problems);
        if problems.count() > 0 {
            return Err(problems.into_sorted());
        }
        Ok(files)
    }

    /// What the files below `root` look like now. Blocks the thread.
    #[must_use]
    pub fn stamp(root: &Path) -> Stamp {
        let files = list(root, &Problems::default());
        Stamp(
            files
                .into_iter()
                .map(|(path, at)| {
                    let seen = fs::metadata(at).ok();
                    let changed = seen.as_ref().and_then(|seen| seen.modified().ok());
                    (path, (changed, seen.map_or(0, |seen| seen.len())))
                })
                .collect(),
        )
    }
}

/// The files that can be read; the others are reported.
pub(crate) fn read(root: &Path, problems: &Problems) -> CatalogFiles {
    let mut files = Vec::new();
    for (path, at) in list(root, problems) {
        match fs::read(&at).map(String::from_utf8) {
            Ok(Ok(text)) => files.push((path, text)),
            Ok(Err(_)) => problems.add(&Place::whole(&path), "the file is no UTF-8 text"),
            Err(error) => problems.add(&Place::whole(&path), format!("cannot be read: {error}")),
        }
    }
    CatalogFiles::from_texts(files)
}

/// Files of the catalogue: path within it, and on disk.
fn list(root: &Path, problems: &Problems) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    let whole = Place::whole(".");
    let Ok(entries) = entries(root) else {
        let what = format!("the folder {} cannot be read", root.display());
        problems.hint(&whole, what, "check catalog.path and its permissions");
        return files;
    };
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        if FOLDERS.contains(&name.as_str()) {
            walk(&entry.path(), &name, DEPTH_MAX, &mut files, problems);
        } else if entry.path().is_dir()
            && let Some(hint) = suggestion(&name, FOLDERS).filter(|hint| hint.contains("did you"))
        {
            problems.hint(&Place::whole(&name), "unknown folder", hint);
        }
    }
    if files.is_empty() && problems.count() == 0 {
        let hint = format!("a catalogue has the folders {}", FOLDERS.join(", "));
        problems.hint(&whole, "there is no catalogue here", hint);
    }
    files
}

fn entries(folder: &Path) -> std::io::Result<Vec<DirEntry>> {
    let mut entries: Vec<DirEntry> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(DirEntry::file_name);
    Ok(entries)
}

fn walk(
    folder: &Path,
    path: &str,
    depth: usize,
    files: &mut Vec<(String, PathBuf)>,
    problems: &Problems,
) {
    let place = Place::whole(path);
    let Some(below) = depth.checked_sub(1) else {
        problems.add(&place, format!("folders nest deeper than {DEPTH_MAX}"));
        return;
    };
    let Ok(entries) = entries(folder) else {
        problems.add(&place, "the folder cannot be read");
        return;
    };
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        // Editors and Git leave hidden files about.
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let inner = format!("{path}/{name}");
        let Ok(seen) = fs::metadata(entry.path()) else {
            problems.add(&Place::whole(&inner), "the file cannot be read");
            continue;
        };
        if seen.is_dir() {
            walk(&entry.path(), &inner, below, files, problems);
        } else if files.len() >= FILES_MAX {
            problems.add(&place, format!("more than {FILES_MAX} files"));
            return;
        } else if seen.len() > FILE_BYTES_MAX {
            let what = format!("the file is larger than {FILE_BYTES_MAX} bytes");
            problems.add(&Place::whole(&inner), what);
        } else {
            files.push((inner, entry.path()));
        }
    }
}
