//! The sizes that a client gives a page.
//!
//! The browser can draw another part of the page, or in another scale, than the page itself believes. Then nothing says where
//! in a picture a value is: that is refused, whether or not a value is there now.

use serde_json::{Map, Value};

use crate::browser::{Command, Refusal, Verdict};

/// Judges `setDeviceMetricsOverride`.
pub(super) fn judge(command: &Command) -> Result<Verdict, Refusal> {
    let params: Map<String, Value> =
        serde_json::from_slice(command.params()).map_err(|_| Refusal {
            code: -32602,
            text: "Invalid parameters".to_owned(),
        })?;
    let is_set = |name: &str| params.get(name).is_some_and(|value| !value.is_null());
    if is_set("viewport") {
        return Err(refusal("viewport", "shows another part of the page"));
    }
    let scale = params.get("scale").filter(|scale| !scale.is_null());
    let is_usual = |scale: &Value| {
        scale
            .as_f64()
            .is_some_and(|scale| scale == 0.0 || (scale - 1.0).abs() < f64::EPSILON)
    };
    if !scale.is_none_or(is_usual) {
        return Err(refusal("scale", "shows the page in another size"));
    }
    // Written anew: of two members of one name, the browser might read the other.
    let params = Value::Object(params).to_string();
    Ok(Verdict::With(params.into()))
}

fn refusal(member: &str, what: &str) -> Refusal {
    Refusal::new(format!(
        "{member} of setDeviceMetricsOverride {what} than the page knows of, so that secrets could not be covered in pictures. Leave it \
         out; clip of Page.captureScreenshot takes a part, and scales it."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_picture_alone_is_refused() {
        let judged = |params: &str| {
            let before = r#"{"id":1,"method":"Emulation.setDeviceMetricsOverride","params":"#;
            let command = Command {
                id: 1,
                method: "Emulation.setDeviceMetricsOverride".into(),
                session: None,
                message: format!("{before}{params}}}").into(),
                params: Some(before.len()..before.len() + params.len()),
            };
            judge(&command)
        };
        for params in [
            r#"{"width":0,"viewport":{"x":0,"y":0,"width":1,"height":1,"scale":1}}"#,
            r#"{"width":0,"view\u0070ort":1}"#,
            r#"{"scale":2}"#,
            r#"{"scale":0.5}"#,
            r#"{"scale":"1"}"#,
            "[]",
        ] {
            assert!(judged(params).is_err(), "{params}");
        }
        let usual = r#"{"width":800,"height":600,"deviceScaleFactor":2,"mobile":true,"scale":1,"viewport":null}"#;
        assert!(matches!(judged(usual), Ok(Verdict::With(_))));
        let Ok(Verdict::With(params)) = judged(r#"{"viewport":{},"viewport":null}"#) else {
            panic!("the last counts");
        };
        assert_eq!(params, r#"{"viewport":null}"#);
    }
}
