//! What a call used, in disjoint leaves.
//!
//! Providers count in two ways: OpenAI's `prompt_tokens` contain the cached ones, Anthropic's `input_tokens` do not.
//! Adding up such numbers is how calls come to be billed twice. So a [`Usage`] holds *disjoint* leaves, each token in
//! exactly one, and every inclusive total is computed from them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smallvec::SmallVec;

use crate::{Binary, DecodeError, Input};

/// Which way the tokens went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Read by the model.
    Input,
    /// Written by the model.
    Output,
}

/// How long a cache write is kept, where the provider says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheTtl {
    /// The provider has one lifetime or did not name it.
    Unstated,
    /// Five minutes.
    FiveMinutes,
    /// One hour.
    OneHour,
}

/// What was done with the tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Read afresh, or written as the visible answer.
    Plain,
    /// Read from the provider's prompt cache.
    CacheRead,
    /// Written to the provider's prompt cache.
    CacheWrite(CacheTtl),
    /// Prompt tokens that the provider's own tools brought in.
    Tool,
    /// Written while reasoning.
    Reasoning,
    /// Written as citations (Perplexity).
    Citation,
}

/// What the tokens stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// Text, and whatever the provider does not tell apart from it.
    Text,
    /// Sound.
    Audio,
    /// Pictures.
    Image,
    /// Moving pictures.
    Video,
}

/// One disjoint class of tokens: direction × kind (with its cache lifetime) × modality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Leaf {
    /// Which way.
    pub direction: Direction,
    /// What was done.
    pub kind: Kind,
    /// What of.
    pub modality: Modality,
}

impl Leaf {
    /// Fresh text input.
    pub const INPUT: Self = Self::new(Direction::Input, Kind::Plain, Modality::Text);
    /// Text input read from a cache.
    pub const CACHE_READ: Self = Self::new(Direction::Input, Kind::CacheRead, Modality::Text);
    /// Text input written to a cache, lifetime not named.
    pub const CACHE_WRITE: Self = Self::cache_write(CacheTtl::Unstated);
    /// Visible text output.
    pub const OUTPUT: Self = Self::new(Direction::Output, Kind::Plain, Modality::Text);
    /// Reasoning.
    pub const REASONING: Self = Self::new(Direction::Output, Kind::Reasoning, Modality::Text);

    /// The leaf of these dimensions.
    #[must_use]
    pub const fn new(direction: Direction, kind: Kind, modality: Modality) -> Self {
        Self { direction, kind, modality }
    }

    /// Text input written to a cache for so long.
    #[must_use]
    pub const fn cache_write(ttl: CacheTtl) -> Self {
        Self::new(Direction::Input, Kind::CacheWrite(ttl), Modality::Text)
    }
}

/// What is counted other than tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Calls, where a provider takes a fee for each.
    Requests,
    /// Web searches by the provider's tool.
    WebSearches,
    /// File searches by the provider's tool.
    FileSearches,
    /// Searches of a reranker.
    RerankSearches,
    /// Sessions of a code interpreter.
    CodeSessions,
    /// Whole images made.
    Images,
    /// Seconds of sound or video read.
    InputSeconds,
    /// Seconds of sound or video made.
    OutputSeconds,
    /// Characters read.
    InputCharacters,
    /// Characters written.
    OutputCharacters,
    /// Pages read.
    Pages,
    /// Pages read and annotated.
    AnnotatedPages,
    /// Whole images read.
    InputImages,
    /// Seconds of video read, where sound is counted apart.
    InputVideoSeconds,
    /// Pixels read.
    InputPixels,
    /// Pixels made.
    OutputPixels,
    /// Megapixels made.
    Megapixels,
    /// Seconds of a dedicated machine.
    ComputeSeconds,
    /// Searches of X.
    XSearches,
    /// Web searches under an enterprise contract.
    EnterpriseWebSearches,
    /// Searches of attached files.
    AttachmentSearches,
    /// Answers grounded on maps.
    MapsGroundings,
    /// Runs of the provider's code tool.
    CodeExecutions,
    /// Checks by a guardrail.
    Guardrails,
    /// Routed requests.
    RoutingUnits,
    /// Text messages.
    TextMessages,
    /// Credits of an OCR service.
    OcrCredits,
    /// Gigabyte-days of a vector store.
    VectorStoreGbDays,
    /// Gigabyte-days of files kept for search.
    FileSearchGbDays,
}

