//! Answers that are masked on their way to the client, and those that are not. Which is which, and of what, is their caller's to
//! say: it hands in the needles.
//!
//! [`ask`] makes a request whose answer can be read: no part of a resource, no coding that we do not know. [`masked`] masks the
//! head that comes and lets its body through the engine, without codings and without a length that may change. A piece goes on
//! as soon as it came, but for a tail that could begin a value; so events pass one by one.
//!
//! Invariants: of an answer that cannot be read nothing goes on; one that breaks inside never looks complete.
//!
//! Without masking an answer passes as it comes, byte for byte. A value that is split over two events is not found.

use std::iter;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::ext::ReasonPhrase;

use super::answer_text::Text;
use super::coded::Coded;
use super::content::{self, Declared, Opening};
use super::exchange::AnswerBody;
use super::{Error, Tally};
use crate::guard::{Refusal, Snapshot, Syntax};
use crate::net::coding::{Coding, CodingError};
use crate::net::headers::elements;

/// Why an answer that is to be masked cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A content coding that is not known, or more than three one on top of another.
    #[error("it has a content coding that is not known")]
    Coding,
    /// Its content coding is broken.
    #[error("{0}")]
    Broken(#[from] CodingError),
    /// Its content coding makes too much of too little.
    #[error("its content coding makes too much of too little")]
    Bomb,
    /// A charset in which values are not found.
    #[error("its charset is not known")]
    Charset,
    /// A part of something, at whose ends a value may be cut.
    #[error("it is a part of a resource")]
    Part,
    /// The engine refuses to read it.
    #[error("{0}")]
    Refused(Refusal),
}

/// Lets a request ask for nothing that could not be masked.
pub fn ask(headers: &mut HeaderMap) {
    for name in [header::RANGE, header::IF_RANGE] {
        while headers.remove(&name).is_some() {}
    }
    let readable: Vec<String> = elements(headers, &header::ACCEPT_ENCODING)
        .filter(|element| {
            let name = element.split(|b| *b == b';').next().unwrap_or_default();
            Coding::named(name.trim_ascii()).is_some()
        })
        .map(|element| String::from_utf8_lossy(element).into_owned())
        .collect();
    // Without the header upstream might take any coding.
    let value = HeaderValue::from_str(&readable.join(", "))
        .ok()
        .filter(|value| !value.is_empty())
        .unwrap_or(HeaderValue::from_static("identity"));
    headers.insert(header::ACCEPT_ENCODING, value);
}

/// An answer as it comes.
pub fn untouched(response: Response<AnswerBody>) -> Response<Reply> {
    response.map(|inner| Reply { inner, mask: None })
}

/// An answer to a request of that method, masked.
///
/// # Errors
/// It cannot be read.
pub fn masked(
    response: Response<AnswerBody>,
    method: &Method,
    snapshot: &Arc<Snapshot>,
    tally: &Arc<Tally>,
) -> Result<Response<Reply>, Error> {
    let (mut parts, inner) = response.into_parts();
    // Whatever its status says: over HTTP/2 a body can follow any.
    let bodiless = *method == Method::HEAD || inner.is_end_stream();
    let mask = if bodiless {
        None
    } else {
        if parts.status == StatusCode::PARTIAL_CONTENT {
            return Err(Unreadable::Part.into());
        }
        let codings = Coding::of(&parts.headers).ok_or(Unreadable::Coding)?;
        if content::has_coded_messages(&parts.headers) {
            return Err(Unreadable::Coding.into());
        }
        let (reading, declared) =
            content::answer_reading(&parts.headers).ok_or(Unreadable::Charset)?;
        for name in [header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
            while parts.headers.remove(&name).is_some() {}
        }
        Some(Box::new(Mask {
            text: Some(Text::new(reading, snapshot, tally)),
            coded: (!codings.is_empty()).then(|| Coded::answer(&codings)),
            declared,
            opening: Opening::default(),
            ready: Bytes::new(),
            trailers: None,
            snapshot: Arc::clone(snapshot),
            tally: Arc::clone(tally),
        }))
    };
    parts.headers = masked_headers(&parts.headers, snapshot, tally)?;
    if let Some(phrase) = parts.extensions.get::<ReasonPhrase>()
        && found(snapshot.mask(phrase.as_bytes(), Syntax::Text))?.is_some()
    {
        parts.extensions.remove::<ReasonPhrase>();
    }
    Ok(Response::from_parts(parts, Reply { inner, mask }))
}

fn found<T>(result: Result<T, Refusal>) -> Result<T, Error> {
    result.map_err(|refusal| Unreadable::Refused(refusal).into())
}

