//! [`TrailCheck`]: rows and heads go in, in their order; what comes out is what holds, or the first
//! thing that does not.

use std::collections::BTreeMap;
use std::fmt;

use dan_core::audit::{HEAD_ROWS_MAX, HeadClaims, MerkleTree, link};
use dan_core::ports::TrailRow;
use dan_core::statement::sha256;
use dan_core::time::Timestamp;
use serde::Deserialize;

use super::diagnose::{Scene, records};
use super::intents::Intents;

/// Rows behind the first bad one that are looked at: as far as the head over it.
const SCENE_ROWS_MAX: usize = 4096 + 2;
const _: () = assert!(HEAD_ROWS_MAX == 4096, "the scene reaches as far as a head");

/// How much older than the newest row one without a head may be, in milliseconds. A node puts a head
/// over a row within a second.
const BARE_MS_MAX: i64 = 60_000;

/// When a stored row says that it was written.
#[derive(Deserialize)]
struct Written {
    at: Timestamp,
}

/// Reads a signed head and checks its signature; why not, in words, where that does not hold.
pub type ReadHead<'r> = &'r (dyn Fn(&str) -> Result<HeadClaims, String> + Send + Sync);

/// Whether these bytes are a time stamp over this SHA-256.
pub type StampFits<'r> = &'r (dyn Fn(&[u8], &[u8; 32]) -> bool + Send + Sync);

/// What was done to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Its text, its link, or what an export shows of it was changed.
    Edited,
    /// It stands where another stood.
    Swapped,
    /// It was not there.
    Inserted,
    /// It was taken out.
    Missing,
    /// It was the first of those that were taken off the end.
    Cut,
    /// It is the first of a run in which something was changed and all links made anew.
    Replaced,
    /// The head over it is not signed by this node, is missing, or stands elsewhere.
    Head,
}

impl Flaw {
    /// The word for it, for people and programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edited => "edited",
            Self::Swapped => "swapped",
            Self::Inserted => "inserted",
            Self::Missing => "missing",
            Self::Cut => "cut",
            Self::Replaced => "replaced",
            Self::Head => "head",
        }
    }
}

/// The first thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Position of the first bad record.
    pub sequence: u64,
    /// What was done.
    pub flaw: Flaw,
    /// More about it, for people.
    pub told: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sequence, told, .. } = self;
        write!(f, "record {sequence}: {}: {told}", self.flaw.name())
    }
}

/// Whose trail it is, as a head says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy {
    /// Name of the trail, drawn with its first head.
    pub node: String,
    /// Address of the node.
    pub iss: String,
}

/// What was found of a trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Rows that hold, from the first.
    pub rows: u64,
    /// Link of the last of them.
    pub link: [u8; 32],
    /// Heads that hold.
    pub heads: u64,
    /// Heads among them that have a time stamp over them. Whose it is, is not looked at here.
    pub stamped: u64,
    /// Heads among them that carry something else where a time stamp must be, or one that nobody
    /// was there to judge ([`TrailCheck::with_stamps`]).
    pub not_stamps: u64,
    /// Rows that are under a head; what is behind them could be taken off unseen.
    pub covered: u64,
    /// Second at which the last head was signed.
    pub signed_at: Option<i64>,
    /// Name of the trail and address of the node, as the last head says them.
    pub signed_by: Option<SignedBy>,
    /// Kept heads that the trail agrees with.
    pub kept: u64,
    /// Intents without outcome: interrupted, or still under way. They may have been received.
    pub interrupted: u64,
    /// Rows of an export that show in clear a party which is stored sealed: without the node's key
    /// nobody can tell whether it is the one.
    pub unproven: u64,
    /// The first thing that does not hold; `None` when all does.
    pub finding: Option<Finding>,
}

/// A check under way. Bounded in memory, however long the trail is.
pub struct TrailCheck<'r> {
    read_head: ReadHead<'r>,
    stamp_fits: Option<StampFits<'r>>,
    /// By the last row that they cover.
    kept: BTreeMap<u64, Vec<HeadClaims>>,
    tree: MerkleTree,
    /// Digest of the last head, and which trail it is of.
    last_head: Option<([u8; 32], String)>,
    /// Which trail the kept heads are of.
    kept_node: Option<String>,
    intents: Intents,
    scene: Option<Scene>,
    /// The oldest row that no head covers yet: when it was written, and its position.
    bare: Option<(Timestamp, u64)>,
    /// When the newest row was written.
    newest: Option<Timestamp>,
    report: Report,
}