/// A count of a [`Unit`] in millionths, so that 7.25 seconds are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(u64);

impl Quantity {
    /// So many whole units; `None` beyond 1.8 × 10¹³.
    #[must_use]
    pub const fn whole(count: u64) -> Option<Self> {
        match count.checked_mul(1_000_000) {
            Some(micro) => Some(Self(micro)),
            None => None,
        }
    }

    /// So many millionths of a unit.
    #[must_use]
    pub const fn from_micro(micro: u64) -> Self {
        Self(micro)
    }

    /// The count in millionths of a unit.
    #[must_use]
    pub const fn micro(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / 1_000_000, self.0 % 1_000_000);
        if fraction == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{fraction:06}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 6 {
            return Err(QuantityError);
        }
        let whole: u64 = whole.parse().map_err(|_| QuantityError)?;
        let fraction: u64 = format!("{fraction:0<6}").parse().map_err(|_| QuantityError)?;
        whole.checked_mul(1_000_000).and_then(|micro| micro.checked_add(fraction)).map(Self).ok_or(QuantityError)
    }
}

/// A text that is no count with at most six decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuantityError;

impl fmt::Display for QuantityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a count with at most six decimals such as \"7.25\"")
    }
}

impl std::error::Error for QuantityError {}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Anything that can stand on a line of a cost: a class of tokens or another unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// Tokens of one leaf.
    Tokens(Leaf),
    /// Something else that is counted.
    Unit(Unit),
}

impl Meter {
    /// The meter's public name, as in cost lines and price cards: `input_tokens`, `cache_read_tokens`, `web_searches`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tokens(leaf) => leaf.name(),
            Self::Unit(unit) => unit.name(),
        }
    }
}

impl Leaf {
    /// The leaf's public name. Text is not named: `input_tokens` are fresh text tokens.
    #[must_use]
    pub const fn name(self) -> &'static str {
        use CacheTtl::{FiveMinutes, OneHour, Unstated};
        use Direction::{Input, Output};
        use Kind::{CacheRead, CacheWrite, Citation, Plain, Reasoning, Tool};
        use Modality::{Audio, Image, Text, Video};
        match (self.direction, self.kind, self.modality) {
            (Input, Plain | Reasoning | Citation, Text) => "input_tokens",
            (Input, Plain | Reasoning | Citation, Audio) => "input_audio_tokens",
            (Input, Plain | Reasoning | Citation, Image) => "input_image_tokens",
            (Input, Plain | Reasoning | Citation, Video) => "input_video_tokens",
            (Input, CacheRead, Text) => "cache_read_tokens",
            (Input, CacheRead, Audio) => "cache_audio_read_tokens",
            (Input, CacheRead, Image) => "cache_image_read_tokens",
            (Input, CacheRead, Video) => "cache_video_read_tokens",
            (Input, CacheWrite(Unstated), Text) => "cache_write_tokens",
            (Input, CacheWrite(FiveMinutes), Text) => "cache_write_5m_tokens",
            (Input, CacheWrite(OneHour), Text) => "cache_write_1h_tokens",
            (Input, CacheWrite(_), Audio) => "cache_audio_write_tokens",
            (Input, CacheWrite(_), Image) => "cache_image_write_tokens",
            (Input, CacheWrite(_), Video) => "cache_video_write_tokens",
            (Input, Tool, _) => "input_tool_tokens",
            (Output, Reasoning, _) => "output_reasoning_tokens",
            (Output, Citation, _) => "output_citation_tokens",
            (Output, Plain | CacheRead | CacheWrite(_) | Tool, Text) => "output_tokens",
            (Output, Plain | CacheRead | CacheWrite(_) | Tool, Audio) => "output_audio_tokens",
            (Output, Plain | CacheRead | CacheWrite(_) | Tool, Image) => "output_image_tokens",
            (Output, Plain | CacheRead | CacheWrite(_) | Tool, Video) => "output_video_tokens",
        }
    }
}

