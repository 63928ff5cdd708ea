//! Signing keys change without a gap, as `docs/operating.md` says, and what was signed stays good.

use dan_tests::client::Answer;
use dan_tests::consumer::{EBEVIS, OWNER};
use dan_tests::node::{proven_by, until};
use dan_tests::shapes::{names, text};
use jiff::Timestamp;
use serde_json::Value;

use crate::place::{DATASET, Place, harvest, has_openssl, shown};

/// The key of an answer's signature, by its name.
pub(crate) fn kid(answer: &Answer) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let signature = answer.header("x-signature-jwt").unwrap();
    let head = signature.split('.').next().unwrap();
    let head: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
    text(&head, "kid").to_owned()
}

#[tokio::test]
async fn signing_keys_rotate_without_a_gap_and_old_answers_verify_for_good() {
    let mut place = Place::new().await;
    let next = place.scratch.path("next.pem");
    let file = place.file();
    let rotate = ["signing-key", "rotate", "--config", shown(&file)];
    let rotate = [&rotate[..], &["--out", shown(&next)]].concat();
    let advice = place.scratch.dan(&rotate).await.exits(0).stdout;
    assert!(advice.contains("signs_from") && advice.contains("retired_at"));
    place.scratch.dan(&rotate).await.exits(2);
    let entry = |kid: &str, file: &str, key: &str, moment: i64| {
        let moment = Timestamp::from_second(moment).unwrap();
        let text = format!("kid = \"{kid}\"\nkey = {{ file = \"{file}\" }}\n{key} = \"{moment}\"");
        toml::Value::Table(text.parse().unwrap())
    };
    let now = || Timestamp::now().as_second();
    let keys = |old: &str, moment: i64| {
        vec![
            entry("next", "next.pem", "signs_from", moment),
            entry("first", old, "retired_at", moment),
        ]
    };
    let answer = async |place: &Place| {
        let node = place.node().await;
        let client = place.client(&node, EBEVIS, OWNER).await;
        let answer = harvest(&client, DATASET).await;
        let keys = node.keys().await;
        proven_by(&answer, &keys);
        assert_eq!(names(&keys["keys"], "kid").len(), 2);
        node.stop().await;
        (answer, keys)
    };
    // The moment is to come: published, not signing yet.
    place.set("signing", "keys", keys("signing.pem", now() + 3600));
    let (old, published_before) = answer(&place).await;
    assert_eq!(kid(&old), "first");
    // It comes while the node runs: no second restart.
    let moment = now() + 2;
    place.set("signing", "keys", keys("signing.pem", moment));
    let node = place.node().await;
    let client = place.client(&node, EBEVIS, OWNER).await;
    let published_after = node.keys().await;
    let new = until("the next key signs", async || {
        let answer = harvest(&client, DATASET).await;
        let issued = proven_by(&answer, &published_after)["iat"]
            .as_i64()
            .unwrap();
        assert_eq!(
            kid(&answer) == "next",
            issued >= moment,
            "at {issued}, not {moment}"
        );
        (issued >= moment).then_some(answer)
    })
    .await;
    node.stop().await;
    // Who fetched the keys before the moment can verify what came after it, and the other way round.
    proven_by(&new, &published_before);
    proven_by(&old, &published_after);
    if has_openssl() {
        let folder = shown(place.scratch.folder());
        let lines = "openssl pkey -in signing.pem -pubout -out signing.pub.pem";
        let lines = format!("cd {folder}; {lines}");
        place.scratch.shell(&lines).await.exits(0);
        place.set("signing", "keys", keys("signing.pub.pem", now() - 3600));
        let (_, published) = answer(&place).await;
        proven_by(&old, &published);
    }
}
