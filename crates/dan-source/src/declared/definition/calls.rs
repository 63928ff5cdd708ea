//! Reads `[[call]]`: what is asked, of whom, and what a failure means.

use std::sync::Arc;
use std::time::Duration;

use super::plans::Reading;
use super::{
    Head, Roots, Surroundings, check_name, components, fans, formats, keeping, paging, plans,
};
use crate::catalog_folder::problem::{Place, Problems};
use crate::catalog_folder::section::Section;
use crate::declared::call::{Call, How};
use crate::declared::failure::FailureTable;

/// Most calls of one dataset; so many may be under way at once.
pub(crate) const CALLS_MAX: usize = 16;
/// Longest time a call may take, in seconds.
const CALL_TIMEOUT_S_MAX: u32 = 300;

/// Constructs of `services.md` §12 that this version does not carry out.
const NOT_BUILT: [&str; 5] = ["tls", "breaker", "method", "xpath", "poll"];

/// A call as it is read, before calls are tied together.
struct Draft {
    call: Call,
    place: Place,
    /// Roots of its templates.
    reads: Vec<String>,
}

pub(super) fn read(
    sections: Vec<Section<'_>>,
    names: &Roots<'_>,
    around: &Surroundings<'_>,
    head: &Head<'_>,
) -> Vec<Arc<Call>> {
    let Some(first) = sections.first() else {
        return Vec::new();
    };
    let problems = first.problems();
    super::check_count(sections.len(), CALLS_MAX, "calls", first.place(), problems);
    let mut drafts: Vec<Draft> = Vec::new();
    for mut section in sections {
        let draft = read_one(&mut section, names, around, head);
        section.not_built(&NOT_BUILT);
        section.finish();
        if let Some(draft) = draft {
            if drafts.iter().any(|known| known.call.id == draft.call.id) {
                let what = format!("the call `{}` is there twice", draft.call.id);
                problems.add(&draft.place, what);
            }
            drafts.push(draft);
        }
    }
    tie(&mut drafts, problems);
    check_times(&drafts, head, problems);
    drafts
        .into_iter()
        .map(|draft| Arc::new(draft.call))
        .collect()
}

fn read_one(
    section: &mut Section<'_>,
    names: &Roots<'_>,
    around: &Surroundings<'_>,
    head: &Head<'_>,
) -> Option<Draft> {
    let place = section.place().clone();
    let id = section
        .required_text("id")
        .filter(|id| check_name(id, "a call", section.problems()));
    if let Some(id) = &id
        && names.tables.contains(&id.value)
    {
        let what = format!("`{}` is the name of a table", id.value);
        section
            .problems()
            .hint(&id.place, what, "give the call another id");
    }
    let mut reading = Reading {
        names,
        around,
        rows: None,
        reads: Vec::new(),
    };
    let each = fans::read(section, &mut reading);
    let how = if section.has("dataset") {
        components::read(section, &mut reading).map(How::Dataset)
    } else {
        Some(How::Ask(plans::read(section, &mut reading)))
    };
    let timeout = section.seconds("timeout", CALL_TIMEOUT_S_MAX);
    let failures = failures(section);
    let format = formats::read(section);
    let pages = paging::read(section);
    let keeping = keeping::read(section);
    let optional = section.flag("optional").unwrap_or(false);
    let mut call = Call {
        id: id?.value,
        how: how?,
        each,
        timeout: Duration::ZERO,
        optional,
        failures,
        format,
        pages,
        keeping,
        needs: Vec::new(),
    };
    if call.keeping.is_some() && call.plans().any(|plan| plan.token.is_somebodys()) {
        let what = format!(
            "the call `{}` keeps what it got with another's token",
            call.id
        );
        let hint =
            "leave out `cache`: what rests on a consent or a caller's own right ends with it";
        section.problems().hint(&place, what, hint);
    }
    let own = timeout.map(|own| own.value);
    let usual = usual_timeout(&call).map_or(head.timeout_s, |usual| usual.min(head.timeout_s));
    call.timeout = Duration::from_secs(u64::from(own.unwrap_or(usual)));
    Some(Draft {
        call,
        place,
        reads: reading.reads,
    })
}

/// What a call may take when it does not say: as long as its slowest source, or as long as the
/// calls of another dataset one after another.
fn usual_timeout(call: &Call) -> Option<u32> {
    match &call.how {
        How::Ask(_) => call.upstreams().into_iter().map(|it| it.timeout_s).max(),
        How::Dataset(component) => {
            let theirs = component.definition.calls_time().as_secs();
            u32::try_from(theirs.max(1)).ok()
        }
    }
}

fn failures(section: &mut Section<'_>) -> FailureTable {
    let problems = section.problems();
    let mut failures = FailureTable::default();
    if let Some(mut table) = section.section("fail") {
        for (key, value) in table.rest() {
            if let Err(mistake) = failures.add(&key, &value) {
                problems.report(&value.place, mistake);
            }
        }
    }
    failures
}

/// Finds out which call waits for which, and refuses circles.
fn tie(drafts: &mut [Draft], problems: &Problems) {
    let ids: Vec<String> = drafts.iter().map(|draft| draft.call.id.clone()).collect();
    for draft in drafts.iter_mut() {
        let reads = &draft.reads;
        draft.call.needs = ids
            .iter()
            .enumerate()
            .filter(|(_, id)| reads.contains(id))
            .map(|(at, _)| at)
            .collect();
    }
    let mut ended = vec![false; drafts.len()];
    loop {
        let next = drafts.iter().enumerate().find(|(at, draft)| {
            let has_ended = |at: &usize| ended.get(*at).copied().unwrap_or(false);
            !has_ended(at) && draft.call.needs.iter().all(has_ended)
        });
        let Some((at, _)) = next else { break };
        if let Some(place) = ended.get_mut(at) {
            *place = true;
        }
    }
    for (draft, _) in drafts.iter().zip(&ended).filter(|(_, ended)| !**ended) {
        let what = format!("the call `{}` waits for itself", draft.call.id);
        let hint = "calls may use the answers of earlier ones, not in a circle";
        problems.hint(&draft.place, what, hint);
    }
}

/// Seconds after which each call has ended at the latest.
pub(super) fn ends(calls: &[&Call]) -> Vec<u64> {
    let mut ends: Vec<u64> = vec![0; calls.len()];
    // As many rounds as there are calls reach the end of every chain; circles are refused already.
    for _ in calls {
        for (at, call) in calls.iter().enumerate() {
            let start = call.needs.iter().filter_map(|need| ends.get(*need));
            let start = start.copied().max().unwrap_or(0);
            let end = start.saturating_add(call.timeout.as_secs());
            if let Some(place) = ends.get_mut(at) {
                *place = end;
            }
        }
    }
    ends
}

/// Calls one after another may not take longer than the dataset (`services.md` 12.4, 7).
fn check_times(drafts: &[Draft], head: &Head<'_>, problems: &Problems) {
    let calls: Vec<&Call> = drafts.iter().map(|draft| &draft.call).collect();
    let ends = ends(&calls);
    let longest = drafts.iter().zip(&ends).max_by_key(|(_, end)| **end);
    if let Some((draft, end)) = longest
        && *end > u64::from(head.timeout_s)
    {
        let what = format!(
            "up to and with the call `{}`, calls one after another may take {end} s",
            draft.call.id
        );
        let hint = format!(
            "the dataset's own timeout is {} s: lower `timeout` of the calls or raise the dataset's",
            head.timeout_s
        );
        problems.hint(&draft.place, what, hint);
    }
}
