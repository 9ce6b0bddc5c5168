//! Details as programs before this one wrote them: lines of JSON, as they are or as a zstd frame.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::LazyLock;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tachograph_record::Parameters;
use zstd::bulk::Decompressor;
use zstd::dict::DecoderDictionary;

use super::Detail;
use crate::StoreError;
use crate::tables::read_parameters;

/// Never changed: frames were made with it.
const DICTIONARY: &[u8] = include_bytes!("dictionary-1.txt");
const PLAIN: u8 = 0;
const PACKED: u8 = 1;
/// A damaged frame must not ask for the machine's memory; what a row tells is shorter than the longest request.
const LONGEST: usize = 1 << 30;

static DECODER: LazyLock<Option<DecoderDictionary<'static>>> =
    LazyLock::new(|| DecoderDictionary::try_copy(DICTIONARY).ok());

thread_local! {
    static READER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

pub(super) fn read(form: u8, written: &[u8]) -> Result<Detail, StoreError> {
    let lines = match form {
        PLAIN => Cow::Borrowed(written),
        PACKED => Cow::Owned(unpack(written)?),
        _ => return Err(unreadable("it was written by a newer program")),
    };
    let lines = str::from_utf8(&lines).map_err(|_| unreadable("it is no text"))?;
    let mut detail = Detail::default();
    for line in lines.split_terminator('\n') {
        let Some((letter, text)) = line.split_at_checked(1) else { continue };
        match letter {
            "u" => detail.usage = Some(json(text)?),
            "c" => detail.cost = Some(json(text)?),
            "a" => detail.attempts = json(text)?,
            "k" => detail.control = json(text)?,
            "p" => detail.parameters = parameters(text)?,
            "o" => detail.order = json(text)?,
            "$" => detail.provider_cost = Some(text.parse().map_err(unreadable)?),
            "f" => detail.native_finish_reason = Some(json(text)?),
            "s" => detail.sent_us = Some(text.parse().map_err(unreadable)?),
            _ => {}
        }
    }
    Ok(detail)
}

fn unreadable(why: impl std::fmt::Display) -> StoreError {
    StoreError::unreadable("detail", why)
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(unreadable)
}

fn parameters(text: &str) -> Result<Parameters, StoreError> {
    let mut parameters = Parameters::default();
    for (name, value) in read_parameters(text)? {
        let quoted = Value::String(name).to_string();
        parameters.push(Bytes::from(quoted[1..quoted.len() - 1].to_owned()), Bytes::from(value.to_string()));
    }
    Ok(parameters)
}

fn unpack(frame: &[u8]) -> Result<Vec<u8>, StoreError> {
    let len = zstd::zstd_safe::get_frame_content_size(frame).ok().flatten();
    let len = len.and_then(|len| usize::try_from(len).ok()).filter(|len| *len <= LONGEST);
    let len = len.ok_or_else(|| unreadable("its frame has no length"))?;
    READER.with_borrow_mut(|reader| {
        if reader.is_none() {
            let held = DECODER.as_ref().ok_or_else(|| unreadable("there is no memory for its dictionary"))?;
            *reader = Some(Decompressor::with_prepared_dictionary(held).map_err(unreadable)?);
        }
        match reader {
            Some(reader) => reader.decompress(frame, len).map_err(unreadable),
            None => Err(unreadable("there is no reader")),
        }
    })
}

#[cfg(test)]
mod tests {
    use tachograph_record::CostState;
    use zstd::bulk::Compressor;

    use super::*;

    const LINES: &str = "p{\"temperature\":0.50,\"stop\":[\"\\n\"]}\nk{\"notes\":[\"x\"]}\nf\"end_turn\"\n$0.000255\no[\"b\",\"a\"]\n\
        u{\"tokens\":[[{\"direction\":\"input\",\"kind\":\"plain\",\"modality\":\"text\"},1812]],\"source\":\"reported\"}\n\
        a[{\"provider\":\"openai\",\"sent_us\":120,\"status\":200}]\ns120\nc{\"status\":\"invalid_usage\",\"why\":\"negative\"}\nz?\n";

    fn check(detail: &Detail) {
        assert_eq!(detail.usage.as_ref().unwrap().input_total(), 1_812);
        assert_eq!(
            serde_json::to_string(&detail.parameters.to_json()).unwrap(),
            r#"{"temperature":0.5,"stop":["\n"]}"#
        );
        assert_eq!((detail.control.notes.len(), detail.attempts[0].sent_us, detail.sent_us), (1, 120, Some(120)));
        assert_eq!(detail.native_finish_reason.as_deref(), Some("end_turn"));
        assert_eq!(detail.provider_cost.unwrap().to_string(), "0.000255");
        assert_eq!(detail.order, ["b", "a"]);
        assert_eq!(detail.cost, Some(CostState::InvalidUsage { why: "negative".to_owned() }));
    }

    #[test]
    fn lines_of_former_programs_are_read_as_they_are_and_packed() {
        check(&Detail::read(Some([&[PLAIN], LINES.as_bytes()].concat())).unwrap());
        let mut compressor = Compressor::with_dictionary(1, DICTIONARY).unwrap();
        let frame = compressor.compress(LINES.as_bytes()).unwrap();
        check(&Detail::read(Some([&[PACKED], &frame[..]].concat())).unwrap());
        assert!(Detail::read(Some([&[PACKED], &frame[1..]].concat())).is_err());
    }
}
