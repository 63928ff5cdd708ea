//! `dan catalog new --from-openapi`: drafts a source, a dataset and an example from a source's own
//! description. What it cannot know stands in the files as a remark.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::output::{Ending, Misuse, Outcome, say};

/// Largest description that is read, in bytes.
const DESCRIPTION_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// How deep references and objects are followed.
const DEPTH_MAX: usize = 8;
/// Most values of a draft.
const VALUES_MAX: usize = 64;
/// The invented organisation that the example is about.
const SUBJECT: &str = "310000019";

/// What to draft.
#[derive(Debug)]
pub struct Wish<'a> {
    /// Name of the dataset.
    pub name: &'a str,
    /// The description, JSON.
    pub openapi: &'a Path,
    /// One of its paths that is asked with GET; without one, they are listed.
    pub path: Option<&'a str>,
    /// Names of the values that are wanted; empty: all of them.
    pub values: &'a [String],
    /// Folder to write to; nothing that is there is written over.
    pub out: &'a Path,
}

/// Writes the files, or lists what the description has.
///
/// # Errors
/// A description that cannot be read or has no such path, and files that are there already.
pub fn run(wish: &Wish<'_>) -> Ending {
    let described = read(wish.openapi)?;
    let Some(path) = wish.path else {
        say("the description has these; choose one with --path:");
        for (path, about) in gets(&described) {
            say(format!("  {path}  {about}"));
        }
        return Ok(Outcome::Yes);
    };
    let files = draft(&described, (wish.name, path), wish.values)?;
    for (name, _) in &files {
        if wish.out.join(name).exists() {
            let file = wish.out.join(name);
            return Err(Misuse(format!(
                "{} is there already; nothing was written",
                file.display()
            )));
        }
    }
    for (name, text) in &files {
        let file = wish.out.join(name);
        let failed = |error| Misuse(format!("cannot write {}: {error}", file.display()));
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        std::fs::write(&file, text).map_err(failed)?;
        say(format!("wrote {}", file.display()));
    }
    say(format!(
        "\nnow read the remarks in them, take out the values nobody needs, then:\n  dan catalog check {}",
        wish.out.display()
    ));
    Ok(Outcome::Yes)
}

fn read(path: &Path) -> Result<Value, Misuse> {
    let failed = |why: String| Misuse(format!("cannot read {}: {why}", path.display()));
    let size = std::fs::metadata(path)
        .map_err(|error| failed(error.to_string()))?
        .len();
    if size > DESCRIPTION_BYTES_MAX {
        return Err(failed(format!(
            "it is larger than {DESCRIPTION_BYTES_MAX} bytes"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| {
        failed(format!(
            "it is no JSON ({error}); turn YAML into JSON first, for instance with `yq -o json`"
        ))
    })
}

/// Paths that are asked with GET, and what is said about them.
fn gets(described: &Value) -> Vec<(&str, &str)> {
    let paths = described.get("paths").and_then(Value::as_object);
    let gets = paths.into_iter().flatten().filter_map(|(path, item)| {
        let summary = item.get("get")?.get("summary").and_then(Value::as_str);
        Some((path.as_str(), summary.unwrap_or_default()))
    });
    gets.collect()
}

/// The four files: path and text.
fn draft(
    described: &Value,
    (name, path): (&str, &str),
    wanted: &[String],
) -> Result<Vec<(String, String)>, Misuse> {
    let item = described.get("paths").and_then(|paths| paths.get(path));
    let Some(get) = item.and_then(|item| item.get("get")) else {
        let known: Vec<&str> = gets(described).into_iter().map(|(path, _)| path).collect();
        return Err(Misuse(format!(
            "GET {path} is not described; there are: {}",
            known.join(", ")
        )));
    };
    let source = source_name(name);
    let schema = answer_schema(described, get);
    let sample = sample(described, &schema, 0);
    let values = chosen(values(described, &schema), wanted)?;
    let expected: Map<String, Value> = values
        .iter()
        .filter_map(|value| Some((value.name.clone(), value.expected(&sample)?)))
        .collect();
    let shared = item.and_then(|item| item.get("parameters"));
    let parameters = parameters(described, &[shared, get.get("parameters")]);
    let pretty = |value: &Value| serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    Ok(vec![
        (
            format!("sources/{source}.toml"),
            source_file(described, &source),
        ),
        (
            format!("datasets/{name}.toml"),
            dataset_file(
                (name, &source, path),
                (described, get),
                &parameters,
                &values,
            ),
        ),
        (format!("examples/{source}.json"), pretty(&sample)),
        (
            format!("examples/{source}.values.json"),
            pretty(&Value::Object(expected)),
        ),
    ])
}

fn source_name(name: &str) -> String {
    let plain = |character: char| match character.is_ascii_alphanumeric() {
        true => character.to_ascii_lowercase(),
        false => '_',
    };
    name.chars().map(plain).collect()
}

/// Follows `$ref` within the document.
fn resolved<'a>(described: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..DEPTH_MAX {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            return schema;
        };
        let target = reference
            .strip_prefix('#')
            .and_then(|way| described.pointer(way));
        let Some(target) = target else { return schema };
        schema = target;
    }
    schema
}

