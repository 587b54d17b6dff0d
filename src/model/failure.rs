//! The one place where what went wrong becomes a response.
//!
//! The shape is the one that OpenAI's and Anthropic's SDKs read. A message says what to do next; it never repeats what
//! the client or the upstream sent.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use crate::guard::{Denied, NotThere, Refusal, Snapshot, Unavailable};
use crate::net::dial::DialError;
use crate::net::host::HostError;
use crate::net::pool::SendError;
use crate::net::websocket::handshake::{self, OpeningError};
use crate::relay::Error;
use crate::relay::content::ContentError;
use crate::relay::multipart::PartError;

/// Why a request is answered by us.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("this method is not relayed. Use the method that the provider's API documents")]
    Method,
    #[error(
        "the request target is not a path on this server. Set the agent's base URL to http://HOST:PORT/PROVIDER"
    )]
    TargetForm,
    #[error(
        "the path can be read in more than one way (dot segments or control characters). Send it without them"
    )]
    PathTrick,
    #[error(
        "the path begins with two slashes after the provider. Remove the slash at the end of the agent's base URL"
    )]
    DoubleSlash,
    #[error(
        "no provider has this path. Use /PROVIDER/..., where PROVIDER is a preset or a [[model.provider]]"
    )]
    Route,
    #[error("paths under /bauta/ are reserved, and nothing is there")]
    Reserved,
    #[error("{0}. {mend}", mend = opening_mend(*.0))]
    Opening(#[from] OpeningError),
    #[error("{0}. {mend}", mend = host_mend(*.0))]
    Host(#[from] HostError),
    #[error("{0}. {mend}", mend = content_mend(*.0))]
    Content(#[from] ContentError),
    #[error("{text}", text = relay_text(.0, .1))]
    Relay(#[source] Error, String),
    #[error(
        "a block that the provider signed holds the value of {0}, and to mask it would break the conversation. Leave the turn with \
         this thinking block out of the conversation, or set model.signed = \"pass\""
    )]
    Signed(String),
    #[error(
        "the request is signed for the provider's cloud (as AWS Signature Version 4 does), and the signature would not fit what \
         bauta sends. Use a key that is sent as it is (for Amazon Bedrock an API key, as bearer token), or a gateway behind bauta \
         that signs"
    )]
    CloudSigned,
    #[error("{0}. {mend}", mend = unavailable_mend(.0))]
    Unavailable(#[from] Unavailable),
    #[error("the credential {key} is not put in: {denied}. {mend}", mend = denied_mend(key, origin, denied))]
    Denied {
        key: String,
        /// Where the route leads.
        origin: String,
        denied: Denied,
    },
}

impl Failure {
    /// A failure of an exchange with the provider of that name, masked by that snapshot.
    pub fn relay(error: Error, provider: &str, snapshot: &Snapshot) -> Self {
        match error {
            Error::Refused(Refusal::Signed(id)) => Self::Signed(snapshot.key(id).to_owned()),
            error => Self::Relay(error, provider.to_owned()),
        }
    }

    /// The key that it is about.
    fn placeholder(&self) -> Option<&str> {
        match self {
            Self::Signed(key) | Self::Denied { key, .. } => Some(key),
            _ => None,
        }
    }

