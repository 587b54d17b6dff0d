//! What every version and both sides ask of headers.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Headers of one hop (RFC 9110, 7.6.1), besides those that `Connection` names. In HTTP/2 they have no meaning, and make a
/// message malformed (RFC 9113, 8.2.2).
pub const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The elements of a list header over all its lines, without empty ones (RFC 9110, 5.6.1).
pub fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    lines
        .flat_map(|line| line.split(|b| *b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_goes_over_lines_and_has_no_empty_elements() {
        let mut headers = HeaderMap::new();
        for line in ["a, b;q=0 ,", "", ",\tc"] {
            headers.append(header::TE, HeaderValue::from_static(line));
        }
        let all: Vec<&[u8]> = elements(&headers, &header::TE).collect();
        assert_eq!(all, [&b"a"[..], b"b;q=0", b"c"]);
        assert_eq!(elements(&headers, &header::ACCEPT).count(), 0);
    }
}