impl<'r> TrailCheck<'r> {
    /// A check against the keys behind `read_head`, and against heads that were kept elsewhere.
    #[must_use]
    pub fn new(read_head: ReadHead<'r>, kept: &[String]) -> Self {
        let mut check = Self {
            read_head,
            stamp_fits: None,
            kept: BTreeMap::new(),
            tree: MerkleTree::default(),
            last_head: None,
            kept_node: None,
            intents: Intents::default(),
            scene: None,
            bare: None,
            newest: None,
            report: Report {
                rows: 0,
                link: [0; 32],
                heads: 0,
                stamped: 0,
                not_stamps: 0,
                covered: 0,
                signed_at: None,
                signed_by: None,
                kept: 0,
                interrupted: 0,
                unproven: 0,
                finding: None,
            },
        };
        for (jws, number) in kept.iter().zip(1..) {
            match (check.read_head)(jws) {
                Ok(claims) => check.keep(claims, number),
                Err(why) => check.found(1, Flaw::Head, format!("kept head {number}: {why}")),
            }
        }
        check
    }

    /// The same, with somebody who knows time stamps.
    #[must_use]
    pub fn with_stamps(self, stamp_fits: StampFits<'r>) -> Self {
        Self {
            stamp_fits: Some(stamp_fits),
            ..self
        }
    }

    fn keep(&mut self, claims: HeadClaims, number: u64) {
        let node = self.kept_node.get_or_insert_with(|| claims.node.clone());
        if *node == claims.node {
            self.kept.entry(claims.last).or_default().push(claims);
        } else {
            let told = format!("kept head {number} is of another trail than the first");
            self.found(1, Flaw::Head, told);
        }
    }

    /// Takes the next row. False when no more are needed.
    pub fn row(&mut self, row: TrailRow) -> bool {
        if let Some(finding) = &mut self.report.finding {
            // Not off the end, then.
            if finding.flaw == Flaw::Cut {
                finding.flaw = Flaw::Missing;
            }
            return false;
        }
        if let Some(scene) = &mut self.scene {
            scene.rows.push(row);
            return scene.rows.len() < SCENE_ROWS_MAX;
        }
        let expected = self.report.rows.saturating_add(1);
        let previous = self.report.link;
        if row.sequence != expected || row.link != link(&previous, row.text.as_bytes()) {
            self.scene = Some(Scene {
                expected,
                previous,
                rows: vec![row],
                head: None,
            });
            return true;
        }
        self.report.rows = expected;
        self.report.link = row.link;
        self.tree.push(&row.link);
        self.intents.note(&row.text);
        self.note_time(&row.text);
        self.compare_kept();
        self.report.finding.is_none()
    }

    /// Takes a head; it stands behind the last row that it covers. False when no more are needed.
    pub fn head(&mut self, jws: &str, stamp: Option<&[u8]>) -> bool {
        if self.is_cut() {
            return true;
        }
        if self.report.finding.is_some() {
            return false;
        }
        let read = (self.read_head)(jws);
        if let Some(scene) = &mut self.scene {
            if scene.head.is_none() {
                scene.head = read.ok();
            }
            return true;
        }
        let first = self.report.covered.saturating_add(1);
        match read.and_then(|claims| self.place(&claims).map(|()| claims)) {
            Err(why) => self.found(first, Flaw::Head, why),
            Ok(claims) if claims.last > self.report.rows => {
                let gone = records(self.report.rows.saturating_add(1), claims.last);
                self.found(
                    self.report.rows.saturating_add(1),
                    Flaw::Cut,
                    format!("{gone} were signed, and are gone"),
                );
            }
            Ok(claims) if claims.root != self.tree.root() || claims.link != self.report.link => {
                let told = format!(
                    "{} are not those that were signed; their links were made anew",
                    records(first, claims.last)
                );
                self.found(first, Flaw::Replaced, told);
            }
            Ok(claims) => self.cover(jws, claims, stamp),
        }
        self.report.finding.is_none() || self.is_cut()
    }

    /// Rows that were signed are not there; whether any stand behind them is not known yet.
    fn is_cut(&self) -> bool {
        let finding = self.report.finding.as_ref();
        finding.is_some_and(|finding| finding.flaw == Flaw::Cut)
    }

