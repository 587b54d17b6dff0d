//! Floods and bombs: each ends its own connection or stream, and nobody else notices.

use std::io;
use std::thread;
use std::time::Duration;

use bauta::config::Limits;
use h2::Reason;

use super::http2_kit::{
    CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, REQUEST,
    RST_STREAM, Raw, SETTINGS, STATUS_200, WINDOW_UPDATE, block, frame, get, head, play,
};
use super::model_kit::{End, OK, Sidecar, TOKEN, Upstream, Wire, post};

/// Small enough to wait for, long enough for what must come in time.
const SHORT: Duration = Duration::from_millis(300);

/// A sidecar, a neighbour of the attacker on a connection of its own, and the upstream's end of that.
struct Scene {
    upstream: Upstream,
    sidecar: Sidecar,
    neighbour: Wire,
    peer: Wire,
}

impl Scene {
    fn new(limits: Limits) -> Self {
        let upstream = Upstream::bind();
        let sidecar = Sidecar::limited(&upstream, limits);
        let mut neighbour = sidecar.connect();
        neighbour.send(post("/p/n", "", b"1"));
        let mut peer = upstream.accept();
        peer.request();
        // Its answer is under way while the attack goes on.
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
        neighbour.head();
        assert_eq!(neighbour.chunk().unwrap(), b"one");
        Self {
            upstream,
            sidecar,
            neighbour,
            peer,
        }
    }

    fn attacker(&self) -> Raw<std::net::TcpStream> {
        Raw::client(self.sidecar.addr)
    }

    /// The neighbour's answer goes on, and others are served.
    fn unharmed(mut self) {
        self.peer.send("3\r\ntwo\r\n0\r\n\r\n");
        assert_eq!(self.neighbour.chunk().unwrap(), b"two");
        assert_eq!(self.neighbour.chunk().unwrap(), b"");
        let mut client = self.attacker();
        client.send(head(1, END_STREAM, &[]));
        self.peer.request();
        self.peer.send(OK);
        assert_eq!(client.answer(1), Some((STATUS_200, b"ok".to_vec())));
        drop(client);
        drop(self.neighbour);
        self.sidecar.shutdown();
    }
}

/// Sends a flood until nobody takes it any more or it is through.
fn flood(
    client: &mut Raw<std::net::TcpStream>,
    pieces: impl Iterator<Item = Vec<u8>>,
) -> io::Result<()> {
    for piece in pieces {
        client.try_send(piece)?;
    }
    Ok(())
}

fn reset(stream: u32) -> Vec<u8> {
    frame(
        RST_STREAM,
        0,
        stream,
        &u32::from(Reason::CANCEL).to_be_bytes(),
    )
}

#[test]
fn p8_rapid_resets_end_the_connection() {
    let scene = Scene::new(Limits::default());
    // As fast as they can be read.
    let mut client = scene.attacker();
    let pairs = (0..10_000).map(|n| [head(2 * n + 1, 0, &[]), reset(2 * n + 1)].concat());
    let _ = flood(&mut client, pairs);
    assert_eq!(client.end(), Some(Reason::ENHANCE_YOUR_CALM));
    // One after another, each after it was taken: a ping is answered after the frames before it.
    let mut client = scene.attacker();
    let mut ended = false;
    for n in 0..2_000_u32 {
        let stream = 2 * n + 1;
        let rude = [head(stream, 0, &[]), frame(PING, 0, 0, &[1; 8])].concat();
        if client.try_send(rude).is_err() {
            ended = true;
            break;
        }
        match std::iter::from_fn(|| client.next())
            .find(|frame| frame.kind == PING || frame.kind == GOAWAY)
        {
            Some(frame) if frame.kind == PING => {}
            _ => {
                ended = true;
                break;
            }
        }
        let _ = client.try_send(reset(stream));
    }
    assert!(ended);
    assert!(scene.upstream.is_untouched());
    scene.unharmed();
}

#[test]
fn p8_a_head_over_the_limit_is_refused_and_its_connection_serves_on() {
    let scene = Scene::new(Limits::default());
    let addr = scene.sidecar.addr;
    play(async {
        let mut client = Client::plain(addr).await;
        let mut long = get("/p/x");
        long.headers_mut()
            .insert("x-long", "a".repeat(70_000).parse().unwrap());
        let (mut many, mut some) = (get("/p/x"), get("/p/x"));
        for n in 0..3_000 {
            let name: http::HeaderName = format!("x-{n}").parse().unwrap();
            many.headers_mut().insert(&name, "v".parse().unwrap());
            if n <= 100 {
                some.headers_mut().insert(&name, "v".parse().unwrap());
            }
        }
        // In several frames each but for the last, which has a line too many.
        for request in [long, many, some] {
            assert_eq!(client.send(request, b"").await.unwrap().status, 431);
        }
        assert_eq!(client.send(get("/nowhere"), b"").await.unwrap().status, 404);
    });
    assert!(scene.upstream.is_untouched());
    scene.unharmed();
}

