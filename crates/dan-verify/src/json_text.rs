//! JSON text in one pass, without a tree of it: is it what reading and writing makes of it, and what
//! is it in CBOR. A body may be large, and this is on the path of each answer that carries one.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::io;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::Serialize;

use crate::encoder::{Encoder, Entry};
use crate::numbers;

/// Names of an object that are compared one by one; beyond that they are sorted.
const NAMES_COMPARED_MAX: usize = 16;

/// True when `text` is one JSON value, nested at most `levels` deep, that comes out byte for byte when
/// it is read and written: no spaces, no other escapes, no other way to write a number, no member twice.
pub(crate) fn comes_out_the_same(text: &str, levels: usize) -> bool {
    let mut echo = Echo(text.as_bytes());
    let mut reader = serde_json::Deserializer::from_str(text);
    let walk = Walk {
        sink: &mut echo,
        levels,
    };
    walk.deserialize(&mut reader).is_ok() && reader.end().is_ok() && echo.0.is_empty()
}

/// The one deterministic CBOR of `text`, a JSON value nested at most `levels` deep; `None` when it is
/// none, names a member twice, or has a number that reading alters.
pub(crate) fn to_cbor(text: &[u8], levels: usize) -> Option<Vec<u8>> {
    let mut encoder = Encoder::with_capacity(text.len());
    let mut reader = serde_json::Deserializer::from_slice(text);
    let walk = Walk {
        sink: &mut encoder,
        levels,
    };
    walk.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    numbers::survive(text).then(|| encoder.into_bytes())
}

/// Takes the parts of a JSON value as they are read.
trait Sink {
    /// What is remembered of an array or object until it ends.
    type Frame;

    fn leaf(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), String>;
    /// A text that stood in the input without escapes.
    fn plain_text(&mut self, text: &str) -> Result<(), String>;
    fn open(&mut self, is_object: bool) -> Result<Self::Frame, String>;
    /// Before each item of an array and each name of an object.
    fn next(&mut self, frame: &mut Self::Frame) -> Result<(), String>;
    /// Between a name and its value.
    fn named(&mut self, frame: &mut Self::Frame) -> Result<(), String>;
    fn close(&mut self, frame: Self::Frame) -> Result<(), String>;
    /// Whether the sink finds a member that is named twice by itself.
    const FINDS_TWINS: bool;
}

struct Walk<'s, S> {
    sink: &'s mut S,
    levels: usize,
}

impl<'de, S: Sink> DeserializeSeed<'de> for Walk<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<S: Sink> Walk<'_, S> {
    fn inner<E: Error>(&mut self) -> Result<Walk<'_, S>, E> {
        let levels = self.levels.checked_sub(1);
        let levels = levels.ok_or_else(|| E::custom("it is nested too deep"))?;
        Ok(Walk {
            sink: self.sink,
            levels,
        })
    }
}

impl<'de, S: Sink> Visitor<'de> for Walk<'_, S> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.sink.leaf(&value).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.sink.leaf(&value).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.sink.leaf(&value).map_err(E::custom)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.sink.leaf(&value).map_err(E::custom)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.sink.leaf(&()).map_err(E::custom)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<(), E> {
        self.sink.plain_text(value).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.sink.leaf(value).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<(), A::Error> {
        let mut frame = self.sink.open(false).map_err(A::Error::custom)?;
        loop {
            let item = Item {
                list: &mut self,
                frame: &mut frame,
            };
            if access.next_element_seed(item)?.is_none() {
                break;
            }
        }
        self.sink.close(frame).map_err(A::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<(), A::Error> {
        let mut frame = self.sink.open(true).map_err(A::Error::custom)?;
        let mut names = Names::default();
        while let Some(Name(name)) = access.next_key_seed(NameSeed)? {
            self.sink.next(&mut frame).map_err(A::Error::custom)?;
            match &name {
                Cow::Borrowed(plain) => self.sink.plain_text(plain),
                Cow::Owned(text) => self.sink.leaf(text.as_str()),
            }
            .map_err(A::Error::custom)?;
            self.sink.named(&mut frame).map_err(A::Error::custom)?;
            if !S::FINDS_TWINS && !names.insert(name) {
                return Err(A::Error::custom("a member is named twice"));
            }
            access.next_value_seed(self.inner()?)?;
        }
        self.sink.close(frame).map_err(A::Error::custom)
    }
}

/// One item of an array. The sink is told of it once it is there.
struct Item<'w, 's, S: Sink> {
    list: &'w mut Walk<'s, S>,
    frame: &'w mut S::Frame,
}

impl<'de, S: Sink> DeserializeSeed<'de> for Item<'_, '_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.list.sink.next(self.frame).map_err(D::Error::custom)?;
        deserializer.deserialize_any(self.list.inner()?)
    }
}

