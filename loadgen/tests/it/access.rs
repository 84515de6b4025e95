//! Relays that require headers, a token, a subprotocol or TLS. Secrets stay out
//! of the record.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::{RelayThread, play};
use futures_util::StreamExt;
use syncbench_loadgen::load::LoadError;
use syncbench_loadgen::outcome::Outcome;
use syncbench_loadgen::scenario::{Clients, RelaySettings, RoomClass, Scenario, Workload};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// The header lines, `name: value`, of all requests.
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
        requested.lock().unwrap().extend(lines);
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
        headers: [("x-team".to_owned(), "blue-secret".to_owned())].into(),
        subprotocol: Some("sync.v1".to_owned()),
        token: Some("s3cret".to_owned()),
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
    let careless = RelaySettings {
        insecure: true,
        ..at(&url)
    };
    let outcome = run(careless).unwrap();
    assert_eq!(outcome.convergence.converged, 2);
    assert!(outcome.total.sent > 0);
}
