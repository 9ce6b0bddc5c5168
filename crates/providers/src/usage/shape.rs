//! What each API's usage object looks like: one row each.

use tachograph_record::{Modality, Unit};

use super::node::Node;

/// A shape of usage object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ApiShape {
    /// OpenAI chat completions (and legacy completions), and the many that follow them.
    OpenAiChat,
    /// OpenAI Responses.
    OpenAiResponses,
    /// OpenAI embeddings.
    OpenAiEmbeddings,
    /// OpenAI images, and images asked for by number.
    OpenAiImages,
    /// OpenAI realtime sessions (`response.done`).
    OpenAiRealtime,
    /// OpenAI transcriptions and translations.
    OpenAiTranscription,
    /// OpenAI speech.
    OpenAiSpeech,
    /// Anthropic messages.
    AnthropicMessages,
    /// Gemini generateContent.
    GeminiGenerateContent,
    /// Bedrock Converse.
    BedrockConverse,
    /// Bedrock InvokeModel: whatever the model's own API says.
    BedrockInvoke,
    /// Cohere chat, where `billed_units` are what is billed.
    CohereChat,
    /// Cohere embeddings (`meta`).
    CohereEmbed,
    /// Rerankers (`meta`).
    Rerank,
    /// Mistral OCR (`usage_info`).
    Ocr,
    /// Ollama's native API.
    Ollama,
}

impl ApiShape {
    /// The shape of an API by name: as in records (`openai.chat`) or in short (`chat_completions`, `messages`, …).
    #[must_use]
    pub fn of_api(api: &str) -> Option<Self> {
        ROWS.iter().find(|row| row.apis.contains(&api)).map(|row| row.shape)
    }
}

/// Where sub-counts stand to the total above them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The total contains them.
    Inside,
    /// They come on top of it.
    Beside,
}

/// A place in the object: `a.b`, or `list[WORD]` for the entries of a list whose `modality` or `ttl` is the word. Of
/// several, the first that is there counts.
pub(super) type Paths = &'static [&'static str];

/// One shape.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) shape: ApiShape,
    apis: &'static [&'static str],
    pub(super) input: Paths,
    pub(super) output: Paths,
    pub(super) total: Paths,
    pub(super) cache_read: Paths,
    pub(super) cache_write: Paths,
    pub(super) write_5m: Paths,
    pub(super) write_1h: Paths,
    pub(super) reasoning: Paths,
    pub(super) tool: Paths,
    pub(super) citation: Paths,
    /// Input and output that are billed in the place of what was read and written.
    pub(super) billed: (Paths, Paths),
    /// Input by modality, cached ones included.
    pub(super) input_of: &'static [(Modality, Paths)],
    /// Cache reads by modality.
    pub(super) read_of: &'static [(Modality, Paths)],
    /// Output by modality.
    pub(super) output_of: &'static [(Modality, Paths)],
    pub(super) units: &'static [(Unit, Paths)],
    /// Words that say how it was served, where price lists distinguish it.
    pub(super) facts: &'static [(&'static str, Paths)],
    pub(super) cache: Place,
    pub(super) reasoning_is: Place,
    /// What the output consists of where nothing says.
    pub(super) output_is: Modality,
}

const NOTHING: Row = Row {
    shape: ApiShape::OpenAiChat,
    apis: &[],
    input: &[],
    output: &[],
    total: &[],
    cache_read: &[],
    cache_write: &[],
    write_5m: &[],
    write_1h: &[],
    reasoning: &[],
    tool: &[],
    citation: &[],
    billed: (&[], &[]),
    input_of: &[],
    read_of: &[],
    output_of: &[],
    units: &[],
    facts: &[],
    cache: Place::Inside,
    reasoning_is: Place::Inside,
    output_is: Modality::Text,
};

/// What xAI counts besides: its own tools.
const XAI_TOOLS: [(Unit, Paths); 4] = [
    (Unit::XSearches, &["server_side_tool_usage_details.x_search_calls"]),
    (Unit::CodeExecutions, &["server_side_tool_usage_details.code_interpreter_calls"]),
    (Unit::FileSearches, &["server_side_tool_usage_details.file_search_calls"]),
    (Unit::AttachmentSearches, &["server_side_tool_usage_details.document_search_calls"]),
];

