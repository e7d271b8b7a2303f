//! Stage `parse`: a block as target, tool and parameters.
//!
//! ```text
//! @target::tool
//! @target::tool::inline
//!
//! target = name ("." name)*      tool = name ("/" name)*      name = [A-Za-z0-9_-]+
//! ```

mod json;

#[cfg(test)]
mod tests;

use super::{
    extract::{BLANKS, InstructionBlock},
    rejection::{PipelineStage, Rejection, RejectionCode},
};
use serde::{Serialize, Serializer, ser::SerializeStruct};
use serde_json::Value;

pub use json::DEPTH_MAX;

/// Parameters of an instruction.
#[derive(Clone, Debug, PartialEq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum InstructionParams {
    /// No parameters.
    None,
    /// JSON in the header.
    InlineJson(Value),
    /// Other text in the header.
    InlineString(String),
    /// The lines after the header, joined with LF.
    Body(String),
}

/// A parsed block.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedBlock {
    /// The block.
    pub block: InstructionBlock,
    /// Target of the instruction.
    pub target: String,
    /// Tool to run.
    pub tool: String,
    /// Parameters.
    pub params: InstructionParams,
}

impl InstructionParams {
    /// Returns the name of the kind.
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// Returns the parameters as JSON; `null` if there are none.
    pub fn to_value(&self) -> Value {
        match self {
            InstructionParams::None => Value::Null,
            InstructionParams::InlineJson(value) => value.clone(),
            InstructionParams::InlineString(text) | InstructionParams::Body(text) => Value::String(text.clone()),
        }
    }

    /// Returns the parameters if they are text.
    pub fn text(&self) -> Option<&str> {
        match self {
            InstructionParams::InlineString(text) | InstructionParams::Body(text) => Some(text),
            InstructionParams::None | InstructionParams::InlineJson(_) => None,
        }
    }
}

impl Serialize for InstructionParams {
    /// Serializes as the two fields `params` and `params_kind`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Params", 2)?;
        fields.serialize_field("params", &self.to_value())?;
        fields.serialize_field("params_kind", self.kind())?;
        fields.end()
    }
}

/// Parses a block.
pub fn parse(block: InstructionBlock) -> Result<ParsedBlock, Rejection> {
    let index = block.index;
    let refused = |(code, message)| Rejection::block(PipelineStage::Parse, index, code, message);
    let (target, tool, params) = read(&block.content).map_err(refused)?;
    Ok(ParsedBlock { target, tool, params, block })
}

type ParseFault = (RejectionCode, String);

fn read(content: &str) -> Result<(String, String, InstructionParams), ParseFault> {
    if content.trim().is_empty() {
        return Err((RejectionCode::EmptyBlock, "the block is empty".to_owned()));
    }
    let (line, body) = content.split_once('\n').unwrap_or((content, ""));
    let Some((target, tool, inline)) = header(line.trim_matches(BLANKS)) else {
        let message = "the first line must be @target::tool or @target::tool::parameters, with plain names";
        return Err((RejectionCode::InvalidHeader, message.to_owned()));
    };
    let has_body = !body.trim().is_empty();
    let params = match inline {
        Some(text) if text.trim().is_empty() => {
            return Err((RejectionCode::EmptyInline, "nothing follows the second ::".to_owned()));
        }
        Some(_) if has_body => {
            return Err((RejectionCode::InlineAndBody, "parameters stand in the header and below it".to_owned()));
        }
        Some(text) if text.trim_start_matches(BLANKS).starts_with(['{', '[']) => {
            InstructionParams::InlineJson(json::read(text)?)
        }
        Some(text) => InstructionParams::InlineString(text.to_owned()),
        None if has_body => InstructionParams::Body(body.to_owned()),
        None => InstructionParams::None,
    };
    Ok((target.to_owned(), tool.to_owned(), params))
}

/// Splits a header into target, tool and the text after the second `::`.
fn header(line: &str) -> Option<(&str, &str, Option<&str>)> {
    let (target, rest) = line.strip_prefix('@')?.split_once("::")?;
    let (tool, inline) = rest.split_once("::").map_or((rest, None), |(tool, inline)| (tool, Some(inline)));
    (is_path(target, '.') && is_path(tool, '/')).then_some((target, tool, inline))
}

/// Whether `text` consists of names with `separator` between them.
fn is_path(text: &str, separator: char) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    text.split(separator).all(|name| !name.is_empty() && name.bytes().all(plain))
}
