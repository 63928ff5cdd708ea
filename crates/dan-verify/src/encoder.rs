//! Writes CBOR in the deterministic form of RFC 8949 §4.2.1: shortest heads, known lengths, members in
//! the order of their encoded names.

use serde::ser::Serialize;

/// Items that are small beside what is counted, in bytes; a guess that spares copying.
const SMALL_BYTES: usize = 2048;
/// Kinds of items (RFC 8949 §3.1), in the upper three bits of a head.
const BYTES: u8 = 2 << 5;
const TEXT: u8 = 3 << 5;
const LIST: u8 = 4 << 5;
const MAP: u8 = 5 << 5;

/// Writes items one after the other. Lists and maps get their heads when they end.
pub(crate) struct Encoder(Vec<u8>);

/// Where one member of a map stands: its encoded name, and behind it the value up to the next entry.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    start: usize,
    value: usize,
}

impl Entry {
    /// The name begins here.
    pub(crate) const fn at(start: usize) -> Self {
        let value = start;
        Self { start, value }
    }

    /// The name ends and the value begins here.
    pub(crate) const fn name_ends(&mut self, here: usize) {
        self.value = here;
    }
}

impl Encoder {
    /// `large_bytes`: how much there will be, but for what is small.
    pub(crate) fn with_capacity(large_bytes: usize) -> Self {
        Self(Vec::with_capacity(large_bytes.saturating_add(SMALL_BYTES)))
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Where the next item begins.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// What serde writes as one item in its only form: everything but maps.
    ///
    /// # Errors
    /// When it cannot be encoded, which never happens in memory.
    pub(crate) fn item(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), String> {
        ciborium::into_writer(value, &mut self.0).map_err(|error| error.to_string())
    }

    /// Text.
    pub(crate) fn text(&mut self, text: &str) {
        self.0.extend(head(TEXT, text.len()));
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A byte string.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend(head(BYTES, bytes.len()));
        self.0.extend_from_slice(bytes);
    }

    /// An item that is encoded already, in this form.
    pub(crate) fn encoded(&mut self, item: &[u8]) {
        self.0.extend_from_slice(item);
    }

    /// What was written since `start` are the items of a list.
    pub(crate) fn close_list(&mut self, start: usize, items: usize) {
        self.insert_head(start, LIST, items);
    }

    /// What was written since `start` are the members of a map: brings them into order.
    ///
    /// # Errors
    /// When a name stands twice.
    pub(crate) fn close_map(&mut self, start: usize, entries: &[Entry]) -> Result<(), String> {
        let ends = entries.iter().skip(1).map(|entry| entry.start);
        let ends = ends.chain([self.len()]);
        let member = |(entry, end): (&Entry, usize)| {
            let name = self.0.get(entry.start..entry.value)?;
            Some((name, self.0.get(entry.start..end)?))
        };
        let members: Option<Vec<(&[u8], &[u8])>> = entries.iter().zip(ends).map(member).collect();
        let mut members = members.ok_or("a member stands outside its map")?;
        let ascend = |members: &[(&[u8], &[u8])]| members.is_sorted_by(|one, next| one.0 < next.0);
        if !ascend(&members) {
            members.sort_unstable_by_key(|(name, _)| *name);
            if !ascend(&members) {
                return Err("a member is named twice".to_owned());
            }
            let wholes: Vec<&[u8]> = members.iter().map(|(_, whole)| *whole).collect();
            let sorted = wholes.concat();
            self.0.truncate(start);
            self.0.extend_from_slice(&sorted);
        }
        self.insert_head(start, MAP, entries.len());
        Ok(())
    }

    fn insert_head(&mut self, place: usize, kind: u8, count: usize) {
        let removed = self.0.splice(place..place, head(kind, count));
        drop(removed);
    }
}

/// The shortest head of an item (RFC 8949 §3).
fn head(kind: u8, count: usize) -> impl Iterator<Item = u8> {
    /// Bytes of the longest number behind the first byte.
    const LONGEST: usize = 8;
    let number = u64::try_from(count).unwrap_or(u64::MAX);
    let (code, bytes) = match number {
        0..=23 => (u8::try_from(number).unwrap_or_default(), 0),
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        0x1_0000..=0xffff_ffff => (26, 4),
        0x1_0000_0000.. => (27, LONGEST),
    };
    let number = number.to_be_bytes().into_iter();
    std::iter::once(kind | code).chain(number.skip(LONGEST.saturating_sub(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_the_shortest() {
        for (count, expected) in [
            (0, &[0xa0][..]),
            (23, &[0xb7]),
            (24, &[0xb8, 24]),
            (255, &[0xb8, 255]),
            (256, &[0xb9, 1, 0]),
            (65_535, &[0xb9, 255, 255]),
            (65_536, &[0xba, 0, 1, 0, 0]),
            (1 << 32, &[0xbb, 0, 0, 0, 1, 0, 0, 0, 0]),
        ] {
            let bytes: Vec<u8> = head(MAP, count).collect();
            assert_eq!(bytes, expected, "{count}");
        }
    }

    fn map(names: &[&str]) -> Result<Vec<u8>, String> {
        let mut encoder = Encoder::with_capacity(0);
        let mut entries = Vec::new();
        for name in names {
            let mut entry = Entry::at(encoder.len());
            encoder.text(name);
            entry.name_ends(encoder.len());
            encoder.item(&true)?;
            entries.push(entry);
        }
        encoder.close_map(0, &entries)?;
        Ok(encoder.into_bytes())
    }

    #[test]
    fn members_are_sorted_and_none_stands_twice() {
        assert_eq!(map(&[]).unwrap(), b"\xa0");
        let sorted = b"\xa3\x60\xf5\x61b\xf5\x62aa\xf5";
        assert_eq!(map(&["aa", "b", ""]).unwrap(), sorted);
        assert_eq!(map(&["", "b", "aa"]).unwrap(), sorted);
        assert!(map(&["a", "b", "a"]).is_err());
        assert!(map(&["a", "a"]).is_err());
    }
}