static ROWS: &[Row] = &[
    Row {
        shape: ApiShape::OpenAiChat,
        apis: &["openai.chat", "openai.completions", "chat_completions", "completions"],
        input: &["prompt_tokens"],
        output: &["completion_tokens"],
        total: &["total_tokens"],
        cache_read: &[
            "prompt_tokens_details.cached_tokens",
            "prompt_cache_hit_tokens",
            "num_cached_tokens",
            "cached_tokens",
            "cache_read_input_tokens",
        ],
        cache_write: &[
            "prompt_tokens_details.cache_write_tokens",
            "prompt_tokens_details.cache_creation_tokens",
            "prompt_tokens_details.cache_creation_input_tokens",
            "cache_creation_input_tokens",
        ],
        write_5m: &["prompt_tokens_details.cache_write_details.write_5m_tokens"],
        write_1h: &["prompt_tokens_details.cache_write_details.write_1h_tokens"],
        reasoning: &["completion_tokens_details.reasoning_tokens", "reasoning_tokens"],
        citation: &["citation_tokens"],
        input_of: &[
            (Modality::Audio, &["prompt_tokens_details.audio_tokens"]),
            (Modality::Image, &["prompt_tokens_details.image_tokens"]),
            (Modality::Video, &["prompt_tokens_details.video_tokens"]),
        ],
        output_of: &[
            (Modality::Audio, &["completion_tokens_details.audio_tokens"]),
            (Modality::Image, &["completion_tokens_details.image_tokens"]),
        ],
        units: &[
            (
                Unit::WebSearches,
                &[
                    "num_search_queries",
                    "server_tool_use.web_search_requests",
                    "server_side_tool_usage_details.web_search_calls",
                ],
            ),
            XAI_TOOLS[0],
            XAI_TOOLS[1],
            XAI_TOOLS[2],
            XAI_TOOLS[3],
        ],
        // Alibaba's explicit cache costs less to read than the one that works by itself.
        facts: &[("cache_type", &["prompt_tokens_details.cache_type"])],
        ..NOTHING
    },
    Row {
        shape: ApiShape::OpenAiResponses,
        apis: &["openai.responses", "responses"],
        input: &["input_tokens"],
        output: &["output_tokens"],
        total: &["total_tokens"],
        cache_read: &["input_tokens_details.cached_tokens"],
        cache_write: &["input_tokens_details.cache_write_tokens"],
        reasoning: &["output_tokens_details.reasoning_tokens"],
        input_of: &[
            (Modality::Audio, &["input_tokens_details.audio_tokens"]),
            (Modality::Image, &["input_tokens_details.image_tokens"]),
        ],
        output_of: &[(Modality::Audio, &["output_tokens_details.audio_tokens"])],
        units: &[
            (Unit::WebSearches, &["server_side_tool_usage_details.web_search_calls"]),
            XAI_TOOLS[0],
            XAI_TOOLS[1],
            XAI_TOOLS[2],
            XAI_TOOLS[3],
        ],
        ..NOTHING
    },
    Row {
        shape: ApiShape::OpenAiEmbeddings,
        apis: &["openai.embeddings", "embeddings"],
        input: &["prompt_tokens", "input_tokens", "total_tokens"],
        input_of: &[(Modality::Image, &["prompt_tokens_details.image_tokens"])],
        ..NOTHING
    },
    Row {
        shape: ApiShape::OpenAiImages,
        apis: &["openai.images", "images"],
        input: &["input_tokens"],
        output: &["output_tokens"],
        cache_read: &["input_tokens_details.cached_tokens"],
        input_of: &[(Modality::Image, &["input_tokens_details.image_tokens"])],
        units: &[(Unit::Images, &["n"])],
        output_is: Modality::Image,
        ..NOTHING
    },
    Row {
        shape: ApiShape::OpenAiRealtime,
        apis: &["openai.realtime", "realtime"],
        input: &["input_tokens"],
        output: &["output_tokens"],
        total: &["total_tokens"],
        cache_read: &["input_token_details.cached_tokens"],
        input_of: &[
            (Modality::Audio, &["input_token_details.audio_tokens"]),
            (Modality::Image, &["input_token_details.image_tokens"]),
        ],
        read_of: &[
            (Modality::Audio, &["input_token_details.cached_tokens_details.audio_tokens"]),
            (Modality::Image, &["input_token_details.cached_tokens_details.image_tokens"]),
        ],
        output_of: &[(Modality::Audio, &["output_token_details.audio_tokens"])],
        ..NOTHING
    },
    Row {
        shape: ApiShape::OpenAiTranscription,
        apis: &["openai.audio.transcriptions", "audio_transcription"],
        input: &["input_tokens", "prompt_tokens"],
        output: &["output_tokens", "completion_tokens"],
        total: &["total_tokens"],
        cache_read: &["prompt_tokens_details.cached_tokens"],
        input_of: &[(
            Modality::Audio,
            &[
                "input_token_details.audio_tokens",
                "input_tokens_details.audio_tokens",
                "prompt_tokens_details.audio_tokens",
            ],
        )],
        units: &[(Unit::InputSeconds, &["seconds", "duration", "input_seconds"])],
        ..NOTHING
    },
    Row {
        shape: ApiShape::OpenAiSpeech,
        apis: &["openai.audio.speech", "audio_speech"],
        input: &["input_tokens"],
        output: &["output_tokens"],
        units: &[
            (Unit::InputCharacters, &["characters", "input_characters"]),
            (Unit::OutputSeconds, &["output_seconds"]),
        ],
        output_is: Modality::Audio,
        ..NOTHING
    },
    Row {
        shape: ApiShape::AnthropicMessages,
        apis: &["anthropic.messages", "messages"],
        input: &["input_tokens"],
        output: &["output_tokens"],
        cache_read: &["cache_read_input_tokens"],
        cache_write: &["cache_creation_input_tokens"],
        write_5m: &["cache_creation.ephemeral_5m_input_tokens"],
        write_1h: &["cache_creation.ephemeral_1h_input_tokens"],
        reasoning: &["output_tokens_details.thinking_tokens"],
        units: &[(Unit::WebSearches, &["server_tool_use.web_search_requests"])],
        facts: &[("speed", &["speed"]), ("inference_geo", &["inference_geo"])],
        cache: Place::Beside,
        ..NOTHING
    },
    Row {
        shape: ApiShape::GeminiGenerateContent,
        apis: &["gemini.generateContent", "generate_content"],
        // Counting alone gives a total of what it was given.
        input: &["promptTokenCount", "totalTokens"],
        output: &["candidatesTokenCount"],
        cache_read: &["cachedContentTokenCount"],
        // Google has none; translated answers say it so.
        cache_write: &["cacheWriteTokenCount"],
        reasoning: &["thoughtsTokenCount"],
        tool: &["toolUsePromptTokenCount"],
        input_of: &[
            (Modality::Audio, &["promptTokensDetails[AUDIO]"]),
            (Modality::Image, &["promptTokensDetails[IMAGE]"]),
            (Modality::Video, &["promptTokensDetails[VIDEO]"]),
        ],
        read_of: &[
            (Modality::Audio, &["cacheTokensDetails[AUDIO]"]),
            (Modality::Image, &["cacheTokensDetails[IMAGE]"]),
            (Modality::Video, &["cacheTokensDetails[VIDEO]"]),
        ],
        output_of: &[
            (Modality::Audio, &["candidatesTokensDetails[AUDIO]"]),
            (Modality::Image, &["candidatesTokensDetails[IMAGE]"]),
            (Modality::Video, &["candidatesTokensDetails[VIDEO]"]),
        ],
        reasoning_is: Place::Beside,
        ..NOTHING
    },
    Row {
        shape: ApiShape::BedrockConverse,
        apis: &["bedrock.converse", "bedrock.converse-stream", "converse"],
        input: &["inputTokens"],
        output: &["outputTokens"],
        // The two names of each are the same number twice.
        cache_read: &["cacheReadInputTokens", "cacheReadInputTokenCount"],
        cache_write: &["cacheWriteInputTokens", "cacheWriteInputTokenCount"],
        write_5m: &["cacheDetails[5m]"],
        write_1h: &["cacheDetails[1h]"],
        // Amazon has none; translated answers say it so.
        reasoning: &["reasoningTokens"],
        cache: Place::Beside,
        ..NOTHING
    },
    Row {
        shape: ApiShape::BedrockInvoke,
        apis: &["bedrock.invoke", "bedrock.invoke-stream", "invoke_model"],
        // Llama's and Titan's own words; the others are found by `row`.
        input: &["prompt_token_count", "inputTextTokenCount"],
        output: &["generation_token_count", "tokenCount"],
        ..NOTHING
    },
    Row {
        shape: ApiShape::CohereChat,
        apis: &["cohere.chat", "cohere.chat.v1", "cohere_v2_chat"],
        input: &["tokens.input_tokens", "billed_units.input_tokens"],
        output: &["tokens.output_tokens", "billed_units.output_tokens"],
        cache_read: &["cached_tokens", "tokens.cached_tokens"],
        // Cohere has none; translated answers say it so.
        cache_write: &["tokens.cache_write_tokens"],
        reasoning: &["tokens.reasoning_tokens"],
        billed: (&["billed_units.input_tokens"], &["billed_units.output_tokens"]),
        input_of: &[(Modality::Image, &["tokens.image_tokens"])],
        units: &[(Unit::RerankSearches, &["billed_units.search_units"])],
        ..NOTHING
    },
    Row {
        shape: ApiShape::CohereEmbed,
        apis: &["cohere.embed", "cohere_embed"],
        input: &["billed_units.input_tokens", "tokens.input_tokens"],
        tool: &[],
        units: &[(Unit::Images, &["billed_units.images"])],
        ..NOTHING
    },
    Row {
        shape: ApiShape::Rerank,
        apis: &["cohere.rerank", "rerank"],
        input: &["billed_units.input_tokens", "total_tokens"],
        units: &[(Unit::RerankSearches, &["billed_units.search_units", "search_units"])],
        ..NOTHING
    },
    Row {
        shape: ApiShape::Ocr,
        apis: &["mistral.ocr", "ocr"],
        units: &[
            (Unit::Pages, &["pages_processed"]),
            (Unit::AnnotatedPages, &["pages_processed_annotation", "annotated_pages_processed"]),
        ],
        ..NOTHING
    },
    Row {
        shape: ApiShape::Ollama,
        apis: &["ollama.chat", "ollama.generate", "ollama.embed"],
        input: &["prompt_eval_count"],
        output: &["eval_count"],
        // Ollama does not tell these; translated answers do, under names of ours.
        cache_read: &["cached_prompt_eval_count"],
        cache_write: &["written_prompt_eval_count"],
        reasoning: &["thinking_eval_count"],
        ..NOTHING
    },
];

