//! Every way to touch a trail, and what is said of it: the first bad record, and what was done.
#![expect(clippy::arithmetic_side_effects, reason = "positions of twelve rows")]

use dan_core::audit::{HeadClaims, TrailHead, link};
use dan_core::ports::TrailRow;
use dan_core::time::Timestamp;
use serde_json::Value;

use super::check::{Finding, Flaw, Report, SignedBy, TrailCheck};

/// A trail as it is walked over.
#[derive(Clone)]
enum Entry {
    Row(TrailRow),
    Head(String),
}

/// What stands in for a signature: this word before the claims.
const SIGNED: &str = "signed ";

fn read_head(jws: &str) -> Result<HeadClaims, String> {
    let claims = jws.strip_prefix(SIGNED).ok_or("the signature is false")?;
    let claims: Value = serde_json::from_str(claims).map_err(|error| error.to_string())?;
    HeadClaims::read(claims.as_object().ok_or("no object")?).map_err(|error| error.to_string())
}

fn text(seed: u64) -> String {
    let phase = if seed % 2 == 1 {
        "\"intent\""
    } else {
        r#"{"delivered":{}}"#
    };
    let request = seed.div_ceil(2);
    format!(r#"{{"request_id":"r{request}","phase":{phase},"seed":{seed}}}"#)
}

/// Rows with these texts, linked, and a head after each of these rows.
fn made(texts: &[String], heads_after: &[u64], node: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut previous = [0; 32];
    let mut links = Vec::new();
    let mut before: Option<(TrailHead, HeadClaims)> = None;
    for (text, sequence) in texts.iter().zip(1..) {
        previous = link(&previous, text.as_bytes());
        links.push(previous);
        entries.push(Entry::Row(TrailRow {
            sequence,
            text: text.clone(),
            link: previous,
        }));
        if heads_after.contains(&sequence) {
            let last = before.as_ref().map(|(head, claims)| (head, claims));
            let now = Timestamp::from_ms(1_800_000_000_000);
            let claims = HeadClaims::over(&links, last, || node.to_owned(), "https://a", now);
            let claims = claims.unwrap();
            let head = TrailHead {
                first: claims.first,
                last: claims.last,
                jws: format!("{SIGNED}{}", claims.to_json()),
                stamp: None,
            };
            entries.push(Entry::Head(head.jws.clone()));
            before = Some((head, claims));
            links.clear();
        }
    }
    entries
}

/// Twelve rows; heads over 1 to 4, 5 to 9 and 10 to 11; one row without.
fn trail() -> Vec<Entry> {
    let texts: Vec<_> = (1..=12).map(text).collect();
    made(&texts, &[4, 9, 11], "n")
}

fn texts(entries: &[Entry]) -> Vec<String> {
    rows(entries).map(|row| row.text.clone()).collect()
}

fn rows(entries: &[Entry]) -> impl Iterator<Item = &TrailRow> {
    entries.iter().filter_map(|entry| match entry {
        Entry::Row(row) => Some(row),
        Entry::Head(_) => None,
    })
}

fn heads(entries: &[Entry]) -> Vec<String> {
    let heads = entries.iter().filter_map(|entry| match entry {
        Entry::Row(_) => None,
        Entry::Head(jws) => Some(jws.clone()),
    });
    heads.collect()
}

fn report(entries: &[Entry], kept: &[String]) -> Report {
    let mut check = TrailCheck::new(&read_head, kept);
    for entry in entries {
        let wants_more = match entry.clone() {
            Entry::Row(row) => check.row(row),
            Entry::Head(jws) => check.head(&jws, None),
        };
        if !wants_more {
            break;
        }
    }
    check.finish()
}

fn found(entries: &[Entry]) -> Option<(u64, Flaw)> {
    let finding = report(entries, &[]).finding;
    finding.map(|Finding { sequence, flaw, .. }| (sequence, flaw))
}

/// Where in the walk this row is.
fn at(entries: &[Entry], sequence: u64) -> usize {
    let is_it = |entry: &Entry| matches!(entry, Entry::Row(row) if row.sequence == sequence);
    entries.iter().position(is_it).unwrap()
}

fn row(entries: &mut [Entry], sequence: u64) -> &mut TrailRow {
    let place = at(entries, sequence);
    match &mut entries[place] {
        Entry::Row(row) => row,
        Entry::Head(_) => unreachable!(),
    }
}

/// Gives every row the number of its place, as one would after taking out or putting in.
fn renumber(entries: &mut [Entry]) {
    let mut next = 1;
    for entry in entries {
        if let Entry::Row(row) = entry {
            row.sequence = next;
            next += 1;
        }
    }
}

#[test]
fn an_untouched_trail_holds_and_says_how_far() {
    let whole = report(&trail(), &heads(&trail()));
    let last = rows(&trail()).last().unwrap().link;
    let expected = Report {
        rows: 12,
        link: last,
        heads: 3,
        stamped: 0,
        not_stamps: 0,
        covered: 11,
        signed_at: Some(1_800_000_000),
        signed_by: Some(SignedBy {
            node: "n".to_owned(),
            iss: "https://a".to_owned(),
        }),
        kept: 3,
        interrupted: 0,
        unproven: 0,
        finding: None,
    };
    assert_eq!(whole, expected);
    let interrupted = report(&made(&[text(1), text(3), text(4)], &[], "n"), &[]);
    assert_eq!((interrupted.interrupted, interrupted.finding), (1, None));
    assert_eq!(report(&[], &[]).finding, None);
}

#[test]
fn every_edited_row_is_named() {
    for sequence in 1..=12 {
        for change in [
            |row: &mut TrailRow| row.text.push(' '),
            |row: &mut TrailRow| row.link[31] ^= 1,
            |row: &mut TrailRow| {
                row.text.push(' ');
                row.link[0] ^= 1;
            },
        ] {
            let mut touched = trail();
            change(row(&mut touched, sequence));
            assert_eq!(found(&touched), Some((sequence, Flaw::Edited)));
        }
    }
}

#[test]
fn two_rows_that_changed_places_are_named_by_the_first() {
    for first in 1..=11 {
        for second in first + 1..=12 {
            let mut touched = trail();
            let (one, two) = (at(&touched, first), at(&touched, second));
            touched.swap(one, two);
            assert_eq!(found(&touched), Some((first, Flaw::Swapped)), "as lines");
            renumber(&mut touched);
            let expected = Some((first, Flaw::Swapped));
            assert_eq!(found(&touched), expected, "{first} {second} renumbered");
        }
    }
}

#[test]
fn every_inserted_row_is_named() {
    for sequence in 1..=12 {
        for text in [text(99), text(sequence), text(1)] {
            let mut touched = trail();
            let place = at(&touched, sequence);
            let before = place
                .checked_sub(1)
                .map_or([0; 32], |_| rows(&touched[..place]).last().unwrap().link);
            // With a link that fits, so that only what follows tells.
            let forged = TrailRow {
                sequence,
                link: link(&before, text.as_bytes()),
                text,
            };
            let mut unlinked = forged.clone();
            unlinked.link = [7; 32];
            touched.insert(place, Entry::Row(unlinked));
            renumber(&mut touched);
            assert_eq!(
                found(&touched),
                Some((sequence, Flaw::Inserted)),
                "{sequence}"
            );
            // A link that fits hides it from the row itself, not from the one behind.
            touched[place] = Entry::Row(forged);
            let named = found(&touched).map(|(named, _)| named);
            assert!(named <= Some(sequence + 1) && named.is_some(), "{named:?}");
        }
    }
}

#[test]
fn every_row_taken_out_is_named() {
    for sequence in 1..=11 {
        let mut touched = trail();
        touched.remove(at(&touched, sequence));
        assert_eq!(found(&touched), Some((sequence, Flaw::Missing)));
        renumber(&mut touched);
        let (named, flaw) = found(&touched).unwrap();
        assert_eq!(named, sequence, "renumbered");
        // Under the same head as its neighbours, the head tells how many there were.
        if ![4, 9, 11].contains(&sequence) {
            assert_eq!(flaw, Flaw::Missing, "{sequence}");
        }
    }
    let mut several = trail();
    several.drain(at(&several, 5)..at(&several, 8));
    let finding = report(&several, &[]).finding.unwrap();
    assert_eq!((finding.sequence, finding.flaw), (5, Flaw::Missing));
    assert!(finding.told.contains("records 5 to 7"), "{}", finding.told);
}

#[test]
fn links_made_anew_do_not_help_under_heads() {
    for sequence in 1..=11 {
        let mut changed = texts(&trail());
        let place = usize::try_from(sequence - 1).unwrap();
        changed[place] = text(99);
        let mut forged = made(&changed, &[], "n");
        for (jws, last) in heads(&trail()).into_iter().zip([4, 9, 11]) {
            let behind = at(&forged, last) + 1;
            forged.insert(behind, Entry::Head(jws));
        }
        let first = match sequence {
            1..=4 => 1,
            5..=9 => 5,
            _ => 10,
        };
        assert_eq!(found(&forged), Some((first, Flaw::Replaced)), "{sequence}");
    }
}

#[test]
fn a_tail_that_is_cut_is_found_by_the_heads_that_stay() {
    for left in 0..=10_u64 {
        let mut cut = trail();
        cut.retain(|entry| match entry {
            Entry::Row(row) => row.sequence <= left,
            Entry::Head(_) => true,
        });
        assert_eq!(found(&cut), Some((left + 1, Flaw::Cut)), "{left}");
    }
}

#[test]
fn a_tail_that_is_cut_with_its_heads_is_found_by_a_head_that_was_kept() {
    let kept = heads(&trail());
    for (left, heads_left, kept, expected) in [
        (4, 1, &kept[1..2], Some((5, Flaw::Cut))),
        (6, 1, &kept[1..2], Some((7, Flaw::Cut))),
        (9, 2, &kept[..3], Some((10, Flaw::Cut))),
        (0, 0, &kept[..1], Some((1, Flaw::Cut))),
        // Nobody kept a head of what was cut: nothing tells.
        (9, 2, &kept[..2], None),
        (9, 2, &[], None),
    ] {
        let mut cut = trail();
        let mut seen = 0;
        cut.retain(|entry| match entry {
            Entry::Row(row) => row.sequence <= left,
            Entry::Head(_) => {
                seen += 1;
                seen <= heads_left
            }
        });
        let finding = report(&cut, kept).finding;
        let found = finding.map(|finding| (finding.sequence, finding.flaw));
        assert_eq!(found, expected, "{left}");
    }
}

#[test]
fn a_trail_made_anew_with_the_stolen_key_differs_from_a_head_that_was_kept() {
    let mut changed = texts(&trail());
    changed[5] = text(99);
    let forged = made(&changed, &[4, 9, 11], "n");
    assert_eq!(found(&forged), None);
    let kept = heads(&trail());
    let finding = report(&forged, &kept[1..2]).finding.unwrap();
    assert_eq!((finding.sequence, finding.flaw), (5, Flaw::Replaced));
    assert_eq!(report(&forged, &kept[..1]).finding, None);
}

#[test]
fn heads_must_be_signed_and_follow_one_another() {
    let whole = trail();
    let place = |number: usize| {
        let mut heads = whole.iter().enumerate();
        let is_head = |(_, entry): &(usize, &Entry)| matches!(entry, Entry::Head(_));
        let (place, _) = heads.by_ref().filter(is_head).nth(number).unwrap();
        place
    };
    let mut unsigned = whole.clone();
    unsigned[place(1)] = Entry::Head(heads(&whole)[1].replace(SIGNED, ""));
    assert_eq!(found(&unsigned), Some((5, Flaw::Head)));
    let mut without = whole.clone();
    without.remove(place(1));
    assert_eq!(found(&without), Some((5, Flaw::Head)));
    let mut twice = whole.clone();
    twice.insert(place(1), Entry::Head(heads(&whole)[0].clone()));
    assert_eq!(found(&twice), Some((5, Flaw::Head)));
    let mut late = whole.clone();
    let head = late.remove(place(2));
    late.push(head);
    assert_eq!(found(&late), Some((10, Flaw::Head)));
    // Of another trail with the same rows.
    let other = made(&texts(&whole), &[4, 9, 11], "m");
    let mut foreign = whole.clone();
    foreign[place(1)] = Entry::Head(heads(&other)[1].clone());
    assert_eq!(found(&foreign), Some((5, Flaw::Head)));
    // All heads gone is a trail without heads, unless one was kept.
    let bare: Vec<_> = rows(&whole).cloned().map(Entry::Row).collect();
    let report = report(&bare, &heads(&whole));
    assert_eq!((report.finding, report.covered, report.kept), (None, 0, 3));
}

#[test]
fn a_kept_head_that_is_not_signed_says_no() {
    let forged = heads(&trail())[0].replace(SIGNED, "");
    let finding = report(&trail(), &[forged]).finding.unwrap();
    assert_eq!(finding.flaw, Flaw::Head);
    assert!(finding.told.contains("kept head 1"), "{}", finding.told);
}

#[test]
fn only_the_first_bad_record_is_named() {
    let mut touched = trail();
    row(&mut touched, 11).text.push(' ');
    row(&mut touched, 7).text.push(' ');
    row(&mut touched, 8).text.push(' ');
    assert_eq!(found(&touched), Some((7, Flaw::Edited)));
    assert_eq!(report(&touched, &[]).rows, 6);
}

#[test]
fn rows_that_nothing_signs_hold_for_a_minute_and_no_longer() {
    let at = |ms: i64| format!(r#"{{"request_id":"r","phase":"done","at":{ms}}}"#);
    let texts = |times: &[i64]| -> Vec<String> { times.iter().copied().map(at).collect() };
    for (times, heads_after, expected) in [
        (&[0, 1, 60_000][..], &[][..], None),
        (&[0, 1, 60_001], &[], Some(1)),
        // Clocks that go back do not hide it.
        (&[60_001, 0], &[], Some(2)),
        (&[0, 70_000, 70_001], &[1], None),
        (&[0, 70_000, 140_000], &[1], Some(2)),
        (&[0, 70_000, 140_000], &[1, 3], None),
    ] {
        let trail = made(&texts(times), heads_after, "n");
        let expected = expected.map(|sequence| (sequence, Flaw::Head));
        assert_eq!(found(&trail), expected, "{times:?}");
    }
}

#[test]
fn a_trail_of_another_node_is_not_the_one_that_heads_were_kept_of() {
    let (mine, other) = (trail(), made(&texts(&trail()), &[4, 9, 11], "m"));
    let kept = heads(&mine);
    // The rows agree; whose they are does not.
    let found = |kept: &[String]| {
        let finding = report(&other, kept).finding.unwrap();
        (finding.sequence, finding.flaw)
    };
    assert_eq!(found(&kept[..1]), (1, Flaw::Head));
    let mixed = [kept[0].clone(), heads(&other)[1].clone()];
    assert_eq!(report(&mine, &mixed).finding.unwrap().flaw, Flaw::Head);
}

#[test]
fn only_a_stamp_over_its_head_is_counted_as_one() {
    let fits = |stamp: &[u8], digest: &[u8; 32]| stamp == digest;
    let (mut number, entries) = (0, trail());
    let mut check = TrailCheck::new(&read_head, &[]).with_stamps(&fits);
    for entry in entries {
        match entry {
            Entry::Row(row) => assert!(check.row(row)),
            Entry::Head(jws) => {
                let digest = dan_core::statement::sha256(jws.as_bytes());
                let stamp = [Some(&digest[..]), Some(b"anything"), None][number];
                assert!(check.head(&jws, stamp));
                number += 1;
            }
        }
    }
    let report = check.finish();
    assert_eq!((report.stamped, report.not_stamps), (1, 1));
}
