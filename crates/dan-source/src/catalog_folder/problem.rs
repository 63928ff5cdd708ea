//! [`Problem`]: one mistake in a catalogue, with file, line, what is wrong and what would be right.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// Most mistakes that are told in one run.
pub const PROBLEMS_MAX: usize = 1000;

/// Longest distance at which a known word is suggested for an unknown one, in edits.
const SUGGESTION_EDITS_MAX: usize = 3;

/// One mistake in a catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the file within the catalogue, with `/`.
    pub file: String,
    /// Line, from 1; 0 when the file as a whole is meant.
    pub line: u32,
    /// What is wrong.
    pub what: String,
    /// What would be right, where it can be told.
    pub hint: Option<String>,
}

/// `file:line: what; hint`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.what)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: Arc<str>,
    pub(crate) line: u32,
}

impl Place {
    pub(crate) fn whole(file: &str) -> Self {
        Self {
            file: Arc::from(file),
            line: 0,
        }
    }
}

/// `file:line`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A value and where it is written.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

impl<T> At<T> {
    pub(crate) const fn new(value: T, place: Place) -> Self {
        Self { value, place }
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> At<U> {
        At::new(change(self.value), self.place)
    }
}

/// What is wrong with a text, before it is known where the text stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    pub(crate) what: String,
    pub(crate) hint: Option<String>,
}

impl Mistake {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            hint: Some(hint.into()),
        }
    }
}

/// Collects mistakes, so that one run finds them all.
#[derive(Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub(crate) fn add(&self, place: &Place, what: impl Into<String>) {
        self.report(place, Mistake::new(what));
    }

    pub(crate) fn hint(&self, place: &Place, what: impl Into<String>, hint: impl Into<String>) {
        self.report(place, Mistake::with_hint(what, hint));
    }

    pub(crate) fn report(&self, place: &Place, mistake: Mistake) {
        let mut list = self.0.borrow_mut();
        if list.len() < PROBLEMS_MAX {
            list.push(Problem {
                file: place.file.to_string(),
                line: place.line,
                what: mistake.what,
                hint: mistake.hint,
            });
        }
    }

    pub(crate) fn extend(&self, problems: Vec<Problem>) {
        let mut list = self.0.borrow_mut();
        let room = PROBLEMS_MAX.saturating_sub(list.len());
        list.extend(problems.into_iter().take(room));
    }

    pub(crate) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// All of them, by file and line.
    pub(crate) fn into_sorted(self) -> Vec<Problem> {
        let mut list = self.0.into_inner();
        list.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        list
    }
}

/// What would be right instead of an unknown word: the nearest known one, or all of them.
pub(crate) fn suggestion<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    const LISTED_MAX: usize = 24;
    let known: Vec<&str> = known.into_iter().collect();
    let near = known
        .iter()
        .map(|candidate| (edits(word, candidate), *candidate))
        .filter(|(distance, candidate)| {
            let length = candidate.chars().count().max(word.chars().count());
            *distance <= SUGGESTION_EDITS_MAX
                && distance.saturating_mul(2) <= length.saturating_add(1)
        })
        .min();
    if let Some((_, candidate)) = near {
        return Some(format!("did you mean `{candidate}`?"));
    }
    if known.is_empty() {
        return None;
    }
    let listed: Vec<&str> = known.iter().take(LISTED_MAX).copied().collect();
    let more = if known.len() > LISTED_MAX {
        ", …"
    } else {
        ""
    };
    Some(format!("known here: {}{more}", listed.join(", ")))
}

/// Levenshtein distance, without regard to case.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, a) in one.to_lowercase().chars().enumerate() {
        let mut left = above.saturating_add(1);
        let mut diagonal = above;
        for (b, cell) in other.iter().zip(row.iter_mut().skip(1)) {
            let cost = usize::from(a != *b);
            let next = diagonal
                .saturating_add(cost)
                .min(left.saturating_add(1))
                .min(cell.saturating_add(1));
            diagonal = *cell;
            *cell = next;
            left = next;
        }
        if let Some(first) = row.first_mut() {
            *first = above.saturating_add(1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_counted_in_edits() {
        for (one, other, distance) in [
            ("", "", 0),
            ("abc", "abc", 0),
            ("abc", "ABC", 0),
            ("kitten", "sitting", 3),
            ("", "abc", 3),
            ("abc", "", 3),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(edits(one, other), distance, "{one} {other}");
        }
    }

    #[test]
    fn the_nearest_word_is_suggested_and_else_all_are_listed() {
        let known = ["source", "contexts", "timeout"];
        assert_eq!(
            suggestion("sourse", known).as_deref(),
            Some("did you mean `source`?")
        );
        assert_eq!(
            suggestion("zebra", known).as_deref(),
            Some("known here: source, contexts, timeout")
        );
        assert_eq!(suggestion("x", []), None);
    }

    #[test]
    fn a_problem_reads_as_one_line() {
        let problem = Problem {
            file: "datasets/A.toml".to_owned(),
            line: 3,
            what: "unknown key `abot`".to_owned(),
            hint: Some("did you mean `about`?".to_owned()),
        };
        assert_eq!(
            problem.to_string(),
            "datasets/A.toml:3: unknown key `abot`; did you mean `about`?"
        );
    }
}
