//! What one HTTP/2 connection has cost so far, and what it waits for: counted from frame heads alone, before hyper sees
//! them. Every kind of frame that costs the sender little and us something has a limit (`security.md` §7, F24).

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use crate::h2_frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, FrameHead, FrameWalker, HEADERS, PING, PRIORITY,
    RST_STREAM, SETTINGS, Seen, WINDOW_UPDATE,
};
use crate::patience::Patience;

/// Streams a peer may have open at once, as our SETTINGS say. Further ones are refused one by one.
pub const STREAMS_MAX: u32 = 100;
/// Streams that are open or refused but not yet told so; a peer that reads our SETTINGS stays below [`STREAMS_MAX`].
pub const STREAMS_UNTOLD_MAX: usize = 400;
/// Largest payload of a frame, bytes: the least that RFC 9113 allows us to allow.
pub const FRAME_BYTES_MAX: usize = 16 * 1024;
/// Largest header block before decompression, bytes; the decoded list may have 16 KiB.
pub const HEADER_BLOCK_BYTES_MAX: usize = 32 * 1024;
/// Most CONTINUATION frames of one header block.
pub const CONTINUATIONS_MAX: usize = 8;
/// The span in which frames are counted.
pub const COUNTED_SPAN: Duration = Duration::from_secs(10);
/// SETTINGS frames in one span, acknowledgements included.
pub const SETTINGS_FRAMES_MAX: u32 = 20;
/// PING frames in one span.
pub const PING_FRAMES_MAX: u32 = 100;
/// PRIORITY frames in one span; they mean nothing to us.
pub const PRIORITY_FRAMES_MAX: u32 = 200;
/// `RST_STREAM` frames in one span: requests given up (rapid reset, CVE-2023-44487).
pub const RESET_FRAMES_MAX: u32 = 200;
/// DATA frames without data that do not end a stream, in one span.
pub const EMPTY_DATA_FRAMES_MAX: u32 = 100;
/// `WINDOW_UPDATE` frames in one span; a download of 100 MiB needs about 13 000.
pub const WINDOW_FRAMES_MAX: u32 = 20_000;
/// Frames of kinds that we do not know, in one span.
pub const UNKNOWN_FRAMES_MAX: u32 = 100;

const PROTOCOL_ERROR: u32 = 0x1;
const FRAME_SIZE_ERROR: u32 = 0x6;
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// Error code of RFC 9113 §7.
    pub(crate) code: u32,
    /// For the log.
    pub(crate) reason: &'static str,
}

impl Violation {
    pub(crate) const fn calm(reason: &'static str) -> Self {
        Self {
            code: ENHANCE_YOUR_CALM,
            reason,
        }
    }
}

/// What the peer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiting {
    /// The rest of something that must come at once; nothing was promised if nothing came.
    Start,
    Frame,
    Data,
    /// Any request at all.
    Request,
    /// That it takes an answer.
    Taking,
}

/// Frames of one span.
#[derive(Debug)]
struct Counts {
    since: Instant,
    settings: u32,
    pings: u32,
    priorities: u32,
    resets: u32,
    empty_data: u32,
    windows: u32,
    unknown: u32,
}

impl Counts {
    const fn new(since: Instant) -> Self {
        Self {
            since,
            settings: 0,
            pings: 0,
            priorities: 0,
            resets: 0,
            empty_data: 0,
            windows: 0,
            unknown: 0,
        }
    }

    fn count(&mut self, frame: FrameHead) -> Result<(), Violation> {
        let (count, most, reason) = match frame.kind {
            DATA if frame.length == 0 && !frame.has(END_STREAM) => (
                &mut self.empty_data,
                EMPTY_DATA_FRAMES_MAX,
                "too many empty DATA frames",
            ),
            SETTINGS => (
                &mut self.settings,
                SETTINGS_FRAMES_MAX,
                "too many SETTINGS frames",
            ),
            PING => (&mut self.pings, PING_FRAMES_MAX, "too many PING frames"),
            PRIORITY => (
                &mut self.priorities,
                PRIORITY_FRAMES_MAX,
                "too many PRIORITY frames",
            ),
            RST_STREAM => (&mut self.resets, RESET_FRAMES_MAX, "too many resets"),
            WINDOW_UPDATE => (
                &mut self.windows,
                WINDOW_FRAMES_MAX,
                "too many WINDOW_UPDATE frames",
            ),
            DATA | HEADERS | CONTINUATION => return Ok(()),
            _ => (
                &mut self.unknown,
                UNKNOWN_FRAMES_MAX,
                "too many unknown frames",
            ),
        };
        *count = count.saturating_add(1);
        if *count > most {
            return Err(Violation::calm(reason));
        }
        Ok(())
    }
}

