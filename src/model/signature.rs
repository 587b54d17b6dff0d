//! Requests that their client signed for the upstream's cloud (AWS Signature Version 4 and its kin).
//!
//! The signature covers the host, the target and the body, so it fits nothing that we send: not the host that we put in, and
//! nothing that was masked. Such requests are refused until they can be signed anew.

use http::{HeaderMap, header};

use super::failure::Failure;
use super::target::percent_decode;

/// The end of the names of their authentication schemes: `AWS4-HMAC-SHA256`, `AWS4-ECDSA-P256-SHA256`, `GOOG4-RSA-SHA256`,
/// `ACS3-HMAC-SHA256`, `TC3-HMAC-SHA256`, `HMAC-SHA256`.
const SCHEME: &[u8] = b"-SHA256";

/// Parameters of the query that hold the signature of a presigned URL.
const PARAMETERS: [&[u8]; 2] = [b"X-Amz-Signature", b"X-Goog-Signature"];

/// Refuses a request that is signed so; `rest` is its target, path and query.
///
/// # Errors
/// [`Failure::CloudSigned`].
pub(super) fn check(headers: &HeaderMap, rest: &str) -> Result<(), Failure> {
    let mut schemes = headers
        .get_all(header::AUTHORIZATION)
        .iter()
        .filter_map(|value| {
            let value = value.as_bytes().trim_ascii_start();
            value.split(|byte| matches!(byte, b' ' | b'\t')).next()
        });
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let mut names = query.split('&').map(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        percent_decode(name.as_bytes())
    });
    let is_signed = schemes.any(|scheme| {
        let end = scheme.len().saturating_sub(SCHEME.len());
        scheme[end..].eq_ignore_ascii_case(SCHEME)
    }) || names.any(|name| {
        PARAMETERS
            .iter()
            .any(|parameter| name.eq_ignore_ascii_case(parameter))
    });
    if is_signed {
        return Err(Failure::CloudSigned);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn signed_requests_are_told_by_their_scheme_or_parameter() {
        for (authorization, rest, signed) in [
            ("AWS4-HMAC-SHA256 Credential=a/b, Signature=0", "/", true),
            ("aws4-ecdsa-p256-sha256\tCredential=a", "/", true),
            ("GOOG4-RSA-SHA256 Credential=a", "/", true),
            ("HMAC-SHA256 Credential=a", "/", true),
            ("AWS4-HMAC-SHA256", "/", true),
            ("Bearer a-SHA256", "/", false),
            ("Bearer AWS4-HMAC-SHA256", "/?a=X-Amz-Signature", false),
            ("SHA256 a", "/X-Amz-Signature", false),
            ("", "/a?b&X-Amz-Signature=0", true),
            ("", "/a?x-amz%2Dsignature=0", true),
            ("", "/a?X-Goog-Signature=0", true),
            ("", "/a?b#X-Amz-Signature", false),
            ("", "", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(header::AUTHORIZATION, HeaderValue::from_static("Basic x"));
            headers.append(
                header::AUTHORIZATION,
                HeaderValue::from_static(authorization),
            );
            let found = check(&headers, rest).is_err();
            assert_eq!(found, signed, "{authorization} {rest}");
        }
    }
}
