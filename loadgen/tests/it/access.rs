//! Relays that require headers, credentials, a subprotocol or TLS, and relays
//! that refuse. Secrets stay out of the record and of messages.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{RelayThread, play};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::{SinkExt, StreamExt};
use loro_protocol::{JoinErrorCode, ProtocolMessage};
use syncbench_loadgen::load::LoadError;
use syncbench_loadgen::net::secret::Secret;
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::plan::{Identity, RoomIndex};
use syncbench_loadgen::scenario::{
    Clients, LinkClass, LinkFault, LinkFaultKind, ProtocolKind, RelaySettings, RoomClass, Scenario,
    Workload,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::{accept_async, accept_hdr_async};

/// The targets and the header lines, `name: value`, of all requests.
type Requested = Arc<Mutex<Vec<String>>>;

/// Starts a relay for rooms of one client.
fn relay(tls: Option<TlsAcceptor>) -> (RelayThread, Requested) {
    let requested = Requested::default();
    let record = Arc::clone(&requested);
    let relay = RelayThread::serving(|listener| async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let (tls, record) = (tls.clone(), Arc::clone(&record));
            tokio::spawn(async move {
                match tls {
                    None => serve(tcp, record).await,
                    Some(tls) => {
                        if let Ok(encrypted) = tls.accept(tcp).await {
                            serve(encrypted, record).await;
                        }
                    }
                }
            });
        }
    });
    (relay, requested)
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, requested: Requested) {
    #[allow(clippy::result_large_err)] // the callback's type is tungstenite's
    let record_headers = |request: &Request, mut response: Response| {
        let lines = request.headers().iter();
        let lines = lines.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        let mut requested = requested.lock().unwrap();
        requested.push(request.uri().to_string());
        requested.extend(lines);
        if let Some(subprotocol) = request.headers().get("sec-websocket-protocol") {
            let headers = response.headers_mut();
            headers.insert("sec-websocket-protocol", subprotocol.clone());
        }
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, record_headers).await else {
        return;
    };
    while let Some(Ok(_)) = socket.next().await {}
    let _ = socket.close(None).await;
}

/// Makes a self-signed certificate.
fn self_signed() -> TlsAcceptor {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = signed.signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn run(relay: RelaySettings) -> Result<Outcome, LoadError> {
    play(scenario(relay))
}

fn at(url: &str) -> RelaySettings {
    RelaySettings::at(url.parse().unwrap())
}

fn scenario(relay: RelaySettings) -> Scenario {
    Scenario {
        relay,
        rooms: vec![RoomClass { count: 2, size: 1 }],
        clients: Clients::new(2),
        workload: Workload::at_rate(20.0),
        duration: Duration::from_millis(300),
        ..Scenario::default()
    }
}

#[test]
fn headers_token_and_subprotocol_are_sent_and_secrets_are_not_recorded() {
    let (relay, requested) = relay(None);
    let settings = RelaySettings {
        headers: [("x-team".to_owned(), Secret::new("blue-secret"))].into(),
        subprotocol: Some("sync.v1".to_owned()),
        token: Some(Secret::new("s3cret")),
        ..at(&format!("ws://{}", relay.address))
    };
    let scenario = scenario(settings);
    play(scenario.clone()).unwrap();
    let requested = requested.lock().unwrap();
    for line in [
        "x-team: blue-secret",
        "authorization: Bearer s3cret",
        "sec-websocket-protocol: sync.v1",
    ] {
        assert_eq!(
            requested
                .iter()
                .filter(|requested| *requested == line)
                .count(),
            2,
            "{line}"
        );
    }
    let recorded = serde_json::to_string(&scenario.recorded(None)).unwrap();
    assert!(recorded.contains("x-team"), "{recorded}");
    assert!(!recorded.contains("secret"), "{recorded}");
    assert!(!recorded.contains("s3cret"), "{recorded}");
}

#[test]
fn a_self_signed_certificate_is_refused_unless_any_is_accepted() {
    let (relay, _) = relay(Some(self_signed()));
    let url = format!("wss://localhost:{}", relay.address.port());
    let refused = run(at(&url));
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("certificate"), "{refused}");
    assert!(refused.contains("--insecure"), "{refused}");
    let careless = RelaySettings {
        insecure: true,
        ..at(&url)
    };
    let outcome = run(careless).unwrap();
    assert_eq!(outcome.convergence.converged, 2);
    assert!(outcome.total.sent > 0);
}

