//! URLs with named parts: `https://bedrock-runtime.{region}.amazonaws.com`.
//!
//! Three marks say more of a part: `{region-}` is the part and a dash, and nothing at all where it is `global`, as Google
//! names its hosts; `{model%}` is percent-encoded, as Amazon wants its model ids; all others go in as they are.
//!
//! ```
//! use tachograph_providers::template::fill;
//!
//! let part = |name: &str| (name == "region").then(|| "us-east-1".to_owned());
//! assert_eq!(fill("https://{region-}a.example/{region}", part), Ok("https://us-east-1-a.example/us-east-1".to_owned()));
//! assert_eq!(fill("/projects/{project}", part), Err("project".to_owned()));
//! ```

use std::fmt::Write as _;

/// Fills a template's parts in.
///
/// # Errors
///
/// The name of the first part that there is nothing for.
pub fn fill(template: &str, part: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::with_capacity(template.len() + 16);
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once('{') {
        let Some((named, after)) = behind.split_once('}') else { break };
        filled.push_str(before);
        rest = after;
        let name = named.trim_end_matches(['-', '%']);
        let value = part(name).ok_or_else(|| name.to_owned())?;
        match named.as_bytes().last() {
            Some(b'-') if value == "global" => {}
            Some(b'-') => {
                filled.push_str(&value);
                filled.push('-');
            }
            Some(b'%') => filled.push_str(&encoded(&value)),
            _ => filled.push_str(&value),
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The names of a template's parts.
pub fn parts(template: &str) -> impl Iterator<Item = &str> {
    template.split('{').skip(1).filter_map(|behind| Some(behind.split_once('}')?.0.trim_end_matches(['-', '%'])))
}

/// A text with all but RFC 3986's unreserved letters percent-encoded. What is encoded already stays as it is.
fn encoded(text: &str) -> String {
    let is_hex = |at: usize| text.as_bytes().get(at).is_some_and(u8::is_ascii_hexdigit);
    let mut encoded = String::with_capacity(text.len() + 8);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            b'%' if is_hex(at + 1) && is_hex(at + 2) => encoded.push('%'),
            byte => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_say_how_a_part_goes_in() {
        let fill = |template: &str, value: &str| fill(template, |_| Some(value.to_owned())).unwrap();
        assert_eq!(fill("https://{region-}a.b", "global"), "https://a.b");
        assert_eq!(fill("https://{region-}a.b", "eu"), "https://eu-a.b");
        assert_eq!(fill("/model/{model%}/converse", "us.a.b-v1:0"), "/model/us.a.b-v1%3A0/converse");
        assert_eq!(fill("/model/{model%}/x", "arn:aws:p/q"), "/model/arn%3Aaws%3Ap%2Fq/x");
        assert_eq!(fill("/model/{model%}/x", "a%3A0"), "/model/a%3A0/x");
        assert_eq!(fill("no parts } {", "x"), "no parts } {");
        assert_eq!(parts("{a-}x{b%}{c}").collect::<Vec<_>>(), ["a", "b", "c"]);
    }
}
