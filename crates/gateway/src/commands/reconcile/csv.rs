//! Comma-separated values as RFC 4180 has them: quotes around fields, doubled inside them, line breaks too.

/// The records of a text. A last line without an end counts; empty lines do not.
pub(super) fn records(text: &str) -> Vec<Vec<String>> {
    let (mut all, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.trim_start_matches('\u{FEFF}').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                all.push(std::mem::take(&mut record));
            }
            c => field.push(c),
        }
    }
    record.push(field);
    all.push(record);
    all.retain(|record| record.iter().any(|field| !field.is_empty()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_commas_quotes_and_line_breaks() {
        let read = records("\u{FEFF}a,b\r\n\"x, \"\"y\"\"\nz\",\n\n1,2");
        assert_eq!(read, [vec!["a", "b"], vec!["x, \"y\"\nz", ""], vec!["1", "2"]]);
        assert!(records("").is_empty());
    }
}
