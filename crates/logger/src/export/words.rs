//! The words of the generations of OpenTelemetry's GenAI conventions.
//!
//! Sources: the semantic conventions 1.36.0 and 1.41.0 and, after they moved, the repository of the GenAI conventions
//! (1.42.0-dev). What a generation has no word for is left out.

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use tachograph_telemetry::Conventions;

use super::attribute;

/// A generation, by what it calls things.
#[derive(Clone, Copy)]
pub(super) struct Words(pub(super) Conventions);

/// What an attribute tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Operation,
    Provider,
    RequestModel,
    ResponseModel,
    Stream,
    FinishReasons,
    FirstChunk,
    Input,
    Output,
    CacheRead,
    CacheWrite,
    Reasoning,
    Conversation,
    PromptName,
    PromptVersion,
    ToolName,
    SystemInstructions,
    InputMessages,
    OutputMessages,
    ToolDefinitions,
}

/// A word in 1.36, in 1.41 and after; empty where there is none.
const WORDS: [(Word, [&str; 3]); 20] = [
    (Word::Operation, ["gen_ai.operation.name"; 3]),
    (Word::Provider, ["gen_ai.system", "gen_ai.provider.name", "gen_ai.provider.name"]),
    (Word::RequestModel, ["gen_ai.request.model"; 3]),
    (Word::ResponseModel, ["gen_ai.response.model"; 3]),
    (Word::Stream, ["", "", "gen_ai.request.stream"]),
    (Word::FinishReasons, ["gen_ai.response.finish_reasons"; 3]),
    (Word::FirstChunk, ["", "gen_ai.response.time_to_first_chunk", "gen_ai.response.time_to_first_chunk"]),
    (Word::Input, ["gen_ai.usage.input_tokens"; 3]),
    (Word::Output, ["gen_ai.usage.output_tokens"; 3]),
    (Word::CacheRead, ["", "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read.input_tokens"]),
    (Word::CacheWrite, ["", "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens"]),
    (Word::Reasoning, ["", "", "gen_ai.usage.reasoning.output_tokens"]),
    (Word::Conversation, ["gen_ai.conversation.id"; 3]),
    (Word::PromptName, ["", "gen_ai.prompt.name", "gen_ai.prompt.name"]),
    (Word::PromptVersion, ["", "", "gen_ai.prompt.version"]),
    (Word::ToolName, ["gen_ai.tool.name"; 3]),
    (Word::SystemInstructions, ["", "gen_ai.system_instructions", "gen_ai.system_instructions"]),
    (Word::InputMessages, ["", "gen_ai.input.messages", "gen_ai.input.messages"]),
    (Word::OutputMessages, ["", "gen_ai.output.messages", "gen_ai.output.messages"]),
    (Word::ToolDefinitions, ["", "gen_ai.tool.definitions", "gen_ai.tool.definitions"]),
];

/// Providers whose name in the conventions is not ours: in 1.36, and since.
const PROVIDERS: [(&str, [&str; 2]); 8] = [
    ("azure", ["az.ai.openai", "azure.ai.openai"]),
    ("azure-ai", ["az.ai.inference", "azure.ai.inference"]),
    ("bedrock", ["aws.bedrock"; 2]),
    ("gemini", ["gcp.gemini"; 2]),
    ("mistral", ["mistral_ai"; 2]),
    ("moonshot", ["moonshot_ai"; 2]),
    ("vertex", ["gcp.vertex_ai"; 2]),
    ("xai", ["xai", "x_ai"]),
];

impl Words {
    /// The columns of the table that spans are written by.
    fn columns(self) -> &'static [usize] {
        match self.0 {
            Conventions::V1_36 => &[0],
            Conventions::V1_41 => &[1],
            Conventions::GenAiDev => &[2],
            Conventions::Dual => &[1, 2],
        }
    }

    /// The generation that metrics are written by.
    pub(super) fn of_metrics(self) -> Self {
        if self.0 == Conventions::Dual { Self(Conventions::V1_41) } else { self }
    }

    /// An attribute in these words: none, one, or two where both generations have words of their own.
    pub(super) fn put(self, attributes: &mut Vec<KeyValue>, word: Word, value: any_value::Value) {
        let names = WORDS.iter().find(|(known, _)| *known == word).map(|(_, names)| names);
        for name in names.into_iter().flat_map(|names| self.columns().iter().map(|column| names[*column])) {
            if !name.is_empty() && attributes.iter().all(|pair| pair.key != name) {
                attributes.push(attribute(name, value.clone()));
            }
        }
    }

    /// A provider in these words.
    pub(super) fn provider(self, ours: &str) -> &str {
        let of = usize::from(self.0 != Conventions::V1_36);
        PROVIDERS.iter().find(|(known, _)| *known == ours).map_or(ours, |(_, names)| names[of])
    }

    /// Whether what was said stands in events of the span instead of attributes.
    pub(super) fn says_in_events(self) -> bool {
        self.0 == Conventions::V1_36
    }
}

/// What an API does, by the conventions' names of operations.
pub(super) fn operation(api: &str) -> &'static str {
    const OPERATIONS: [(&str, &str); 6] = [
        ("embed", "embeddings"),
        ("generateContent", "generate_content"),
        ("gemini.generate", "generate_content"),
        ("openai.completions", "text_completion"),
        ("image", "image_generation"),
        ("rerank", "rerank"),
    ];
    OPERATIONS.iter().find(|(part, _)| api.contains(part)).map_or("chat", |(_, operation)| operation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(conventions: Conventions, word: Word) -> Vec<String> {
        let mut attributes = Vec::new();
        Words(conventions).put(&mut attributes, word, any_value::Value::IntValue(1));
        attributes.into_iter().map(|pair| pair.key).collect()
    }

    #[test]
    fn each_generation_has_its_words_and_dual_has_both() {
        assert_eq!(names(Conventions::V1_36, Word::Provider), ["gen_ai.system"]);
        assert_eq!(names(Conventions::Dual, Word::Provider), ["gen_ai.provider.name"]);
        assert_eq!(
            names(Conventions::Dual, Word::CacheWrite),
            ["gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens"]
        );
        assert_eq!(names(Conventions::V1_36, Word::Reasoning), [""; 0]);
        assert_eq!(Words(Conventions::V1_41).provider("xai"), "x_ai");
        assert_eq!(Words(Conventions::V1_36).provider("azure"), "az.ai.openai");
        assert_eq!(Words(Conventions::GenAiDev).provider("groq"), "groq");
        for (name, conventions) in [("\"1.36\"", Conventions::V1_36), ("\"dual\"", Conventions::Dual)] {
            assert_eq!(serde_json::from_str::<Conventions>(name).unwrap(), conventions);
        }
    }
}
