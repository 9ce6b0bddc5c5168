//! From a stream's events to the answer they spell.

use tachograph_record::UsageReading;

use super::{Block, ChatResponse, Choice, Opaque, StreamEvent, Text, Thinking, ToolCall};
use crate::DialectId;

/// Puts the events of a stream together to one answer.
#[derive(Clone, Debug)]
pub struct Assembler {
    response: ChatResponse,
    /// Where each call stands: its choice and its block.
    calls: Vec<(usize, usize)>,
    /// Per choice, whether the last block may still grow.
    growing: Vec<bool>,
}

impl Assembler {
    /// An assembler of a stream of this dialect.
    #[must_use]
    pub fn new(dialect: DialectId) -> Self {
        let response = ChatResponse {
            dialect,
            id: None,
            model: None,
            choices: Vec::new(),
            usage: UsageReading::Absent,
            service_tier: None,
            provider_cost: None,
        };
        Self { response, calls: Vec::new(), growing: Vec::new() }
    }

    /// The answer so far.
    #[must_use]
    pub fn into_response(self) -> ChatResponse {
        self.response
    }

    /// Takes the next event.
    pub fn push(&mut self, event: &StreamEvent) {
        match event {
            StreamEvent::Start { id, model, usage } => {
                self.response.id.clone_from(id);
                self.response.model.clone_from(model);
                if let Some(usage) = usage {
                    self.response.usage = UsageReading::Known(usage.clone());
                }
            }
            StreamEvent::Text { choice, text } => {
                let fresh = || Block::Text(Text::default());
                if let Block::Text(block) = self.grow(*choice, |block| matches!(block, Block::Text(_)), fresh) {
                    block.text.push_str(text);
                }
            }
            StreamEvent::Refusal { choice, text } => {
                let fresh = || Block::Refusal(Text::default());
                if let Block::Refusal(block) = self.grow(*choice, |block| matches!(block, Block::Refusal(_)), fresh) {
                    block.text.push_str(text);
                }
            }
            StreamEvent::Thinking { choice, text } => {
                if let Block::Thinking(block) = self.thinking(*choice) {
                    block.text.push_str(text);
                }
            }
            StreamEvent::Signature { choice, signature } => {
                if let Block::Thinking(block) = self.thinking(*choice) {
                    block.signature.get_or_insert_default().push_str(signature);
                }
            }
            StreamEvent::Redacted { choice, data } => {
                self.add(*choice, Block::Thinking(Thinking { redacted: Some(data.clone()), ..Thinking::default() }));
            }
            StreamEvent::CallStart { choice, call, id, name } => {
                let block = ToolCall { id: id.clone(), name: name.clone(), ..ToolCall::default() };
                let place = self.add(*choice, Block::ToolCall(block));
                self.calls.resize(self.calls.len().max(*call as usize), place);
                self.calls.push(place);
            }
            StreamEvent::Arguments { call, text, .. } => {
                let place = self.calls.get(*call as usize).copied();
                let block = place.and_then(|(choice, at)| self.response.choices.get_mut(choice)?.content.get_mut(at));
                if let Some(Block::ToolCall(block)) = block {
                    block.arguments.push_str(text);
                }
            }
            StreamEvent::Opaque { choice, dialect, json } => {
                self.add(*choice, Block::Opaque(Opaque { dialect: *dialect, json: json.clone() }));
            }
            StreamEvent::BlockEnd { choice } => {
                let at = self.choice(*choice);
                self.growing[at] = false;
            }
            StreamEvent::Finish { choice, reason, native, stop_sequence } => {
                let at = self.choice(*choice);
                let choice = &mut self.response.choices[at];
                choice.finish_reason = Some(*reason);
                choice.native_finish_reason = Some(native.clone());
                choice.stop_sequence.clone_from(stop_sequence);
            }
            StreamEvent::Usage(usage) => self.response.usage = UsageReading::Known(usage.clone()),
            StreamEvent::End | StreamEvent::Error(_) => {}
        }
    }

    fn thinking(&mut self, choice: u32) -> &mut Block {
        self.grow(choice, |block| matches!(block, Block::Thinking(_)), || Block::Thinking(Thinking::default()))
    }

    /// The last block of a choice if it is of the kind and may grow, else a fresh one.
    fn grow(&mut self, choice: u32, is: impl Fn(&Block) -> bool, fresh: impl Fn() -> Block) -> &mut Block {
        let at = self.choice(choice);
        let fits = self.growing[at] && self.response.choices[at].content.last().is_some_and(is);
        if !fits {
            self.response.choices[at].content.push(fresh());
            self.growing[at] = true;
        }
        let content = &mut self.response.choices[at].content;
        let last = content.len() - 1;
        &mut content[last]
    }

    fn add(&mut self, choice: u32, block: Block) -> (usize, usize) {
        let at = self.choice(choice);
        self.growing[at] = false;
        self.response.choices[at].content.push(block);
        (at, self.response.choices[at].content.len() - 1)
    }

    fn choice(&mut self, choice: u32) -> usize {
        // A provider that counts to a million answers is broken; they all land in the last one there is room for.
        let at = choice.min(127) as usize;
        while self.response.choices.len() <= at {
            self.response.choices.push(Choice::default());
            self.growing.push(true);
        }
        at
    }
}
