//! The load: requests over kept connections, as many as go through, or one at a time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::process::{MemoryWatch, cpu};
use super::upstream::{ANSWER, EVENTS, PACED, STREAM};
use super::wire::Wire;

/// How long an exchange may take before the run is called broken.
const OVERDUE: Duration = Duration::from_secs(60);

/// Exchanges on a connection before it is measured, and how long they may take.
const WARM: u32 = 10;
const WARM_TIME: Duration = Duration::from_millis(200);

/// What a workload's answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Small JSON.
    Answer,
    /// 200 events in a row.
    Stream,
    /// 200 events with pauses.
    Paced,
}

impl Kind {
    fn target(self) -> &'static str {
        match self {
            Self::Answer => ANSWER,
            Self::Stream => STREAM,
            Self::Paced => PACED,
        }
    }
}

/// One request, ready to be sent again and again.
#[derive(Clone)]
pub struct Request {
    address: SocketAddr,
    bytes: Bytes,
    kind: Kind,
    /// Length of its body; none where the contestant may change it.
    length: Option<usize>,
}

impl Request {
    /// A request with the headers that OpenAI's SDK for Python sends.
    pub fn new(address: SocketAddr, kind: Kind, body: &[u8], exact: bool) -> Self {
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {address}\r\naccept: application/json\r\naccept-encoding: gzip, deflate\r\n\
             connection: keep-alive\r\ncontent-type: application/json\r\nuser-agent: OpenAI/Python 2.8.1\r\n\
             x-stainless-lang: python\r\nx-stainless-package-version: 2.8.1\r\nx-stainless-os: Linux\r\n\
             x-stainless-arch: x64\r\nx-stainless-runtime: CPython\r\nx-stainless-runtime-version: 3.12.3\r\n\
             x-stainless-async: false\r\nx-stainless-retry-count: 0\r\nx-stainless-read-timeout: 600\r\n\
             authorization: Bearer no-key-at-all\r\ncontent-length: {}\r\n\r\n",
            kind.target(),
            body.len()
        );
        Self {
            address,
            bytes: [head.as_bytes(), body].concat().into(),
            kind,
            length: exact.then_some(body.len()),
        }
    }
}

/// A connection on which requests are sent one after the other.
pub struct Client {
    wire: Wire,
    reply: Vec<u8>,
}

impl Client {
    /// Connects to where the request goes.
    pub async fn connect(request: &Request) -> io::Result<Self> {
        Ok(Self {
            wire: Wire::connect(request.address).await?,
            reply: Vec::new(),
        })
    }

    /// Sends the request and reads the answer to its end; what is not the whole right answer is an error.
    ///
    /// `arrived` gets what has come of the answer after each piece of it.
    pub async fn exchange(
        &mut self,
        request: &Request,
        arrived: &mut impl FnMut(&[u8]),
    ) -> Result<()> {
        timeout(OVERDUE, self.try_exchange(request, arrived))
            .await
            .context("an answer is overdue")?
    }

