//! Reads the book's compact form; see `encode` for what it is.

use super::{
    Attributes, Condition, Decimal, Limits, Listed, Mapping, Model, Multiplier, Name, Price, PriceMeter, Prices,
    Provider, Rate, Window,
};

/// Reads what `encode` wrote; `None` where the bytes are anything else.
#[must_use]
pub(crate) fn decode(bytes: &'static [u8]) -> Option<Vec<Provider>> {
    let mut input = Reader(bytes);
    let providers = input.list(Reader::provider)?;
    input.0.is_empty().then_some(providers)
}

/// Reads what of a model was left packed.
pub(super) fn prices(bytes: &'static [u8]) -> Option<Model> {
    let mut input = Reader(bytes);
    let model = input.prices()?;
    input.0.is_empty().then_some(model)
}

struct Reader(&'static [u8]);

impl Reader {
    fn number(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    fn bytes(&mut self) -> Option<&'static [u8]> {
        let len = self.small()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn name(&mut self) -> Option<Name> {
        std::str::from_utf8(self.bytes()?).ok().map(Name::Borrowed)
    }

    fn text(&mut self) -> Option<Box<str>> {
        std::str::from_utf8(self.bytes()?).ok().map(Into::into)
    }

    fn list<T>(&mut self, each: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len: usize = self.small()?;
        let mut items = Vec::with_capacity(len.min(self.0.len()));
        for _ in 0..len {
            items.push(each(self)?);
        }
        Some(items)
    }

    fn texts(&mut self) -> Option<Box<[Box<str>]>> {
        self.list(Self::text).map(Into::into)
    }

    fn pairs(&mut self) -> Option<Attributes> {
        self.list(|input| Some((input.text()?, input.text()?))).map(Into::into)
    }

    fn maybe<T>(&mut self, each: impl Fn(&mut Self) -> Option<T>) -> Option<Option<T>> {
        self.list(each).map(|values| values.into_iter().next())
    }

    fn provider(&mut self) -> Option<Provider> {
        Some(Provider {
            id: self.text()?,
            name: self.text()?,
            aliases: self.texts()?,
            makes: self.texts()?,
            regions: self.texts()?,
            models: self.list(Self::model)?,
            mappings: self
                .list(|input| Some(Mapping { from: input.text()?, provider: input.text()?, model: input.text()? }))?,
            as_of: self.maybe(Self::signed)?,
        })
    }

    fn model(&mut self) -> Option<Listed> {
        Some(Listed { id: self.name()?, aliases: self.list(Self::name)?.into(), prices: Prices::Packed(self.bytes()?) })
    }

    fn prices(&mut self) -> Option<Model> {
        Some(Model {
            mode: self.maybe(Self::text)?,
            limits: Limits {
                context: self.maybe(Self::number)?,
                max_input: self.maybe(Self::number)?,
                max_output: self.maybe(Self::number)?,
            },
            conditions: self.list(Self::condition)?.into(),
            rates: self.list(Self::rate)?.into(),
            multipliers: self.list(Self::multiplier)?.into(),
            ..Model::default()
        })
    }

    fn rate(&mut self) -> Option<Rate> {
        let meter = PriceMeter::from_index(self.number()?)?;
        let condition = self.small()?;
        let per = self.number()?;
        let price = Price::new(Decimal::parse(&self.text()?).ok()?, per);
        let (least, most) = match self.list(Self::number)?[..] {
            [] => (0, u64::MAX),
            [least, most] => (least, most),
            _ => return None,
        };
        Some(Rate { meter, condition, price: Price { least, most, ..price } })
    }

    fn multiplier(&mut self) -> Option<Multiplier> {
        Some(Multiplier {
            numerator: self.number()?,
            denominator: self.number()?,
            regions: self.texts()?,
            deployment: self.maybe(Self::text)?,
            attributes: self.pairs()?,
        })
    }

    fn condition(&mut self) -> Option<Condition> {
        Some(Condition {
            from: self.maybe(Self::signed)?,
            until: self.maybe(Self::signed)?,
            tier: self.maybe(Self::text)?,
            over_input: self.maybe(Self::number)?,
            regions: self.texts()?,
            deployment: self.maybe(Self::text)?,
            attributes: self.pairs()?,
            windows: self.list(Self::window)?.into(),
        })
    }

    fn window(&mut self) -> Option<Window> {
        Some(Window {
            start: self.small()?,
            end: self.small()?,
            weekdays: self.small()?,
            offset: i16::try_from(self.signed()?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::{compile, encode};

    const FILE: &str = r#"
        [provider]
        id = "acme"
        name = "Acme ½"
        aliases = ["ac"]
        makes = ["one"]
        [[provider.source]]
        tag = "by-hand"
        at = "2026-11-23"
        [[model]]
        id = "one"
        mode = "chat"
        context = 18446744073709551
        aliases = ["uno"]
        [[model.price]]
        from = "1969-12-31"
        until = "2026-01-01"
        input = "0.08333333333333334"
        input_second = { price = "0.111", per = 3600, at_least = "10", at_most = "7200.5" }
        [[model.price.when]]
        tier = "batch"
        over_input = 200000
        region = ["us"]
        deployment = "global"
        with = { size = "1024x1024" }
        window = [{ hours = ["16:30-00:30"], weekdays = [7], utc_offset = "-08:00" }]
        input = "0"
        [[model.multiplier]]
        factor = "1.1"
        with = { inference_geo = "us" }
        [[map]]
        from = "mine"
        to = "one"
    "#;

    #[test]
    fn the_book_survives_its_compact_form() {
        let providers = vec![compile("acme.toml", FILE).unwrap().provider];
        let bytes: &'static [u8] = encode(&providers).leak();
        assert_eq!(decode(bytes).unwrap(), providers);
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), None, "cut at {cut}");
        }
    }
}
