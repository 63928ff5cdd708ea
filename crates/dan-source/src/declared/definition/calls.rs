//! Reads `[[call]]`: what is asked, of whom, and what a failure means.

use std::sync::Arc;
use std::time::Duration;

use super::{Head, Roots, Surroundings, check_name, token};
use crate::catalog_folder::problem::{At, Mistake, Place, Problems, suggestion};
use crate::catalog_folder::section::{Node, Section};
use crate::declared::call::Call;
use crate::declared::failure::FailureTable;
use crate::declared::template::{Piece, Template, parse, roots};
use crate::declared::upstream::Upstream;
use crate::declared::url::{Base, UrlTemplate, encoded};

/// Most calls of one dataset; so many may be under way at once.
pub(crate) const CALLS_MAX: usize = 16;
/// Most addresses of one call.
const ADDRESSES_MAX: usize = 4;
/// Longest time a call may take, in seconds.
const CALL_TIMEOUT_S_MAX: u32 = 300;

/// Constructs of `services.md` §12 that this version does not carry out.
const NOT_BUILT: [&str; 22] = [
    "dataset", "subject", "for_each", "width", "tls", "cache", "breaker", "answer", "failed",
    "variant", "post", "method", "body", "json", "form", "graphql", "soap", "xpath", "csv",
    "pages", "poll", "retry",
];

/// Headers that are not the definition's to set.
const OWN_HEADERS: [&str; 9] = [
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "host",
    "proxy-authorization",
    "te",
    "transfer-encoding",
    "upgrade",
];

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
    let upstream = upstream(section, around);
    let mut reads = Vec::new();
    let addresses = addresses(section, names, upstream.as_deref(), &mut reads);
    let query = query(section, names, &mut reads);
    let headers = headers(section, names, &mut reads);
    let timeout = section.seconds("timeout", CALL_TIMEOUT_S_MAX);
    let failures = failures(section);
    let optional = section.flag("optional").unwrap_or(false);
    let token = token::read(section, upstream.as_deref());
    let upstream = upstream?;
    let timeout_s = timeout.map_or(upstream.timeout_s.min(head.timeout_s), |own| own.value);
    Some(Draft {
        call: Call {
            id: id?.value,
            addresses,
            query,
            headers,
            timeout: Duration::from_secs(u64::from(timeout_s)),
            optional,
            failures,
            token,
            needs: Vec::new(),
            upstream,
        },
        place,
        reads,
    })
}

fn upstream(section: &mut Section<'_>, around: &Surroundings<'_>) -> Option<Arc<Upstream>> {
    let name = section.required_text("source")?;
    match around.upstreams.get(&name.value) {
        Some(found) => found.clone(),
        None => {
            let known = around.upstreams.keys().map(String::as_str);
            let hint = suggestion(&name.value, known)
                .unwrap_or_else(|| format!("add sources/{}.toml", name.value));
            let what = format!("there is no source `{}`", name.value);
            section.problems().hint(&name.place, what, hint);
            None
        }
    }
}

/// Reads a template; every mistake in it is reported.
fn pieces(
    text: &At<String>,
    names: &Roots<'_>,
    problems: &Problems,
    reads: &mut Vec<String>,
) -> Vec<Piece> {
    let pieces = parse(&text.value, &names.scope(false), &mut |mistake| {
        problems.report(&text.place, mistake);
    });
    reads.extend(roots(&pieces).map(str::to_owned));
    pieces
}

fn addresses(
    section: &mut Section<'_>,
    names: &Roots<'_>,
    upstream: Option<&Upstream>,
    reads: &mut Vec<String>,
) -> Vec<UrlTemplate> {
    let problems = section.problems();
    let written = section.has("get");
    let texts = section.texts("get");
    if !written {
        section.missing("get");
    }
    super::check_count(
        texts.len(),
        ADDRESSES_MAX,
        "addresses of a call",
        section.place(),
        problems,
    );
    let mut addresses = Vec::new();
    for text in &texts {
        let before = problems.count();
        let pieces = pieces(text, names, problems, reads);
        let Some(upstream) = upstream.filter(|_| problems.count() == before) else {
            continue;
        };
        match UrlTemplate::compile(&pieces, Base::Within(&upstream.address)) {
            Ok(address) => addresses.push(address),
            Err(mistake) => problems.report(&text.place, mistake),
        }
    }
    addresses
}

/// `query = { name = "template" }`; a list of templates repeats the name.
fn query(
    section: &mut Section<'_>,
    names: &Roots<'_>,
    reads: &mut Vec<String>,
) -> Vec<(String, Template)> {
    let problems = section.problems();
    let Some(mut table) = section.section("query") else {
        return Vec::new();
    };
    let mut query = Vec::new();
    for (name, item) in table.rest() {
        let texts = match item.value {
            Node::List(items) => items,
            Node::Text(_) | Node::Number(_) | Node::Flag(_) | Node::Moment(_) | Node::Table(_) => {
                vec![item]
            }
        };
        for item in texts {
            if let Some(text) = template_text(&name, item, problems) {
                let template = Template(pieces(&text, names, problems, reads));
                query.push((encoded(&name.value), template));
            }
        }
    }
    query
}

fn template_text(name: &At<String>, item: At<Node>, problems: &Problems) -> Option<At<String>> {
    match item.value {
        Node::Text(text) => Some(At::new(text, item.place)),
        Node::Number(_) | Node::Flag(_) | Node::Moment(_) | Node::List(_) | Node::Table(_) => {
            let what = format!("`{}` is no text", name.value);
            problems.hint(&item.place, what, "write it in quotes");
            None
        }
    }
}

fn headers(
    section: &mut Section<'_>,
    names: &Roots<'_>,
    reads: &mut Vec<String>,
) -> Vec<(String, Template)> {
    let problems = section.problems();
    let Some(mut table) = section.section("headers") else {
        return Vec::new();
    };
    let mut headers = Vec::new();
    for (name, item) in table.rest() {
        let lower = name.value.to_ascii_lowercase();
        if let Err(mistake) = check_header(&lower) {
            problems.report(&name.place, mistake);
        }
        if let Some(text) = template_text(&name, item, problems) {
            let template = Template(pieces(&text, names, problems, reads));
            headers.push((lower, template));
        }
    }
    headers
}

/// A name that a definition may set (RFC 9110 §5.1), in lower case.
pub(crate) fn check_header(name: &str) -> Result<(), Mistake> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(Mistake::new(format!("`{name}` is no name of a header")));
    }
    if OWN_HEADERS.contains(&name) {
        return Err(Mistake::with_hint(
            format!("the header `{name}` is not the catalogue's to set"),
            "credentials belong into [credential] of the source",
        ));
    }
    Ok(())
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

/// Calls one after another may not take longer than the dataset (`services.md` 12.4, 7).
fn check_times(drafts: &[Draft], head: &Head<'_>, problems: &Problems) {
    let mut ends: Vec<u64> = vec![0; drafts.len()];
    // As many rounds as there are calls reach the end of every chain; circles are refused already.
    for _ in drafts {
        for (at, draft) in drafts.iter().enumerate() {
            let start = draft.call.needs.iter().filter_map(|need| ends.get(*need));
            let start = start.copied().max().unwrap_or(0);
            let end = start.saturating_add(draft.call.timeout.as_secs());
            if let Some(place) = ends.get_mut(at) {
                *place = end;
            }
        }
    }
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