/// A header block whose end has not come.
#[derive(Debug, Default)]
struct Block {
    bytes: usize,
    continuations: usize,
}

/// The books of one connection.
#[derive(Debug)]
pub(crate) struct Traffic {
    inbound: FrameWalker,
    outbound: FrameWalker,
    books: Books,
}

#[derive(Debug)]
struct Books {
    counts: Counts,
    /// The first frame has been whole.
    begun: bool,
    open: BTreeSet<u32>,
    last: u32,
    block: Option<Block>,
    /// Since when a frame other than DATA, or a header block, is under way.
    partial_since: Option<Instant>,
    data_at: Instant,
    /// When the connection opened, or its last stream ended.
    quiet_since: Instant,
    /// Since when nothing is left but that the peer takes what we have.
    taking_since: Option<Instant>,
}

impl Traffic {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            inbound: FrameWalker::from_client(),
            outbound: FrameWalker::from_server(),
            books: Books {
                counts: Counts::new(now),
                begun: false,
                open: BTreeSet::new(),
                last: 0,
                block: None,
                partial_since: None,
                data_at: now,
                quiet_since: now,
                taking_since: None,
            },
        }
    }

    /// Books what the peer sent.
    pub(crate) fn received(&mut self, bytes: &[u8], now: Instant) -> Result<(), Violation> {
        let books = &mut self.books;
        self.inbound.walk(bytes, |seen| books.received(seen, now))?;
        let mid_frame = !self.inbound.at_boundary()
            && self
                .inbound
                .current()
                .is_none_or(|frame| frame.kind != DATA);
        if mid_frame || self.books.block.is_some() {
            self.books.partial_since.get_or_insert(now);
        } else {
            self.books.partial_since = None;
        }
        Ok(())
    }

    /// Books what the socket took from us.
    pub(crate) fn sent(&mut self, bytes: &[u8], now: Instant) {
        let books = &mut self.books;
        let Ok(()) = self.outbound.walk(bytes, |seen| {
            books.sent(seen, now);
            Ok::<(), Infallible>(())
        });
    }

    /// Whether a frame of ours may be put between those that hyper writes.
    pub(crate) const fn may_interject(&self) -> bool {
        self.outbound.at_boundary()
    }

    /// The highest stream the peer has opened.
    pub(crate) const fn last_stream(&self) -> u32 {
        self.books.last
    }

    /// What the peer owes us, and until when; `None` while it is we who work.
    pub(crate) fn due(
        &mut self,
        at_work: bool,
        patience: &Patience,
        now: Instant,
    ) -> Option<(Waiting, Instant)> {
        let books = &mut self.books;
        if at_work || books.open.is_empty() {
            books.taking_since = None;
        }
        let (waiting, since, limit) = if !books.begun {
            (Waiting::Start, books.quiet_since, patience.head)
        } else if let Some(since) = books.partial_since {
            (Waiting::Frame, since, patience.head)
        } else if self.inbound.current().is_some() {
            (Waiting::Data, books.data_at, patience.body)
        } else if at_work {
            return None;
        } else if books.open.is_empty() {
            (Waiting::Request, books.quiet_since, patience.idle)
        } else {
            let since = *books.taking_since.get_or_insert(now);
            (Waiting::Taking, since, patience.write)
        };
        Some((waiting, since.checked_add(limit).unwrap_or(since)))
    }
}

impl Books {
    fn received(&mut self, seen: Seen, now: Instant) -> Result<(), Violation> {
        match seen {
            Seen::Begins(frame) => {
                if frame.length > FRAME_BYTES_MAX {
                    return Err(Violation {
                        code: FRAME_SIZE_ERROR,
                        reason: "a frame is larger than 16 KiB",
                    });
                }
                if !self.begun && frame.kind != SETTINGS {
                    return Err(Violation {
                        code: PROTOCOL_ERROR,
                        reason: "the first frame is not SETTINGS",
                    });
                }
                if now.saturating_duration_since(self.counts.since) >= COUNTED_SPAN {
                    self.counts = Counts::new(now);
                }
                self.data_at = now;
                self.counts.count(frame)?;
                self.headers(frame)
            }
            Seen::Payload(..) => {
                self.data_at = now;
                Ok(())
            }
            Seen::Ends(frame) => {
                self.begun = true;
                if frame.kind == RST_STREAM {
                    self.close(frame.stream, now);
                }
                Ok(())
            }
        }
    }