fn answer_schema(described: &Value, get: &Value) -> Value {
    let responses = get.get("responses");
    let good = responses.and_then(|responses| {
        ["200", "2XX", "default"]
            .iter()
            .find_map(|status| responses.get(*status))
    });
    let good = good.map(|response| resolved(described, response));
    let content = good.and_then(|response| response.get("content")?.as_object());
    let json = content.and_then(|content| {
        let mut types = content.iter();
        types
            .find(|(media_type, _)| media_type.contains("json"))
            .map(|(_, it)| it)
    });
    let schema = json.and_then(|media| media.get("schema"));
    schema.map_or(Value::Null, |schema| resolved(described, schema).clone())
}

/// A value that a property becomes.
struct Drafted {
    name: String,
    from: String,
    kind: &'static str,
    about: Option<String>,
}

impl Drafted {
    /// What the example gives for it.
    fn expected(&self, sample: &Value) -> Option<Value> {
        let member = match self.from.strip_prefix("answer.") {
            Some(way) => way
                .split('.')
                .try_fold(sample, |value, name| value.get(name.trim_matches('"')))?,
            None => sample,
        };
        match (self.kind, member) {
            (_, Value::Null) => None,
            ("string", Value::Number(number)) => Some(Value::from(number.to_string())),
            (_, value) => Some(value.clone()),
        }
    }
}

/// Properties, those of objects one level down as values of their own.
fn values(described: &Value, schema: &Value) -> Vec<Drafted> {
    let mut found = Vec::new();
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return vec![Drafted {
            name: "answer".to_owned(),
            from: "answer".to_owned(),
            kind: "jsonSchema",
            about: None,
        }];
    };
    for (name, property) in properties {
        let property = resolved(described, property);
        match property.get("properties").and_then(Value::as_object) {
            Some(inner) => {
                for (member, below) in inner {
                    let below = resolved(described, below);
                    let way = format!("answer.{}.{}", quoted(name), quoted(member));
                    found.push(drafted(format!("{name}_{member}"), way, below));
                }
            }
            None => found.push(drafted(
                name.clone(),
                format!("answer.{}", quoted(name)),
                property,
            )),
        }
    }
    found.truncate(VALUES_MAX);
    found
}

/// Those that are wanted, in the order of the description.
fn chosen(values: Vec<Drafted>, wanted: &[String]) -> Result<Vec<Drafted>, Misuse> {
    let is_there = |name: &&String| values.iter().any(|value| value.name == **name);
    if let Some(unknown) = wanted.iter().find(|name| !is_there(name)) {
        let known: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
        let known = known.join(", ");
        return Err(Misuse(format!(
            "the answer has no {unknown}; it has {known}"
        )));
    }
    let is_wanted = |value: &Drafted| wanted.is_empty() || wanted.contains(&value.name);
    Ok(values.into_iter().filter(is_wanted).collect())
}

fn drafted(name: String, from: String, schema: &Value) -> Drafted {
    let about = schema.get("description").and_then(Value::as_str);
    Drafted {
        name,
        from,
        kind: kind_of(schema),
        about: about.map(|about| about.split_whitespace().collect::<Vec<_>>().join(" ")),
    }
}

/// Names that JMESPath cannot take as they are stand in quotes.
fn quoted(name: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    match starts && name.chars().all(plain) {
        true => name.to_owned(),
        false => format!("\"{name}\""),
    }
}

/// The type of the catalogue that a schema comes closest to.
fn kind_of(schema: &Value) -> &'static str {
    let text = |name: &str| schema.get(name).and_then(Value::as_str).unwrap_or_default();
    match (text("type"), text("format")) {
        ("string", "date" | "date-time") => "dateTime",
        ("string", "uri" | "url") => "uri",
        ("string", _) => "string",
        ("integer" | "number", _) => "number",
        ("boolean", _) => "boolean",
        (_, _) => "jsonSchema",
    }
}

