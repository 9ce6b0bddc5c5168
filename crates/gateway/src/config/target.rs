//! Origins, and which of them callers may name.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Scheme, host and port of a URL, in one way of writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// In lower case, without a dot at its end.
    pub host: String,
    /// The port, the scheme's own where none was written.
    pub port: u16,
}

impl Origin {
    /// Whether the host is, or would be taken for, an address: `2130706433` and `0x7f.1` are 127.0.0.1 to a resolver.
    #[must_use]
    pub fn is_address(&self) -> bool {
        let last = self.host.rsplit('.').next().unwrap_or_default();
        self.host.starts_with('[') || last.is_empty() || last.starts_with(|first: char| first.is_ascii_digit())
    }
}

impl FromStr for Origin {
    type Err = &'static str;

    /// Takes a whole URL; what stands behind the host is left aside.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let url: Uri = text.trim().parse().map_err(|_| "it is no URL")?;
        let tls = match url.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err("it does not begin with https://"),
        };
        let authority = url.authority().ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("it holds a user name");
        }
        let host = authority.host();
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let v6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let sound = match v6 {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
            }
        };
        if !sound {
            return Err("its host is none");
        }
        let usual = if tls { 443 } else { 80 };
        let port = match authority.as_str()[authority.host().len()..].strip_prefix(':') {
            None => usual,
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or("its port is none")?,
        };
        Ok(Self { tls, host, port })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.tls { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port == usual { Ok(()) } else { write!(f, ":{}", self.port) }
    }
}

/// Where callers may send a call by URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedTarget {
    /// This origin, be it private or not: who wrote it down knew where it is.
    Origin(Origin),
    /// All hosts below this domain, over TLS, at public addresses.
    Below(String),
}

impl FromStr for AllowedTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(domain) = text.strip_prefix("*.") else {
            let of =
                |why| format!("{text:?}: {why}; write an origin (https://llm.example.com) or a domain (*.example.com)");
            return text.parse().map(Self::Origin).map_err(of);
        };
        let wide = Origin { tls: true, host: domain.to_ascii_lowercase(), port: 443 };
        let same = format!("https://{domain}").parse::<Origin>().is_ok_and(|read| read == wide);
        if same && domain.contains('.') && !wide.is_address() {
            Ok(Self::Below(wide.host))
        } else {
            Err(format!("{text:?} is no domain with a dot in it (*.example.com)"))
        }
    }
}

impl fmt::Display for AllowedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(origin) => origin.fmt(f),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

impl<'de> Deserialize<'de> for AllowedTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for AllowedTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_in_one_way() {
        for (text, read) in [
            ("https://API.OpenAI.com./v1?x=1", "https://api.openai.com"),
            ("https://a.example:443", "https://a.example"),
            ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000"),
            (" http://[::1]:80 ", "http://[::1]"),
        ] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), read, "{text}");
        }
        for text in [
            "",
            "api.openai.com",
            "//api.openai.com",
            "ftp://a.b",
            "https://",
            "https://user@a.b",
            "https://a.b@127.0.0.1",
            "https://a.b:0",
            "https://a.b:99999",
            "https://a.b:",
            "https://[::1",
            "https://[api.openai.com]",
            "https://a b",
            "https://%31.b",
            "file:///etc/passwd",
            "https://a.b\\@c.d",
            "https://.",
            "javascript:x",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn ways_to_write_an_address_are_addresses() {
        for text in
            ["http://2130706433", "http://0x7f.0x0.0x0.0x1", "http://0177.0.0.1", "http://127.1", "http://[::1]"]
        {
            assert!(text.parse::<Origin>().unwrap().is_address(), "{text}");
        }
        assert!(!"https://api2.example".parse::<Origin>().unwrap().is_address());
    }

    #[test]
    fn what_may_be_allowed() {
        for text in ["https://llm.example.com", "http://10.0.0.5:8000", "*.example.com"] {
            assert_eq!(text.parse::<AllowedTarget>().unwrap().to_string(), text);
        }
        for text in ["*", "*.com", "*.*.com", "example.com", "*.0.0.1", "*.a.b/x", "*.a.b:80"] {
            assert!(text.parse::<AllowedTarget>().is_err(), "{text}");
        }
    }
}