#[test]
fn names_are_filled_in_and_credentials_of_the_url_become_a_header() {
    let (relay, requested) = relay(None);
    let address = relay.address;
    let settings = RelaySettings {
        headers: [("x-user".to_owned(), Secret::new("{client} in {room}"))].into(),
        ..at(&format!("ws://{{client}}:pa%40ss@{address}/sync?key=T"))
    };
    let scenario = scenario(settings);
    let identity = Identity::new(&scenario);
    play(scenario).unwrap();
    let requested = requested.lock().unwrap();
    for client in 0..2 {
        let room = identity.room_name(RoomIndex(client));
        let credentials = BASE64.encode(format!("client-{client}:pa@ss"));
        for line in [
            format!("/sync/{room}?key=T"),
            format!("x-user: client-{client} in {room}"),
            format!("authorization: Basic {credentials}"),
        ] {
            assert!(requested.contains(&line), "{line}: {requested:?}");
        }
    }
}

#[test]
fn a_client_joins_with_its_credentials_and_their_refusal_is_named() {
    let shown = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&shown);
    let relay = RelayThread::serving(|listener| async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(refuse_join(tcp, Arc::clone(&record)));
        }
    });
    let refused = run(RelaySettings {
        protocol: ProtocolKind::Loro,
        join_auth: Some(Secret::new("{client}:s3cret-key")),
        ..at(&format!("ws://{}", relay.address))
    });
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("--join-auth"), "{refused}");
    assert!(!refused.contains("s3cret"), "{refused}");
    for auth in shown.lock().unwrap().iter() {
        let auth = String::from_utf8(auth.clone()).unwrap();
        assert!(
            ["client-0:s3cret-key", "client-1:s3cret-key"].contains(&&*auth),
            "{auth}"
        );
    }
    assert!(!shown.lock().unwrap().is_empty());
}

/// Refuses a join with a message that quotes its credentials.
async fn refuse_join(tcp: TcpStream, shown: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut socket = accept_async(tcp).await.unwrap();
    while let Some(Ok(Message::Binary(frame))) = socket.next().await {
        let Ok(ProtocolMessage::JoinRequest {
            crdt,
            room_id,
            auth,
            ..
        }) = loro_protocol::decode(&frame)
        else {
            panic!("no join: {frame:?}");
        };
        let refusal = ProtocolMessage::JoinError {
            crdt,
            room_id,
            code: JoinErrorCode::AuthFailed,
            message: format!("who is {}?", String::from_utf8_lossy(&auth)),
            receiver_version: None,
            app_code: None,
        };
        shown.lock().unwrap().push(auth);
        let refusal = loro_protocol::encode(&refusal).unwrap();
        let _ = socket.send(Message::Binary(refusal.into())).await;
    }
}

#[test]
fn a_relay_that_quotes_a_secret_does_not_get_it_into_messages() {
    let relay = RelayThread::serving(|listener| async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut socket = accept_async(tcp).await.unwrap();
                let _ = socket.next().await;
                let close = CloseFrame {
                    code: CloseCode::Policy,
                    reason: "s3cret-key is not known".into(),
                };
                let _ = socket.close(Some(close)).await;
            });
        }
    });
    let outcome = run(RelaySettings {
        token: Some(Secret::new("s3cret-key")),
        ..at(&format!("ws://{}", relay.address))
    });
    let outcome = outcome.unwrap();
    let record = outcome.record(Default::default());
    let recorded = serde_json::to_string(&record).unwrap();
    assert!(recorded.contains("*** is not known"), "{recorded}");
    assert!(!recorded.contains("s3cret"), "{recorded}");
}

/// Starts a relay that answers handshake number `n`, from 0, with the lines of
/// `answer(n)`, and takes the client where there are none. It counts them.
fn answering(
    answer: impl Fn(usize) -> Option<&'static str> + Send + 'static,
) -> (RelayThread, Arc<AtomicUsize>) {
    let handshakes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&handshakes);
    let relay = RelayThread::serving(|listener| async move {
        while let Ok((tcp, _)) = listener.accept().await {
            match answer(counted.fetch_add(1, Ordering::SeqCst)) {
                Some(lines) => drop(tokio::spawn(refuse(tcp, lines))),
                None => drop(tokio::spawn(serve(tcp, Requested::default()))),
            }
        }
    });
    (relay, handshakes)
}

/// Reads a request, and answers it with `lines`.
async fn refuse(mut tcp: TcpStream, lines: &'static str) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match tcp.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let answer = format!("HTTP/1.1 {lines}\r\ncontent-length: 0\r\n\r\n");
    let _ = tcp.write_all(answer.as_bytes()).await;
}

