//! Switches that must stay as they are: certificate errors count, and a trace that the settings allow is one that can be masked.

use serde::Deserialize;

use super::params::read;
use crate::browser::{Command, Refusal, Verdict};

/// Certificate errors are never ignored; what does not ignore them passes.
pub fn take(command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    struct Switch {
        ignore: Option<bool>,
        #[serde(rename = "override")]
        by_client: Option<bool>,
        action: Option<String>,
    }
    let Switch {
        ignore,
        by_client,
        action,
    } = read(command)?;
    let action_is_safe = action.is_none_or(|action| action == "cancel");
    if ignore == Some(true) || by_client == Some(true) || !action_is_safe {
        return Err(Refusal::new(
            "certificate errors are not ignored, and no setting allows it: a server that nobody verified would get values. Let the \
             browser trust the authority that signed the certificate",
        ));
    }
    Ok(Verdict::Pass)
}

/// A trace must come as text.
pub fn tracing(command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Start {
        stream_format: Option<String>,
        stream_compression: Option<String>,
        perfetto_config: Option<serde::de::IgnoredAny>,
    }
    let start: Start = read(command)?;
    let is_text = start.stream_format.is_none_or(|format| format == "json")
        && start
            .stream_compression
            .is_none_or(|coding| coding == "none")
        && start.perfetto_config.is_none();
    if !is_text {
        return Err(Refusal::new(
            "a trace can be masked as JSON only: leave out streamFormat, streamCompression and perfettoConfig",
        ));
    }
    Ok(Verdict::Pass)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::browser::inspect::params::tests::command;

    #[test]
    fn errors_of_certificates_count() {
        for (method, params, passes) in [
            (
                "Security.setIgnoreCertificateErrors",
                r#"{"ignore":false}"#,
                true,
            ),
            (
                "Security.setIgnoreCertificateErrors",
                r#"{"ignore":true}"#,
                false,
            ),
            (
                "Security.setIgnoreCertificateErrors",
                r#"{"ignore":1}"#,
                false,
            ),
            (
                "Security.setIgnoreCertificateErrors",
                r#"{"ignore":false,"ignore":true}"#,
                false,
            ),
            (
                "Security.setIgnoreCertificateErrors",
                r#"{"ignore":false,"\u0069gnore":true}"#,
                false,
            ),
            (
                "Security.setIgnoreCertificateErrors",
                r#"{"ignore":/**/true}"#,
                false,
            ),
            (
                "Security.setOverrideCertificateErrors",
                r#"{"override":true}"#,
                false,
            ),
            (
                "Security.setOverrideCertificateErrors",
                r#"{"override":false}"#,
                true,
            ),
            (
                "Security.handleCertificateError",
                r#"{"eventId":1,"action":"continue"}"#,
                false,
            ),
            (
                "Security.handleCertificateError",
                r#"{"eventId":1,"action":"cancel"}"#,
                true,
            ),
        ] {
            let verdict = take(&command(method, params));
            assert_eq!(verdict.is_ok(), passes, "{params}");
        }
    }

    #[test]
    fn traces_are_json() {
        for (params, passes) in [
            ("{}", true),
            (
                r#"{"categories":"a","transferMode":"ReturnAsStream","streamFormat":"json"}"#,
                true,
            ),
            (r#"{"streamCompression":"none"}"#, true),
            (r#"{"streamCompression":"gzip"}"#, false),
            (r#"{"streamFormat":"proto"}"#, false),
            (r#"{"perfettoConfig":"abc"}"#, false),
            (r#"{"streamFormat":"json","streamFormat":"proto"}"#, false),
        ] {
            let verdict = tracing(&command("Tracing.start", params));
            assert_eq!(verdict.is_ok(), passes, "{params}");
        }
    }
}
