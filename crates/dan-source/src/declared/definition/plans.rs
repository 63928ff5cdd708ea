//! Reads how a `[[call]]` is made: its source, addresses, query, headers and token, and its variants.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{Roots, Surroundings, bodies, token};
use crate::catalog_folder::problem::{At, Mistake, Problems, suggestion};
use crate::catalog_folder::section::{Node, Section};
use crate::declared::body::Body;
use crate::declared::expression::Expr;
use crate::declared::plan::{Plan, Target, Targets, Variant};
use crate::declared::template::{Piece, Template, parse, roots};
use crate::declared::token::CallToken;
use crate::declared::upstream::Upstream;
use crate::declared::url::{Base, UrlTemplate, encoded};

/// Most addresses of one call.
const ADDRESSES_MAX: usize = 4;
/// Most variants of one call.
const VARIANTS_MAX: usize = 8;

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

/// What a call says about how it is made, before it is put together.
#[derive(Clone)]
struct Parts {
    source: Option<Named>,
    get: Vec<(At<String>, Vec<Piece>)>,
    query: Vec<(String, Template)>,
    headers: Vec<(String, Template)>,
    body: Option<Body>,
    token: CallToken,
}

/// The source or sources that may be asked.
#[derive(Clone)]
enum Named {
    One(Option<Arc<Upstream>>),
    ByItem(String, BTreeMap<String, Option<Arc<Upstream>>>),
}

impl Named {
    fn first(&self) -> Option<&Upstream> {
        match self {
            Self::One(upstream) => upstream.as_deref(),
            Self::ByItem(_, known) => known.values().flatten().next().map(AsRef::as_ref),
        }
    }
}

/// What the readers of a call share.
pub(super) struct Reading<'a> {
    pub(super) names: &'a Roots<'a>,
    pub(super) around: &'a Surroundings<'a>,
    /// Rows of the tables that `for_each` goes over; `None` for a call that is made once.
    pub(super) rows: Option<Vec<&'a Value>>,
    /// Roots that templates and conditions read.
    pub(super) reads: Vec<String>,
}

