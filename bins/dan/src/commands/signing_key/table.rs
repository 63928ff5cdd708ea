//! The table `[signing]` of a configuration file, changed where it stands: comments, order and
//! everything else stay as they are.

use dan_core::time::Timestamp;
use toml_edit::{ArrayOfTables, DocumentMut, InlineTable, Item, Table, Value};

/// How the keys change.
pub(super) struct Change<'a> {
    /// Path of the new key as the file is to say it.
    pub(super) file: &'a str,
    /// Since when it signs.
    pub(super) signs_from: Timestamp,
    /// In front of which key of the list it goes.
    pub(super) place: usize,
    /// Which keys of the list, as they are now, it takes over from.
    pub(super) ending: &'a [usize],
}

/// The text of the file with the change in it.
///
/// # Errors
/// Why the text cannot be changed: no TOML, or no list of keys in it.
pub(super) fn changed(text: &str, change: &Change<'_>) -> Result<String, String> {
    let mut document: DocumentMut = text.parse().map_err(|error| format!("{error}"))?;
    let keys = document
        .get_mut("signing")
        .and_then(|signing| signing.get_mut("keys"))
        .ok_or("it has no signing.keys")?;
    match keys {
        Item::Value(Value::Array(list)) => {
            for place in change.ending {
                let entry = list.get_mut(*place).and_then(Value::as_inline_table_mut);
                let entry = entry.ok_or("an entry of signing.keys is no table")?;
                entry.insert("retired_at", moment(change.signs_from));
                space(entry);
            }
            let after = list.get(change.place);
            let mut entry = Value::InlineTable(entry(change));
            // The new entry stands as the one behind it does: on a line of its own, or not.
            if let Some(after) = after {
                *entry.decor_mut() = after.decor().clone();
            }
            if change.place == 0
                && let Some(first) = list.get_mut(0)
                && first.decor().prefix().is_none_or(is_empty)
            {
                first.decor_mut().set_prefix(" ");
            }
            list.insert_formatted(change.place, entry);
        }
        Item::ArrayOfTables(tables) => {
            let mut listed: Vec<Table> = std::mem::take(tables).into_iter().collect();
            for place in change.ending {
                let entry = listed
                    .get_mut(*place)
                    .ok_or("a key is not there any more")?;
                entry.insert("retired_at", Item::Value(moment(change.signs_from)));
            }
            let entry = entry(change).into_table();
            listed.insert(change.place.min(listed.len()), entry);
            // Where a table stands in the file is part of it; new ones take the places in order.
            let mut places: Vec<_> = listed.iter().filter_map(Table::position).collect();
            places.sort_unstable();
            let mut places = places.into_iter();
            let mut replaced = ArrayOfTables::new();
            let mut last = None;
            for mut table in listed {
                last = places.next().or(last);
                table.set_position(last);
                replaced.push(table);
            }
            *tables = replaced;
        }
        Item::None | Item::Value(_) | Item::Table(_) => {
            return Err("signing.keys is no list".to_owned());
        }
    }
    Ok(document.to_string())
}

/// The space before the closing brace belongs to the last value, and no other.
fn space(entry: &mut InlineTable) {
    let last = entry.len();
    for ((_, value), place) in entry.iter_mut().zip(1..) {
        let suffix = value.decor().suffix();
        let suffix = suffix.and_then(|suffix| suffix.as_str());
        if suffix.unwrap_or_default().trim().is_empty() {
            let suffix = if place == last { " " } else { "" };
            value.decor_mut().set_suffix(suffix);
        }
    }
}

fn entry(change: &Change<'_>) -> InlineTable {
    let mut key = InlineTable::new();
    key.insert("file", change.file.into());
    let mut entry = InlineTable::new();
    entry.insert("key", Value::InlineTable(key));
    entry.insert("signs_from", moment(change.signs_from));
    entry
}

fn moment(moment: Timestamp) -> Value {
    moment.to_string().into()
}

fn is_empty(prefix: &toml_edit::RawString) -> bool {
    prefix.as_str().is_none_or(str::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Timestamp = Timestamp::from_ms(1_900_000_000_000);

    fn change(ending: &[usize]) -> Change<'_> {
        Change {
            file: "next.pem",
            signs_from: FROM,
            place: 0,
            ending,
        }
    }

    fn files(text: &str) -> Vec<String> {
        let config: toml::Table = text.parse().unwrap();
        let keys = config["signing"]["keys"].as_array().unwrap();
        keys.iter()
            .map(|key| key["key"]["file"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn a_list_on_one_line_stays_on_one_line() {
        let text = "# ours\n[signing] # keys\nkeys = [{ kid = \"a\", key = { file = \"a.pem\" } }] # one\n\n[store]\n";
        let changed = changed(text, &change(&[0])).unwrap();
        assert_eq!(
            changed,
            "# ours\n[signing] # keys\nkeys = [{ key = { file = \"next.pem\" }, signs_from = \
             \"2030-03-17T17:46:40Z\" }, { kid = \"a\", key = { file = \"a.pem\" }, retired_at = \
             \"2030-03-17T17:46:40Z\" }] # one\n\n[store]\n"
        );
        assert_eq!(files(&changed), ["next.pem", "a.pem"]);
    }

    #[test]
    fn a_list_of_lines_keeps_its_comments() {
        let text = "[signing]\nkeys = [\n  # the one of autumn\n  { key = { file = \"b.pem\" } },\n  # the first\n  \
                    { key = { file = \"a.pem\" }, retired_at = \"2026-01-01T00:00:00Z\" },\n]\n";
        let changed = changed(text, &change(&[0])).unwrap();
        assert_eq!(files(&changed), ["next.pem", "b.pem", "a.pem"]);
        assert!(changed.contains("# the one of autumn") && changed.contains("# the first"));
        assert!(changed.contains("2026-01-01"));
        assert_eq!(changed.matches("2030-03-17").count(), 2);
    }

    #[test]
    fn tables_of_their_own_are_kept_in_order() {
        let text = "[store]\nurl = \"sqlite:x\"\n\n[[signing.keys]] # b\nkey = { file = \"b.pem\" }\n\n[[signing.keys]]\n\
                    key = { file = \"a.pem\" }\nretired_at = \"2026-01-01T00:00:00Z\"\n\n[registry]\nurl = \"u\"\n";
        let changed = changed(text, &change(&[0])).unwrap();
        assert_eq!(files(&changed), ["next.pem", "b.pem", "a.pem"], "{changed}");
        assert!(changed.contains("[[signing.keys]] # b"), "{changed}");
        assert!(changed.ends_with("[registry]\nurl = \"u\"\n"), "{changed}");
        let second = Change {
            place: 1,
            ..change(&[])
        };
        let other = super::changed(text, &second).unwrap();
        assert_eq!(files(&other), ["b.pem", "next.pem", "a.pem"], "{other}");
    }

    #[test]
    fn what_has_no_list_of_keys_is_refused() {
        for text in [
            "",
            "[signing]\n",
            "[signing]\nkeys = 1\n",
            "=",
            "[signing]\nkeys = [1]\n",
        ] {
            assert!(changed(text, &change(&[0])).is_err(), "{text}");
        }
    }
}