#[test]
fn p8_a_header_bomb_is_not_unpacked() {
    let scene = Scene::new(Limits::default());
    let mut client = scene.attacker();
    // One header of 4,000 bytes is put into the table, and then named by a byte each time: 64 MB out of 16 KB.
    let mut bomb = block(&REQUEST);
    bomb.push(0x40);
    bomb.extend(&block(&[("x", &"a".repeat(4_000))])[1..]);
    bomb.extend(vec![0xbe; 12_000]);
    let _ = client.try_send(frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb));
    let refused = std::iter::from_fn(|| client.next())
        .any(|frame| frame.kind == GOAWAY || frame.kind == HEADERS);
    assert!(refused);
    assert!(scene.upstream.is_untouched());
    scene.unharmed();
}

#[test]
fn p8_continuations_without_end_end_the_connection() {
    for piece in [&b""[..], b"\x00\x01a\x01b"] {
        let scene = Scene::new(Limits::default());
        let mut client = scene.attacker();
        let begin = frame(HEADERS, END_STREAM, 1, &block(&REQUEST));
        let more = (0..100_000).map(|_| frame(CONTINUATION, 0, 1, piece));
        let _ = flood(&mut client, std::iter::once(begin).chain(more));
        assert!(matches!(
            client.end(),
            Some(Reason::ENHANCE_YOUR_CALM | Reason::COMPRESSION_ERROR)
        ));
        assert!(scene.upstream.is_untouched());
        scene.unharmed();
    }
}

#[test]
fn p1_a_body_byte_by_byte_is_masked_like_any_other() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut client = Raw::client(sidecar.addr);
    let body = format!("{}{TOKEN}{}", ".".repeat(2_000), ".".repeat(2_000));
    client.send(head(1, 0, &[("content-type", "text/plain")]));
    let pieces: Vec<u8> = body
        .bytes()
        .flat_map(|byte| frame(DATA, 0, 1, &[byte]))
        .collect();
    client.send(pieces);
    client.send(frame(DATA, END_STREAM, 1, b""));
    let mut peer = upstream.accept();
    let seen = peer.request();
    assert_eq!(seen.body, body.replace(TOKEN, "x_token").as_bytes());
    peer.send(OK);
    assert_eq!(client.answer(1), Some((STATUS_200, b"ok".to_vec())));
}