    fn headers(&mut self, frame: FrameHead) -> Result<(), Violation> {
        match frame.kind {
            HEADERS => {
                self.block = Some(Block::default());
                if frame.stream > self.last {
                    self.last = frame.stream;
                    self.open.insert(frame.stream);
                    self.taking_since = None;
                }
                if self.open.len() > STREAMS_UNTOLD_MAX {
                    return Err(Violation::calm("too many streams"));
                }
            }
            CONTINUATION => {
                let block = self.block.get_or_insert_default();
                block.continuations = block.continuations.saturating_add(1);
                if block.continuations > CONTINUATIONS_MAX {
                    return Err(Violation::calm("too many CONTINUATION frames"));
                }
            }
            _ => return Ok(()),
        }
        if let Some(block) = &mut self.block {
            block.bytes = block.bytes.saturating_add(frame.length);
            if block.bytes > HEADER_BLOCK_BYTES_MAX {
                return Err(Violation::calm("a header block is larger than 32 KiB"));
            }
        }
        if frame.has(END_HEADERS) {
            self.block = None;
        }
        Ok(())
    }

    fn sent(&mut self, seen: Seen, now: Instant) {
        match seen {
            Seen::Begins(_) => {}
            Seen::Payload(frame, _) => {
                if matches!(frame.kind, DATA | HEADERS) {
                    self.taking_since = None;
                }
            }
            Seen::Ends(frame) => {
                let ends = matches!(frame.kind, DATA | HEADERS) && frame.has(END_STREAM);
                if ends || frame.kind == RST_STREAM {
                    self.close(frame.stream, now);
                }
            }
        }
    }

