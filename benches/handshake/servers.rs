//! The two servers: ours, three times in a process of its own, and nginx, both with the same files.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener as Probe};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dan_auth::certificate::NamedFile;
use dan_auth::{CertificateConfig, EnterpriseCertificates};
use dan_core::ports::{
    Authenticator as _, CallContext, Clock, Credentials, Fetch, FetchError, FetchReply,
    FetchRequest, PortFuture,
};
use dan_core::testkit::fakes::{START, call_context};
use dan_core::time::Timestamp;
use dan_http::body::AnswerBody;
use dan_http::listen::{Inbound, ListenLimits, PeerInfo, serve};
use dan_http::tls::{Reloadable, server_config};
use tokio::net::TcpListener;

use crate::keys::LISTS;

/// More than the longest time a verdict about a certificate is kept, in ms.
const PAST_EVERY_VERDICT_MS: i64 = 61_000;
/// How often the start of nginx is looked for, and how long.
const LOOKS: u32 = 100;
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// A server under measurement; it ends when this is dropped.
pub struct Server {
    child: Child,
    pub rows: Vec<(&'static str, SocketAddr)>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx ends its workers on a quick stop, and on nothing less.
        let id = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status().ok();
        self.child.wait().ok();
    }
}

impl Server {
    /// CPU time used so far by the process and its children, in hundredths of a second.
    pub fn ticks(&self) -> u64 {
        let id = self.child.id();
        let below = std::fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let below = below.unwrap_or_default();
        let ids = below.split_whitespace().filter_map(|one| one.parse().ok());
        ids.chain([id]).map(ticks_of).sum()
    }

    /// Ours: the handshake alone, with the certificate judged as a node does, and judged anew each time.
    pub fn ours(folder: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("ourselves"))
            .arg("serve")
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("ourselves again");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let mut address = || {
            let mut line = String::new();
            said.read_line(&mut line).expect("an address");
            line.trim().parse().expect("an address")
        };
        let rows = [HANDSHAKE, REMEMBERED, JUDGED].map(|name| (name, address()));
        Self {
            child,
            rows: rows.to_vec(),
        }
    }

    /// nginx, where there is one.
    pub async fn nginx(folder: &Path) -> Option<Self> {
        let taken = || {
            let probe = Probe::bind("127.0.0.1:0").expect("a port");
            probe.local_addr().expect("a port")
        };
        let (lenient, strict) = (taken(), taken());
        std::fs::write(
            folder.join("nginx.conf"),
            nginx_config(folder, lenient, strict),
        )
        .expect("a folder to write in");
        let child = Command::new("nginx")
            .arg("-p")
            .arg(folder)
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let server = Self {
            child,
            rows: vec![(LENIENT, lenient), (STRICT, strict)],
        };
        let mut pause = tokio::time::interval(LOOK_PAUSE);
        for _ in 0..LOOKS {
            pause.tick().await;
            if tokio::net::TcpStream::connect(strict).await.is_ok() {
                return Some(server);
            }
        }
        None
    }
}

pub const HANDSHAKE: &str = "dan, handshake alone";
pub const REMEMBERED: &str = "dan, judged and remembered";
pub const JUDGED: &str = "dan, judged anew";
pub const LENIENT: &str = "nginx, optional_no_ca";
pub const STRICT: &str = "nginx, on";

/// User and system time of a process; `utime` and `stime` are fields 14 and 15 of its `stat`.
fn ticks_of(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields = behind_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}

fn nginx_config(folder: &Path, lenient: SocketAddr, strict: SocketAddr) -> String {
    let folder = folder.display();
    let server = |listen: SocketAddr, verify: &str| {
        format!(
            "server {{ listen {listen} ssl backlog=4096; ssl_verify_client {verify};\n\
             location / {{ return 200 done; }} }}\n"
        )
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
        .concat();
    format!(
        "daemon off; worker_processes auto; pid {folder}/nginx.pid; error_log {folder}/error.log crit;\n\
         events {{ worker_connections 4096; }}\nhttp {{\naccess_log off; {temporary}\
         ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;\n\
         ssl_protocols TLSv1.2 TLSv1.3; ssl_client_certificate {folder}/roots.pem; ssl_verify_depth 3;\n\
         ssl_session_cache none;\n{}{}}}\n",
        server(lenient, "optional_no_ca"),
        server(strict, "on"),
    )
}

/// The time of START, and so much later each time it is asked.
struct HurryingClock {
    at_ms: AtomicI64,
    step_ms: i64,
}

impl HurryingClock {
    fn by(step_ms: i64) -> Arc<dyn Clock> {
        Arc::new(Self {
            at_ms: AtomicI64::new(START.as_ms()),
            step_ms,
        })
    }
}

impl Clock for HurryingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.at_ms.fetch_add(self.step_ms, Ordering::Relaxed))
    }
}

/// The lists say everything, so nobody is asked.
struct Nobody;

impl Fetch for Nobody {
    fn fetch<'a>(
        &'a self,
        _request: FetchRequest,
        _ctx: &'a CallContext,
    ) -> PortFuture<'a, Result<FetchReply, FetchError>> {
        Box::pin(std::future::pending())
    }
}

fn judge(folder: &Path, clock: &Arc<dyn Clock>) -> Arc<EnterpriseCertificates> {
    let file = |name: String| NamedFile {
        bytes: std::fs::read(folder.join(&name)).expect("a file made before"),
        name,
    };
    let config = CertificateConfig {
        roots: vec![file("roots.pem".to_owned())],
        crls: Some(
            (0..LISTS)
                .map(|place| file(format!("{place}.crl")))
                .collect(),
        ),
        ..CertificateConfig::default()
    };
    let nobody: Arc<dyn Fetch> = Arc::new(Nobody);
    Arc::new(EnterpriseCertificates::new(config, &nobody, clock).expect("a good configuration"))
}

/// Answers `done` to whoever is taken: everybody without a judge.
async fn answer(
    peer: PeerInfo,
    judge: Option<Arc<EnterpriseCertificates>>,
) -> http::Response<AnswerBody> {
    let mut taken = true;
    if let Some(judge) = judge {
        let presented = Credentials {
            api_key: None,
            bearer: None,
            certificate: peer.certificate,
            address: peer.address.ip(),
        };
        let proof = judge.authenticate(&presented, &call_context()).await;
        taken = matches!(proof, Ok(Some(_)));
    }
    let said = if taken { "done" } else { "refused" };
    http::Response::new(AnswerBody::from(Bytes::from_static(said.as_bytes())))
}

/// What the child process does: three listeners, each on a line of standard output, until it is ended.
pub async fn serve_until_ended(folder: &Path) {
    let read = |name: &str| std::fs::read(folder.join(name)).expect("a file made before");
    let (certificate, key, roots) = (read("server.pem"), read("server.key"), read("roots.pem"));
    let judges = [
        None,
        Some(judge(folder, &HurryingClock::by(0))),
        Some(judge(folder, &HurryingClock::by(PAST_EVERY_VERDICT_MS))),
    ];
    let mut serving = tokio::task::JoinSet::new();
    for judge in judges {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("a port"));
        let config = server_config(&certificate, &key, Some(&roots)).expect("good files");
        let tls = Some(Arc::new(Reloadable::new(config)));
        let service = move |_: Inbound, peer: PeerInfo| answer(peer, judge.clone());
        let never = std::future::pending();
        serving.spawn(serve(
            listener,
            tls,
            ListenLimits::default(),
            service,
            never,
        ));
    }
    serving.join_all().await;
}