/// A name, borrowed where it stands in the text without escapes.
struct Name<'de>(Cow<'de, str>);
struct NameSeed;

impl<'de> DeserializeSeed<'de> for NameSeed {
    type Value = Name<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for NameSeed {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(name)))
    }

    fn visit_str<E>(self, name: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(name.to_owned())))
    }
}

/// The names of one object so far.
#[derive(Default)]
struct Names<'de> {
    few: Vec<Cow<'de, str>>,
    many: BTreeSet<Cow<'de, str>>,
}

impl<'de> Names<'de> {
    /// False when it is there already.
    fn insert(&mut self, name: Cow<'de, str>) -> bool {
        if self.few.contains(&name) {
            return false;
        }
        if self.few.len() < NAMES_COMPARED_MAX {
            self.few.push(name);
            return true;
        }
        self.many.insert(name)
    }
}

/// What is left of the text that the value should come out as.
struct Echo<'a>(&'a [u8]);

impl Echo<'_> {
    fn expect(&mut self, written: &[u8]) -> Result<(), String> {
        let rest = self.0.strip_prefix(written);
        self.0 = rest.ok_or("it is written in another way")?;
        Ok(())
    }
}

impl io::Write for Echo<'_> {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        self.expect(written).map_err(io::Error::other)?;
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a list goes on, and how it ends.
struct Place {
    is_first: bool,
    end: &'static [u8],
}

impl Sink for Echo<'_> {
    type Frame = Place;

    const FINDS_TWINS: bool = false;

    fn leaf(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), String> {
        serde_json::to_writer(self, value).map_err(|error| error.to_string())
    }

    fn plain_text(&mut self, text: &str) -> Result<(), String> {
        self.expect(b"\"")?;
        self.expect(text.as_bytes())?;
        self.expect(b"\"")
    }

    fn open(&mut self, is_object: bool) -> Result<Place, String> {
        let (start, end): (&[u8], &'static [u8]) = if is_object {
            (b"{", b"}")
        } else {
            (b"[", b"]")
        };
        self.expect(start)?;
        let is_first = true;
        Ok(Place { is_first, end })
    }

    fn next(&mut self, frame: &mut Place) -> Result<(), String> {
        if frame.is_first {
            frame.is_first = false;
            return Ok(());
        }
        self.expect(b",")
    }

    fn named(&mut self, _frame: &mut Place) -> Result<(), String> {
        self.expect(b":")
    }

    fn close(&mut self, frame: Place) -> Result<(), String> {
        self.expect(frame.end)
    }
}

/// A list or map of which neither the length nor the order is known before its end.
struct Unfinished {
    start: usize,
    items: usize,
    /// `None` for a list.
    entries: Option<Vec<Entry>>,
}

impl Sink for Encoder {
    type Frame = Unfinished;

    const FINDS_TWINS: bool = true;

    fn leaf(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), String> {
        self.item(value)
    }

    fn plain_text(&mut self, text: &str) -> Result<(), String> {
        self.text(text);
        Ok(())
    }

    fn open(&mut self, is_object: bool) -> Result<Unfinished, String> {
        Ok(Unfinished {
            start: self.len(),
            items: 0,
            entries: is_object.then(Vec::new),
        })
    }

    fn next(&mut self, frame: &mut Unfinished) -> Result<(), String> {
        frame.items = frame.items.saturating_add(1);
        if let Some(entries) = &mut frame.entries {
            entries.push(Entry::at(self.len()));
        }
        Ok(())
    }