    /// Status and code.
    pub fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Method => (StatusCode::BAD_REQUEST, "method_not_relayed"),
            Self::TargetForm => (StatusCode::BAD_REQUEST, "target_invalid"),
            Self::PathTrick | Self::DoubleSlash => (StatusCode::BAD_REQUEST, "path_ambiguous"),
            Self::Route => (StatusCode::NOT_FOUND, "route_unknown"),
            Self::Reserved => (StatusCode::NOT_FOUND, "path_reserved"),
            Self::Opening(OpeningError::Version) => {
                (StatusCode::UPGRADE_REQUIRED, "websocket_version")
            }
            Self::Opening(_) => (StatusCode::BAD_REQUEST, "websocket_handshake"),
            Self::Host(HostError::Foreign) => (StatusCode::MISDIRECTED_REQUEST, "host_foreign"),
            Self::Host(HostError::Origin) => (StatusCode::FORBIDDEN, "origin_foreign"),
            Self::Host(_) => (StatusCode::BAD_REQUEST, "host_invalid"),
            Self::Content(error) => content_kind(*error),
            Self::Relay(error, _) => relay_kind(error),
            Self::Signed(_) => (StatusCode::UNPROCESSABLE_ENTITY, "signed_block"),
            Self::CloudSigned => (StatusCode::UNPROCESSABLE_ENTITY, "cloud_signed"),
            Self::Unavailable(unavailable)
            | Self::Denied {
                denied: Denied::Unavailable(unavailable),
                ..
            } => (StatusCode::SERVICE_UNAVAILABLE, unavailable.code()),
            Self::Denied { .. } => (StatusCode::FORBIDDEN, "credential_refused"),
        }
    }

    /// The response.
    pub fn response(&self) -> Response<Full<Bytes>> {
        let (status, code) = self.kind();
        let body = serde_json::json!({
            "type": "error",
            "error": {
                "type": error_type(status),
                "code": code,
                "message": format!("bauta: {self}"),
                "placeholder": self.placeholder(),
            },
        });
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if status == StatusCode::UPGRADE_REQUIRED {
            // RFC 9110, 15.5.22: the answer says which protocol would do; RFC 6455, 4.4: in which version.
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::SEC_WEBSOCKET_VERSION, handshake::VERSION);
        }
        response
    }
}

fn error_type(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "not_found_error",
        StatusCode::FORBIDDEN => "permission_error",
        StatusCode::PAYLOAD_TOO_LARGE => "request_too_large",
        StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => "timeout_error",
        status if status.is_server_error() => "api_error",
        _ => "invalid_request_error",
    }
}

fn content_kind(error: ContentError) -> (StatusCode, &'static str) {
    match error {
        ContentError::Coding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_coding"),
        ContentError::Charset => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "charset"),
        ContentError::Ambiguous => (StatusCode::BAD_REQUEST, "content_type_ambiguous"),
        ContentError::Boundary => (StatusCode::BAD_REQUEST, "multipart_boundary"),
        ContentError::Transfer => (StatusCode::BAD_REQUEST, "framing"),
    }
}

fn relay_kind(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::ClientBody => (StatusCode::BAD_REQUEST, "body_broken"),
        Error::ClientStalled => (StatusCode::REQUEST_TIMEOUT, "body_stalled"),
        Error::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
        Error::Coding(_) => (StatusCode::BAD_REQUEST, "content_coding_broken"),
        Error::Bomb => (StatusCode::PAYLOAD_TOO_LARGE, "content_coding_ratio"),
        Error::Charset => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "charset"),
        Error::Part(PartError::Content(error)) => content_kind(*error),
        Error::Part(_) => (StatusCode::BAD_REQUEST, "multipart_invalid"),
        Error::Refused(Refusal::PendingTooLong) => {
            (StatusCode::PAYLOAD_TOO_LARGE, "encoded_span_too_long")
        }
        Error::Refused(_) => (StatusCode::PAYLOAD_TOO_LARGE, "nested_too_deep"),
        Error::SecretInName(_) => (StatusCode::BAD_REQUEST, "secret_in_name"),
        Error::LookAlike => (StatusCode::BAD_REQUEST, "framing"),
        Error::Unwritable(_) => (StatusCode::BAD_REQUEST, "masked_head_invalid"),
        Error::Upstream(SendError::Dial(DialError::Timeout)) => {
            (StatusCode::GATEWAY_TIMEOUT, "upstream_connect_timeout")
        }
        Error::Upstream(SendError::Dial(DialError::Tls(_))) => {
            (StatusCode::BAD_GATEWAY, "upstream_tls")
        }
        Error::Upstream(SendError::Dial(_)) => (StatusCode::BAD_GATEWAY, "upstream_unreachable"),
        Error::Upstream(SendError::Stalled) => (StatusCode::GATEWAY_TIMEOUT, "upstream_stalled"),
        Error::Unreadable(_) => (StatusCode::BAD_GATEWAY, "answer_unreadable"),
        Error::ResponseTimeout | Error::AnswerStalled => {
            (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout")
        }
        Error::Upstream(SendError::Garbage) | Error::Switched | Error::AnswerTransfer => {
            (StatusCode::BAD_GATEWAY, "upstream_garbage")
        }
        Error::Handshake(_) => (StatusCode::BAD_GATEWAY, "upstream_handshake"),
        Error::Upstream(
            SendError::Closed | SendError::Reset | SendError::Refused | SendError::Body,
        )
        | Error::AnswerBroken => (StatusCode::BAD_GATEWAY, "upstream_closed"),
    }
}

