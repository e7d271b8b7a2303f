//! What a route takes and answers, by the types of `crate::api`.

use super::error::Code;
use crate::api::fields::RequestFields;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Makes a schema of a type.
pub(super) type MakeSchema = fn(&mut SchemaGenerator) -> Schema;

/// What a route takes and answers.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Parts of its path and parameters of its query.
    pub(super) parameters: Option<FieldsSchema>,
    /// Its body; a route without one takes none.
    pub(super) body: Option<FieldsSchema>,
    /// Its answer when it succeeds.
    pub(super) answer: AnswerSchema,
    /// Error codes of its own, beside those that every route may answer.
    pub(super) codes: &'static [Code],
    /// Codes that it answers with another status than their usual one.
    pub(super) with_status: &'static [(u16, Code)],
}

/// A request body or parameters.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldsSchema {
    /// Refers to the schema among the components.
    pub(super) reference: MakeSchema,
    /// The schema itself.
    pub(super) schema: MakeSchema,
    /// The names of each field.
    pub(super) fields: &'static [&'static [&'static str]],
}

impl FieldsSchema {
    const fn of<T: RequestFields>() -> Self {
        FieldsSchema { reference: SchemaGenerator::subschema_for::<T>, schema: T::json_schema, fields: T::FIELDS }
    }
}

/// The answer of a route that succeeds.
#[derive(Clone, Copy, Debug)]
pub(super) enum AnswerSchema {
    /// The envelope with this data.
    Data(MakeSchema),
    /// The envelope with this data, or server-sent events, as the caller asks.
    DataOrEvents(MakeSchema, MakeSchema),
    /// The envelope, with whatever another program answered.
    PassedOn,
    /// A JSON object without the envelope.
    Bare,
    /// Something else than JSON, of one of these media types.
    Media(&'static [&'static str]),
    /// Server-sent events with this data.
    Events(MakeSchema),
    /// A status without a body: a redirect, or the switch to another protocol.
    Empty(u16, &'static str),
}

const fn answering(answer: AnswerSchema) -> Operation {
    Operation { parameters: None, body: None, answer, codes: &[], with_status: &[] }
}

/// Answers the envelope with this data.
pub(super) const fn answers<T: JsonSchema>() -> Operation {
    answering(AnswerSchema::Data(SchemaGenerator::subschema_for::<T>))
}

/// Answers the envelope with this data, or events, as the caller asks.
pub(super) const fn answers_or_streams<T: JsonSchema, E: JsonSchema>() -> Operation {
    let data = SchemaGenerator::subschema_for::<T>;
    answering(AnswerSchema::DataOrEvents(data, SchemaGenerator::subschema_for::<E>))
}

/// Answers with events without an end.
pub(super) const fn streams<E: JsonSchema>() -> Operation {
    answering(AnswerSchema::Events(SchemaGenerator::subschema_for::<E>))
}

/// Answers the envelope with whatever another program answered.
pub(super) const fn passes_on() -> Operation {
    answering(AnswerSchema::PassedOn)
}

/// Answers a JSON object without the envelope.
pub(super) const fn answers_bare() -> Operation {
    answering(AnswerSchema::Bare)
}

/// Answers a body of one of these media types.
pub(super) const fn serves(media_types: &'static [&'static str]) -> Operation {
    answering(AnswerSchema::Media(media_types))
}

/// Answers a status without a body.
pub(super) const fn answers_status(status: u16, description: &'static str) -> Operation {
    answering(AnswerSchema::Empty(status, description))
}

impl Operation {
    /// With the parameters of its path and query.
    pub(super) const fn parameters<P: RequestFields>(self) -> Self {
        Operation { parameters: Some(FieldsSchema::of::<P>()), ..self }
    }

    /// With a body.
    pub(super) const fn body<B: RequestFields>(self) -> Self {
        Operation { body: Some(FieldsSchema::of::<B>()), ..self }
    }

    /// With error codes of its own.
    pub(super) const fn fails(self, codes: &'static [Code]) -> Self {
        Operation { codes, ..self }
    }

    /// With codes that have another status than their usual one.
    pub(super) const fn with_status(self, with_status: &'static [(u16, Code)]) -> Self {
        Operation { with_status, ..self }
    }
}

/// Codes of routes that read or write the database.
pub(super) const STORE: &[Code] = &[Code::StoreUnavailable];
/// Codes of routes that show one record of the database.
pub(super) const RECORD: &[Code] = &[Code::NotFound, Code::StoreUnavailable];
/// A wrong one-time code is answered with 403 instead of 400.
pub(super) const WRONG_CODE: &[(u16, Code)] = &[(403, Code::InvalidRequest)];

/// Codes of browser requests.
pub(super) const BROWSER_REQUEST: &[Code] = &[
    Code::PlatformNotSupported,
    Code::BrowserBridgeUnavailable,
    Code::BrowserClientNotFound,
    Code::BrowserRequestConflict,
    Code::BrowserRequestCancelled,
    Code::BrowserRequestTimeout,
    Code::BrowserUpstreamError,
    Code::BrowserUpstreamInvalidResponse,
    Code::BrowserResponseTooLarge,
    Code::BrowserBridgeError,
    Code::BrowserRiskLimited,
    Code::ClaudeCredentialsUnavailable,
    Code::TemplateUnavailable,
    Code::SystemDraining,
    Code::Overloaded,
    Code::NotFound,
    Code::PairingRequired,
];

/// Codes of actions.
pub(super) const ACTION: &[Code] = &[
    Code::PlatformNotSupported,
    Code::BrowserBridgeUnavailable,
    Code::BrowserClientNotFound,
    Code::BrowserActionTimeout,
    Code::BrowserBridgeError,
    Code::PairingRequired,
];

/// Codes of calls that are passed on to codexd.
pub(super) const CODEXD: &[Code] =
    &[Code::CodexdNotConfigured, Code::CodexdUnavailable, Code::Overloaded, Code::BrowserUpstreamError];
/// Codes of reading and writing files.
pub(super) const HOST_FILE: &[Code] = &[Code::OutsideRoots, Code::SandboxUnavailable, Code::StoreUnavailable];
/// Codes of approving and rejecting.
pub(super) const INSTRUCTION_DECISION: &[Code] = &[Code::NotFound, Code::ApprovalStale, Code::StoreUnavailable];
