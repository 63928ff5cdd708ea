//! [`Format`]: what the bytes of an answer are, and how they become one JSON document.

use serde_json::Value;

use super::csv::{self, CsvForm};
use super::failure::Event;
use super::xml::{self, XmlForm};
use super::{json, media};

/// What a source answers with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// `application/json` and its kin.
    #[default]
    Json,
    /// XML, SOAP too.
    Xml(XmlForm),
    /// Rows of text.
    Csv(CsvForm),
}

/// Why an answer gives no document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is not what it should be; never repeats the answer.
    Malformed(String),
    /// It is a SOAP fault.
    Fault,
}

impl Format {
    /// What is asked for, unless the call says otherwise.
    pub(crate) const fn accept(&self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml(_) => "application/xml, text/xml",
            Self::Csv(_) => "text/csv",
        }
    }

    /// Bytes of an answer that is recorded as text.
    pub(crate) fn recorded_bytes(&self, text: &str) -> Vec<u8> {
        match self {
            Self::Csv(form) if form.latin1 => text
                .chars()
                .map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?'))
                .collect(),
            Self::Json | Self::Xml(_) | Self::Csv(_) => text.as_bytes().to_vec(),
        }
    }

    /// The document in an answer.
    ///
    /// # Errors
    /// [`Unreadable`]; also for another media type.
    pub(crate) fn read(&self, media_type: Option<&str>, body: &[u8]) -> Result<Value, Unreadable> {
        let essence = media_type.map(media::essence).unwrap_or_default();
        let (fits, wanted) = match self {
            Self::Json => (media::is_json(&essence), "JSON"),
            Self::Xml(_) => (media::is_xml(&essence), "XML"),
            Self::Csv(_) => (media::is_rows(&essence), "CSV"),
        };
        if !fits {
            let what = format!("the media type is not {wanted}");
            return Err(Unreadable::Malformed(what));
        }
        match self {
            Self::Json => json::read(body).map_err(Unreadable::Malformed),
            Self::Xml(form) => xml::read(body, form),
            Self::Csv(form) => csv::read(body, form).map_err(Unreadable::Malformed),
        }
    }

    /// The failure when it is something else.
    pub(crate) const fn unread(&self) -> Event {
        match self {
            Self::Json => Event::NotJson,
            Self::Xml(_) => Event::NotXml,
            Self::Csv(_) => Event::NotCsv,
        }
    }

    /// As [`Format::accept`], the one media type that recorded answers stand for.
    pub(crate) const fn recorded(&self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Xml(_) => "application/xml",
            Self::Csv(_) => "text/csv",
        }
    }
}