impl Unit {
    /// The unit's public name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::WebSearches => "web_searches",
            Self::FileSearches => "storage_searches",
            Self::RerankSearches => "rerank_searches",
            Self::CodeSessions => "code_sessions",
            Self::Images => "images",
            Self::InputSeconds => "input_seconds",
            Self::OutputSeconds => "output_seconds",
            Self::InputCharacters => "input_characters",
            Self::OutputCharacters => "output_characters",
            Self::Pages => "pages",
            Self::AnnotatedPages => "annotated_pages",
            Self::InputImages => "input_images",
            Self::InputVideoSeconds => "input_video_seconds",
            Self::InputPixels => "input_pixels",
            Self::OutputPixels => "output_pixels",
            Self::Megapixels => "megapixels",
            Self::ComputeSeconds => "compute_seconds",
            Self::XSearches => "x_searches",
            Self::EnterpriseWebSearches => "enterprise_web_searches",
            Self::AttachmentSearches => "attachment_searches",
            Self::MapsGroundings => "maps_groundings",
            Self::CodeExecutions => "code_executions",
            Self::Guardrails => "guardrails",
            Self::RoutingUnits => "routing_units",
            Self::TextMessages => "text_messages",
            Self::OcrCredits => "ocr_credits",
            Self::VectorStoreGbDays => "vector_store_gb_days",
            Self::FileSearchGbDays => "file_search_gb_days",
        }
    }
}

/// Where the numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider said so.
    Reported,
    /// We counted; shown as an estimate wherever it is shown.
    Estimated,
}

/// What one call used: disjoint leaves, and the inclusive totals computed from them. A call whose usage is not known
/// has no `Usage` at all; unknown is never zero.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    tokens: SmallVec<[(Leaf, u64); 4]>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    units: Vec<(Unit, Quantity)>,
    /// Input and output tokens that the provider bills, where it says that these are others than were read and written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    billed: Option<(u64, u64)>,
    /// What the provider says of how it served that price lists distinguish: `speed`, `inference_geo`, `cache_type`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    facts: Vec<(String, String)>,
    /// Where the numbers come from.
    pub source: UsageSource,
}

/// Leaves and units as they are; what was written by a program that keeps their order and no empty ones.
impl Binary for Usage {
    fn write(&self, out: &mut Vec<u8>) {
        let Self { tokens, units, billed, facts, source } = self;
        tokens.write(out);
        units.write(out);
        billed.write(out);
        facts.write(out);
        source.write(out);
    }

    fn read(from: &mut Input<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            tokens: Binary::read(from)?,
            units: Binary::read(from)?,
            billed: Binary::read(from)?,
            facts: Binary::read(from)?,
            source: Binary::read(from)?,
        })
    }
}

impl Usage {
    /// Nothing counted yet, from this source.
    #[must_use]
    pub fn new(source: UsageSource) -> Self {
        Self { tokens: SmallVec::new(), units: Vec::new(), billed: None, facts: Vec::new(), source }
    }

    /// What a provider reported, as disjoint leaves.
    #[must_use]
    pub fn reported(leaves: impl IntoIterator<Item = (Leaf, u64)>) -> Self {
        let mut usage = Self::new(UsageSource::Reported);
        for (leaf, count) in leaves {
            usage.add(leaf, count);
        }
        usage
    }

    /// Adds tokens to a leaf. Leaves without tokens are not kept, so equal usage compares equal however it was built.
    pub fn add(&mut self, leaf: Leaf, count: u64) {
        if count == 0 {
            return;
        }
        match self.tokens.binary_search_by_key(&leaf, |&(held, _)| held) {
            Ok(at) => self.tokens[at].1 = self.tokens[at].1.saturating_add(count),
            Err(at) => self.tokens.insert(at, (leaf, count)),
        }
    }

    /// Adds something other than tokens.
    pub fn add_unit(&mut self, unit: Unit, quantity: Quantity) {
        if quantity == Quantity::default() {
            return;
        }
        match self.units.binary_search_by_key(&unit, |&(held, _)| held) {
            Ok(at) => self.units[at].1 = Quantity(self.units[at].1.0.saturating_add(quantity.0)),
            Err(at) => self.units.insert(at, (unit, quantity)),
        }
    }

    /// Says that the provider bills so many input and output tokens, whatever the leaves hold: Cohere counts what the model
    /// read (`tokens`) and bills less (`billed_units`).
    pub fn set_billed(&mut self, input: u64, output: u64) {
        self.billed = Some((input, output));
    }