fn relay_text(error: &Error, provider: &str) -> String {
    let mend = match error {
        Error::ClientBody => "Send it again",
        Error::ClientStalled => "Send it again; model.limits.idle_timeout is the limit",
        Error::TooLarge(_) => "Send less, or raise model.limits.max_body_bytes",
        Error::Coding(_) => "Send it again, or uncompressed",
        Error::Bomb => "Send it uncompressed",
        Error::Charset => "Send it as UTF-8",
        Error::Part(PartError::Content(error)) => content_mend(*error),
        Error::Part(_) => "Build it with an HTTP library, with a random boundary",
        Error::Refused(_) => "Send the data in fewer encodings, or as a file that needs none",
        Error::SecretInName(_) => "Take the secret out of it: names cannot be masked",
        Error::LookAlike => "Send it without that header",
        Error::Unwritable(_) => "Choose another [placeholder] output",
        Error::Upstream(_)
        | Error::ResponseTimeout
        | Error::AnswerBroken
        | Error::AnswerStalled
        | Error::AnswerTransfer
        | Error::Unreadable(_)
        | Error::Switched
        | Error::Handshake(_) => {
            return format!(
                "the provider {provider} cannot be used: {error}. {}",
                upstream_mend(error)
            );
        }
    };
    format!("{error}. {mend}")
}

fn upstream_mend(error: &Error) -> &'static str {
    match error {
        Error::Upstream(SendError::Dial(DialError::Tls(_))) => {
            "If its certificate comes from a private authority, set `ca` of the [[model.provider]]"
        }
        Error::Upstream(SendError::Dial(DialError::Settings(_))) => "Then restart bauta",
        Error::Upstream(SendError::Dial(_)) => {
            "Check that it runs, and `upstream` of the [[model.provider]]"
        }
        Error::Unreadable(_) => "Ask for another form, or switch model.mask_responses off",
        Error::ResponseTimeout => "Try again; model.limits.response_timeout is the limit",
        Error::Handshake(_) => "Check that `upstream` of the [[model.provider]] speaks WebSocket",
        _ => "Try again",
    }
}

fn host_mend(error: HostError) -> &'static str {
    match error {
        HostError::Foreign => "Use the listener's address, or add the name to model.hosts",
        HostError::Origin => "Call from a program, not from a page in a browser",
        _ => "Send one Host header with the listener's address",
    }
}

fn unavailable_mend(unavailable: &Unavailable) -> &'static str {
    match unavailable {
        Unavailable::Audit => {
            "Make room on its disk, or mend the file that audit.path names and its folder; then bauta goes on by itself"
        }
        Unavailable::Vault(_) => {
            "Once it can be read, bauta goes on by itself; after its file was replaced, restart bauta"
        }
        Unavailable::Behind => "Try again",
    }
}

fn denied_mend(key: &str, origin: &str, denied: &Denied) -> String {
    match denied {
        Denied::NotThere(NotThere::UnknownKey) => {
            format!("Store it with: bauta secret set {key} --domain {origin}")
        }
        Denied::NotThere(NotThere::NoPattern) => format!(
            "Its domain must match {origin}, where this route leads: bauta secret test PATTERN {origin}"
        ),
        Denied::NotAllowed(_) => "Send its placeholder once, as the provider's SDK does".to_owned(),
        Denied::Code(_) => "Store it anew".to_owned(),
        Denied::Unavailable(unavailable) => unavailable_mend(unavailable).to_owned(),
    }
}

fn opening_mend(error: OpeningError) -> &'static str {
    match error {
        OpeningError::Body => "Send what it holds as the first message",
        OpeningError::Protocol => "Send names of letters, digits and - _ . only",
        _ => "Open it as RFC 6455 says",
    }
}

fn content_mend(error: ContentError) -> &'static str {
    match error {
        ContentError::Coding => "Send it with gzip, deflate, br or zstd, or uncompressed",
        ContentError::Transfer => "Send it with Content-Length or Transfer-Encoding: chunked",
        ContentError::Charset => "Send it as UTF-8",
        ContentError::Ambiguous => "Send one",
        ContentError::Boundary => "Send one boundary parameter of 1 to 70 plain characters",
    }
}
