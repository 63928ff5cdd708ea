//! A chunked body, byte by byte: RFC 9112 §7.1 with CRLF only, no white space in extensions, and trailers cut out.

use super::head::{is_token_byte, is_value_byte};

/// Most bytes of chunk extensions and trailers together in one body; more than this breaks the body.
pub const MAX_CHUNK_EXTRAS: usize = 4 * 1024;
/// Most hexadecimal digits of a chunk size.
const MAX_SIZE_DIGITS: u8 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size,
    ExtensionStart,
    ExtensionName,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    Unquoted,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    LineStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
}

/// A stretch of bytes that are all passed on or all dropped.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) len: usize,
    pub(super) keep: bool,
    /// Set when the body ended with this run, or broke right after it.
    pub(super) end: Option<Result<(), &'static str>>,
}

/// Progress through one chunked body.
#[derive(Debug)]
pub(super) struct ChunkReader {
    at: At,
    size: u64,
    digits: u8,
    extras: usize,
}

impl ChunkReader {
    pub(super) const fn new() -> Self {
        Self {
            at: At::Size,
            size: 0,
            digits: 0,
            extras: 0,
        }
    }

    /// Reads `bytes` up to where they stop being of one kind.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Run {
        let mut run = Run {
            len: 0,
            keep: true,
            end: None,
        };
        while let Some(&byte) = bytes.get(run.len) {
            let keep = self.keeps(byte);
            if run.len == 0 {
                run.keep = keep;
            } else if run.keep != keep {
                return run;
            }
            if self.at == At::Data {
                let left = bytes.len().saturating_sub(run.len);
                let taken = usize::try_from(self.size).map_or(left, |size| size.min(left));
                self.size = self
                    .size
                    .saturating_sub(u64::try_from(taken).unwrap_or(u64::MAX));
                run.len = run.len.saturating_add(taken);
                if self.size == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            let ends = self.at == At::EndLf;
            match self.step(byte) {
                Ok(next) => self.at = next,
                Err(reason) => {
                    run.end = Some(Err(reason));
                    return run;
                }
            }
            run.len = run.len.saturating_add(1);
            if ends {
                run.end = Some(Ok(()));
                return run;
            }
        }
        run
    }

    /// Only lines of trailers are dropped; the empty line after them is kept.
    fn keeps(&self, byte: u8) -> bool {
        match self.at {
            At::LineStart => byte == b'\r',
            At::TrailerName | At::TrailerValue | At::TrailerLf => false,
            At::Size
            | At::ExtensionStart
            | At::ExtensionName
            | At::ValueStart
            | At::Value
            | At::Quoted
            | At::Escaped
            | At::Unquoted
            | At::SizeLf
            | At::Data
            | At::DataCr
            | At::DataLf
            | At::EndLf => true,
        }
    }

    fn step(&mut self, byte: u8) -> Result<At, &'static str> {
        match self.at {
            At::Size => self.size_digit(byte),
            At::ExtensionStart
            | At::ExtensionName
            | At::ValueStart
            | At::Value
            | At::Quoted
            | At::Escaped
            | At::Unquoted => {
                if byte != b'\r' {
                    self.count_extra()?;
                }
                self.extension(byte)
            }
            At::SizeLf if byte == b'\n' => Ok(if self.size == 0 {
                At::LineStart
            } else {
                At::Data
            }),
            At::SizeLf => Err("a chunk size does not end in CRLF"),
            At::DataCr if byte == b'\r' => Ok(At::DataLf),
            At::DataLf if byte == b'\n' => {
                self.digits = 0;
                Ok(At::Size)
            }
            At::Data | At::DataCr | At::DataLf => Err("chunk data does not end in CRLF"),
            At::LineStart | At::TrailerName | At::TrailerValue | At::TrailerLf => {
                self.trailer(byte)
            }
            At::EndLf if byte == b'\n' => Ok(At::EndLf),
            At::EndLf => Err("the chunked body does not end in CRLF"),
        }
    }

    fn size_digit(&mut self, byte: u8) -> Result<At, &'static str> {
        let digit = match byte {
            b'0'..=b'9' => byte.saturating_sub(b'0'),
            b'a'..=b'f' => byte.saturating_sub(b'a').saturating_add(10),
            b'A'..=b'F' => byte.saturating_sub(b'A').saturating_add(10),
            b'\r' if self.digits > 0 => return Ok(At::SizeLf),
            b';' if self.digits > 0 => return self.count_extra().map(|()| At::ExtensionStart),
            _ => return Err("a chunk size is not hexadecimal"),
        };
        self.digits = self.digits.saturating_add(1);
        if self.digits > MAX_SIZE_DIGITS {
            return Err("a chunk size has more than 8 digits");
        }
        self.size = self
            .size
            .saturating_mul(16)
            .saturating_add(u64::from(digit));
        Ok(At::Size)
    }

    fn extension(&self, byte: u8) -> Result<At, &'static str> {
        const BROKEN: &str = "a chunk extension is malformed";
        match (self.at, byte) {
            (At::ExtensionName | At::Value | At::Unquoted, b'\r') => Ok(At::SizeLf),
            (At::ExtensionName | At::Value | At::Unquoted, b';') => Ok(At::ExtensionStart),
            (At::ExtensionName, b'=') => Ok(At::ValueStart),
            (At::ExtensionStart | At::ExtensionName, _) if is_token_byte(byte) => {
                Ok(At::ExtensionName)
            }
            (At::ValueStart, b'"') => Ok(At::Quoted),
            (At::ValueStart | At::Value, _) if is_token_byte(byte) => Ok(At::Value),
            (At::Quoted, b'"') => Ok(At::Unquoted),
            (At::Quoted, b'\\') => Ok(At::Escaped),
            (At::Quoted | At::Escaped, _) if is_value_byte(byte) => Ok(At::Quoted),
            _ => Err(BROKEN),
        }
    }

    fn trailer(&mut self, byte: u8) -> Result<At, &'static str> {
        if (self.at, byte) == (At::LineStart, b'\r') {
            return Ok(At::EndLf);
        }
        self.count_extra()?;
        match (self.at, byte) {
            (At::LineStart | At::TrailerName, _) if is_token_byte(byte) => Ok(At::TrailerName),
            (At::TrailerName, b':') => Ok(At::TrailerValue),
            (At::TrailerValue, b'\r') => Ok(At::TrailerLf),
            (At::TrailerValue, _) if is_value_byte(byte) => Ok(At::TrailerValue),
            (At::TrailerLf, b'\n') => Ok(At::LineStart),
            _ => Err("a trailer field is malformed"),
        }
    }

    fn count_extra(&mut self) -> Result<(), &'static str> {
        self.extras = self.extras.saturating_add(1);
        if self.extras > MAX_CHUNK_EXTRAS {
            return Err("chunk extensions and trailers are larger than 4 KiB");
        }
        Ok(())
    }
}
