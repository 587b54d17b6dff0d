//! The one upstream behind every contestant: reads the body to its end, answers at once.
//!
//! Small JSON that says how many bytes came, so that the load can tell a whole request from a cut one; or a stream of events,
//! each written by itself, in a row or with pauses between them. It has one thread of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::task::yield_now;
use tokio::time::{MissedTickBehavior, interval};

use super::wire::Wire;

/// Events of a stream.
pub const EVENTS: u32 = 200;

/// Between two events of a paced stream.
const PACE: Duration = Duration::from_millis(2);

/// The path of a small answer.
pub const ANSWER: &str = "/openai/v1/chat/completions";
/// Of a stream of events in a row.
pub const STREAM: &str = "/openai/v1/stream";
/// Of a stream of events with pauses.
pub const PACED: &str = "/openai/v1/paced";

/// Starts it on a free port, and on `also` if one is given; it ends with the process. Events carry their time since `epoch`.
pub fn start(also: Option<u16>, epoch: Instant) -> io::Result<SocketAddr> {
    let (sender, receiver) = mpsc::channel();
    thread::Builder::new()
        .name("upstream".to_owned())
        .spawn(move || {
            if let Err(error) = serve(also, epoch, &sender) {
                // The receiver may be gone; then it has started, and the load sees what fails.
                let _ = sender.send(Err(error));
            }
        })?;
    receiver.recv().map_err(io::Error::other)?
}

fn serve(
    also: Option<u16>,
    epoch: Instant,
    sender: &mpsc::Sender<io::Result<SocketAddr>>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        if let Some(port) = also {
            let second = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
            tokio::spawn(accept(second, epoch));
        }
        let _ = sender.send(Ok(listener.local_addr()?));
        accept(listener, epoch).await
    })
}

async fn accept(listener: TcpListener, epoch: Instant) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // A proxy that breaks a connection off has its own side of the story: the load counts it.
            let _ = converse(Wire::new(stream)?, epoch).await;
            io::Result::Ok(())
        });
    }
}

async fn converse(mut wire: Wire, epoch: Instant) -> io::Result<()> {
    while let Some(head) = wire.head().await? {
        let mut received = 0;
        wire.body(&head, |piece| received += piece.len()).await?;
        // Some take the first segment away, which names the provider.
        match head.target.rsplit('/').next() {
            Some("stream") => stream(&mut wire, epoch, false).await?,
            Some("paced") => stream(&mut wire, epoch, true).await?,
            _ => {
                let body = format!(
                    r#"{{"id":"chatcmpl-1","object":"chat.completion","received":{received}}}"#
                );
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
                wire.send(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes())
                    .await?;
            }
        }
    }
    Ok(())
}

async fn stream(wire: &mut Wire, epoch: Instant, paced: bool) -> io::Result<()> {
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    wire.send(head.as_bytes()).await?;
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for index in 0..EVENTS {
        if paced {
            ticks.tick().await;
        }
        let event = format!(
            "data: {{\"sent\":{},\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"token {index}\"}}}}]}}\n\n",
            epoch.elapsed().as_nanos()
        );
        wire.send(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())
            .await?;
        if !paced {
            // Else one stream's events would hold up all others.
            yield_now().await;
        }
    }
    wire.send(b"0\r\n\r\n").await
}