#[test]
fn a_refusal_is_named_by_what_it_asks_for() {
    for (lines, words) in [
        ("401 Unauthorized", ["HTTP 401", "--token-env"]),
        ("403 Forbidden", ["HTTP 403", "-H"]),
        ("404 Not Found", ["HTTP 404", "{room}"]),
        ("426 Upgrade Required", ["HTTP 426", "Upgrade header"]),
        ("301 Moved Permanently", ["HTTP 301", "redirects"]),
        ("500 Internal Server Error", ["HTTP 500", "its log"]),
        ("400 Bad Request", ["HTTP 400", "headers"]),
        (
            "429 Too Many Requests\r\nretry-after: 120",
            ["HTTP 429", "clients.ramp_up"],
        ),
        (
            "503 Service Unavailable\r\nretry-after: 120",
            ["HTTP 503", "not ready"],
        ),
    ] {
        let (relay, handshakes) = answering(move |_| Some(lines));
        let url = format!("ws://me:s3cret@{}/?key=s3cret", relay.address);
        let refused = run(at(&url)).err().unwrap().to_string();
        for word in words {
            assert!(refused.contains(word), "{refused}");
        }
        assert!(!refused.contains("not a WebSocket server"), "{refused}");
        assert!(!refused.contains("s3cret"), "{refused}");
        // Two clients, and the question whether it speaks TLS.
        assert!(handshakes.load(Ordering::SeqCst) <= 3, "{lines}");
    }
    let (relay, _) = answering(|_| Some("200 OK"));
    let refused = run(at(&format!("ws://{}", relay.address)));
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("not a WebSocket server"), "{refused}");
}

#[test]
fn clients_come_back_to_a_busy_relay_and_what_it_refused_is_counted() {
    let (relay, handshakes) =
        answering(|n| (n < 3).then_some("429 Too Many Requests\r\nretry-after: 0"));
    let outcome = run(at(&format!("ws://{}", relay.address))).unwrap();
    assert_eq!(outcome.total.refused, 3);
    assert_eq!(outcome.total.errors["HTTP 429"], 3);
    assert_eq!(outcome.total.disconnects, 0);
    assert_eq!(outcome.convergence.converged, 2);
    assert_eq!(handshakes.load(Ordering::SeqCst), 5);
    let record = outcome.record(Default::default());
    assert_eq!(record.counts.unwrap().refused, 3);
    let reasons = record.verdict.reasons.join("\n");
    assert!(reasons.contains("refused 3 connections"), "{reasons}");
}

#[test]
fn a_relay_that_stays_busy_is_given_up_after_the_ready_timeout() {
    let (relay, handshakes) = answering(|_| Some("503 Service Unavailable"));
    let refused = run(RelaySettings {
        ready_timeout: Duration::from_millis(400),
        ..at(&format!("ws://{}", relay.address))
    });
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("HTTP 503"), "{refused}");
    assert!(handshakes.load(Ordering::SeqCst) > 2, "nobody came back");
}

#[test]
fn a_relay_that_is_busy_when_clients_return_is_not_accused_of_losing_them() {
    let (relay, _) = answering(|n| (2..5).contains(&n).then_some("503 Service Unavailable"));
    let cut = LinkFault {
        kind: LinkFaultKind::Cut,
        at: Some(Duration::from_millis(100)),
        every: None,
        lasting: Duration::from_millis(50),
    };
    let outcome = play(Scenario {
        links: vec![LinkClass {
            faults: vec![cut],
            ..LinkClass::default()
        }],
        duration: Duration::from_secs(1),
        ..scenario(at(&format!("ws://{}", relay.address)))
    });
    let outcome = outcome.unwrap();
    assert!(
        (1..=3).contains(&outcome.total.refused),
        "{:?}",
        outcome.total.errors
    );
    assert_eq!(outcome.total.disconnects, 0);
    assert_eq!(outcome.course.lost_connections, []);
}

#[test]
fn an_address_with_the_wrong_scheme_is_named_with_the_right_one() {
    let (encrypted, _) = relay(Some(self_signed()));
    let port = encrypted.address.port();
    let refused = run(at(&format!("ws://localhost:{port}")));
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("speaks TLS: write wss://"), "{refused}");

    let (plain, _) = relay(None);
    let port = plain.address.port();
    let refused = run(at(&format!("wss://localhost:{port}")));
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("write ws://"), "{refused}");

    let answers = RelayThread::serving(|listener| async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let port = answers.address.port();
    let refused = run(at(&format!("wss://localhost:{port}")));
    let refused = refused.err().unwrap().to_string();
    assert!(refused.contains("does not speak TLS"), "{refused}");
}
