//! Reads `cache` of a `[[call]]`: how long what a source answered is kept.

use crate::catalog_folder::section::Section;
use crate::declared::answered::Keeping;

/// Longest time that an answer may be kept, in seconds.
const KEPT_S_MAX: u32 = 24 * 3600;

/// `cache = "60m"`, or `cache = { ok = "60m", error = "1m" }`.
pub(super) fn read(section: &mut Section<'_>) -> Option<Keeping> {
    let ms = |seconds: u32| i64::from(seconds).saturating_mul(1000);
    if !section.json("cache").is_object() {
        let kept = section.seconds("cache", KEPT_S_MAX)?;
        return Some(Keeping {
            ok_ms: ms(kept.value),
            error_ms: 0,
        });
    }
    let mut table = section.section("cache")?;
    let good = table.seconds("ok", KEPT_S_MAX);
    let error = table.seconds("error", KEPT_S_MAX);
    if good.is_none() {
        table.missing("ok");
    }
    table.finish();
    Some(Keeping {
        ok_ms: ms(good?.value),
        error_ms: error.map_or(0, |error| ms(error.value)),
    })
}
