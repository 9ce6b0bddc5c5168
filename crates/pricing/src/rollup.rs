//! By which price a class of tokens is billed.
//!
//! A leaf is billed by its own price, else by that of its nearest priced ancestor: the same kind of token in text, then
//! fresh input of the same modality, then plain input or output. Leaves that end at the same price share a line.

use tachograph_record::{CacheTtl, Direction, Kind, Leaf, Modality, Unit};

use crate::book::PriceMeter::{self, *};

/// The prices that come into question for a leaf, the nearest first.
pub(crate) const fn chain(leaf: Leaf) -> &'static [PriceMeter] {
    match (leaf.direction, leaf.kind, leaf.modality) {
        (Direction::Input, Kind::CacheRead, Modality::Text) => &[CacheRead, Input],
        (Direction::Input, Kind::CacheRead, Modality::Audio) => &[CacheReadAudio, CacheRead, InputAudio, Input],
        (Direction::Input, Kind::CacheRead, Modality::Image) => &[CacheReadImage, CacheRead, InputImage, Input],
        (Direction::Input, Kind::CacheRead, Modality::Video) => &[CacheRead, InputVideo, Input],
        (Direction::Input, Kind::CacheWrite(ttl), Modality::Text) => match ttl {
            CacheTtl::Unstated => &[CacheWrite, CacheWrite5m, Input],
            CacheTtl::FiveMinutes => &[CacheWrite5m, CacheWrite, Input],
            CacheTtl::OneHour => &[CacheWrite1h, CacheWrite, Input],
        },
        (Direction::Input, Kind::CacheWrite(_), Modality::Audio) => &[CacheWriteAudio, CacheWrite, InputAudio, Input],
        (Direction::Input, Kind::CacheWrite(_), Modality::Image) => &[CacheWrite, InputImage, Input],
        (Direction::Input, Kind::CacheWrite(_), Modality::Video) => &[CacheWrite, InputVideo, Input],
        (Direction::Input, _, Modality::Text) => &[Input],
        (Direction::Input, _, Modality::Audio) => &[InputAudio, Input],
        (Direction::Input, _, Modality::Image) => &[InputImage, Input],
        (Direction::Input, _, Modality::Video) => &[InputVideo, Input],
        (Direction::Output, Kind::Reasoning, _) => &[OutputReasoning, Output],
        (Direction::Output, Kind::Citation, _) => &[OutputCitation, Output],
        (Direction::Output, _, Modality::Text) => &[Output],
        (Direction::Output, _, Modality::Audio) => &[OutputAudio, Output],
        (Direction::Output, _, Modality::Image) => &[OutputImage, Output],
        (Direction::Output, _, Modality::Video) => &[OutputVideo, Output],
    }
}

/// The prices that come into question for a unit.
pub(crate) const fn unit_chain(unit: Unit) -> &'static [PriceMeter] {
    match unit {
        Unit::Requests => &[Requests],
        Unit::WebSearches => &[WebSearches],
        Unit::FileSearches => &[StorageSearches],
        Unit::RerankSearches => &[RerankSearches],
        Unit::CodeSessions => &[CodeSessions],
        Unit::Images => &[Images],
        Unit::InputSeconds => &[InputSeconds],
        Unit::OutputSeconds => &[OutputSeconds],
        Unit::InputCharacters => &[InputCharacters],
        Unit::OutputCharacters => &[OutputCharacters],
        Unit::Pages => &[Pages],
        Unit::AnnotatedPages => &[AnnotatedPages, Pages],
        Unit::InputVideoSeconds => &[InputVideoSeconds, InputSeconds],
        Unit::InputImages => &[InputImages],
        Unit::InputPixels => &[InputPixels],
        Unit::OutputPixels => &[OutputPixels],
        Unit::Megapixels => &[Megapixels],
        Unit::ComputeSeconds => &[ComputeSeconds],
        Unit::XSearches => &[XSearches],
        Unit::EnterpriseWebSearches => &[EnterpriseWebSearches],
        Unit::AttachmentSearches => &[AttachmentSearches],
        Unit::MapsGroundings => &[MapsGroundings],
        Unit::CodeExecutions => &[CodeExecutions],
        Unit::Guardrails => &[Guardrails],
        Unit::RoutingUnits => &[RoutingUnits],
        Unit::TextMessages => &[TextMessages],
        Unit::OcrCredits => &[OcrCredits],
        Unit::VectorStoreGbDays => &[VectorStoreGbDays],
        Unit::FileSearchGbDays => &[FileSearchGbDays],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTLS: [CacheTtl; 3] = [CacheTtl::Unstated, CacheTtl::FiveMinutes, CacheTtl::OneHour];

    #[test]
    fn every_leaf_ends_at_plain_input_or_output_of_its_direction() {
        let kinds = [Kind::Plain, Kind::CacheRead, Kind::Tool, Kind::Reasoning, Kind::Citation];
        let kinds = kinds.into_iter().chain(TTLS.map(Kind::CacheWrite));
        for kind in kinds {
            for modality in [Modality::Text, Modality::Audio, Modality::Image, Modality::Video] {
                for (direction, root) in [(Direction::Input, Input), (Direction::Output, Output)] {
                    let chain = chain(Leaf::new(direction, kind, modality));
                    assert_eq!(chain.last(), Some(&root), "{direction:?} {kind:?} {modality:?}");
                }
            }
        }
    }

    #[test]
    fn units_are_named_on_lines_as_the_record_names_them() {
        for unit in
            [Unit::Requests, Unit::WebSearches, Unit::FileSearches, Unit::RerankSearches, Unit::Images, Unit::Pages]
        {
            assert_eq!(unit_chain(unit)[0].name(), unit.name());
        }
        for leaf in [Leaf::INPUT, Leaf::CACHE_READ, Leaf::CACHE_WRITE, Leaf::OUTPUT, Leaf::REASONING] {
            assert_eq!(chain(leaf)[0].name(), leaf.name());
        }
        let hour = Leaf::cache_write(CacheTtl::OneHour);
        assert_eq!(chain(hour)[0].name(), hour.name());
    }
}
