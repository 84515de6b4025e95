//! A relay that takes a known time for everything: the embedded one behind a
//! proxy that holds back each byte on the way to the clients.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hdrhistogram::Histogram;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Result;

/// The relay and its proxy, which end when this is dropped.
pub struct SlowRelay {
    relay: Child,
    /// Ends the proxy's runtime with it.
    _proxy: tokio::runtime::Runtime,
    address: SocketAddr,
    held: Held,
}

/// How long the proxy really held back what it passed on, nanoseconds.
type Held = Arc<Mutex<Histogram<u64>>>;

impl SlowRelay {
    /// Starts the relay of `program`, delayed by `delay`.
    pub fn start(program: &str, delay: Duration) -> Result<Self> {
        let mut relay = Command::new(program)
            .args(["relay", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()?;
        let upstream = listening(&mut relay)?;
        let proxy = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let listener = proxy.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let held = Held::new(Mutex::new(Histogram::new(3)?));
        let hold = Hold {
            delay,
            held: Arc::clone(&held),
        };
        proxy.spawn(serve(listener, upstream, hold));
        Ok(Self {
            relay,
            _proxy: proxy,
            address,
            held,
        })
    }

    /// The time at this quantile for which the proxy has held back bytes so far,
    /// milliseconds: the machine may be too busy to be exact.
    pub fn held(&self, quantile: f64) -> Result<f64> {
        let held = self.held.lock().map_err(|_| "the proxy failed")?;
        Ok(held.value_at_quantile(quantile) as f64 / 1e6)
    }

    /// The URL of the delayed relay.
    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }
}

impl Drop for SlowRelay {
    fn drop(&mut self) {
        // Either fails only if the relay has ended by itself.
        let _ = self.relay.kill();
        let _ = self.relay.wait();
    }
}

/// Reads the address that the relay prints when it listens.
fn listening(relay: &mut Child) -> Result<SocketAddr> {
    let stdout = relay.stdout.take().ok_or("the relay has no output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let said: serde_json::Value = serde_json::from_str(&line)?;
    let address = said["listening"]
        .as_str()
        .ok_or("the relay did not start")?;
    Ok(address.parse()?)
}

/// What the proxy does to bytes on their way to a client.
#[derive(Clone)]
struct Hold {
    delay: Duration,
    held: Held,
}

async fn serve(listener: TcpListener, upstream: SocketAddr, hold: Hold) {
    while let Ok((client, _)) = listener.accept().await {
        let hold = hold.clone();
        tokio::spawn(async move {
            let relay = TcpStream::connect(upstream).await?;
            for socket in [&client, &relay] {
                socket.set_nodelay(true)?;
            }
            let (mut from_client, to_client) = client.into_split();
            let (from_relay, mut to_relay) = relay.into_split();
            tokio::spawn(hold.back(from_relay, to_client));
            tokio::io::copy(&mut from_client, &mut to_relay).await?;
            to_relay.shutdown().await
        });
    }
}

impl Hold {
    /// Passes on every byte after the delay, in order.
    async fn back(self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (keep, mut kept) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
        let reading = async {
            let mut buffer = vec![0; 65_536];
            while let Ok(read @ 1..) = from.read(&mut buffer).await {
                let bytes = buffer[..read].to_vec();
                if keep.send((Instant::now(), bytes)).is_err() {
                    break;
                }
            }
            drop(keep);
        };
        let writing = async {
            while let Some((came, bytes)) = kept.recv().await {
                sleep_until(came + self.delay).await;
                if to.write_all(&bytes).await.is_err() {
                    break;
                }
                self.note(came.elapsed());
            }
        };
        tokio::join!(reading, writing);
    }

    fn note(&self, held: Duration) {
        if let Ok(mut histogram) = self.held.lock() {
            // It grows, so no value is out of range.
            let _ = histogram.record(held.as_nanos() as u64);
        }
    }
}
