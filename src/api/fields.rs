//! Declares request bodies and parameters: each field once, with its other names, its type and its description.

use schemars::JsonSchema;

/// A request body, or the parameters of a path and query.
pub trait RequestFields: JsonSchema {
    /// The names of each field, in the order of their declaration, the preferred name first.
    const FIELDS: &'static [&'static [&'static str]];
}

/// Declares a type whose fields are asked for by name: `BrowserRequest::client_id()` returns the names of that field.
///
/// A body's fields may be written in camelCase as well, which `JsonObject` does by itself; of parameters a camelCase name
/// is one of the other names.
macro_rules! request_fields {
    ($(#[$meta:meta])* $name:ident {
        required { $($(#[$required_meta:meta])* $required:ident $(| $required_alias:literal)*: $required_type:ty,)* }
        optional { $($(#[$optional_meta:meta])* $optional:ident $(| $optional_alias:literal)*: $optional_type:ty,)* }
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        pub struct $name {
            $($(#[$required_meta])* $(#[serde(alias = $required_alias)])* pub $required: $required_type,)*
            $($(#[$optional_meta])* $(#[serde(alias = $optional_alias)])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub $optional: Option<$optional_type>,)*
        }

        impl $name {
            $(#[doc = concat!("Returns the names of `", stringify!($required), "`.")]
            pub const fn $required() -> &'static [&'static str] { &[stringify!($required), $($required_alias),*] })*
            $(#[doc = concat!("Returns the names of `", stringify!($optional), "`.")]
            pub const fn $optional() -> &'static [&'static str] { &[stringify!($optional), $($optional_alias),*] })*
        }

        impl $crate::api::fields::RequestFields for $name {
            const FIELDS: &'static [&'static [&'static str]] = &[$($name::$required(),)* $($name::$optional(),)*];
        }
    };
}
pub(crate) use request_fields;

/// Returns a name in camelCase, as the readers of bodies take it.
pub(crate) fn camel_case(name: &str) -> String {
    let mut upper = false;
    let mut text = String::new();
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            text.push(if std::mem::take(&mut upper) { c.to_ascii_uppercase() } else { c });
        }
    }
    text
}