/// An answer of the described form: its own examples where there are some.
fn sample(described: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolved(described, schema);
    if let Some(example) = schema.get("example").or_else(|| schema.get("default")) {
        return example.clone();
    }
    if depth >= DEPTH_MAX {
        return Value::Null;
    }
    let below = |schema: &Value| sample(described, schema, depth.saturating_add(1));
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let members = properties.iter();
        return members
            .map(|(name, property)| (name.clone(), below(property)))
            .collect();
    }
    if let Some(items) = schema.get("items") {
        return json!([below(items)]);
    }
    if let Some(first) = schema.get("enum").and_then(|words| words.get(0)) {
        return first.clone();
    }
    match kind_of(schema) {
        "dateTime" => json!("2026-01-15"),
        "uri" => json!("https://example.no/1"),
        "string" => json!("tekst"),
        "number" => json!(1),
        "boolean" => json!(true),
        _ => json!({}),
    }
}

/// Name, place and whether it is required.
fn parameters(
    described: &Value,
    lists: &[Option<&Value>],
) -> Vec<(String, String, bool, &'static str)> {
    let all = lists
        .iter()
        .flatten()
        .filter_map(|list| list.as_array())
        .flatten();
    all.filter_map(|parameter| {
        let parameter = resolved(described, parameter);
        let name = parameter.get("name")?.as_str()?.trim().to_owned();
        let place = parameter.get("in")?.as_str()?.to_owned();
        let required = parameter
            .get("required")
            .and_then(Value::as_bool)
            .unwrap_or(false);
        let schema = parameter
            .get("schema")
            .map(|schema| resolved(described, schema));
        Some((name, place, required, schema.map_or("string", kind_of)))
    })
    .collect()
}

fn source_file(described: &Value, source: &str) -> String {
    let title = described.pointer("/info/title").and_then(Value::as_str);
    let server = described.pointer("/servers/0/url").and_then(Value::as_str);
    let mut file = String::new();
    let mut line = |text: String| writeln!(file, "{text}").unwrap_or_default();
    let server = server.filter(|server| server.starts_with("http"));
    let address = server.map_or_else(
        || format!("{{setting.{source}}}"),
        |server| server.trim_end_matches('/').to_owned(),
    );
    line(format!(
        "# Drafted. Write address = \"{{setting.{source}}}\" where test and production differ, and put\n\
         # {source} = \"https://…\" under [settings] of each node's configuration."
    ));
    line(format!(
        "about   = {}",
        Value::from(title.unwrap_or(source))
    ));
    line(format!("address = {}", Value::from(address)));
    line("\n# If it asks who we are:\n# [credential]\n# basic = \"secret:…\"\n".to_owned());
    line(
        "[limits]\ntimeout         = \"10s\"\nreply_bytes_max = 1048576\nparallel_max    = 32"
            .to_owned(),
    );
    file
}

fn dataset_file(
    (name, source, path): (&str, &str, &str),
    (described, get): (&Value, &Value),
    parameters: &[(String, String, bool, &'static str)],
    values: &[Drafted],
) -> String {
    let title = described
        .pointer("/info/title")
        .and_then(Value::as_str)
        .unwrap_or(source);
    let about = get.get("summary").and_then(Value::as_str).unwrap_or(name);
    let mut file = String::new();
    let mut line = |text: String| writeln!(file, "{text}").unwrap_or_default();
    line(
        "# Drafted from a description: decide who may have it, and take out what nobody needs.\n"
            .to_owned(),
    );
    line(format!(
        "[dataset]\nabout    = {}\nsource   = {}",
        Value::from(about),
        Value::from(title)
    ));
    line(
        "# contexts = [\"…\"]           # the services it belongs to; then take `public` away"
            .to_owned(),
    );
    line("public   = true\n".to_owned());
    line("# [[require]]\n# kind      = \"party\"\n# requestor = \"public-agency\"\n".to_owned());
    let queried: Vec<&(String, String, bool, &str)> = parameters
        .iter()
        .filter(|(_, place, ..)| place == "query")
        .collect();
    for (name, _, required, kind) in &queried {
        let kind = if *kind == "jsonSchema" {
            "string"
        } else {
            kind
        };
        line(format!(
            "[[parameter]]\nname     = {}\ntype     = \"{kind}\"\nrequired = {required}\n",
            Value::from(name.as_str())
        ));
    }
    line(format!(
        "[[call]]\nid     = \"answer\"\nsource = \"{source}\"\nget    = \"{}\"",
        template(path)
    ));
    if !queried.is_empty() {
        let members = queried
            .iter()
            .map(|(name, ..)| format!("{} = \"{{param.{name}}}\"", Value::from(name.as_str())));
        line(format!(
            "query  = {{ {} }}",
            members.collect::<Vec<_>>().join(", ")
        ));
    }
    line("fail   = { \"404\" = \"caller:1\" }\n".to_owned());
    line(values_text(values));
    line(format!("[[example]]\nsubject = \"{SUBJECT}\""));
    let required = queried.iter().filter(|(_, _, required, _)| *required);
    let told: Vec<String> = required
        .map(|(name, _, _, kind)| {
            format!(
                "{} = {}",
                Value::from(name.as_str()),
                if *kind == "number" { "1" } else { "\"1\"" }
            )
        })
        .collect();
    if !told.is_empty() {
        line(format!("params  = {{ {} }}", told.join(", ")));
    }
    line(format!(
        "answers = {{ answer = \"examples/{source}.json\" }}\nexpect  = \"examples/{source}.values.json\""
    ));
    file
}

fn values_text(values: &[Drafted]) -> String {
    let text = |text: &str| Value::from(text);
    let one = |value: &Drafted| {
        let (name, from) = (text(&value.name), text(&value.from));
        let about = value.about.as_deref();
        let about = about.map(|about| format!("description = {}\n", text(about)));
        let about = about.unwrap_or_default();
        format!(
            "[[value]]\nname = {name}\ntype = \"{}\"\nfrom = {from}\n{about}",
            value.kind
        )
    };
    values.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// What stands in braces in the path is taken for the organisation that is asked about.
fn template(path: &str) -> String {
    let mut made = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, behind)) = after.split_once('}') else {
            break;
        };
        made.push_str(before);
        made.push_str("{subject.org}");
        rest = behind;
    }
    made + rest
}

