//! Switches that must stay as they are, so that only what leaves them off passes; and traces that the settings allow.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::params::read;
use crate::browser::methods::{Rule, rule};
use crate::browser::{Command, Refusal, Verdict};

/// A command that is refused unless it leaves off what it is about: clients send such ones as a matter of course.
pub fn take(command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    struct Switch {
        // Security.setIgnoreCertificateErrors, setOverrideCertificateErrors, handleCertificateError
        ignore: Option<bool>,
        #[serde(rename = "override")]
        by_client: Option<bool>,
        action: Option<String>,
        // Debugger.setPauseOnExceptions
        state: Option<String>,
        // Debugger.setSkipAllPauses
        skip: Option<bool>,
        // Autofill.setAddresses
        addresses: Option<Vec<IgnoredAny>>,
    }
    let switch: Switch = read(command)?;
    let said = [
        switch.ignore.map(|on| !on),
        switch.by_client.map(|on| !on),
        switch.action.map(|action| action == "cancel"),
        switch.state.map(|state| state == "none"),
        switch.addresses.as_ref().map(Vec::is_empty),
        switch.skip,
    ];
    let mut said = said.into_iter().flatten().peekable();
    if said.peek().is_some() && said.all(|is_off| is_off) {
        return Ok(Verdict::Pass);
    }
    Err(match rule(&command.method) {
        (Rule::Deny(denial), name) => denial.refusal(name),
        _ => Refusal::new("this is not switched on here"),
    })
}

/// A trace must come as text.
pub fn tracing(command: &Command) -> Result<Verdict, Refusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Start {
        stream_format: Option<String>,
        stream_compression: Option<String>,
        perfetto_config: Option<IgnoredAny>,
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
    fn what_is_switched_off_passes() {
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
