//! What was done to the first row that does not fit, from it and the rows that stand behind it.
//!
//! Whoever tampers moves rows, and the rows say so: a genuine one follows from where it was, by its
//! link, wherever it stands now.

use dan_core::audit::{HeadClaims, link};
use dan_core::ports::TrailRow;

use super::check::{Finding, Flaw};

/// The first row that does not fit, and what stands behind it.
#[derive(Debug)]
pub(super) struct Scene {
    /// Position that the next row must have.
    pub(super) expected: u64,
    /// Link that it must follow from.
    pub(super) previous: [u8; 32],
    /// From the row that does not fit on.
    pub(super) rows: Vec<TrailRow>,
    /// The first head over any of them, if it verifies.
    pub(super) head: Option<HeadClaims>,
}

impl Scene {
    /// Says what was done.
    pub(super) fn diagnose(&self) -> Finding {
        let Some((bad, later)) = self.rows.split_first() else {
            return self.finding(Flaw::Edited, String::new());
        };
        if bad.sequence != self.expected {
            return self.numbering(bad, later);
        }
        self.moved(bad)
            .unwrap_or_else(|| self.in_place(bad, later.first()))
    }

    fn finding(&self, flaw: Flaw, told: String) -> Finding {
        Finding {
            sequence: self.expected,
            flaw,
            told,
        }
    }

    /// Its number is not the next.
    fn numbering(&self, bad: &TrailRow, later: &[TrailRow]) -> Finding {
        let expected = self.expected;
        if bad.sequence < expected {
            let told = format!("record {} stands here once more", bad.sequence);
            return self.finding(Flaw::Inserted, told);
        }
        if later.iter().any(|row| row.sequence == expected) {
            let told = format!("it stands behind record {}", bad.sequence);
            return self.finding(Flaw::Swapped, told);
        }
        let last = bad.sequence.saturating_sub(1);
        let told = format!("{} between what is there", records(expected, last));
        self.finding(Flaw::Missing, told)
    }

    /// The genuine one is further behind.
    fn moved(&self, bad: &TrailRow) -> Option<Finding> {
        let mut before = bad.link;
        for row in self.rows.get(1..)? {
            if follows(&self.previous, row) {
                // Before the place where the genuine one stands now is what the other followed from;
                // where the two are neighbours, that is the genuine one itself.
                let neighbours = row.sequence == self.expected.saturating_add(1);
                let origin = if neighbours { row.link } else { before };
                return Some(if follows(&origin, bad) {
                    let told = format!("it and record {} have changed places", row.sequence);
                    self.finding(Flaw::Swapped, told)
                } else {
                    let last = row.sequence.saturating_sub(1);
                    let told = format!("{} before the genuine one", records(self.expected, last));
                    self.finding(Flaw::Inserted, told)
                });
            }
            before = row.link;
        }
        None
    }

    /// It, or its link, or what stood before it.
    fn in_place(&self, bad: &TrailRow, next: Option<&TrailRow>) -> Finding {
        let from_text = link(&self.previous, bad.text.as_bytes());
        if next.is_some_and(|next| follows(&from_text, next)) {
            return self.finding(Flaw::Edited, "its link was changed".to_owned());
        }
        match self.shift() {
            Some(Shift::Fewer(count)) => {
                let told = format!("{count} fewer than were signed, the rest renumbered");
                self.finding(Flaw::Missing, told)
            }
            Some(Shift::More(count)) => {
                let told = format!("{count} more than were signed, the rest renumbered");
                self.finding(Flaw::Inserted, told)
            }
            Some(Shift::None) => self.finding(Flaw::Edited, "its text was changed".to_owned()),
            None => {
                let told = "its text was changed, or one before it taken out".to_owned();
                self.finding(Flaw::Edited, told)
            }
        }
    }

    /// How far the last row under the head has moved from where it was signed.
    fn shift(&self) -> Option<Shift> {
        let head = self.head.as_ref()?;
        let found = self.rows.iter().find(|row| row.link == head.link)?;
        let fewer = head.last.saturating_sub(found.sequence);
        let more = found.sequence.saturating_sub(head.last);
        Some(match (fewer, more) {
            (0, 0) => Shift::None,
            (0, more) => Shift::More(more),
            (fewer, _) => Shift::Fewer(fewer),
        })
    }
}

enum Shift {
    None,
    Fewer(u64),
    More(u64),
}

fn follows(previous: &[u8; 32], row: &TrailRow) -> bool {
    link(previous, row.text.as_bytes()) == row.link
}

/// `record 7` or `records 7 to 9`.
pub(super) fn records(first: u64, last: u64) -> String {
    if first == last {
        format!("record {first}")
    } else {
        format!("records {first} to {last}")
    }
}