    fn close(&mut self, stream: u32, now: Instant) {
        if self.open.remove(&stream) && self.open.is_empty() {
            self.quiet_since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2_frames::tests::{PREFACE, frame};

    const PATIENCE: Patience = Patience {
        head: Duration::from_secs(5),
        idle: Duration::from_secs(60),
        body: Duration::from_secs(10),
        write: Duration::from_secs(30),
        linger: Duration::from_secs(1),
    };

    fn begun(now: Instant) -> Traffic {
        let mut traffic = Traffic::new(now);
        let hello = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        traffic.received(&hello, now).unwrap();
        traffic
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start.checked_add(Duration::from_secs(seconds)).unwrap()
    }

    /// How many of a frame one span bears.
    fn borne(now: Instant, mut next: impl FnMut(u32) -> Vec<u8>) -> (u32, Violation) {
        let mut traffic = begun(now);
        (0..100_000)
            .find_map(|passed| {
                let judged = traffic.received(&next(passed), now);
                judged.err().map(|violation| (passed, violation))
            })
            .expect("a limit")
    }

    #[tokio::test]
    async fn each_cheap_frame_has_its_limit() {
        let now = Instant::now();
        for (kind, flags, payload, most) in [
            (SETTINGS, 0, 0, SETTINGS_FRAMES_MAX - 1),
            (SETTINGS, 1, 0, SETTINGS_FRAMES_MAX - 1),
            (PING, 0, 8, PING_FRAMES_MAX),
            (PING, 1, 8, PING_FRAMES_MAX),
            (PRIORITY, 0, 5, PRIORITY_FRAMES_MAX),
            (RST_STREAM, 0, 4, RESET_FRAMES_MAX),
            (DATA, 0, 0, EMPTY_DATA_FRAMES_MAX),
            (WINDOW_UPDATE, 0, 4, WINDOW_FRAMES_MAX),
            (0x10, 0, 4, UNKNOWN_FRAMES_MAX),
            (CONTINUATION, 0, 0, 8),
        ] {
            let (passed, violation) = borne(now, |_| frame(kind, flags, 1, &vec![0; payload]));
            assert_eq!(
                (passed, violation.code),
                (most, ENHANCE_YOUR_CALM),
                "{kind}"
            );
        }
        let (passed, _) = borne(now, |n| frame(HEADERS, END_HEADERS, 2 * n + 1, &[]));
        assert_eq!(usize::try_from(passed).unwrap(), STREAMS_UNTOLD_MAX);
        let reset = |n| {
            let stream = 2 * n + 1;
            let open = frame(HEADERS, END_HEADERS, stream, &[]);
            [open, frame(RST_STREAM, 0, stream, &[0; 4])].concat()
        };
        assert_eq!(borne(now, reset).0, RESET_FRAMES_MAX);
    }

    #[tokio::test]
    async fn what_was_counted_is_forgotten_after_the_span() {
        let now = Instant::now();
        let mut traffic = begun(now);
        let ping = frame(PING, 0, 0, &[0; 8]);
        for round in 0..5 {
            for _ in 0..PING_FRAMES_MAX {
                traffic.received(&ping, after(now, 10 * round)).unwrap();
            }
        }
        assert!(traffic.received(&ping, after(now, 49)).is_err());
    }

    #[tokio::test]
    async fn frames_and_header_blocks_are_bounded_in_bytes() {
        let now = Instant::now();
        let fits = vec![0; FRAME_BYTES_MAX];
        begun(now).received(&frame(DATA, 0, 1, &fits), now).unwrap();
        let over = frame(DATA, 0, 1, &vec![0; FRAME_BYTES_MAX + 1]);
        let violation = begun(now).received(&over[..9], now).unwrap_err();
        assert_eq!(violation.code, FRAME_SIZE_ERROR);
        let mut traffic = begun(now);
        traffic.received(&frame(HEADERS, 0, 1, &fits), now).unwrap();
        traffic
            .received(&frame(CONTINUATION, 0, 1, &fits), now)
            .unwrap();
        let one_more = frame(CONTINUATION, 0, 1, &[0]);
        assert!(traffic.received(&one_more, now).is_err());
    }

    #[tokio::test]
    async fn what_is_under_way_must_be_complete_in_time_and_bytes_win_it_none() {
        let now = Instant::now();
        let mut traffic = Traffic::new(now);
        let due = |traffic: &mut Traffic, at_work| traffic.due(at_work, &PATIENCE, now);
        assert_eq!(
            due(&mut traffic, false),
            Some((Waiting::Start, after(now, 5)))
        );
        traffic.received(PREFACE, after(now, 1)).unwrap();
        assert_eq!(
            due(&mut traffic, false),
            Some((Waiting::Start, after(now, 5)))
        );

        let mut traffic = begun(now);
        traffic.received(&[0], after(now, 1)).unwrap();
        traffic.received(&[0], after(now, 4)).unwrap();
        assert_eq!(
            due(&mut traffic, true),
            Some((Waiting::Frame, after(now, 6)))
        );

        let mut traffic = begun(now);
        traffic
            .received(&frame(HEADERS, 0, 1, &[1]), after(now, 1))
            .unwrap();
        traffic
            .received(&frame(CONTINUATION, 0, 1, &[1]), after(now, 3))
            .unwrap();
        assert_eq!(
            due(&mut traffic, true),
            Some((Waiting::Frame, after(now, 6)))
        );
        traffic
            .received(&frame(CONTINUATION, END_HEADERS, 1, &[1]), after(now, 4))
            .unwrap();
        assert_eq!(due(&mut traffic, true), None);

        let data = frame(DATA, 0, 1, &[0; 10]);
        traffic.received(&data[..12], after(now, 20)).unwrap();
        assert_eq!(
            due(&mut traffic, true),
            Some((Waiting::Data, after(now, 30)))
        );
        traffic.received(&data[12..13], after(now, 25)).unwrap();
        assert_eq!(
            due(&mut traffic, true),
            Some((Waiting::Data, after(now, 35)))
        );
    }

    #[tokio::test]
    async fn a_connection_is_idle_from_the_end_of_its_last_stream_and_pings_do_not_change_that() {
        let now = Instant::now();
        let mut traffic = begun(now);
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &[]);
        traffic.received(&request, after(now, 1)).unwrap();
        assert_eq!(traffic.due(true, &PATIENCE, after(now, 1)), None);
        traffic.sent(&frame(HEADERS, END_HEADERS, 1, &[0]), after(now, 2));
        traffic.sent(&frame(DATA, END_STREAM, 1, b"ok"), after(now, 2));
        traffic
            .received(&frame(PING, 0, 0, &[0; 8]), after(now, 50))
            .unwrap();
        let due = traffic.due(false, &PATIENCE, after(now, 50));
        assert_eq!(due, Some((Waiting::Request, after(now, 62))));
        // Ended twice is ended once.
        traffic.sent(&frame(RST_STREAM, 0, 1, &[0; 4]), after(now, 55));
        let due = traffic.due(false, &PATIENCE, after(now, 55));
        assert_eq!(due, Some((Waiting::Request, after(now, 62))));
    }

    #[tokio::test]
    async fn an_answer_must_be_taken_and_each_byte_taken_wins_time() {
        let now = Instant::now();
        let mut traffic = begun(now);
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &[]);
        traffic.received(&request, now).unwrap();
        let taking =
            |traffic: &mut Traffic, second| traffic.due(false, &PATIENCE, after(now, second));
        assert_eq!(
            taking(&mut traffic, 3),
            Some((Waiting::Taking, after(now, 33)))
        );
        assert_eq!(
            taking(&mut traffic, 9),
            Some((Waiting::Taking, after(now, 33)))
        );
        traffic.sent(&frame(DATA, 0, 1, b"part"), after(now, 20));
        assert_eq!(
            taking(&mut traffic, 20),
            Some((Waiting::Taking, after(now, 50)))
        );
        // Updates of a window that is not used win nothing.
        let update = frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]);
        traffic.received(&update, after(now, 40)).unwrap();
        assert_eq!(
            taking(&mut traffic, 40),
            Some((Waiting::Taking, after(now, 50)))
        );
    }
}
