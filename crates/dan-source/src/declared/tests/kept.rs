//! Answers that are kept, and questions that are asked once for several.

use std::sync::Arc;

use dan_core::evidence::Harvest;
use dan_core::party::{OrgNumber, Party, Realm};
use dan_core::ports::{Clock, FetchError, SourceError};
use dan_core::testkit::fakes::{START, StillClock, call_context};
use serde_json::json;

use super::{Outside, Reply, call, definition, values};
use crate::declared::document::Inputs;
use crate::declared::token::Brought;
use crate::declared::{Definition, SourcePorts};

pub(super) struct Node {
    ports: SourcePorts,
    pub(super) clock: Arc<StillClock>,
    pub(super) outside: Arc<Outside>,
}

impl Node {
    pub(super) fn new(outside: Arc<Outside>) -> Self {
        let clock = Arc::new(StillClock::default());
        let ports = SourcePorts::new(Arc::clone(&outside) as _, Arc::clone(&clock) as _, None);
        Self {
            ports,
            clock,
            outside,
        }
    }

    pub(super) async fn harvest(
        &self,
        definition: &Definition,
        owner: &str,
    ) -> Result<Harvest, SourceError> {
        let subject = Party::parse("991825827", Realm::Production).expect("a number");
        let inputs = Inputs {
            subject: Some(&subject),
            subject_text: None,
            requestor: None,
            owner: None,
            parameters: Vec::new(),
            now: self.clock.now(),
        };
        let brought = Brought {
            owner: OrgNumber::parse(owner),
            ..Brought::default()
        };
        let ctx = call_context();
        let made = definition
            .harvest(&inputs, &brought, &self.ports, &ctx)
            .await;
        made.map(|(harvest, _bytes)| harvest)
    }
}

const OWNER: &str = "974760673";

#[tokio::test]
async fn a_kept_answer_is_told_with_its_true_age_and_asked_again_when_its_time_is_over() {
    let definition = definition(&call("get = \"/units/{subject.org}\"\ncache = \"1m\""));
    let found = Reply::Json(json!({"navn": "Fjord AS"}));
    let node = Node::new(Outside::new([("/units/991825827", found)]));
    for (ms, asked, at) in [(0, 1, 0), (59_999, 1, 0), (1, 2, 60_000)] {
        node.clock.advance_ms(ms);
        let made = node.harvest(&definition, OWNER).await.expect("an answer");
        assert_eq!(values(&made), json!([["navn", "Fjord AS", "Reg"]]));
        assert_eq!(made.calls[0].retrieved_at, START.plus_ms(at));
        assert_eq!(node.outside.urls().len(), asked);
    }
}

#[tokio::test]
async fn what_is_kept_for_one_owner_is_not_given_to_another() {
    let definition = definition(&call("get = \"/units/{subject.org}\"\ncache = \"1m\""));
    let found = Reply::Json(json!({"navn": "Fjord AS"}));
    let node = Node::new(Outside::new([("/units/991825827", found)]));
    for (owner, asked) in [
        (OWNER, 1),
        (OWNER, 1),
        ("958935420", 2),
        ("", 3),
        (OWNER, 3),
    ] {
        node.harvest(&definition, owner).await.expect("an answer");
        assert_eq!(node.outside.urls().len(), asked, "{owner}");
    }
}

#[tokio::test]
async fn failures_are_kept_only_where_the_definition_says_so() {
    let failing = || Outside::new([("/units/991825827", Reply::Fails(FetchError::TooLarge))]);
    for (cache, asked) in [("\"1m\"", 2), ("{ ok = \"1m\", error = \"1m\" }", 1)] {
        let definition = definition(&call(&format!(
            "get = \"/units/{{subject.org}}\"\ncache = {cache}"
        )));
        let node = Node::new(failing());
        for _ in 0..2 {
            assert!(node.harvest(&definition, OWNER).await.is_err());
        }
        assert_eq!(node.outside.urls().len(), asked, "{cache}");
    }
}

#[tokio::test]
async fn nothing_is_kept_where_the_definition_says_nothing() {
    let definition = definition(&call("get = \"/units/{subject.org}\""));
    let found = Reply::Json(json!({"navn": "Fjord AS"}));
    let node = Node::new(Outside::new([("/units/991825827", found)]));
    for asked in 1..=2 {
        node.harvest(&definition, OWNER).await.expect("an answer");
        assert_eq!(node.outside.urls().len(), asked);
        assert_eq!(node.ports.cache.size(), (0, 0));
    }
}