    /// The row taken last shows a party that cannot be held against what is stored.
    pub fn note_unproven(&mut self) {
        self.report.unproven = self.report.unproven.saturating_add(1);
    }

    /// Takes a line of a file where the next row must be, which is none or shows something else
    /// than it holds. False: no more are needed.
    pub fn unreadable(&mut self, why: String) -> bool {
        if self.scene.is_none() && self.report.finding.is_none() {
            let next = self.report.rows.saturating_add(1);
            self.found(next, Flaw::Edited, why);
        }
        false
    }

    /// Ends the check.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.report.interrupted = self.intents.open();
        if self.report.finding.is_none() {
            self.report.finding = match &self.scene {
                Some(scene) => Some(scene.diagnose()),
                None => self.kept_beyond().or_else(|| self.unsigned()),
            };
        }
        self.report
    }

    /// Whether the head is the next one of this trail.
    fn place(&self, claims: &HeadClaims) -> Result<(), String> {
        let (rows, covered) = (self.report.rows, self.report.covered);
        let (previous, node) = match &self.last_head {
            Some((digest, node)) => (Some(*digest), node.as_str()),
            None => {
                let kept = self.kept_node.as_ref();
                (None, kept.unwrap_or(&claims.node).as_str())
            }
        };
        if claims.first != covered.saturating_add(1) {
            let HeadClaims { first, last, .. } = claims;
            return Err(format!(
                "the head over {} stands where one from record {} on must be",
                records(*first, *last),
                covered.saturating_add(1)
            ));
        }
        if claims.node != node {
            return Err("the head over it is of another trail".to_owned());
        }
        if claims.previous != previous {
            return Err("the head over it does not follow the head before".to_owned());
        }
        if claims.last < rows {
            return Err(format!(
                "the head over record {} stands too late",
                claims.last
            ));
        }
        Ok(())
    }

    fn cover(&mut self, jws: &str, claims: HeadClaims, stamp: Option<&[u8]>) {
        let digest = sha256(jws.as_bytes());
        let report = &mut self.report;
        report.covered = claims.last;
        report.heads = report.heads.saturating_add(1);
        if let Some(stamp) = stamp {
            let fits = self.stamp_fits.is_some_and(|fits| fits(stamp, &digest));
            let count = match fits {
                true => &mut report.stamped,
                false => &mut report.not_stamps,
            };
            *count = count.saturating_add(1);
        }
        report.signed_at = Some(claims.iat);
        report.signed_by = Some(SignedBy {
            node: claims.node.clone(),
            iss: claims.iss,
        });
        self.tree = MerkleTree::default();
        self.bare = None;
        self.last_head = Some((digest, claims.node));
    }

    /// Kept heads that end with the row just taken must end with its link.
    fn compare_kept(&mut self) {
        for kept in self.kept.remove(&self.report.rows).unwrap_or_default() {
            if kept.link == self.report.link {
                self.report.kept = self.report.kept.saturating_add(1);
            } else if self.report.finding.is_none() {
                let told = format!(
                    "up to record {} the trail is not the one that a kept head was signed over",
                    kept.last
                );
                self.found(kept.first, Flaw::Replaced, told);
            }
        }
    }

    /// A row that does not say when it was written is neither old nor new.
    fn note_time(&mut self, text: &str) {
        if let Ok(Written { at }) = serde_json::from_str(text) {
            let this = (at, self.report.rows);
            self.bare = Some(self.bare.map_or(this, |oldest| oldest.min(this)));
            self.newest = self.newest.max(Some(at));
        }
    }

    /// Rows that have waited for a head longer than any node lets them.
    fn unsigned(&self) -> Option<Finding> {
        let (oldest, sequence) = self.bare?;
        let waited = self.newest?.as_ms().saturating_sub(oldest.as_ms());
        (waited > BARE_MS_MAX).then(|| Finding {
            sequence,
            flaw: Flaw::Head,
            told: "no head covers it".to_owned(),
        })
    }

    /// Kept heads over rows that are not there.
    fn kept_beyond(&self) -> Option<Finding> {
        let last = self.kept.keys().next_back()?;
        let next = self.report.rows.saturating_add(1);
        let told = format!("a kept head was signed over {}", records(next, *last));
        Some(Finding {
            sequence: next,
            flaw: Flaw::Cut,
            told,
        })
    }

    fn found(&mut self, sequence: u64, flaw: Flaw, told: String) {
        self.report.finding = Some(Finding {
            sequence,
            flaw,
            told,
        });
    }
}
