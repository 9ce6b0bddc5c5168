//! What a price can be for.

/// What a price can be for: the vocabulary of price files and of cost lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PriceMeter {
    /// Fresh text input.
    Input,
    /// Input read from a cache.
    CacheRead,
    /// Input written to a cache, for the provider's default lifetime.
    CacheWrite,
    /// Input written to a cache for five minutes, where that differs from the default.
    CacheWrite5m,
    /// Input written to a cache for an hour.
    CacheWrite1h,
    /// Audio input.
    InputAudio,
    /// Audio input read from a cache.
    CacheReadAudio,
    /// Audio input written to a cache.
    CacheWriteAudio,
    /// Image input.
    InputImage,
    /// Image input read from a cache.
    CacheReadImage,
    /// Video input.
    InputVideo,
    /// Text output.
    Output,
    /// Reasoning, where it has a rate of its own.
    OutputReasoning,
    /// Citations, where they have a rate of their own.
    OutputCitation,
    /// Audio output.
    OutputAudio,
    /// Image output.
    OutputImage,
    /// Video output.
    OutputVideo,
    /// Calls.
    Requests,
    /// Web searches by the provider's tool.
    WebSearches,
    /// File searches by the provider's tool.
    StorageSearches,
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
    /// Seconds of video read, where sound has another rate.
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

/// One row of the table: the meter, its key in a price file, its name on a cost line, and whether it counts tokens.
type Row = (PriceMeter, &'static str, &'static str, bool);

/// The table, in the order of the enum, which is also the order of lines.
const TABLE: &[Row] = &[
    (PriceMeter::Input, "input", "input_tokens", true),
    (PriceMeter::CacheRead, "cache_read", "cache_read_tokens", true),
    (PriceMeter::CacheWrite, "cache_write", "cache_write_tokens", true),
    (PriceMeter::CacheWrite5m, "cache_write_5m", "cache_write_5m_tokens", true),
    (PriceMeter::CacheWrite1h, "cache_write_1h", "cache_write_1h_tokens", true),
    (PriceMeter::InputAudio, "input_audio", "input_audio_tokens", true),
    (PriceMeter::CacheReadAudio, "cache_read_audio", "cache_audio_read_tokens", true),
    (PriceMeter::CacheWriteAudio, "cache_write_audio", "cache_audio_write_tokens", true),
    (PriceMeter::InputImage, "input_image", "input_image_tokens", true),
    (PriceMeter::CacheReadImage, "cache_read_image", "cache_image_read_tokens", true),
    (PriceMeter::InputVideo, "input_video", "input_video_tokens", true),
    (PriceMeter::Output, "output", "output_tokens", true),
    (PriceMeter::OutputReasoning, "output_reasoning", "output_reasoning_tokens", true),
    (PriceMeter::OutputCitation, "output_citation", "output_citation_tokens", true),
    (PriceMeter::OutputAudio, "output_audio", "output_audio_tokens", true),
    (PriceMeter::OutputImage, "output_image", "output_image_tokens", true),
    (PriceMeter::OutputVideo, "output_video", "output_video_tokens", true),
    (PriceMeter::Requests, "request", "requests", false),
    (PriceMeter::WebSearches, "web_search", "web_searches", false),
    (PriceMeter::StorageSearches, "storage_search", "storage_searches", false),
    (PriceMeter::RerankSearches, "rerank_search", "rerank_searches", false),
    (PriceMeter::CodeSessions, "code_session", "code_sessions", false),
    (PriceMeter::Images, "image", "images", false),
    (PriceMeter::InputSeconds, "input_second", "input_seconds", false),
    (PriceMeter::OutputSeconds, "output_second", "output_seconds", false),
    (PriceMeter::InputCharacters, "input_character", "input_characters", false),
    (PriceMeter::OutputCharacters, "output_character", "output_characters", false),
    (PriceMeter::Pages, "page", "pages", false),
    (PriceMeter::AnnotatedPages, "annotated_page", "annotated_pages", false),
    (PriceMeter::InputImages, "input_images", "input_images", false),
    (PriceMeter::InputVideoSeconds, "input_video_second", "input_video_seconds", false),
    (PriceMeter::InputPixels, "input_pixel", "input_pixels", false),
    (PriceMeter::OutputPixels, "output_pixel", "output_pixels", false),
    (PriceMeter::Megapixels, "megapixel", "megapixels", false),
    (PriceMeter::ComputeSeconds, "compute_second", "compute_seconds", false),
    (PriceMeter::XSearches, "x_search", "x_searches", false),
    (PriceMeter::EnterpriseWebSearches, "enterprise_web_search", "enterprise_web_searches", false),
    (PriceMeter::AttachmentSearches, "attachment_search", "attachment_searches", false),
    (PriceMeter::MapsGroundings, "maps_grounding", "maps_groundings", false),
    (PriceMeter::CodeExecutions, "code_execution", "code_executions", false),
    (PriceMeter::Guardrails, "guardrail", "guardrails", false),
    (PriceMeter::RoutingUnits, "routing_unit", "routing_units", false),
    (PriceMeter::TextMessages, "text_message", "text_messages", false),
    (PriceMeter::OcrCredits, "ocr_credit", "ocr_credits", false),
    (PriceMeter::VectorStoreGbDays, "vector_store_gb_day", "vector_store_gb_days", false),
    (PriceMeter::FileSearchGbDays, "file_search_gb_day", "file_search_gb_days", false),
];

impl PriceMeter {
    const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// All of them, in the order of lines.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.0)
    }

    /// The key in a price file: `cache_read`, `web_search`.
    #[must_use]
    pub const fn key(self) -> &'static str {
        self.row().1
    }

    /// The name on a cost line and in a price card: `cache_read_tokens`, `web_searches`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().2
    }

    /// Whether it counts tokens. Token prices are per million unless they say otherwise, and multipliers apply to them.
    #[must_use]
    pub const fn counts_tokens(self) -> bool {
        self.row().3
    }

    /// The meter of a key.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.1 == key).map(|row| row.0)
    }

    /// The meter of a line name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.2 == name).map(|row| row.0)
    }

    /// The meter's place in the table.
    pub(super) const fn index(self) -> u64 {
        self as u64
    }

    /// The meter at a place of the table.
    pub(super) fn from_index(index: u64) -> Option<Self> {
        TABLE.get(usize::try_from(index).ok()?).map(|row| row.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum_and_names_are_unique() {
        for (index, row) in TABLE.iter().enumerate() {
            assert_eq!(row.0 as usize, index, "{}", row.1);
            assert_eq!(PriceMeter::from_key(row.1), Some(row.0));
            assert_eq!(PriceMeter::from_name(row.2), Some(row.0));
        }
        assert_eq!(PriceMeter::FileSearchGbDays as usize + 1, TABLE.len());
    }
}