    /// Says how it was served, where price lists distinguish it.
    pub fn add_fact(&mut self, name: &str, value: &str) {
        self.facts.push((name.to_owned(), value.to_owned()));
    }

    /// How it was served: names and values that price lists distinguish.
    pub fn facts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.facts.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Input and output tokens that are billed, where the provider says that these are others than the leaves hold.
    #[must_use]
    pub fn billed(&self) -> Option<(u64, u64)> {
        self.billed
    }

    /// What is to be priced: this, or what the provider says it bills in its place.
    #[must_use]
    pub fn billable(&self) -> Cow<'_, Self> {
        let Some((input, output)) = self.billed else { return Cow::Borrowed(self) };
        let mut usage = Self { units: self.units.clone(), facts: self.facts.clone(), ..Self::new(self.source) };
        usage.add(Leaf::INPUT, input);
        usage.add(Leaf::OUTPUT, output);
        Cow::Owned(usage)
    }

    /// The leaves that hold tokens, in a fixed order.
    #[must_use]
    pub fn leaves(&self) -> &[(Leaf, u64)] {
        &self.tokens
    }

    /// What was counted other than tokens, in a fixed order.
    #[must_use]
    pub fn units(&self) -> &[(Unit, Quantity)] {
        &self.units
    }

    /// The tokens of one leaf.
    #[must_use]
    pub fn leaf(&self, leaf: Leaf) -> u64 {
        self.sum(|held| held == leaf)
    }

    /// The tokens of all leaves that `wanted` picks.
    #[must_use]
    pub fn sum(&self, wanted: impl Fn(Leaf) -> bool) -> u64 {
        self.tokens.iter().filter(|(leaf, _)| wanted(*leaf)).fold(0, |sum, &(_, count)| sum.saturating_add(count))
    }

    /// Every token the model read: fresh, cached both ways, from tools, of all modalities.
    #[must_use]
    pub fn input_total(&self) -> u64 {
        self.sum(|leaf| leaf.direction == Direction::Input)
    }

    /// Every token the model wrote, reasoning included.
    #[must_use]
    pub fn output_total(&self) -> u64 {
        self.sum(|leaf| leaf.direction == Direction::Output)
    }

    /// The part of the input that was read from a cache.
    #[must_use]
    pub fn cache_read_total(&self) -> u64 {
        self.sum(|leaf| leaf.kind == Kind::CacheRead)
    }

    /// The part of the input that was written to a cache.
    #[must_use]
    pub fn cache_write_total(&self) -> u64 {
        self.sum(|leaf| matches!(leaf.kind, Kind::CacheWrite(_)))
    }

    /// The part of the output spent on reasoning.
    #[must_use]
    pub fn reasoning_total(&self) -> u64 {
        self.sum(|leaf| leaf.kind == Kind::Reasoning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_sums_of_leaves_and_order_does_not_matter() {
        let leaves = [
            (Leaf::OUTPUT, 7),
            (Leaf::INPUT, 100),
            (Leaf::CACHE_READ, 40),
            (Leaf::REASONING, 3),
            (Leaf::CACHE_WRITE, 0),
        ];
        let usage = Usage::reported(leaves);
        assert_eq!((usage.input_total(), usage.output_total()), (140, 10));
        assert_eq!((usage.cache_read_total(), usage.reasoning_total(), usage.cache_write_total()), (40, 3, 0));
        assert_eq!(usage, Usage::reported(leaves.into_iter().rev()));
    }

    #[test]
    fn quantities_are_exact_decimals() {
        for (text, micro) in [("0", 0), ("7.25", 7_250_000), ("3600", 3_600_000_000), ("0.000001", 1)] {
            let quantity: Quantity = text.parse().unwrap();
            assert_eq!((quantity.micro(), quantity.to_string().as_str()), (micro, text));
        }
        for text in ["", "-1", "1e3", "0.0000001", "99999999999999"] {
            assert_eq!(text.parse::<Quantity>(), Err(QuantityError), "{text:?}");
        }
    }

    #[test]
    fn survives_json() {
        let mut usage = Usage::reported([(Leaf::cache_write(CacheTtl::OneHour), 5), (Leaf::INPUT, 1)]);
        usage.add_unit(Unit::WebSearches, Quantity::whole(2).unwrap());
        let text = serde_json::to_string(&usage).unwrap();
        assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), usage);
    }
}