/// The row to read this object with. Where it holds nothing of the shape it should have (a gateway in between
/// translated it, InvokeModel), the first row it holds an input or output count of.
pub(super) fn row(shape: ApiShape, usage: &Node<'_>) -> &'static Row {
    let own = ROWS.iter().find(|row| row.shape == shape).unwrap_or(&ROWS[0]);
    let fits = |row: &&Row| row.input.iter().chain(row.output).any(|path| find(usage, path).is_some());
    let has_unit = own.units.iter().any(|(_, paths)| paths.iter().any(|path| find(usage, path).is_some()));
    if has_unit || fits(&own) {
        return own;
    }
    const COMMON: [ApiShape; 5] = [
        ApiShape::AnthropicMessages,
        ApiShape::OpenAiChat,
        ApiShape::BedrockConverse,
        ApiShape::GeminiGenerateContent,
        ApiShape::CohereChat,
    ];
    ROWS.iter().filter(|row| COMMON.contains(&row.shape)).find(fits).unwrap_or(own)
}

/// What stands at a path, if it is not null. For a list's path, the entry of that word.
pub(super) fn find<'n, 'a>(usage: &'n Node<'a>, path: &str) -> Option<&'n Node<'a>> {
    let found = match path.strip_suffix(']').and_then(|path| path.split_once('[')) {
        None => path.split('.').try_fold(usage, Node::get)?,
        Some((list, word)) => {
            let is = |entry: &&Node<'_>| {
                ["modality", "ttl"].iter().any(|key| entry.get(key).and_then(Node::as_str) == Some(word))
            };
            let entry = usage.get(list)?.as_list()?.iter().find(is)?;
            entry.get("tokenCount").or_else(|| entry.get("inputTokens"))?
        }
    };
    (!found.is_null()).then_some(found)
}