/// The headers of an answer with their values masked. A header whose name holds a value, or whose masked value is not valid, goes.
///
/// # Errors
/// The engine refuses to read one.
pub fn masked_headers(
    headers: &HeaderMap,
    snapshot: &Snapshot,
    tally: &Tally,
) -> Result<HeaderMap, Error> {
    let mut out = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if let Some((name, value)) = mask_header(name, value, snapshot, tally)? {
            out.append(name, value);
        }
    }
    Ok(out)
}

fn mask_header(
    name: &HeaderName,
    value: &HeaderValue,
    snapshot: &Snapshot,
    tally: &Tally,
) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
    if found(snapshot.is_in_names(iter::once(name.as_str().as_bytes())))? {
        return Ok(None);
    }
    let Some((text, hits)) = found(snapshot.mask(value.as_bytes(), Syntax::Text))? else {
        return Ok(Some((name.clone(), value.clone())));
    };
    tally.add_named(&hits, snapshot);
    let value = HeaderValue::from_bytes(&text).ok();
    Ok(value.map(|value| (name.clone(), value)))
}

/// An answer's body on its way to the client.
pub struct Reply {
    inner: AnswerBody,
    mask: Option<Box<Mask>>,
}

struct Mask {
    /// `None` once it has come to its end, or cannot be read on.
    text: Option<Text>,
    coded: Option<Coded>,
    declared: Declared,
    /// The text's first bytes, until they are enough to tell its charset.
    opening: Opening,
    /// What goes on next.
    ready: Bytes,
    trailers: Option<HeaderMap>,
    snapshot: Arc<Snapshot>,
    tally: Arc<Tally>,
}

impl Reply {
    /// Whether the request was handed on to its end.
    pub fn request_is_complete(&self) -> bool {
        self.inner.request_is_complete()
    }
}

impl Mask {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        inner: &mut AnswerBody,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            if !self.ready.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.ready)))));
            }
            if self.text.is_none() {
                let trailers = self.trailers.take();
                return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
            }
            let read = ready!(self.poll_text(cx, inner)).and_then(|piece| self.read(piece));
            if let Err(error) = read {
                self.text = None;
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    /// The next piece of the text, without codings; `None` at its end.
    fn poll_text(
        &mut self,
        cx: &mut Context<'_>,
        inner: &mut AnswerBody,
    ) -> Poll<Result<Option<Bytes>, Error>> {
        let Some(mut coded) = self.coded.take() else {
            return self.poll_received(cx, inner);
        };
        let polled = coded.poll_text(cx, |cx| self.poll_received(cx, inner));
        self.coded = Some(coded);
        polled.map_err(|error| match error {
            Error::Coding(error) => Unreadable::Broken(error).into(),
            Error::Bomb => Unreadable::Bomb.into(),
            other => other,
        })
    }

    /// The next piece as it comes from upstream; `None` at the body's end.
    fn poll_received(
        &mut self,
        cx: &mut Context<'_>,
        inner: &mut AnswerBody,
    ) -> Poll<Result<Option<Bytes>, Error>> {
        loop {
            let Some(frame) = ready!(Pin::new(&mut *inner).poll_frame(cx)) else {
                return Poll::Ready(Ok(None));
            };
            match frame?.into_data() {
                Ok(data) => return Poll::Ready(Ok(Some(data))),
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        let trailers = masked_headers(&trailers, &self.snapshot, &self.tally)?;
                        self.trailers = Some(trailers);
                    }
                }
            }
        }
    }

    /// Lets the engine read a piece, or the end; what is settled is ready at once.
    fn read(&mut self, piece: Option<Bytes>) -> Result<(), Error> {
        let Some(text) = &mut self.text else {
            return Ok(());
        };
        let mut out = Vec::new();
        if let Some(piece) = piece {
            if !content::is_utf8_text(self.opening.with(&piece), self.declared) {
                return Err(Unreadable::Charset.into());
            }
            found(text.push(piece, &mut out))?;
        } else {
            found(text.end(&mut out))?;
            self.text = None;
        }
        self.ready = joined(out);
        Ok(())
    }
}

/// One piece of several: what came in one piece goes on in one.
fn joined(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.remove(0);
    }
    let mut all = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        all.extend_from_slice(&piece);
    }
    all.freeze()
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Self { inner, mask } = &mut *self;
        match mask {
            None => Pin::new(inner).poll_frame(cx),
            Some(mask) => mask.poll_frame(cx, inner),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.mask {
            None => self.inner.is_end_stream(),
            Some(mask) => mask.text.is_none() && mask.ready.is_empty() && mask.trailers.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.mask {
            None => self.inner.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}
