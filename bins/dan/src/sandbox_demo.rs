//! The main job over real HTTP, as a consumer does it: get a token, harvest both ways, verify.

use dan_sandbox::consumer::{Answer, Consumer};
use dan_verify::{Language, verify_detached};
use serde_json::{Value, json};

use crate::output::say;
use crate::sandbox::OWNER;

/// A dataset about an organisation.
const DATASET: &str = "UnitBasicInformation";
/// A company of the sandbox.
const SUBJECT: &str = "992037601";

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Demo {
    /// The API, with `/v1`.
    pub api: String,
    /// The published keys.
    pub jwks: String,
    /// The outside world.
    pub outside: String,
    /// API key of the eBevis context.
    pub key: String,
}

impl Demo {
    fn token_url(&self) -> String {
        format!(
            "{}/api/GetEnterpriseToken?scopes=altinn:dataaltinnno/ebevis&orgNo={OWNER}",
            self.outside
        )
    }

    /// Lines that work as they stand.
    #[must_use]
    pub fn curl_lines(&self) -> String {
        let Self { api, jwks, key, .. } = self;
        let token_url = self.token_url();
        format!(
            "Try it:\n\n  \
             TOKEN=$(curl -s '{token_url}')\n  \
             curl -s -D head.txt -o body.json -H 'Ocp-Apim-Subscription-Key: {key}' -H \"Authorization: Bearer $TOKEN\" \\\n    \
             '{api}/directharvest/{DATASET}?subject={SUBJECT}'\n  \
             grep -i '^x-signature-jwt:' head.txt | cut -d' ' -f2 | tr -d '\\r' > signature.txt\n  \
             cargo run -q --release --bin dan -- verify --body body.json --signature signature.txt --jwks {jwks}\n"
        )
    }
}

/// Does the main job and says what it did.
///
/// # Errors
/// What did not go as it must.
pub async fn demonstrate(demo: &Demo) -> Result<(), String> {
    let anybody = Consumer::new("", "");
    let token = ok(
        anybody
            .ask(http::Method::GET, &demo.token_url(), None)
            .await?,
        200,
    )?;
    let token = String::from_utf8_lossy(&token.body).into_owned();
    say(format!("  token for {OWNER} from {}", demo.outside));
    let consumer = Consumer::new(&demo.key, &token);
    let keys = ok(anybody.ask(http::Method::GET, &demo.jwks, None).await?, 200)?;
    let keys = String::from_utf8_lossy(&keys.body).into_owned();

    let url = format!("{}/directharvest/{DATASET}?subject={SUBJECT}", demo.api);
    let direct = ok(consumer.ask(http::Method::GET, &url, None).await?, 200)?;
    verify("direct harvest", &direct, &keys)?;

    let url = format!("{}/authorization", demo.api);
    let application = json!({
        "requestor": OWNER,
        "subject": SUBJECT,
        "evidenceRequests": [{"evidenceCodeName": DATASET}],
        "externalReference": "sandbox",
    });
    let granted = consumer
        .ask(http::Method::POST, &url, Some(application.to_string()))
        .await?;
    let granted = ok(granted, 200)?;
    let granted: Value =
        serde_json::from_slice(&granted.body).map_err(|error| error.to_string())?;
    let id = granted
        .get("id")
        .and_then(Value::as_str)
        .ok_or("the accreditation has no id")?;
    say(format!("  accreditation {id}"));
    let status = format!("{}/evidence/{id}", demo.api);
    let status = ok(consumer.ask(http::Method::GET, &status, None).await?, 200)?;
    say(format!(
        "  status {}",
        String::from_utf8_lossy(&status.body)
    ));
    let url = format!("{}/evidence/{id}/{DATASET}", demo.api);
    let stored = ok(consumer.ask(http::Method::GET, &url, None).await?, 200)?;
    verify("harvest from the accreditation", &stored, &keys)?;
    let url = format!("{}/accreditations/{id}", demo.api);
    ok(consumer.ask(http::Method::DELETE, &url, None).await?, 204)?;
    say("  accreditation deleted\n");
    Ok(())
}

fn ok(answer: Answer, expected: u16) -> Result<Answer, String> {
    if answer.status.as_u16() == expected {
        return Ok(answer);
    }
    Err(format!(
        "expected {expected}, got {}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    ))
}

fn verify(what: &str, answer: &Answer, keys: &str) -> Result<(), String> {
    let signature = answer.header("x-signature-jwt");
    let verified = verify_detached(&answer.body, signature, keys)
        .map_err(|error| format!("{what}: {error}"))?;
    let statement = verified
        .statement()
        .map_err(|error| format!("{what}: {error}"))?;
    say(format!(
        "  {what}: {} bytes, signature of key {} verified:\n    {}",
        answer.body.len(),
        verified.kid,
        statement.sentence(Language::English)
    ));
    Ok(())
}
