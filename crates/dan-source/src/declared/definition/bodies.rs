//! Reads what a POST sends: `json`, `graphql` with `variables`, `form`, `xml` or `soap`.

use super::plans::{Reading, pieces, template_text};
use crate::catalog_folder::problem::{At, Problems};
use crate::catalog_folder::section::{Node, Section};
use crate::declared::body::{Body, JsonTemplate};
use crate::declared::template::Template;
use crate::declared::url::encoded;

/// Keys that say what is sent.
const KINDS: [&str; 5] = ["json", "graphql", "form", "xml", "soap"];

/// The body; `None` where nothing is sent, or with a mistake.
pub(super) fn read(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<Body> {
    let problems = section.problems();
    let written = KINDS.iter().filter(|key| section.has(key)).count();
    if written > 1 {
        let what = "a call sends more than one body";
        let hint = format!("write one of {}", KINDS.join(", "));
        problems.hint(section.place(), what, hint);
    }
    let json = json(section, "json", reading).map(Body::Json);
    let graphql = graphql(section, reading);
    let form = form(section, reading).map(Body::Form);
    let plain = xml(section, "xml", "application/xml", reading);
    let soap = xml(section, "soap", "text/xml; charset=utf-8", reading);
    json.or(graphql).or(form).or(plain).or(soap)
}

fn json(
    section: &mut Section<'_>,
    key: &'static str,
    reading: &mut Reading<'_>,
) -> Option<JsonTemplate> {
    let problems = section.problems();
    let item = section.take(key)?;
    Some(template(item, reading, problems))
}

fn template(item: At<Node>, reading: &mut Reading<'_>, problems: &Problems) -> JsonTemplate {
    match item.value {
        Node::Text(text) => {
            let text = At::new(text, item.place);
            JsonTemplate::Text(Template(pieces(&text, reading, problems)))
        }
        Node::List(items) => JsonTemplate::List(
            items
                .into_iter()
                .map(|item| template(item, reading, problems))
                .collect(),
        ),
        Node::Table(members) => JsonTemplate::Object(
            members
                .into_iter()
                .map(|member| {
                    let name = member.key.value;
                    (name, template(member.item, reading, problems))
                })
                .collect(),
        ),
        Node::Number(_) | Node::Flag(_) | Node::Moment(_) => {
            JsonTemplate::Literal(item.value.to_json())
        }
    }
}

/// The text of the query is the author's alone: values go into `variables`.
fn graphql(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<Body> {
    let problems = section.problems();
    let query = section.text("graphql");
    let variables = json(section, "variables", reading);
    let Some(query) = query else {
        if variables.is_some() {
            let hint = "variables belong to graphql = \"query …\"";
            problems.hint(section.place(), "`variables` without `graphql`", hint);
        }
        return None;
    };
    Some(Body::Graphql {
        query: query.value,
        variables: variables.unwrap_or_else(|| JsonTemplate::Object(Vec::new())),
    })
}

fn form(section: &mut Section<'_>, reading: &mut Reading<'_>) -> Option<Vec<(String, Template)>> {
    let problems = section.problems();
    if !section.has("form") {
        section.take("form");
        return None;
    }
    let mut table = section.section("form")?;
    let mut fields = Vec::new();
    for (name, item) in table.rest() {
        if let Some(text) = template_text(&name, item, problems) {
            let template = Template(pieces(&text, reading, problems));
            fields.push((encoded(&name.value), template));
        }
    }
    Some(fields)
}

fn xml(
    section: &mut Section<'_>,
    key: &'static str,
    media_type: &'static str,
    reading: &mut Reading<'_>,
) -> Option<Body> {
    let problems = section.problems();
    let text = section.text(key)?;
    let text = Template(pieces(&text, reading, problems));
    Some(Body::Xml { media_type, text })
}
