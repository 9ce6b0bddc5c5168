//! JSON in one form, so that the order of keys and white space make no difference and everything else does.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Writes a document in its one form: keys sorted, no white space, strings as they read. Fields named in `ignore` are left
/// out at the top. `None` where it is no JSON, or holds what has no one form here (nests deeper than 128 levels, or has
/// numbers that neither 64 bits nor a double hold exactly enough): it is then compared byte by byte.
///
/// Numbers count as the 64-bit integer or the double that they are: `0.10` is `0.1`, but `1` is not `1.0`, since a
/// provider may tell them apart.
pub(crate) fn canonical(document: &[u8], ignore: &[String]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(document.len());
    let mut reader = serde_json::Deserializer::from_slice(document);
    Write { out: &mut out, ignore }.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(out)
}

struct Write<'a> {
    out: &'a mut Vec<u8>,
    ignore: &'a [String],
}

impl<'de> DeserializeSeed<'de> for Write<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Write<'_> {
    /// A kind's letter and a value of known length: no two values are written alike.
    fn put(self, kind: u8, value: &[u8]) {
        self.out.push(kind);
        self.out.extend_from_slice(value);
    }

    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend_from_slice(&(text.len() as u64).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

/// Doubles hold every integer up to here.
const EXACT: f64 = 9_007_199_254_740_992.0;

impl<'de> Visitor<'de> for Write<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.put(b'n', &[]);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.put(b'b', &[u8::from(value)]);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.put(b'i', &i128::from(value).to_le_bytes());
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.put(b'i', &i128::from(value).to_le_bytes());
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        if value.abs() > EXACT {
            return Err(E::custom("a number whose digits a double does not tell apart"));
        }
        self.put(b'f', &value.to_bits().to_le_bytes());
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.out.push(b's');
        Self::text(self.out, value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.out.push(b'[');
        while items.next_element_seed(Write { out: self.out, ignore: &[] })?.is_some() {}
        self.out.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        self.out.push(b'{');
        let start = self.out.len();
        // Where each entry begins and ends, by its key. Of a key that stands twice both stay, in their order.
        let mut found: Vec<(String, std::ops::Range<usize>)> = Vec::new();
        while let Some(key) = entries.next_key::<String>()? {
            let begin = self.out.len();
            Self::text(self.out, &key);
            entries.next_value_seed(Write { out: self.out, ignore: &[] })?;
            if self.ignore.contains(&key) {
                self.out.truncate(begin);
            } else {
                found.push((key, begin..self.out.len()));
            }
        }
        if !found.is_sorted_by(|(a, _), (b, _)| a <= b) {
            found.sort_by(|(a, _), (b, _)| a.cmp(b));
            let sorted: Vec<u8> = found.into_iter().flat_map(|(_, range)| self.out[range].to_vec()).collect();
            self.out.truncate(start);
            self.out.extend_from_slice(&sorted);
        }
        self.out.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        let form = |text: &str| canonical(text.as_bytes(), &[]).unwrap();
        form(a) == form(b)
    }

    #[test]
    fn order_and_space_make_no_difference_and_all_else_does() {
        assert!(same(r#"{"a":1,"b":{"c":[1,2],"d":null}}"#, " {\"b\" : {\"d\":null,\n\"c\":[1, 2]}, \"a\":1}"));
        assert!(same(r#""\u0041""#, r#""A""#), "an escape reads as what it says");
        assert!(same("0.10", "0.1"));
        for (a, b) in [
            ("1", "1.0"),
            ("0", "false"),
            ("null", "false"),
            (r#""1""#, "1"),
            ("[1,[2]]", "[[1],2]"),
            ("[1,2]", "[2,1]"),
            (r#"{"a":1}"#, r#"{"a":1,"b":null}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2,"a":1}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#"["ab","c"]"#, r#"["a","bc"]"#),
            ("18446744073709551615", "-1"),
            ("0.0", "-0.0"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn what_has_no_one_form_is_not_given_one() {
        for text in ["", "not json", "{", "1e999", "123456789012345678901234567890", "{} {}"] {
            assert_eq!(canonical(text.as_bytes(), &[]), None, "{text}");
        }
        assert_eq!(canonical("[".repeat(200).as_bytes(), &[]), None);
    }

    #[test]
    fn fields_are_ignored_at_the_top_only() {
        let ignore = ["id".to_owned()];
        let form = |text: &str| canonical(text.as_bytes(), &ignore);
        assert_eq!(form(r#"{"id":1,"a":{"id":2}}"#), form(r#"{"a":{"id":2},"id":3}"#));
        assert_ne!(form(r#"{"a":{"id":2}}"#), form(r#"{"a":{"id":3}}"#));
    }
}
