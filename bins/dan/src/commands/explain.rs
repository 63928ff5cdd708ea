//! `dan catalog explain`: each rule that applies to an application, what it saw, what it says.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dan_core::caller::{Caller, KeyProof, Proof, TokenProof};
use dan_core::catalog::Catalog;
use dan_core::error::Fault;
use dan_core::flow::{Explained, Explanation, check_before_rules, explain, questions};
use dan_core::inquiry::{Application, Inquiry, OfferedTokens, Origin, Reading, ValidityDays};
use dan_core::party::{OrgNumber, Realm};
use dan_core::ports::{CallContext, Clock, FactTable, Facts, Fetch};
use dan_core::secret::Secret;
use dan_http::client::HttpClient;
use dan_source::catalog_folder::{Environment, Loaded, load};
use dan_source::declared::SourcePorts;
use serde_json::json;
use tokio::time::Instant;

use crate::args::ExplainArgs;
use crate::compose::{authorities, catalog_files, list_problems, load_catalog, realm};
use crate::config::{self, Config};
use crate::output::{Ending, Misuse, Outcome, say, say_json};
use crate::system::SystemClock;

/// How long asking the registers may take.
const FACTS_TIME_MAX: Duration = Duration::from_secs(10);

/// Explains; the answer is no when the application would be refused.
///
/// # Errors
/// A file, catalogue or configuration that cannot be read; a request that is refused before any rule.
pub async fn run(args: &ExplainArgs) -> Ending {
    let config = args.config.as_deref().map(config::read).transpose()?;
    let body = std::fs::read(&args.request)
        .map_err(|error| Misuse(format!("cannot read {}: {error}", args.request.display())))?;
    let mut application =
        dan_http::read_application(&body).map_err(|fault| before_rules(&fault))?;
    if args.subject.is_some() {
        application.subject.clone_from(&args.subject);
    }
    let loaded = loaded(args.dir.as_deref(), config.as_ref())?;
    let fetch: Arc<dyn Fetch> = Arc::new(HttpClient::new()?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let catalog = build(&loaded, &fetch, &clock);
    let caller = caller(args, &application, &catalog)?;
    let tokens = OfferedTokens {
        on_behalf_of_owner: args.own_token,
        ..OfferedTokens::default()
    };
    let reading = Reading {
        catalog: &catalog,
        now: clock.now(),
        // Without a node it is not known which numbers are real.
        realm: config
            .as_ref()
            .map_or(Realm::Sandbox, |config| realm(config.server.realm)),
        validity: ValidityDays::default(),
    };
    let inquiry = Inquiry::new(application, &caller, tokens, Origin::Grant, reading)
        .map_err(|fault| before_rules(&fault))?;
    let facts = match &config {
        Some(config) => {
            let facts = ask(config, &inquiry, &fetch, &clock).await?;
            check_before_rules(&inquiry, &facts).map_err(|fault| before_rules(&fault))?;
            facts
        }
        None => FactTable::new(),
    };
    let explanation = explain(&inquiry, &facts);
    let granted = explanation.is_granted();
    if args.json {
        say_json(
            &json!({"granted": granted, "rules": explanation.rules.iter().map(row).collect::<Vec<_>>()}),
        );
    } else {
        say(page(&explanation, granted));
    }
    Ok(if granted { Outcome::Yes } else { Outcome::No })
}

fn before_rules(fault: &Fault) -> Misuse {
    Misuse(format!(
        "refused before any rule, with {}: {}",
        fault.code.number(),
        fault.description()
    ))
}

/// The catalogue of the configuration with its settings; else files on their own, settings invented.
fn loaded(folder: Option<&Path>, config: Option<&Config>) -> Result<Loaded, Misuse> {
    if let (None, Some(config)) = (folder, config) {
        return load_catalog(config);
    }
    let files = catalog_files(folder)?;
    load(&files, &Environment::invented()).map_err(|problems| Misuse(list_problems(&problems)))
}

fn build(loaded: &Loaded, fetch: &Arc<dyn Fetch>, clock: &Arc<dyn Clock>) -> Catalog {
    let ports = SourcePorts::new(Arc::clone(fetch), Arc::clone(clock), None);
    Catalog::build(
        loaded.service_contexts(),
        loaded.supplies(&ports),
        loaded.version.clone(),
    )
    .0
}

/// A caller as the arguments describe it.
fn caller(
    args: &ExplainArgs,
    application: &Application,
    catalog: &Catalog,
) -> Result<Caller, Misuse> {
    let context = catalog
        .contexts()
        .iter()
        .find(|context| match &args.context {
            Some(wanted) => {
                context.name.eq_ignore_ascii_case(wanted) || context.id.eq_ignore_ascii_case(wanted)
            }
            None => application
                .datasets
                .iter()
                .all(|asked| catalog.offer(&context.name, &asked.name).is_some()),
        });
    let context = context.ok_or_else(|| {
        let known: Vec<&str> = catalog
            .contexts()
            .iter()
            .map(|context| context.name.as_str())
            .collect();
        Misuse(format!(
            "no such context offers this; give --context, one of {}",
            known.join(", ")
        ))
    })?;
    let owner = args
        .owner
        .as_deref()
        .or(application.requestor.as_deref())
        .unwrap_or_default();
    let owner = OrgNumber::parse(owner)
        .ok_or_else(|| Misuse("give the caller's organisation number with --as".to_owned()))?;
    let mut scopes: Vec<String> = args
        .scopes
        .split([' ', ','])
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect();
    // So that the entry rule does not hide what the rules say.
    scopes.push("altinn:dataaltinnno".to_owned());
    let proofs = vec![
        Proof::Key(KeyProof::new(String::new(), context.id.clone(), None)),
        Proof::Token(TokenProof::new(
            owner,
            scopes,
            Arc::new(Secret::new(String::new())),
        )),
    ];
    Caller::join(proofs).map_err(|fault| before_rules(&fault))
}

/// Asks the configured registers what the rules need to know.
async fn ask(
    config: &Config,
    inquiry: &Inquiry,
    fetch: &Arc<dyn Fetch>,
    clock: &Arc<dyn Clock>,
) -> Result<FactTable, Misuse> {
    let facts = authorities(config, fetch, clock)?;
    let now = Instant::now();
    let deadline = now.checked_add(FACTS_TIME_MAX).unwrap_or(now);
    let ctx = CallContext {
        request_id: "dan-explain".into(),
        deadline,
    };
    let mut table = FactTable::new();
    for query in questions(inquiry) {
        let answer = facts.find(&query, &ctx).await;
        let answer = answer.map_err(|error| {
            Misuse(format!(
                "{} cannot be asked: {}",
                error.authority, error.cause
            ))
        })?;
        table.insert(query, answer);
    }
    Ok(table)
}

fn row(rule: &Explained) -> serde_json::Value {
    json!({
        "dataset": rule.dataset,
        "rule": rule.rule,
        "kind": rule.kind,
        "origin": rule.origin,
        "on_failure": if rule.soft { "skip" } else { "deny" },
        "facts": rule.facts,
        "met": rule.unmet.is_none(),
        "reason": rule.unmet,
    })
}

fn page(explanation: &Explanation, granted: bool) -> String {
    let mut lines = Vec::new();
    let mut dataset = "";
    for rule in &explanation.rules {
        if rule.dataset != dataset {
            dataset = &rule.dataset;
            lines.push(dataset.to_owned());
        }
        let outcome = match (&rule.unmet, rule.soft) {
            (None, _) => "met".to_owned(),
            (Some(reason), true) => format!("NOT MET, left out: {reason}"),
            (Some(reason), false) => format!("NOT MET, refused: {reason}"),
        };
        lines.push(format!("  {} ({}): {outcome}", rule.rule, rule.origin));
        lines.extend(rule.facts.iter().map(|fact| format!("      {fact}")));
    }
    lines.push(if granted {
        "granted".to_owned()
    } else {
        "refused".to_owned()
    });
    lines.join("\n")
}
