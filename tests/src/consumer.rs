//! Who calls: service contexts, API keys, tokens.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Answer, Call};
use crate::subject::subject;

/// The organisation most tokens are for: a public agency.
pub const OWNER: &str = "991825827";
/// Another public agency.
pub const AGENCY: &str = "958935420";
/// A public agency the suite grants nothing to.
pub const STRANGER: &str = "974760673";
/// A company.
pub const COMPANY: &str = "992037601";
/// Another company.
pub const OTHER_COMPANY: &str = "998997801";
/// A person; a synthetic number.
pub const PERSON: &str = "07056120453";
/// A number with a valid check digit that no unit has.
pub const NOBODY: &str = "999999999";

/// A service context as its users know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Identifier; the API key is found under it.
    pub id: &'static str,
    /// Name, as in models and statements.
    pub name: &'static str,
    /// The scope a token needs.
    pub scope: &'static str,
}

/// `KE` of the checklist.
pub const EBEVIS: Service = Service {
    id: "ebevis-product",
    name: "eBevis",
    scope: "altinn:dataaltinnno/ebevis",
};
/// `KX` of the checklist.
pub const DROSJELOYVE: Service = Service {
    id: "drosjeloyve-product",
    name: "Drosjeloyve",
    scope: "altinn:dataaltinnno/drosje",
};
/// `KT` of the checklist.
pub const TILDA: Service = Service {
    id: "tilsynsdata-product",
    name: "Tilda",
    scope: "altinn:dataaltinnno/tilda",
};
/// `KD` of the checklist.
pub const DIHE: Service = Service {
    id: "dihe-product",
    name: "DigitaleHelgeland",
    scope: "altinn:dataaltinnno/dihe",
};
/// The context made for tests.
pub const DAN_TEST: Service = Service {
    id: "dantest-product",
    name: "DAN-test",
    scope: "dan:test",
};

/// A token of the generator for tests; `query` holds `scopes`, `orgNo` and what is to be wrong with it.
///
/// # Panics
/// When the generator refuses.
pub async fn token(query: &str) -> String {
    let url = format!("{}/api/GetEnterpriseToken?{query}", subject().outside);
    let answer = Call::new(Method::GET, url)
        .header("authorization", "Basic c3VpdGU6c3VpdGU=")
        .send()
        .await
        .ok();
    String::from_utf8(answer.body.to_vec()).expect("a token is text")
}

/// A caller with key and token, both of which can be left out or replaced.
#[derive(Clone)]
pub struct Consumer {
    key: Option<String>,
    token: Option<String>,
}

impl Consumer {
    /// [`OWNER`] under a service, with the scope it asks for.
    pub async fn of(service: Service) -> Self {
        Self::of_owner(service, OWNER).await
    }

    /// Another owner under a service, with the scope it asks for.
    pub async fn of_owner(service: Service, owner: &str) -> Self {
        let query = format!("scopes={}&orgNo={owner}", service.scope);
        Self::with(service, &token(&query).await)
    }

    /// Whoever the token says, under a service.
    #[must_use]
    pub fn with(service: Service, token: &str) -> Self {
        Self {
            key: Some(subject().key(service.id).to_owned()),
            token: Some(token.to_owned()),
        }
    }

    /// Nobody: neither key nor token.
    #[must_use]
    pub const fn anonymous() -> Self {
        Self {
            key: None,
            token: None,
        }
    }

    /// The same without a token.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self {
            token: None,
            ..self.clone()
        }
    }

    /// The same without an API key.
    #[must_use]
    pub fn without_key(&self) -> Self {
        Self {
            key: None,
            ..self.clone()
        }
    }

    /// The token.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.as_deref().expect("a consumer with a token")
    }

    /// A request to the API; `path` comes after the version and begins without a slash.
    #[must_use]
    pub fn call(&self, method: Method, path: &str) -> Call {
        let mut call = Call::new(method, format!("{}/{path}", subject().api));
        if let Some(key) = &self.key {
            call = call.header("Ocp-Apim-Subscription-Key", key);
        }
        if let Some(token) = &self.token {
            call = call.header("Authorization", &format!("Bearer {token}"));
        }
        call
    }

    /// Reads an address.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).send().await
    }

    /// Posts JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path).json(body).send().await
    }

    /// Deletes.
    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path).send().await
    }

    /// Asks for access.
    pub async fn apply(&self, application: &Value) -> Answer {
        self.post("authorization", application).await
    }

    /// Gets access to `UnitBasicInformation` about [`OTHER_COMPANY`], and gives the grant.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn granted(&self) -> Value {
        let application = application("UnitBasicInformation");
        self.apply(&application).await.ok().json()
    }
}

/// The smallest request for access to one dataset.
#[must_use]
pub fn application(dataset: &str) -> Value {
    json!({
        "requestor": OWNER,
        "subject": OTHER_COMPANY,
        "evidenceRequests": [{"evidenceCodeName": dataset}],
    })
}

/// The same with further members, which replace those of the same name.
///
/// # Panics
/// When `members` is no object.
#[must_use]
pub fn application_with(dataset: &str, members: Value) -> Value {
    let mut whole = application(dataset);
    let Value::Object(members) = members else {
        panic!("members of an application")
    };
    for (name, value) in members {
        whole[name] = value;
    }
    whole
}
