//! `syncbench relay`: an embedded relay as a server of its own.

use std::net::SocketAddr;

use anyhow::Context;
use clap::ValueEnum;
use syncbench_loadgen::process::EndSignals;
use syncbench_loadgen::protocol::ProtocolKind;
use syncbench_loadgen::relay::{
    self, EmbeddedRelay, HistoryKind, RelayCommand, announce, broadcast, end_with_parent,
};
use syncbench_loadgen::scenario::RelaySettings;
use syncbench_reports::record::Status;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use super::BadInput;

/// Serve an embedded relay until Ctrl-C.
///
/// Prints its address as one JSON line: {"listening":"127.0.0.1:7000"}.
/// In `broadcast` a room is a URL path: ws://127.0.0.1:7000/my-room. In `loro`
/// the frames name it, whatever the path. Ending it with a signal is a success.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  syncbench relay --listen 127.0.0.1:7000
  syncbench relay --protocol loro --history shallow")]
pub struct Args {
    /// Protocol that the relay speaks
    #[arg(long, value_enum, default_value_t = ProtocolKind::Broadcast)]
    protocol: ProtocolKind,

    /// Address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7000")]
    listen: SocketAddr,

    /// Frames or updates that may wait for one client before it is disconnected as a slow reader
    #[arg(long, value_name = "N", default_value_t = broadcast::Config::default().queue_frames,
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1 << 20))]
    queue_frames: usize,

    /// Part of a room's history that a loro relay keeps
    #[arg(long, value_enum, default_value_t = HistoryKind::Full)]
    history: HistoryKind,

    /// End when stdin closes and ignore signals: for a run that owns the relay
    #[arg(long, hide = true)]
    owned: bool,
}

/// Returns the command that starts this program as the embedded relay of a run.
pub fn owned_command(settings: &RelaySettings) -> anyhow::Result<RelayCommand> {
    let program = std::env::current_exe().context("cannot find the syncbench executable")?;
    let mut args = vec!["relay".into(), "--owned".into()];
    let flags = [
        ("--protocol", settings.protocol.to_possible_value()),
        ("--history", settings.history.to_possible_value()),
    ];
    for (flag, value) in flags {
        if let Some(value) = value {
            args.extend([flag.into(), value.get_name().into()]);
        }
    }
    Ok(RelayCommand { program, args })
}

/// Serves until it is told to stop.
pub fn run(args: Args) -> anyhow::Result<Status> {
    if args.owned {
        end_with_parent();
    }
    // One thread: what one core can relay is the figure people plan with.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(args))?;
    // Not the destructor, which would wait for a read of stdin to return.
    runtime.shutdown_background();
    Ok(Status::Ok)
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let signals = EndSignals::listen()?;
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| BadInput::new(format!("cannot listen on {}: {error}", args.listen)))?;
    announce(listener.local_addr()?).context("cannot print the address")?;
    let shutdown = until_told(signals, args.owned);
    let embedded = EmbeddedRelay {
        protocol: args.protocol,
        queue_frames: args.queue_frames,
        history: args.history,
    };
    relay::serve(listener, shutdown, embedded).await;
    Ok(())
}

async fn until_told(mut signals: EndSignals, owned: bool) {
    if !owned {
        signals.next().await;
        return;
    }
    // A terminal sends Ctrl-C to the relay as well as to the run that owns it;
    // the run still needs it to end in order.
    let ignored = tokio::spawn(async move {
        loop {
            signals.next().await;
        }
    });
    let mut stdin = tokio::io::stdin();
    let mut buffer = [0; 64];
    while stdin.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
    ignored.abort();
}
