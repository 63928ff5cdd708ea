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
    /// The part of the line that is meant.
    pub marked: Marked,
    /// What is wrong.
    pub what: String,
    /// What would be right, where it can be told.
    pub hint: Option<String>,
}

/// A part of a line, in bytes. One that goes on in the next line ends with the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marked {
    /// Where it begins, from 0.
    pub from: u32,
    /// How long it is; 0 when the line as a whole is meant.
    pub bytes: u32,
}

impl Problem {
    /// The mistake with its line and a mark under what is meant, as compilers show it. `text` is
    /// the file's.
    #[must_use]
    pub fn shown_in(&self, text: &str) -> String {
        let at = usize::try_from(self.line.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(line) = text.lines().nth(at).filter(|_| self.line > 0) else {
            return self.to_string();
        };
        let wide = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
        let from = wide(self.marked.from);
        let until = from.saturating_add(wide(self.marked.bytes)).min(line.len());
        let before = line.get(..from).unwrap_or_default();
        let meant = line.get(from..until).filter(|meant| !meant.is_empty());
        let meant = meant.unwrap_or_else(|| line.trim_start());
        let before = match meant.len() == line.trim_start().len() && self.marked.bytes == 0 {
            true => line.strip_suffix(meant).unwrap_or_default(),
            false => before,
        };
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let (file, what) = (&self.file, &self.what);
        let marks = "^".repeat(meant.chars().count().max(1));
        let space: String = before
            .chars()
            .map(|character| if character == '\t' { '\t' } else { ' ' })
            .collect();
        let column = before.chars().count().saturating_add(1);
        let mut shown = format!(
            "error: {what}\n{margin}--> {file}:{number}:{column}\n{margin} |\n{number} | {line}\n{margin} | {space}{marks}"
        );
        if let Some(hint) = &self.hint {
            shown.push_str(&format!("\n{margin} = {hint}"));
        }
        shown
    }
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
    pub(crate) marked: Marked,
}

impl Place {
    pub(crate) fn whole(file: &str) -> Self {
        Self {
            file: Arc::from(file),
            line: 0,
            marked: Marked::default(),
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
                marked: place.marked,
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
            marked: Marked { from: 0, bytes: 4 },
            what: "unknown key `abot`".to_owned(),
            hint: Some("did you mean `about`?".to_owned()),
        };
        assert_eq!(
            problem.to_string(),
            "datasets/A.toml:3: unknown key `abot`; did you mean `about`?"
        );
        let text = "[dataset]\n\n\tabot = 1\n";
        assert_eq!(
            Problem {
                marked: Marked { from: 1, bytes: 4 },
                ..problem.clone()
            }
            .shown_in(text),
            "error: unknown key `abot`\n --> datasets/A.toml:3:2\n  |\n3 | \tabot = 1\n  | \t^^^^\n  = did you mean `about`?"
        );
        let whole = Problem {
            marked: Marked::default(),
            ..problem.clone()
        }
        .shown_in(text);
        assert!(whole.contains("| \t^^^^^^^^\n"), "{whole}");
        assert_eq!(problem.shown_in(""), problem.to_string());
    }
}