#[cfg(test)]
mod tests {
    use dan_source::catalog_folder::{CatalogFiles, Environment, load};

    use super::*;

    fn described() -> Value {
        json!({
            "openapi": "3.0.1",
            "info": {"title": "Register \"X\""},
            "servers": [{"url": "https://x.example/api"}],
            "paths": {
                "/units/{orgnr}": {
                    "parameters": [{"name": "orgnr", "in": "path", "required": true, "schema": {"type": "string"}}],
                    "get": {
                        "summary": "One unit",
                        "parameters": [{"$ref": "#/components/parameters/Year"}, {"name": "lang", "in": "query"}],
                        "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Unit"}}}}}
                    }
                },
                "/open": {"post": {}}
            },
            "components": {
                "parameters": {"Year": {"name": "year", "in": "query", "required": true, "schema": {"type": "integer"}}},
                "schemas": {
                    "Unit": {"type": "object", "properties": {
                        "navn": {"type": "string", "example": "Fjord AS", "description": "Its\n name"},
                        "ansatte": {"type": "integer"},
                        "stiftet": {"type": "string", "format": "date"},
                        "adresse": {"$ref": "#/components/schemas/Address"},
                        "roller": {"type": "array", "items": {"$ref": "#/components/schemas/Unit"}}
                    }},
                    "Address": {"type": "object", "properties": {"post-sted": {"type": "string"}}}
                }
            }
        })
    }

    #[test]
    fn a_draft_is_a_catalogue_without_a_mistake_whose_example_comes_out() {
        let files = draft(&described(), ("Unit", "/units/{orgnr}"), &[]).unwrap();
        let dataset = &files
            .iter()
            .find(|(path, _)| path == "datasets/Unit.toml")
            .unwrap()
            .1;
        assert!(
            dataset.contains("get    = \"/units/{subject.org}\""),
            "{dataset}"
        );
        assert!(dataset.contains("description = \"Its name\""), "{dataset}");
        let loaded = load(&CatalogFiles::from_texts(files), &Environment::invented());
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems:#?}"));
        assert_eq!(loaded.run_examples(), []);
        let values = &loaded.datasets[0].dataset.values;
        let named: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
        assert_eq!(
            named,
            ["navn", "ansatte", "stiftet", "adresse_post-sted", "roller"]
        );
    }

    #[test]
    fn what_is_not_described_is_not_drafted() {
        for path in ["/units", "/open"] {
            let Misuse(text) = draft(&described(), ("Unit", path), &[]).unwrap_err();
            assert!(text.contains("there are: /units/{orgnr}"), "{text}");
        }
        let wanted = ["stiftet".to_owned(), "navne".to_owned()];
        let asked = ("Unit", "/units/{orgnr}");
        let Misuse(text) = draft(&described(), asked, &wanted).unwrap_err();
        assert!(
            text.starts_with("the answer has no navne; it has navn, "),
            "{text}"
        );
        let files = draft(&described(), asked, &wanted[..1]).unwrap();
        let loaded = load(&CatalogFiles::from_texts(files), &Environment::invented()).unwrap();
        assert_eq!(loaded.run_examples(), []);
        assert_eq!(loaded.datasets[0].dataset.values.len(), 1);
    }
}
