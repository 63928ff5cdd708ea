//! TLS by the node itself, asked with `openssl`; without it the test says so and holds nothing.

use dan_tests::client::Call;
use dan_tests::consumer::COMPANY;
use dan_tests::node::Node;
use http::Method;
use toml::Table;

use crate::place::{DATASET, Place, has_openssl, shown};

#[tokio::test]
async fn with_a_certificate_the_node_answers_over_https_only() {
    if !has_openssl() {
        return;
    }
    let mut place = Place::new().await;
    let lines = format!(
        "cd {}; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
         -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1 \
         -addext basicConstraints=critical,CA:FALSE -keyout server.key -out server.pem",
        shown(place.scratch.folder())
    );
    place.scratch.shell(&lines).await.exits(0);
    let tls = "certificate = \"server.pem\"\nkey = { file = \"server.key\" }";
    place.set("server", "tls", tls.parse::<Table>().unwrap());
    let server = place.config["server"].as_table_mut().unwrap();
    server.remove("public_url");
    let node = place.node().await;

    let path = format!("/v1/opendata/{DATASET}/{COMPANY}");
    let ask = format!(
        "printf 'GET {path} HTTP/1.1\\r\\nHost: {0}\\r\\nConnection: close\\r\\n\\r\\n' | openssl \
         s_client -quiet -connect {0} -CAfile {1} -verify_return_error -verify_ip 127.0.0.1",
        node.address,
        shown(&place.scratch.path("server.pem")),
    );
    let answer = place.scratch.shell(&ask).await.exits(0).stdout;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let body_file = place.scratch.write("body", body);
    let signature = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let ours = name.eq_ignore_ascii_case("x-signature-jwt");
        ours.then(|| value.trim().to_owned())
    });
    let signature = place.scratch.write("signature", signature.unwrap());
    // Anybody who trusts the certificate can fetch the keys over the same connection.
    let verify = format!(
        "SSL_CERT_FILE={} dan verify --json --body {} --signature {} --jwks https://{}/.well-known/jwks.json",
        shown(&place.scratch.path("server.pem")),
        shown(&body_file),
        shown(&signature),
        node.address,
    );
    let said = place.scratch.shell(&verify).await.exits(0).json();
    let iss = format!("https://{}/v1", node.address);
    assert_eq!(said["claims"]["iss"], iss, "{said}");
    // Who does not trust it gets no keys.
    let (_, untrusting) = verify.split_once(' ').unwrap();
    place.scratch.shell(untrusting).await.exits(2);
    // Plain HTTP is not spoken there; health still is, on its own address.
    let plain = format!("printf 'GET {path} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'");
    let plain = raw(&node, &plain).await;
    assert!(!plain.contains("HTTP/1.1"), "{plain}");
    let live = Call::new(Method::GET, format!("{}/livez", node.management));
    live.send().await.ok();
}

/// What the API's port says to bytes in clear.
async fn raw(node: &Node, bytes: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(&node.address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    // It may close or reset; what it said before counts.
    stream.read_to_end(&mut said).await.ok();
    String::from_utf8_lossy(&said).into_owned()
}
