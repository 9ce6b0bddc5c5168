//! Names of providers.

use std::collections::{BTreeMap, BTreeSet};

use crate::row::Row;

/// Providers with a name that cannot be made from the id, or with names that people and other tools use.
const NAMES: &[(&str, &str, &[&str])] = &[
    ("ai21", "AI21", &["ai21labs"]),
    ("alibaba", "Alibaba Cloud", &["dashscope", "qwen"]),
    ("amazon-nova", "Amazon Nova", &[]),
    ("anthropic", "Anthropic", &["claude"]),
    ("aws-bedrock", "Amazon Bedrock", &["bedrock", "bedrock_converse", "amazon-bedrock", "aws"]),
    ("aws-sagemaker", "Amazon SageMaker", &["sagemaker"]),
    ("azure-ai", "Azure AI Foundry", &["azure_ai", "azure-ai-foundry"]),
    ("azure-openai", "Azure OpenAI", &["azure", "azure_openai", "azureopenai"]),
    ("black-forest-labs", "Black Forest Labs", &["bfl"]),
    ("cerebras", "Cerebras", &[]),
    ("cloudflare", "Cloudflare Workers AI", &["workers-ai"]),
    ("cohere", "Cohere", &["cohere_chat"]),
    ("databricks", "Databricks", &[]),
    ("deepinfra", "DeepInfra", &[]),
    ("deepseek", "DeepSeek", &[]),
    ("fireworks", "Fireworks AI", &["fireworks_ai", "fireworks-ai"]),
    ("github-copilot", "GitHub Copilot", &["github_copilot"]),
    ("github-models", "GitHub Models", &["github"]),
    ("google", "Google AI Studio", &["gemini", "google-ai-studio", "googleai", "google_ai_studio", "google-genai"]),
    (
        "google-vertex",
        "Google Vertex AI",
        &["vertex", "vertex_ai", "vertexai", "vertex-ai", "google-vertex-ai", "google_vertex"],
    ),
    ("groq", "Groq", &[]),
    ("huggingface", "Hugging Face", &["hf"]),
    ("minimax", "MiniMax", &[]),
    ("mistral", "Mistral AI", &["mistralai", "mistral-ai"]),
    ("moonshot", "Moonshot AI", &["moonshotai", "kimi"]),
    ("nvidia", "NVIDIA", &["nvidia_nim", "nim"]),
    ("openai", "OpenAI", &["oai"]),
    ("openrouter", "OpenRouter", &[]),
    ("oracle-oci", "Oracle OCI", &["oci"]),
    ("ovhcloud", "OVHcloud", &[]),
    ("perplexity", "Perplexity", &["perplexity-ai", "pplx"]),
    ("together", "Together AI", &["together_ai", "togetherai", "together-ai"]),
    ("voyage", "Voyage AI", &["voyageai", "voyage-ai"]),
    ("watsonx", "IBM watsonx", &["ibm"]),
    ("xai", "xAI", &["x", "x-ai", "grok"]),
    ("zai", "Z.ai", &["z-ai", "z.ai"]),
    ("zhipu", "Zhipu AI", &["zhipuai", "bigmodel"]),
];

/// How the names of the models begin that a provider made itself. Where several list a bare name, its maker is meant.
const MAKERS: &[(&str, &[&str])] = &[
    ("ai21", &["jamba", "j2-"]),
    ("alibaba", &["qwen", "qwq", "qvq", "wan", "tongyi"]),
    ("amazon-nova", &["nova-", "amazon.nova"]),
    ("anthropic", &["claude"]),
    ("black-forest-labs", &["flux"]),
    ("cohere", &["command", "c4ai", "embed-", "rerank-"]),
    ("deepgram", &["nova-", "aura-", "flux-"]),
    ("deepseek", &["deepseek"]),
    ("elevenlabs", &["eleven_", "scribe"]),
    ("google", &["gemini", "gemma", "learnlm", "imagen", "veo", "lyria"]),
    ("inception", &["mercury"]),
    ("jina", &["jina"]),
    ("meta", &["llama", "muse"]),
    ("minimax", &["minimax", "abab"]),
    ("mistral", &["mistral", "ministral", "magistral", "codestral", "devstral", "pixtral", "voxtral", "open-mi"]),
    ("moonshot", &["kimi", "moonshot"]),
    ("nomic", &["nomic"]),
    (
        "openai",
        &[
            "gpt-",
            "chatgpt-",
            "o1",
            "o3",
            "o4",
            "codex",
            "computer-use",
            "text-embedding-",
            "text-davinci",
            "davinci",
            "babbage",
            "text-moderation",
            "omni-moderation",
            "dall-e",
            "sora",
            "tts-",
            "whisper",
            "ft:",
        ],
    ),
    ("perplexity", &["sonar", "pplx"]),
    ("reka", &["reka"]),
    ("runwayml", &["gen3", "gen4"]),
    ("stability", &["stable-", "sd3", "sdxl"]),
    ("stepfun", &["step-"]),
    ("tencent", &["hunyuan", "hy3"]),
    ("upstage", &["solar"]),
    ("voyage", &["voyage", "rerank-2"]),
    ("xai", &["grok"]),
    ("xiaomi", &["mimo"]),
    ("zai", &["glm", "cogview"]),
];

pub(crate) fn makes(id: &str) -> &'static [&'static str] {
    MAKERS.iter().find(|(held, _)| *held == id).map_or(&[], |(_, starts)| *starts)
}

pub(crate) fn display(id: &str) -> String {
    if let Some((_, name, _)) = NAMES.iter().find(|(held, _, _)| *held == id) {
        return (*name).to_owned();
    }
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_uppercase().chain(letters).collect::<String>()).unwrap_or_default()
    };
    id.split(['-', '_']).map(capital).collect::<Vec<_>>().join(" ")
}

/// The aliases of each provider: those of the table, and the prefix that most of its keys wear in litellm and in
/// models.dev, where no other provider has a better claim to it.
pub(crate) fn aliases(providers: &[(String, Vec<Row>)]) -> BTreeMap<String, BTreeSet<String>> {
    let mut taken: BTreeSet<String> = providers.iter().map(|(id, _)| id.clone()).collect();
    let mut aliases: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (id, _, known) in NAMES {
        for alias in *known {
            if taken.insert((*alias).to_owned()) {
                aliases.entry((*id).to_owned()).or_default().insert((*alias).to_owned());
            }
        }
    }
    let mut claims: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for (id, rows) in providers {
        for row in rows {
            let keys = ["litellm", "models.dev"].into_iter().filter_map(|tag| row.source_ids.get(tag)).flatten();
            for prefix in keys.filter_map(|key| key.strip_suffix(row.model.as_str())?.strip_suffix('/')) {
                // A size of an image is no gateway.
                if !prefix.contains('/') && !prefix.contains("-x-") {
                    *claims.entry(prefix.to_ascii_lowercase()).or_default().entry(id).or_default() += 1;
                }
            }
        }
    }
    for (prefix, by_provider) in claims {
        let best = by_provider.iter().max_by_key(|(_, count)| **count);
        if let Some((id, count)) = best
            && *count >= 2
            && taken.insert(prefix.clone())
        {
            aliases.entry((*id).to_owned()).or_default().insert(prefix);
        }
    }
    aliases
}
