//! CSV from a source: a list with one object a row, named by the header (RFC 4180).

use serde_json::{Map, Value};

/// Most rows of one answer.
pub(crate) const ROWS_MAX: usize = 200_000;
/// Most columns of a row.
pub(crate) const COLUMNS_MAX: usize = 256;

/// How the rows are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CsvForm {
    /// Between the fields.
    pub(crate) separator: u8,
    /// Names of the columns, where the file itself has none.
    pub(crate) columns: Vec<String>,
    /// ISO 8859-1 instead of UTF-8.
    pub(crate) latin1: bool,
}

impl Default for CsvForm {
    fn default() -> Self {
        Self {
            separator: b',',
            columns: Vec::new(),
            latin1: false,
        }
    }
}

/// Reads the rows.
///
/// # Errors
/// Why they are none, by the row, without repeating it.
pub(crate) fn read(bytes: &[u8], form: &CsvForm) -> Result<Value, String> {
    let text = match form.latin1 {
        true => bytes.iter().map(|byte| char::from(*byte)).collect(),
        false => std::str::from_utf8(bytes)
            .map_err(|_position| "not UTF-8".to_owned())?
            .to_owned(),
    };
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(form.separator)
        .has_headers(false)
        .flexible(false)
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let mut names: Vec<String> = form.columns.clone();
    let mut rows = Vec::new();
    for (at, record) in reader.records().enumerate() {
        let record = record
            .map_err(|_error| format!("row {} is not as the others", at.saturating_add(1)))?;
        if record.len() > COLUMNS_MAX {
            return Err(format!("more than {COLUMNS_MAX} columns"));
        }
        if names.is_empty() {
            names = record.iter().map(|name| name.trim().to_owned()).collect();
            if let Some(twice) = twice(&names) {
                return Err(format!("column {twice} is named as another is"));
            }
            continue;
        }
        if record.len() != names.len() {
            return Err(format!(
                "{} columns, {} are named",
                record.len(),
                names.len()
            ));
        }
        if rows.len() >= ROWS_MAX {
            return Err(format!("more than {ROWS_MAX} rows"));
        }
        let members = names.iter().zip(record.iter());
        let row: Map<String, Value> = members
            .map(|(name, field)| (name.clone(), Value::from(field)))
            .collect();
        rows.push(Value::Object(row));
    }
    Ok(Value::Array(rows))
}

/// The place, from 1, of a name that an earlier column has too.
fn twice(names: &[String]) -> Option<usize> {
    let repeats =
        |(at, name): &(usize, &String)| names.iter().take(*at).any(|other| other == *name);
    let found = names.iter().enumerate().find(repeats)?;
    Some(found.0.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_named_by_the_header_or_by_the_definition() {
        let text = b"\xef\xbb\xbforg;navn\r\n1;\"Fjord; AS\"\r\n2;\"si \"\"hei\"\"\"\r\n";
        let form = CsvForm {
            separator: b';',
            ..CsvForm::default()
        };
        let expected = json!([
            {"org": "1", "navn": "Fjord; AS"},
            {"org": "2", "navn": "si \"hei\""},
        ]);
        assert_eq!(read(text, &form).unwrap(), expected);
        let form = CsvForm {
            columns: vec!["a".to_owned(), "b".to_owned()],
            latin1: true,
            ..CsvForm::default()
        };
        assert_eq!(
            read(b"1,\xe6\n", &form).unwrap(),
            json!([{"a": "1", "b": "æ"}])
        );
        assert_eq!(read(b"", &form).unwrap(), json!([]));
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        let form = CsvForm::default();
        for bytes in [
            &b"a,b\n1\n"[..],
            b"a,a\n1,2\n",
            b"a\n\xff\n",
            b"a,b\n1,2,3\n",
        ] {
            assert!(read(bytes, &form).is_err());
        }
        let wide = ["x"; COLUMNS_MAX + 1].join(",");
        assert!(read(wide.as_bytes(), &form).is_err());
    }
}