    fn named(&mut self, frame: &mut Unfinished) -> Result<(), String> {
        if let Some(entry) = frame.entries.iter_mut().flatten().last() {
            entry.name_ends(self.len());
        }
        Ok(())
    }

    fn close(&mut self, frame: Unfinished) -> Result<(), String> {
        match frame.entries {
            None => {
                self.close_list(frame.start, frame.items);
                Ok(())
            }
            Some(entries) => self.close_map(frame.start, &entries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::object_from_cbor;
    use dan_json::strict::{DEPTH_MAX, json_object};
    use serde_json::Value;

    /// Texts of every kind, good and bad.
    const TEXTS: [&str; 34] = [
        "null",
        "true",
        "1",
        "-1",
        "1.0",
        "-0",
        "-0.0",
        "1e2",
        "1E2",
        "100.0",
        "1e300",
        "0.1",
        "\"\"",
        "\"sj\u{f8}\"",
        r#""sj\u00f8""#,
        r#""\n""#,
        r#""\u000a""#,
        r#""\/""#,
        "[]",
        "[ ]",
        "[1,2]",
        "[1, 2]",
        "[[],{}]",
        "{}",
        r#"{"b":1,"a":2}"#,
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"\u0061":1}"#,
        r#"{"\n":1}"#,
        "18446744073709551615",
        "18446744073709551616",
        "",
        "{",
        "1 2",
        " 1",
    ];

    fn object_of_names(count: usize, twin: bool) -> String {
        let mut members: Vec<String> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
        if twin {
            members.extend(members.last().cloned());
        }
        format!("{{{}}}", members.join(","))
    }

    #[test]
    fn it_says_what_reading_into_a_tree_and_writing_says() {
        let many = object_of_names(40, false);
        for text in TEXTS.into_iter().chain([many.as_str()]) {
            let tree = serde_json::from_str::<Value>(text).ok();
            let written = tree.map(|value| value.to_string());
            let same = written.as_deref() == Some(text);
            assert_eq!(comes_out_the_same(text, 10), same, "{text}");
        }
    }

    #[test]
    fn a_member_named_twice_is_found_among_few_and_many() {
        for count in [1, 2, NAMES_COMPARED_MAX, NAMES_COMPARED_MAX + 1, 100] {
            for twin in [false, true] {
                let text = object_of_names(count, twin);
                assert_eq!(comes_out_the_same(&text, 10), !twin, "{text}");
                assert_eq!(to_cbor(text.as_bytes(), 10).is_some(), !twin, "{text}");
            }
        }
    }

    #[test]
    fn what_is_encoded_is_what_a_tree_is_encoded_as() {
        let many = object_of_names(300, false);
        let list = format!("[{}1]", "{\"zz\":[1,2.5],\"a\":\"\"},".repeat(300));
        for text in TEXTS.into_iter().chain([many.as_str(), list.as_str()]) {
            let wrapped = format!("{{\"evidence\":{text}}}");
            let tree = json_object(wrapped.as_bytes());
            let read = tree.ok().filter(|_| numbers::survive(text.as_bytes()));
            let made = to_cbor(text.as_bytes(), 10);
            // What has spaces around it is the same value.
            assert_eq!(made.is_some(), read.is_some(), "{text}");
            if let Some(made) = made {
                let bytes = [b"\xa1\x68evidence".as_slice(), &made].concat();
                let back = object_from_cbor(&bytes).unwrap();
                assert_eq!(Some(back), read, "{text}");
            }
        }
    }

    #[test]
    fn nesting_is_bounded() {
        for levels in [1, 5, DEPTH_MAX - 2] {
            for (deeper, good) in [(0, true), (1, false)] {
                let depth = levels + deeper;
                for (start, end) in [("[", "]"), ("{\"a\":", "}")] {
                    let text = format!("{}1{}", start.repeat(depth), end.repeat(depth));
                    assert_eq!(comes_out_the_same(&text, levels), good, "{depth}");
                    assert_eq!(to_cbor(text.as_bytes(), levels).is_some(), good, "{depth}");
                }
            }
        }
        let endless = "[".repeat(100_000);
        assert!(!comes_out_the_same(&endless, 100) && to_cbor(endless.as_bytes(), 100).is_none());
    }
}
