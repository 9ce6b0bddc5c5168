//! Inclusive totals by name.

use tachograph_record::{CacheTtl, Direction, Kind, Modality, Quantity, Unit, Usage};

/// Inclusive totals by their public names, in a fixed order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Tokens; totals that are 0 are listed too.
    pub tokens: Vec<(&'static str, u64)>,
    /// What else was counted.
    pub units: Vec<(&'static str, Quantity)>,
}

/// The inclusive totals of a usage: `input_tokens` contain cache reads and writes, sound and pictures and what tools
/// brought in; `output_tokens` contain reasoning; the parts stand beside them.
#[must_use]
pub fn totals(usage: &Usage) -> Totals {
    let input = |modality| usage.sum(|leaf| leaf.direction == Direction::Input && leaf.modality == modality);
    let output = |modality| usage.sum(|leaf| leaf.direction == Direction::Output && leaf.modality == modality);
    let read = |modality| usage.sum(|leaf| leaf.kind == Kind::CacheRead && leaf.modality == modality);
    let write = |ttl| usage.sum(|leaf| leaf.kind == Kind::CacheWrite(ttl));
    let tool = usage.sum(|leaf| leaf.kind == Kind::Tool);
    let tokens = vec![
        ("input_tokens", usage.input_total()),
        ("output_tokens", usage.output_total()),
        ("cache_read_tokens", usage.cache_read_total()),
        ("cache_text_read_tokens", read(Modality::Text)),
        ("cache_audio_read_tokens", read(Modality::Audio)),
        ("cache_image_read_tokens", read(Modality::Image)),
        ("cache_video_read_tokens", read(Modality::Video)),
        ("cache_write_tokens", usage.cache_write_total()),
        ("cache_write_5m_tokens", write(CacheTtl::FiveMinutes)),
        ("cache_write_1h_tokens", write(CacheTtl::OneHour)),
        ("input_text_tokens", input(Modality::Text) - tool),
        ("input_audio_tokens", input(Modality::Audio)),
        ("input_image_tokens", input(Modality::Image)),
        ("input_video_tokens", input(Modality::Video)),
        ("input_tool_tokens", tool),
        ("output_reasoning_tokens", usage.reasoning_total()),
        ("output_citation_tokens", usage.sum(|leaf| leaf.kind == Kind::Citation)),
        ("output_audio_tokens", output(Modality::Audio)),
        ("output_image_tokens", output(Modality::Image)),
        ("output_video_tokens", output(Modality::Video)),
    ];
    let units = usage.units().iter().map(|&(unit, quantity)| (Unit::name(unit), quantity)).collect();
    Totals { tokens, units }
}
