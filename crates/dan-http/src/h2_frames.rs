//! Where one HTTP/2 frame ends and the next begins (RFC 9113 §4.1). Pure: bytes in, events out, however they are split.

/// What every client says first (RFC 9113 §3.4).
const PREFACE_BYTES: usize = 24;
const HEAD_BYTES: usize = 9;

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const PRIORITY: u8 = 0x2;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PING: u8 = 0x6;
pub(crate) const GOAWAY: u8 = 0x7;
pub(crate) const WINDOW_UPDATE: u8 = 0x8;
pub(crate) const CONTINUATION: u8 = 0x9;

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

/// The head of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    /// Bytes of payload, at most 2^24 - 1.
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

impl FrameHead {
    pub(crate) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn read(bytes: [u8; HEAD_BYTES]) -> Self {
        let [l1, l2, l3, kind, flags, s1, s2, s3, s4] = bytes;
        Self {
            length: usize::try_from(u32::from_be_bytes([0, l1, l2, l3])).unwrap_or(usize::MAX),
            kind,
            flags,
            stream: u32::from_be_bytes([s1 & 0x7f, s2, s3, s4]),
        }
    }
}

/// One thing seen in a stream of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A frame's head is whole.
    Begins(FrameHead),
    /// So many bytes of its payload.
    Payload(FrameHead, usize),
    /// Its last byte was here.
    Ends(FrameHead),
}

/// Progress through one direction of a connection.
#[derive(Debug)]
pub(crate) struct FrameWalker {
    preface_left: usize,
    head: [u8; HEAD_BYTES],
    head_read: usize,
    current: Option<FrameHead>,
    left: usize,
}

impl FrameWalker {
    /// For what a client sends: the preface is passed over, since hyper compares it.
    pub(crate) const fn from_client() -> Self {
        Self::new(PREFACE_BYTES)
    }

    /// For what we send.
    pub(crate) const fn from_server() -> Self {
        Self::new(0)
    }

    const fn new(preface_left: usize) -> Self {
        Self {
            preface_left,
            head: [0; HEAD_BYTES],
            head_read: 0,
            current: None,
            left: 0,
        }
    }

    /// Nothing of a frame is under way.
    pub(crate) const fn at_boundary(&self) -> bool {
        self.preface_left == 0 && self.head_read == 0 && self.current.is_none()
    }

    /// The frame whose payload is under way.
    pub(crate) const fn current(&self) -> Option<FrameHead> {
        self.current
    }

    /// Shows each event in `bytes` to `see`, until it objects.
    pub(crate) fn walk<E>(
        &mut self,
        mut bytes: &[u8],
        mut see: impl FnMut(Seen) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            if self.preface_left > 0 {
                let passed = take(&mut bytes, self.preface_left).len();
                self.preface_left = self.preface_left.saturating_sub(passed);
            } else if let Some(frame) = self.current {
                let taken = take(&mut bytes, self.left).len();
                self.left = self.left.saturating_sub(taken);
                see(Seen::Payload(frame, taken))?;
                if self.left == 0 {
                    self.current = None;
                    see(Seen::Ends(frame))?;
                }
            } else {
                let wanted = HEAD_BYTES.saturating_sub(self.head_read);
                for byte in take(&mut bytes, wanted) {
                    if let Some(place) = self.head.get_mut(self.head_read) {
                        *place = *byte;
                    }
                    self.head_read = self.head_read.saturating_add(1);
                }
                if self.head_read == HEAD_BYTES {
                    self.begin(&mut see)?;
                }
            }
        }
        Ok(())
    }

    fn begin<E>(&mut self, see: &mut impl FnMut(Seen) -> Result<(), E>) -> Result<(), E> {
        let frame = FrameHead::read(self.head);
        self.head_read = 0;
        see(Seen::Begins(frame))?;
        if frame.length == 0 {
            return see(Seen::Ends(frame));
        }
        self.left = frame.length;
        self.current = Some(frame);
        Ok(())
    }
}

/// Cuts at most `most` bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], most: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at_checked(most).unwrap_or((bytes, &[]));
    *bytes = rest;
    taken
}

/// The bytes of a GOAWAY frame (RFC 9113 §6.8).
pub(crate) fn goaway(last_stream: u32, code: u32) -> [u8; 17] {
    let [s1, s2, s3, s4] = last_stream.to_be_bytes();
    let [c1, c2, c3, c4] = code.to_be_bytes();
    [
        0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, s1, s2, s3, s4, c1, c2, c3, c4,
    ]
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    /// One whole frame.
    pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn the_same_frames_are_seen_however_the_bytes_are_split() {
        let bytes = [
            PREFACE,
            &frame(SETTINGS, 0, 0, &[]),
            &frame(HEADERS, 5, 0x8000_0001, b"abc"),
            &frame(0xff, 0xff, 7, &[0; 300]),
        ]
        .concat();
        for step in [1, 2, 8, 9, 10, 100, bytes.len()] {
            let mut walker = FrameWalker::from_client();
            let (mut heads, mut payload) = (Vec::new(), 0);
            for piece in bytes.chunks(step) {
                let seen: Result<(), ()> = walker.walk(piece, |seen| {
                    match seen {
                        Seen::Begins(_) => {}
                        Seen::Payload(_, taken) => payload += taken,
                        Seen::Ends(head) => heads.push((head.kind, head.stream, head.length)),
                    }
                    Ok(())
                });
                seen.unwrap();
            }
            assert_eq!(heads, [(SETTINGS, 0, 0), (HEADERS, 1, 3), (0xff, 7, 300)]);
            assert_eq!((payload, walker.at_boundary()), (303, true), "step {step}");
        }
    }

    #[test]
    fn a_frame_under_way_is_known() {
        let mut walker = FrameWalker::from_server();
        let bytes = frame(DATA, 0, 1, b"abc");
        let ok = |_| Ok::<(), ()>(());
        walker.walk(&bytes[..5], ok).unwrap();
        assert!(!walker.at_boundary() && walker.current().is_none());
        walker.walk(&bytes[5..10], ok).unwrap();
        assert_eq!(walker.current().map(|head| head.kind), Some(DATA));
        walker.walk(&bytes[10..], ok).unwrap();
        assert!(walker.at_boundary());
    }

    #[test]
    fn goaway_is_one_whole_frame() {
        let mut seen = Vec::new();
        let mut walker = FrameWalker::from_server();
        let walked: Result<(), ()> = walker.walk(&goaway(5, 11), |event| {
            seen.push(event);
            Ok(())
        });
        walked.unwrap();
        assert!(walker.at_boundary() && seen.len() == 3);
    }
}
