//! Moves a body into a stream, as fast as its peer takes it.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, SendStream};
use http_body::Body;

use crate::net::io::Patience;

/// Why a body did not go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It failed by itself.
    Body,
    /// The peer reset the stream, or the connection is over.
    Reset,
    /// The peer's flow control let nothing through for too long.
    Stalled,
}

/// Sends `body` to its end. One that fails or stalls resets the stream.
///
/// `stall`: for every wait for the peer's flow control. `reason`: what the peer is told of a body that fails.
///
/// # Errors
/// See [`Fault`].
pub async fn send<B>(
    body: &mut B,
    stream: &mut SendStream<Bytes>,
    stall: Duration,
    reason: Reason,
) -> Result<(), Fault>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut patience = Patience::new(stall);
    loop {
        let next = poll_fn(|cx| {
            if stream.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(Fault::Reset));
            }
            Pin::new(&mut *body).poll_frame(cx).map(Ok)
        });
        let frame = match next.await? {
            None => return stream.send_data(Bytes::new(), true).map_err(gone),
            Some(Err(_)) => {
                stream.send_reset(reason);
                return Err(Fault::Body);
            }
            Some(Ok(frame)) => frame,
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(other) => match other.into_trailers() {
                Ok(trailers) => return stream.send_trailers(trailers).map_err(gone),
                Err(_unknown) => continue,
            },
        };
        let last = body.is_end_stream();
        if data.is_empty() && !last {
            // Peers count frames that bring nothing.
            continue;
        }
        if !data.is_empty() {
            // One byte is asked for; h2 asks for the rest once it has the whole piece, which bounds what is held.
            stream.reserve_capacity(1);
            let room = poll_fn(|cx| poll_room(stream, &mut patience, cx)).await;
            if room == Err(Fault::Stalled) {
                stream.send_reset(Reason::CANCEL);
            }
            room?;
        }
        stream.send_data(data, last).map_err(gone)?;
        if last {
            return Ok(());
        }
    }
}

fn gone(_: h2::Error) -> Fault {
    Fault::Reset
}

fn poll_room(
    stream: &mut SendStream<Bytes>,
    patience: &mut Patience,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Fault>> {
    while stream.capacity() == 0 {
        if stream.poll_reset(cx).is_ready() {
            return Poll::Ready(Err(Fault::Reset));
        }
        match stream.poll_capacity(cx) {
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(_) => return Poll::Ready(Err(Fault::Reset)),
            Poll::Pending => {
                ready!(patience.poll_lost(cx));
                return Poll::Ready(Err(Fault::Stalled));
            }
        }
    }
    patience.renew();
    Poll::Ready(Ok(()))
}