    async fn try_exchange(
        &mut self,
        request: &Request,
        arrived: &mut impl FnMut(&[u8]),
    ) -> Result<()> {
        self.wire.send(&request.bytes).await?;
        let head = self.wire.head().await?.context("the connection ended")?;
        let reply = &mut self.reply;
        reply.clear();
        self.wire
            .body(&head, |piece| {
                reply.extend_from_slice(piece);
                arrived(reply);
            })
            .await?;
        ensure!(head.status == 200, "the answer's status is {}", head.status);
        if request.kind == Kind::Answer {
            if let Some(length) = request.length {
                let wanted = format!(r#""received":{length}}}"#);
                ensure!(
                    reply.ends_with(wanted.as_bytes()),
                    "upstream did not get the whole body: {}",
                    String::from_utf8_lossy(reply)
                );
            }
        } else {
            let events = memchr::memmem::find_iter(reply, b"\n\n").count();
            ensure!(events == EVENTS as usize, "{events} events came");
        }
        Ok(())
    }
}

/// What a saturated run showed.
pub struct Saturated {
    /// Exchanges a second.
    pub rate: f64,
    /// CPU time of the proxy, for each exchange.
    pub cpu: Duration,
    /// The most memory that the proxy took.
    pub memory: u64,
    /// Of a paced stream: how long each event was on its way.
    pub delays: Vec<Duration>,
}

/// As many exchanges as go through `connections`, for `time`; those under way at its end are waited for.
///
/// `pids`: the processes of the proxy. Events carry their time since `epoch`.
pub async fn saturate(
    request: &Request,
    connections: usize,
    time: Duration,
    pids: Vec<u32>,
    epoch: Instant,
) -> Result<Saturated> {
    let ready = Arc::new(Barrier::new(connections + 1));
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (request, ready) = (request.clone(), Arc::clone(&ready));
        tasks.spawn(async move {
            let warm = warm_up(&request).await;
            ready.wait().await;
            ready.wait().await;
            let mut client = warm?;
            let begun = Instant::now();
            let (mut exchanges, mut delays) = (0_u32, Vec::new());
            while exchanges == 0 || begun.elapsed() < time {
                let mut events = Events::new(&request, epoch, &mut delays);
                client
                    .exchange(&request, &mut |reply| events.look(reply))
                    .await?;
                exchanges += 1;
            }
            anyhow::Ok((exchanges, delays))
        });
    }
    ready.wait().await;
    let (before, watch) = (cpu(&pids), MemoryWatch::start(pids.clone()));
    let begun = Instant::now();
    ready.wait().await;
    let (mut exchanges, mut delays) = (0, Vec::new());
    while let Some(joined) = tasks.join_next().await {
        let (some, of_events) = joined??;
        exchanges += some;
        delays.extend(of_events);
    }
    let elapsed = begun.elapsed();
    let (after, memory) = (cpu(&pids), watch.most());
    if exchanges == 0 {
        bail!("nothing went through");
    }
    Ok(Saturated {
        rate: f64::from(exchanges) / elapsed.as_secs_f64(),
        cpu: after.saturating_sub(before) / exchanges,
        memory,
        delays,
    })
}

/// A connection over which some requests have gone, where they are quick.
async fn warm_up(request: &Request) -> Result<Client> {
    let mut client = Client::connect(request).await?;
    let begun = Instant::now();
    for _ in 0..WARM {
        client.exchange(request, &mut |_| ()).await?;
        if begun.elapsed() > WARM_TIME {
            break;
        }
    }
    Ok(client)
}

/// Reads from events how long they were on their way.
struct Events<'a> {
    active: bool,
    epoch: Instant,
    seen: usize,
    delays: &'a mut Vec<Duration>,
}

impl<'a> Events<'a> {
    fn new(request: &Request, epoch: Instant, delays: &'a mut Vec<Duration>) -> Self {
        Self {
            active: request.kind == Kind::Paced,
            epoch,
            seen: 0,
            delays,
        }
    }

    fn look(&mut self, reply: &[u8]) {
        if !self.active {
            return;
        }
        let now = self.epoch.elapsed();
        while let Some(length) = memchr::memmem::find(&reply[self.seen..], b"\n\n") {
            let event = String::from_utf8_lossy(&reply[self.seen..self.seen + length]);
            self.seen += length + 2;
            let sent = event
                .strip_prefix("data: {\"sent\":")
                .and_then(|rest| rest.split_once(','))
                .and_then(|(nanos, _)| nanos.parse().ok());
            if let Some(nanos) = sent {
                self.delays
                    .push(now.saturating_sub(Duration::from_nanos(nanos)));
            }
        }
    }
}

/// One request at a time to each contestant in turn, `pause` before each, until every one has `samples` or `time` is up.
///
/// Returns each one's times, from the first byte sent to the last received. All are as many.
pub async fn take_turns(
    requests: &[Request],
    samples: usize,
    pause: Duration,
    time: Duration,
) -> Result<Vec<Vec<Duration>>> {
    let mut clients = Vec::new();
    for request in requests {
        clients.push(warm_up(request).await?);
    }
    let mut times = vec![Vec::new(); requests.len()];
    let begun = Instant::now();
    for _ in 0..samples {
        for ((request, client), times) in requests.iter().zip(&mut clients).zip(&mut times) {
            // Nothing else runs on this thread, and the runtime's own timer is too coarse.
            std::thread::sleep(pause);
            let start = Instant::now();
            client.exchange(request, &mut |_| ()).await?;
            times.push(start.elapsed());
        }
        if begun.elapsed() > time {
            break;
        }
    }
    Ok(times)
}

/// Opens connections that carry one request each, and keeps them.
pub async fn open(request: &Request, connections: usize) -> Result<Vec<Client>> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        let mut client = Client::connect(request).await?;
        client.exchange(request, &mut |_| ()).await?;
        clients.push(client);
    }
    Ok(clients)
}