#[test]
fn p8_what_nobody_reads_is_bounded() {
    let upstream = Upstream::bind();
    let limits = Limits {
        max_connections: 2,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let mut client = Raw::client(sidecar.addr);
    // All places for requests are taken, so the third is not read.
    client.send([head(1, END_STREAM, &[]), head(3, END_STREAM, &[])].concat());
    let _peers = [upstream.accept(), upstream.accept()];
    client.send(head(5, 0, &[]));
    let block = frame(DATA, 0, 5, b".").repeat(1_000);
    let _ = flood(&mut client, (0..100).map(|_| block.clone()));
    assert_eq!(client.end(), Some(Reason::ENHANCE_YOUR_CALM));
    // More bytes than the window of a stream, 1 MiB, or of all of them together, 4 MiB.
    let full = vec![b'.'; 16 << 10];
    let mut client = Raw::client(sidecar.addr);
    client.send([head(1, END_STREAM, &[]), head(3, END_STREAM, &[])].concat());
    let _peers = [upstream.accept(), upstream.accept()];
    for stream in [5, 7, 9, 11, 13, 15] {
        client.send(head(stream, 0, &[]));
    }
    for _ in 0..65 {
        client.send(frame(DATA, 0, 5, &full));
    }
    assert_eq!(client.reset_of(5), Reason::FLOW_CONTROL_ERROR);
    for stream in [7, 9, 11, 13, 15] {
        let _ = flood(&mut client, (0..64).map(|_| frame(DATA, 0, stream, &full)));
    }
    assert_eq!(client.end(), Some(Reason::FLOW_CONTROL_ERROR));
    sidecar.shutdown();
}

#[test]
fn p8_empty_frames_without_end_end_the_connection() {
    let scene = Scene::new(Limits::default());
    let mut client = scene.attacker();
    let begin = head(1, 0, &[]);
    let _ = flood(
        &mut client,
        std::iter::once(begin).chain((0..10_000).map(|_| frame(DATA, 0, 1, b""))),
    );
    assert_eq!(client.end(), Some(Reason::ENHANCE_YOUR_CALM));
    assert!(scene.upstream.is_untouched());
    scene.unharmed();
}

#[test]
fn p8_pings_and_settings_are_answered_at_the_pace_at_which_answers_are_taken() {
    let limits = Limits {
        idle_timeout: SHORT,
        ..Limits::default()
    };
    for flooded in [frame(PING, 0, 0, &[7; 8]), frame(SETTINGS, 0, 0, &[])] {
        // A client that reads is served all the while.
        let scene = Scene::new(Limits::default());
        let mut client = scene.attacker();
        for _ in 0..100 {
            client.send(flooded.repeat(20));
            for _ in 0..20 {
                while client.next().unwrap().kind != flooded[3] {}
            }
        }
        drop(client);
        scene.unharmed();
        // One that does not is not read from either, and given up.
        let upstream = Upstream::bind();
        let sidecar = Sidecar::limited(&upstream, limits.clone());
        let mut client = Raw::client(sidecar.addr);
        let block = flooded.repeat(10_000);
        assert!(flood(&mut client, (0..1_000).map(|_| block.clone())).is_err());
        drop(client);
        sidecar.shutdown();
    }
}

#[test]
fn p8_more_streams_than_there_may_be_are_refused() {
    let scene = Scene::new(Limits::default());
    let mut client = scene.attacker();
    // Their bodies never end.
    for n in 0..120_u32 {
        client.send(head(2 * n + 1, 0, &[]));
    }
    for n in 100..120_u32 {
        assert_eq!(client.reset_of(2 * n + 1), Reason::REFUSED_STREAM);
    }
    drop(client);
    assert!(scene.upstream.is_untouched());
    scene.unharmed();
}

#[test]
fn p8_window_updates_beyond_what_a_window_can_be_end_the_stream_or_the_connection() {
    let scene = Scene::new(Limits::default());
    let mut client = scene.attacker();
    client.send(head(1, 0, &[]));
    client.send(frame(WINDOW_UPDATE, 0, 1, &0x7fff_ffff_u32.to_be_bytes()));
    assert_eq!(client.reset_of(1), Reason::FLOW_CONTROL_ERROR);
    client.send(frame(WINDOW_UPDATE, 0, 0, &0x7fff_ffff_u32.to_be_bytes()));
    assert_eq!(client.end(), Some(Reason::FLOW_CONTROL_ERROR));
    scene.unharmed();
}

#[test]
fn p8_frames_that_break_the_protocol_end_the_connection() {
    let rows: [&[u8]; 8] = [
        &frame(DATA, 0, 0, b"x"),
        &frame(DATA, 0, 5, b"x"),
        &frame(HEADERS, END_HEADERS, 2, &block(&REQUEST)),
        &frame(HEADERS, END_HEADERS, 0, &block(&REQUEST)),
        &frame(SETTINGS, 0, 0, b"abc"),
        &frame(PING, 0, 0, b"abc"),
        // PUSH_PROMISE from a client.
        &frame(
            5,
            END_HEADERS,
            1,
            &[&[0, 0, 0, 2][..], &block(&REQUEST)].concat(),
        ),
        // A frame that says it is longer than allowed.
        &[0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1],
    ];
    let scene = Scene::new(Limits::default());
    for bytes in rows {
        let mut client = scene.attacker();
        client.send(bytes);
        assert!(
            client
                .end()
                .is_some_and(|reason| reason != Reason::NO_ERROR),
            "{bytes:?}"
        );
    }
    scene.unharmed();
}

#[test]
fn p8_requests_in_flight_on_all_connections_are_as_many_as_connections_may_be() {
    let upstream = Upstream::bind();
    let limits = Limits {
        max_connections: 1,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let mut client = Raw::client(sidecar.addr);
    client.send(head(1, END_STREAM, &[]));
    let mut peer = upstream.accept();
    peer.request();
    client.send([head(3, END_STREAM, &[]), head(5, END_STREAM, &[])].concat());
    // One that waits for its turn can be taken back.
    client.send([reset(3), frame(PING, 0, 0, &[1; 8])].concat());
    while client.next().unwrap().kind != PING {}
    assert!(upstream.is_untouched());
    peer.send(OK);
    assert_eq!(client.answer(1), Some((STATUS_200, b"ok".to_vec())));
    peer.request();
    peer.send(OK);
    assert_eq!(client.answer(5), Some((STATUS_200, b"ok".to_vec())));
    assert!(upstream.is_untouched());
}

#[test]
fn connections_without_a_request_are_ended_in_time() {
    let limits = Limits {
        // It runs from the connection on, for those too that are about to send: a busy machine may let them wait.
        header_timeout: Duration::from_secs(2),
        idle_timeout: SHORT,
        ..Limits::default()
    };
    let scene = Scene::new(Limits::default());
    let upstream = Upstream::bind();
    let sidecar = Sidecar::limited(&upstream, limits);
    // A preface that does not end, and one that turns out to be something else.
    let silent = [&PREFACE[..5], &PREFACE[..23]].map(|opening| {
        let mut silent = sidecar.connect();
        silent.send(opening);
        silent
    });
    let mut wrong = sidecar.connect();
    wrong.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    assert_eq!(wrong.head().split(' ').nth(1), Some("400"));
    // No request, a head that does not end, and pings all the while.
    let idle = Raw::client(sidecar.addr);
    let mut dripping = Raw::client(sidecar.addr);
    dripping.send(frame(HEADERS, END_STREAM, 1, &block(&REQUEST)));
    let mut pinging = Raw::client(sidecar.addr);
    let pinging = thread::spawn(move || {
        while pinging.try_send(frame(PING, 0, 0, &[1; 8])).is_ok() && pinging.next().is_some() {
            thread::sleep(SHORT / 4);
        }
    });
    for mut silent in silent {
        assert_eq!(silent.end(), End::Close);
        assert!(silent.seen.is_empty());
    }
    for mut client in [idle, dripping] {
        // The second's answer to a ping stands where its head should go on.
        let reason = client.end();
        assert!(
            matches!(reason, Some(Reason::NO_ERROR | Reason::PROTOCOL_ERROR)),
            "{reason:?}"
        );
    }
    pinging.join().unwrap();
    // One that was answered is idle from then on.
    let mut client = Raw::client(sidecar.addr);
    client.send(head(1, END_STREAM, &[]));
    let mut peer = upstream.accept();
    peer.request();
    peer.send(OK);
    assert_eq!(client.answer(1), Some((STATUS_200, b"ok".to_vec())));
    assert_eq!(client.end(), Some(Reason::NO_ERROR));
    // A body that stalls is answered like any other.
    let mut client = Raw::client(sidecar.addr);
    client.send(head(1, 0, &[]));
    client.send(frame(DATA, 0, 1, b"half"));
    let (_, body) = client.answer(1).unwrap();
    assert!(String::from_utf8(body).unwrap().contains("body_stalled"));
    scene.unharmed();
}

#[test]
fn a_drain_says_so_and_lets_what_is_under_way_end() {
    let upstream = Upstream::bind();
    let sidecar = Sidecar::before(&upstream);
    let mut idle = Raw::client(sidecar.addr);
    idle.until(SETTINGS);
    let mut busy = Raw::client(sidecar.addr);
    busy.send(head(1, END_STREAM, &[]));
    let mut peer = upstream.accept();
    peer.request();
    let ends = thread::spawn(move || sidecar.shutdown());
    assert_eq!(idle.end(), Some(Reason::NO_ERROR));
    while busy.next().unwrap().kind != GOAWAY {}
    peer.send(OK);
    assert_eq!(busy.answer(1), Some((STATUS_200, b"ok".to_vec())));
    busy.end();
    assert_eq!(ends.join().unwrap(), 0);
}

#[test]
fn a_drain_cuts_what_does_not_end() {
    let upstream = Upstream::bind();
    let limits = Limits {
        drain_timeout: SHORT,
        ..Limits::default()
    };
    let sidecar = Sidecar::limited(&upstream, limits);
    let mut busy = Raw::client(sidecar.addr);
    busy.send(head(1, END_STREAM, &[]));
    let mut peer = upstream.accept();
    peer.request();
    assert_eq!(sidecar.shutdown(), 1);
    assert!(std::iter::from_fn(|| busy.next()).all(|frame| frame.kind != HEADERS));
    peer.end();
}

#[test]
fn a_unix_socket_speaks_http_2_as_well() {
    use bauta::config::Listen;

    let upstream = Upstream::bind();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bauta.sock");
    let mut config = super::model_kit::config(&upstream.url(), Limits::default());
    config.model.as_mut().unwrap().listen = Listen::unix(path.clone()).unwrap();
    let provider = thread::spawn(move || {
        let mut peer = upstream.accept();
        peer.request();
        peer.send(OK);
    });
    play(async {
        let secrets = super::model_kit::secrets(super::model_kit::SECRETS);
        let config = super::model_kit::housed(&config, folder.path());
        let running = bauta::app::Running::start(&config, secrets).await.unwrap();
        let mut client = Client::over(tokio::net::UnixStream::connect(&path).await.unwrap()).await;
        assert_eq!(client.send(get("/p/x"), b"").await.unwrap().body, b"ok");
        drop(client);
        running.shutdown().await;
    });
    provider.join().unwrap();
}
