//! Exchanges written for these tests, in the two wire formats: 500 tokens in and 300 out, and a call of a tool.

use crate::Reply;

/// One answer, as a document and as a stream.
#[derive(Clone, Copy, Debug)]
pub struct Golden {
    /// The answer in one.
    pub document: &'static str,
    /// The answer as events, usage included.
    pub stream: &'static str,
}

/// OpenAI: "The tachograph turns slowly. 速度は一定です 🚚", gpt-4o-mini, 500 in, 300 out.
pub const OPENAI_CHAT: Golden = Golden {
    document: include_str!("../goldens/openai-chat.json"),
    stream: include_str!("../goldens/openai-chat.sse"),
};
/// OpenAI: two calls of `weather`, their arguments interleaved.
pub const OPENAI_TOOLS: Golden = Golden {
    document: include_str!("../goldens/openai-tools.json"),
    stream: include_str!("../goldens/openai-tools.sse"),
};
/// Anthropic: the same text from claude-haiku-4-5; 400 fresh, 80 cached and 20 written to the cache, 300 out.
pub const ANTHROPIC_MESSAGES: Golden = Golden {
    document: include_str!("../goldens/anthropic-messages.json"),
    stream: include_str!("../goldens/anthropic-messages.sse"),
};
/// Anthropic: text, then two calls of `weather`.
pub const ANTHROPIC_TOOLS: Golden = Golden {
    document: include_str!("../goldens/anthropic-tools.json"),
    stream: include_str!("../goldens/anthropic-tools.sse"),
};
/// The text of the two chats.
pub const TEXT: &str = "The tachograph turns slowly. 速度は一定です 🚚";

impl Golden {
    /// The document.
    #[must_use]
    pub fn reply(&self) -> Reply {
        Reply::document(200, &[("content-type", "application/json")], self.document)
    }

    /// The stream, one piece for each event.
    #[must_use]
    pub fn events(&self) -> Reply {
        Reply::events(self.stream.as_bytes())
    }

    /// Whichever the request asks for.
    #[must_use]
    pub fn as_asked(&self, stream: bool) -> Reply {
        if stream { self.events() } else { self.reply() }
    }
}