/// The variants of a call, the one without a condition last. Empty when there is a mistake.
pub(super) fn read(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Vec<Variant> {
    let problems = section.problems();
    if !section.has("source") {
        section.missing("source");
    }
    if !section.has("get") && !section.has("post") {
        section.missing("get");
    }
    let none = Parts {
        source: None,
        get: Vec::new(),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        token: CallToken::None,
    };
    let sections = section.sections("variant");
    super::check_count(
        sections.len(),
        VARIANTS_MAX,
        "variants of a call",
        section.place(),
        problems,
    );
    let base = parts(section, none, reading);
    let mut variants = Vec::new();
    for mut one in sections {
        let when = one.required_text("when");
        let own = parts(&mut one, base.clone(), reading);
        one.finish();
        let when = when.and_then(|text| {
            let compiled = Expr::compile(
                &text.value,
                &reading.names.expressions(reading.rows.is_some()),
            );
            compiled
                .map_err(|mistake| problems.report(&text.place, mistake))
                .ok()
        });
        if let (Some(when), Some(plan)) = (when, plan(own, problems)) {
            reading.reads.extend(when.names().map(str::to_owned));
            variants.push(Variant {
                when: Some(when),
                plan: Arc::new(plan),
            });
        }
    }
    variants.extend(plan(base, problems).map(|plan| Variant {
        when: None,
        plan: Arc::new(plan),
    }));
    variants
}

/// The parts that are written here; the others stay as they are.
fn parts(section: &mut Section<'_>, mut parts: Parts, reading: &mut Reading<'_>) -> Parts {
    let has_address = section.has("get") || section.has("post");
    let written = ["source", "query", "headers", "token"].map(|key| section.has(key));
    let [has_source, has_query, has_headers, has_token] = written;
    let source = source(section, reading);
    if has_source {
        parts.source = source;
    }
    let get = addresses(section, reading);
    if has_address {
        parts.get = get;
    }
    let query = query(section, reading);
    if has_query {
        parts.query = query;
    }
    let headers = headers(section, reading);
    if has_headers {
        parts.headers = headers;
    }
    if let Some(body) = bodies::read(section, reading) {
        parts.body = Some(body);
    }
    let upstream = parts.source.as_ref().and_then(Named::first);
    let token = token::read(section, upstream);
    if has_token {
        parts.token = token;
    }
    parts
}

fn plan(parts: Parts, problems: &Problems) -> Option<Plan> {
    let target = |upstream: Arc<Upstream>| {
        let mut addresses = Vec::new();
        for (text, pieces) in &parts.get {
            match UrlTemplate::compile(pieces, Base::Within(&upstream.address)) {
                Ok(address) => addresses.push(address),
                Err(mistake) => problems.report(&text.place, mistake),
            }
        }
        Target {
            upstream,
            addresses,
        }
    };
    let targets = match parts.source? {
        Named::One(upstream) => Targets::One(target(upstream?)),
        Named::ByItem(member, known) => {
            let known = known
                .into_iter()
                .filter_map(|(name, upstream)| Some((name, target(upstream?))));
            Targets::ByItem {
                member,
                known: known.collect(),
            }
        }
    };
    Some(Plan {
        targets,
        query: parts.query,
        headers: parts.headers,
        body: parts.body,
        token: parts.token,
    })
}

/// `source = "er"`, or `source = "{item.source}"` where the rows of a table name one each.
fn source(section: &mut Section<'_>, reading: &Reading<'_>) -> Option<Named> {
    let problems = section.problems();
    let text = section.text("source")?;
    let member = text
        .value
        .strip_prefix("{item.")
        .and_then(|rest| rest.strip_suffix('}'));
    let Some(member) = member else {
        return Some(Named::One(upstream(&text, &text.value, reading, problems)));
    };
    let rows = reading.rows.as_ref().filter(|rows| !rows.is_empty());
    let Some(rows) = rows else {
        let what = "the items do not come from a table";
        let hint = "with for_each over a table, each row may name its source";
        problems.hint(&text.place, what, hint);
        return None;
    };
    let mut known = BTreeMap::new();
    for row in rows {
        match row.get(member).and_then(Value::as_str) {
            Some(name) if known.contains_key(name) => {}
            Some(name) => {
                let found = upstream(&text, name, reading, problems);
                known.insert(name.to_owned(), found);
            }
            None => {
                let what = format!("a row of the table has no `{member}`");
                problems.hint(&text.place, what, "every row names a file of sources/");
            }
        }
    }
    Some(Named::ByItem(member.to_owned(), known))
}

fn upstream(
    text: &At<String>,
    name: &str,
    reading: &Reading<'_>,
    problems: &Problems,
) -> Option<Arc<Upstream>> {
    let upstreams = reading.around.upstreams;
    match upstreams.get(name) {
        Some(found) => found.clone(),
        None => {
            let known = upstreams.keys().map(String::as_str);
            let hint =
                suggestion(name, known).unwrap_or_else(|| format!("add sources/{name}.toml"));
            let what = format!("there is no source `{name}`");
            problems.hint(&text.place, what, hint);
            None
        }
    }
}

/// Reads a template; every mistake in it is reported.
pub(super) fn pieces(
    text: &At<String>,
    reading: &mut Reading<'_>,
    problems: &Problems,
) -> Vec<Piece> {
    let scope = reading.names.scope(reading.rows.is_some());
    let pieces = parse(&text.value, &scope, &mut |mistake| {
        problems.report(&text.place, mistake);
    });
    reading.reads.extend(roots(&pieces).map(str::to_owned));
    pieces
}

/// `get`, or `post` with something to send: one address, or several for the answer 404.
fn addresses(
    section: &mut Section<'_>,
    reading: &mut Reading<'_>,
) -> Vec<(At<String>, Vec<Piece>)> {
    let problems = section.problems();
    let mut texts = section.texts("get");
    let posted = section.texts("post");
    if !texts.is_empty() && !posted.is_empty() {
        let what = "a call has both `get` and `post`";
        problems.hint(section.place(), what, "leave out one of the two");
    }
    texts.extend(posted);
    super::check_count(
        texts.len(),
        ADDRESSES_MAX,
        "addresses of a call",
        section.place(),
        problems,
    );
    let mut addresses = Vec::new();
    for text in texts {
        let before = problems.count();
        let pieces = pieces(&text, reading, problems);
        if problems.count() == before {
            addresses.push((text, pieces));
        }
    }
    addresses
}

/// `query = { name = "template" }`; a list of templates repeats the name.
fn query(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Vec<(String, Template)> {
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
                let template = Template(pieces(&text, reading, problems));
                query.push((encoded(&name.value), template));
            }
        }
    }
    query
}

pub(super) fn template_text(
    name: &At<String>,
    item: At<Node>,
    problems: &Problems,
) -> Option<At<String>> {
    match item.value {
        Node::Text(text) => Some(At::new(text, item.place)),
        Node::Number(_) | Node::Flag(_) | Node::Moment(_) | Node::List(_) | Node::Table(_) => {
            let what = format!("`{}` is no text", name.value);
            problems.hint(&item.place, what, "write it in quotes");
            None
        }
    }
}

fn headers(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Vec<(String, Template)> {
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
            let template = Template(pieces(&text, reading, problems));
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
