//! The built-in rules: a pattern, and where a pattern alone would find too much, a check.

use crate::filter::in_any_case;

/// A built-in rule.
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    pub(crate) pattern: &'static str,
    pub(crate) replace: &'static str,
    pub(crate) check: fn(&str) -> bool,
    /// One of these stands in whatever the pattern finds, as it is written there or, in the second list, in any mixture of
    /// small and large letters. Without any, every text is looked at.
    pub(crate) needs: (&'static [&'static str], &'static [&'static str]),
}

impl Builtin {
    pub(crate) fn needs(&self) -> Option<impl Iterator<Item = String>> {
        let (exact, any_case) = self.needs;
        let known = !exact.is_empty() || !any_case.is_empty();
        let exact = exact.iter().map(|piece| (*piece).to_owned());
        known.then(|| exact.chain(any_case.iter().flat_map(|piece| in_any_case(piece))))
    }
}

/// Nothing that is surely there.
const NOTHING: (&[&str], &[&str]) = (&[], &[]);

fn any(_: &str) -> bool {
    true
}

/// The table. Longer and surer patterns stand before shorter ones.
pub(crate) const BUILTINS: &[Builtin] = &[
    Builtin {
        name: "email",
        pattern: r"(?i)[a-z0-9](?:[a-z0-9._%+\-]{0,63})@[a-z0-9](?:[a-z0-9\-]{0,62})(?:\.[a-z0-9\-]{1,63})*\.[a-z]{2,24}\b",
        replace: "[email]",
        check: any,
        needs: (&["@"], &[]),
    },
    Builtin {
        name: "credit_card",
        pattern: r"\b[2-6](?:[ \-]?[0-9]){12,18}\b",
        replace: "[credit card]",
        check: luhn,
        needs: NOTHING,
    },
    Builtin {
        name: "iban",
        pattern: r"(?i)\b[a-z]{2}[0-9]{2}(?: ?[a-z0-9]){11,30}\b",
        replace: "[iban]",
        check: iban,
        needs: NOTHING,
    },
    Builtin {
        name: "phone",
        pattern: r"(?:\+|\b00)[1-9][0-9]{0,2}[ .\-/]?(?:\(0?[0-9]{1,4}\)[ .\-/]?)?[0-9](?:[ .\-/]?[0-9]){5,12}\b|\(?\b[2-9][0-9]{2}\)?[ .\-][2-9][0-9]{2}[ .\-][0-9]{4}\b",
        replace: "[phone]",
        check: any,
        needs: NOTHING,
    },
    Builtin {
        name: "us_ssn",
        pattern: r"\b[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}\b",
        replace: "[ssn]",
        check: ssn,
        needs: NOTHING,
    },
    Builtin {
        name: "ip_address",
        pattern: r"\b(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b",
        replace: "[ip address]",
        check: any,
        needs: NOTHING,
    },
    Builtin { name: "secrets", pattern: SECRETS, replace: "[secret]", check: any, needs: (OF_SECRETS, &["arer "]) },
];

/// Keys and tokens by their published forms: OpenAI, Anthropic, OpenRouter and their like (`sk-`, `pk-`), AWS, Google,
/// GitHub, GitLab, Slack, Hugging Face, Groq, xAI, Perplexity, Replicate, Stripe, npm, PyPI; JSON Web Tokens, private
/// keys in PEM, what follows `Bearer`, and passwords in URLs.
const SECRETS: &str = concat!(
    r"(?x)",
    r"\b(?:sk|pk|rk|tk)[-_][A-Za-z0-9_\-]{16,}",
    r"|\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b",
    r"|\bAIza[A-Za-z0-9_\-]{35}",
    r"|\bya29\.[A-Za-z0-9_\-]{20,}",
    r"|\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{36,}\b",
    r"|\bgithub_pat_[A-Za-z0-9_]{22,}\b",
    r"|\bglpat-[A-Za-z0-9_\-]{20,}",
    r"|\bxox[abeoprs]-[A-Za-z0-9\-]{10,}",
    r"|\bhf_[A-Za-z0-9]{30,}\b",
    r"|\b(?:gsk|xai|pplx|r8|npm|nvapi|fw|csk)[_-][A-Za-z0-9_\-]{20,}",
    r"|\bpypi-[A-Za-z0-9_\-]{50,}",
    r"|\beyJ[A-Za-z0-9_\-]{10,}\.eyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}",
    r"|-----BEGIN\ [A-Z\ ]{0,20}PRIVATE\ KEY-----[^-]+-----END\ [A-Z\ ]{0,20}PRIVATE\ KEY-----",
    r"|(?i:bearer)\ +[A-Za-z0-9_\-.~+/=]{16,}",
    r"|://[^\s/:@]+:[^\s/@]{3,}@",
);

/// What the forms of keys and tokens begin with; `Bearer`, in any case, is told by its end.
const OF_SECRETS: &[&str] = &[
    "sk-",
    "sk_",
    "pk-",
    "pk_",
    "rk-",
    "rk_",
    "tk-",
    "tk_",
    "AKIA",
    "ASIA",
    "AROA",
    "AIDA",
    "AIza",
    "ya29.",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxa-",
    "xoxb-",
    "xoxe-",
    "xoxo-",
    "xoxp-",
    "xoxr-",
    "xoxs-",
    "hf_",
    "gsk_",
    "gsk-",
    "xai_",
    "xai-",
    "pplx",
    "r8_",
    "r8-",
    "npm_",
    "npm-",
    "nvapi",
    "fw_",
    "fw-",
    "csk_",
    "csk-",
    "pypi-",
    "eyJ",
    "-----BEGIN ",
    "://",
];

/// The check digit of ISO/IEC 7812.
fn luhn(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 =
        digits.iter().rev().enumerate().map(|(at, digit)| if at % 2 == 1 { doubled(*digit) } else { *digit }).sum();
    (13..=19).contains(&digits.len()) && sum.is_multiple_of(10) && digits.iter().any(|digit| *digit != digits[0])
}

/// The check digits of ISO 13616.
fn iban(text: &str) -> bool {
    let plain: Vec<char> = text.chars().filter(|c| *c != ' ').collect();
    if !(15..=34).contains(&plain.len()) {
        return false;
    }
    let mut moved = plain[4..].iter().chain(&plain[..4]);
    let rest = moved.try_fold(0_u32, |rest, c| {
        let value = c.to_digit(36)?;
        Some(if value > 9 { (rest * 100 + value) % 97 } else { (rest * 10 + value) % 97 })
    });
    rest == Some(1)
}

/// Areas and groups that were never given out.
fn ssn(text: &str) -> bool {
    let mut parts = text.split('-');
    let (area, group, serial) = (parts.next(), parts.next(), parts.next());
    !matches!(area, Some("000" | "666")) && group != Some("00") && serial != Some("0000")
}
