//! Catalogue files shown in the documentation are good ones, examples and all.

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dan_source::catalog_folder::{CatalogFiles, Environment, Problem, load};

    /// Path and text of every file that a page shows: a line with `catalog/…`, then a block.
    fn shown(page: &str) -> Vec<(String, String)> {
        let mut files = Vec::new();
        let mut lines = page.lines();
        while let Some(line) = lines.next() {
            let named = line
                .strip_prefix("`catalog/")
                .and_then(|rest| rest.split_once('`'));
            let Some((path, _)) = named else { continue };
            let block: Vec<&str> = lines
                .by_ref()
                .skip_while(|line| !line.starts_with("```"))
                .skip(1)
                .take_while(|line| !line.starts_with("```"))
                .collect();
            files.push((path.to_owned(), format!("{}\n", block.join("\n"))));
        }
        files
    }

    #[test]
    fn the_worked_examples_load_and_come_out() {
        let docs = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
        for page in ["catalog.md", "adding.md"] {
            let Ok(text) = std::fs::read_to_string(docs.join(page)) else {
                continue;
            };
            let files = shown(&text);
            assert!(files.len() >= 3, "{page} shows {} files", files.len());
            let shipped = CatalogFiles::embedded();
            let texts = shipped
                .paths()
                .map(|path| (path.to_owned(), shipped.text(path).unwrap().to_owned()));
            let all = CatalogFiles::from_texts(texts.chain(files));
            let problems = match load(&all, &Environment::invented()) {
                Ok(loaded) => loaded.run_examples(),
                Err(problems) => problems,
            };
            let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
            assert_eq!(lines, [""; 0], "{page}");
        }
    }
}
