//! A WebSocket through us: the handshake upstream, then message by message, masked, until either side ends it.
//!
//! The way through: [`open`] sends the masked head and waits for the upstream's word; [`Tunnel::run`] has two pumps, one a
//! direction (`pump`), which mask each message as one text (`message`); how it ended (`end`) says what each side is told.
//!
//! Invariants: a message from the client goes on as a whole, read and masked, or not at all; each message is masked by the
//! snapshot in force when it begins; control frames and close reasons are masked too; neither direction reads more before
//! what it read is written; when one side ends or breaks off, the other is closed.
//!
//! Messages from the upstream go on frame by frame, and are masked only where answers are. What was masked is in the audit log
//! within a second, an event for each value and form; a message for which there is no place in the log ends it.

mod end;
mod message;
mod pump;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::upgrade::Upgraded;
use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::body::MaskedBody;
use super::exchange::{self, AnswerBody};
use super::{Error, Limits, Tally, head};
use crate::guard::{Answers, Ticket};
use crate::net::pool::Pool;
use crate::net::websocket::frame::{Close, Head, Opcode, Parser, close_payload};
use crate::net::websocket::handshake::{Agreed, Ask};
use crate::net::websocket::stream::{Reader, Writer};

pub use end::{End, Side};
use pump::{Activity, Downward, Pump, Upward};

/// How long the second side may take to end after the first has.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// The least time between two looks at what was found: half of the time within which it must be in the log.
const NOTE_TIME: Duration = Duration::from_millis(500);

/// How long a side may take to read our last words and to hang up.
const FAREWELL_TIME: Duration = Duration::from_secs(2);

/// What an upstream said to an opening request.
pub enum Opened {
    /// It switched.
    Switched {
        /// The bare connection.
        upstream: Upgraded,
        /// Its answer's head, less what belongs to its hop.
        head: HeaderMap,
        /// What it agreed to.
        agreed: Agreed,
    },
    /// It answered something else, which is passed on.
    Refused(Response<AnswerBody>),
}

/// Sends an opening request whose head is masked already, and waits for the answer's head.
///
/// # Errors
/// As [`exchange::send`]; and the answer switches, but not to what was asked for.
pub async fn open(
    pool: &Arc<Pool<MaskedBody>>,
    request: Request<MaskedBody>,
    ask: &Ask,
    limits: Limits,
    tally: Arc<Tally>,
) -> Result<Opened, Error> {
    let upload = request.body().upload();
    let sent = timeout(limits.response_timeout, pool.send_upgrade(request)).await;
    let (mut response, lease) = sent
        .map_err(|_| Error::ResponseTimeout)?
        .map_err(exchange::reason)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        if response.status().is_informational() {
            return Err(Error::Switched);
        }
        let answer = exchange::answer(response, lease, upload, limits.idle_timeout, tally)?;
        return Ok(Opened::Refused(answer));
    }
    let agreed = ask.judge(response.headers())?;
    let upgrade = hyper::upgrade::on(&mut response);
    let mut head = std::mem::take(response.headers_mut());
    head::strip_response(&mut head);
    let upstream = upgrade.await.map_err(|_| Error::AnswerBroken)?;
    // Only now: it closes a connection that has not been taken over.
    drop(lease);
    Ok(Opened::Switched {
        upstream,
        head,
        agreed,
    })
}

/// An open WebSocket between two sides.
pub struct Tunnel {
    /// Where each message's masker comes from, and its place in the log.
    pub ticket: Arc<Ticket>,
    /// Of these: `max_message_bytes`, `idle_timeout`.
    pub limits: Limits,
    /// Counts.
    pub tally: Arc<Tally>,
    /// Whether the client may compress.
    pub client_deflate: bool,
    /// Whether compression was agreed on with the upstream.
    pub upstream_deflate: bool,
    /// What comes from the upstream is masked of.
    pub answers: Answers,
    /// Something was found that is not in the log yet.
    pub found: Notify,
}

impl Tunnel {
    /// Passes messages on both ways until one side ends, or until `stop` turns true; then closes both.
    pub async fn run<C, U>(&self, client: C, upstream: U, stop: watch::Receiver<bool>) -> End
    where
        C: AsyncRead + AsyncWrite + Unpin,
        U: AsyncRead + AsyncWrite + Unpin,
    {
        let (from_client, to_client) = split(client);
        let (from_upstream, to_upstream) = split(upstream);
        let (client_rules, upstream_rules) = (
            Parser::new(true, self.client_deflate, self.limits.max_message_bytes),
            Parser::new(false, self.upstream_deflate, u64::MAX),
        );
        let mut from_client = Reader::new(from_client, client_rules);
        let mut from_upstream = Reader::new(from_upstream, upstream_rules);
        let mut to_client = Writer::of_server(to_client);
        let mut to_upstream = Writer::of_client(to_upstream);
        let activity = Activity::default();
        let idle = self.limits.idle_timeout;
        let end = {
            let up = Pump::new(
                &mut from_client,
                &mut to_upstream,
                Side::Client,
                &activity,
                idle,
            );
            let mut up = Upward::new(self, up);
            let down = Pump::new(
                &mut from_upstream,
                &mut to_client,
                Side::Upstream,
                &activity,
                idle,
            );
            let mut down = Downward::new(self, down);
            let mut up = pin!(up.run());
            let mut down = pin!(down.run(stop));
            tokio::select! {
                end = up.as_mut() => after(end, Side::Upstream, down).await,
                end = down.as_mut() => after(end, Side::Client, up).await,
                never = self.notes() => match never {},
            }
        };
        self.tally.note();
        let (for_client, for_upstream) = end.farewell();
        tokio::join!(
            part(&mut from_client, &mut to_client, for_client),
            part(&mut from_upstream, &mut to_upstream, for_upstream),
        );
        end
    }
}

impl Tunnel {
    /// Puts what is found into the log: at once, but not more often than every [`NOTE_TIME`].
    async fn notes(&self) -> Infallible {
        loop {
            self.found.notified().await;
            self.tally.note();
            sleep(NOTE_TIME).await;
        }
    }
}

/// What it comes to when the direction towards `to` has ended first. After a closing frame went that way, the other way gets
/// time for the answer to it, and for what comes before. Where `to` takes no more, it may have said why, and that may be on
/// its way.
async fn after(first: End, to: Side, other: impl Future<Output = End>) -> End {
    if !first.is_closing() && first != End::Lost(to) {
        return first;
    }
    match timeout(CLOSE_TIME, other).await {
        Ok(second) if second.is_closing() && !first.is_closing() => second,
        _ => first,
    }
}

/// Tells a side that it is over, unless it was told, and lets it read that: unread bytes would turn our close into a reset,
/// which can overtake it.
async fn part<R, W>(reader: &mut Reader<R>, writer: &mut Writer<W>, close: Option<Close>)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let head = Head {
        opcode: Opcode::Close,
        fin: true,
        compressed: false,
    };
    let payload = BytesMut::from(&close_payload(close.as_ref())[..]);
    let said = async {
        // Where it fails, that side is gone: nobody is left to be told.
        if writer.frame(head, payload).is_ok() && writer.flush().await.is_ok() {
            writer.shutdown().await;
            reader.drain().await;
        }
    };
    let _ = timeout(FAREWELL_TIME, said).await;
}
