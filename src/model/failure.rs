//! The one place where what went wrong becomes a response.
//!
//! The shape is the one that OpenAI's and Anthropic's SDKs read. A message says what to do next; it never repeats what
//! the client or the upstream sent.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use crate::guard::Refusal;
use crate::net::dial::DialError;
use crate::net::host::HostError;
use crate::net::pool::SendError;
use crate::relay::Error;
use crate::relay::content::ContentError;

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
    #[error(
        "WebSocket is not supported. Use plain HTTP requests; clients with both fall back by themselves"
    )]
    WebSocket,
    #[error("{0}. {mend}", mend = host_mend(*.0))]
    Host(#[from] HostError),
    #[error("{0}. {mend}", mend = content_mend(*.0))]
    Content(#[from] ContentError),
    #[error("{text}", text = relay_text(.0, .1))]
    Relay(#[source] Error, String),
}

impl Failure {
    /// A failure of an exchange with the provider of that name.
    pub fn relay(error: Error, provider: &str) -> Self {
        Self::Relay(error, provider.to_owned())
    }

    /// Status and code.
    pub fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Method => (StatusCode::BAD_REQUEST, "method_not_relayed"),
            Self::TargetForm => (StatusCode::BAD_REQUEST, "target_invalid"),
            Self::PathTrick | Self::DoubleSlash => (StatusCode::BAD_REQUEST, "path_ambiguous"),
            Self::Route => (StatusCode::NOT_FOUND, "route_unknown"),
            Self::Reserved => (StatusCode::NOT_FOUND, "path_reserved"),
            Self::WebSocket => (StatusCode::UPGRADE_REQUIRED, "websocket_unsupported"),
            Self::Host(HostError::Foreign) => (StatusCode::MISDIRECTED_REQUEST, "host_foreign"),
            Self::Host(HostError::Origin) => (StatusCode::FORBIDDEN, "origin_foreign"),
            Self::Host(_) => (StatusCode::BAD_REQUEST, "host_invalid"),
            Self::Content(ContentError::Coding) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_coding")
            }
            Self::Content(ContentError::Charset) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "charset"),
            Self::Content(ContentError::Ambiguous) => {
                (StatusCode::BAD_REQUEST, "content_type_ambiguous")
            }
            Self::Content(ContentError::Transfer) => (StatusCode::BAD_REQUEST, "framing"),
            Self::Relay(error, _) => relay_kind(error),
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
                "placeholder": null,
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
            // RFC 9110, 15.5.22: the answer says which protocol would do.
            headers.insert(header::UPGRADE, HeaderValue::from_static("HTTP/1.1"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
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

fn relay_kind(error: &Error) -> (StatusCode, &'static str) {
    match error {
        Error::ClientBody => (StatusCode::BAD_REQUEST, "body_broken"),
        Error::ClientStalled => (StatusCode::REQUEST_TIMEOUT, "body_stalled"),
        Error::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
        Error::Charset => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "charset"),
        Error::Refused(Refusal::PendingTooLong) => {
            (StatusCode::PAYLOAD_TOO_LARGE, "encoded_span_too_long")
        }
        Error::Refused(Refusal::TooDeep) => (StatusCode::PAYLOAD_TOO_LARGE, "nested_too_deep"),
        Error::SecretInName(_) => (StatusCode::BAD_REQUEST, "secret_in_name"),
        Error::Unwritable(_) => (StatusCode::BAD_REQUEST, "masked_head_invalid"),
        Error::Upstream(SendError::Dial(DialError::Timeout)) => {
            (StatusCode::GATEWAY_TIMEOUT, "upstream_connect_timeout")
        }
        Error::Upstream(SendError::Dial(DialError::Tls(_))) => {
            (StatusCode::BAD_GATEWAY, "upstream_tls")
        }
        Error::Upstream(SendError::Dial(_)) => (StatusCode::BAD_GATEWAY, "upstream_unreachable"),
        Error::Upstream(SendError::Stalled) => (StatusCode::GATEWAY_TIMEOUT, "upstream_stalled"),
        Error::ResponseTimeout | Error::AnswerStalled => {
            (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout")
        }
        Error::Upstream(SendError::Garbage) | Error::Switched => {
            (StatusCode::BAD_GATEWAY, "upstream_garbage")
        }
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
        Error::Charset => "Send it as UTF-8",
        Error::Refused(_) => "Send the data in fewer encodings, or as a file that needs none",
        Error::SecretInName(_) => "Take the secret out of it: names cannot be masked",
        Error::Unwritable(_) => "Choose another [placeholder] output",
        Error::Upstream(_)
        | Error::ResponseTimeout
        | Error::AnswerBroken
        | Error::AnswerStalled
        | Error::Switched => {
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
        Error::ResponseTimeout => "Try again; model.limits.response_timeout is the limit",
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

fn content_mend(error: ContentError) -> &'static str {
    match error {
        ContentError::Coding => "Send it uncompressed",
        ContentError::Transfer => "Send it with Content-Length or Transfer-Encoding: chunked",
        ContentError::Charset => "Send it as UTF-8",
        ContentError::Ambiguous => "Send one",
    }
}
