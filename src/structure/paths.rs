//! The paths that a source uses, resolved from the root of the crate.

use super::files::Source;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::{collections::BTreeSet, iter::Peekable, vec::IntoIter};

type Tokens = Peekable<IntoIter<TokenTree>>;

/// Returns every path into the crate: what follows `crate::`, and `super::` that leads out of the file.
pub(super) fn named(source: &Source) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    walk(lex(source), &source.module, &mut found);
    found
}

/// Returns every identifier.
pub(super) fn names(source: &Source) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    identifiers(lex(source), &mut found);
    found
}

fn lex(source: &Source) -> TokenStream {
    source.text.parse().unwrap_or_else(|error| panic!("{} is no Rust: {error}", source.name))
}

fn identifiers(tokens: TokenStream, found: &mut BTreeSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(name) => drop(found.insert(name.to_string())),
            TokenTree::Group(group) => identifiers(group.stream(), found),
            _ => {}
        }
    }
}

fn tokens(stream: TokenStream) -> Tokens {
    Vec::from_iter(stream).into_iter().peekable()
}

fn walk(stream: TokenStream, module: &[String], found: &mut Vec<Vec<String>>) {
    let mut tokens = tokens(stream);
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => walk(group.stream(), module, found),
            TokenTree::Ident(word) if word == "mod" => inner_module(&mut tokens, module, found),
            TokenTree::Ident(word) if ["crate", "baa_conductor", "super"].iter().any(|root| word == root) => {
                let mut prefix = if word == "super" { module[..module.len() - 1].to_vec() } else { Vec::new() };
                if colons(&mut tokens) {
                    expand(&mut tokens, &mut prefix, found);
                }
            }
            _ => {}
        }
    }
}

/// Reads `mod name { … }`, which is one level deeper for `super`.
fn inner_module(tokens: &mut Tokens, module: &[String], found: &mut Vec<Vec<String>>) {
    let Some(TokenTree::Ident(name)) = tokens.next() else { return };
    if let Some(TokenTree::Group(body)) = tokens.next_if(|next| matches!(next, TokenTree::Group(_))) {
        walk(body.stream(), &[module, &[name.to_string()]].concat(), found);
    }
}

/// Reads what follows `prefix::`; one `use` may have many paths.
fn expand(tokens: &mut Tokens, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match tokens.next() {
        Some(TokenTree::Ident(word)) => {
            if word == "super" {
                prefix.pop();
            } else if word != "self" {
                prefix.push(word.to_string());
            }
            if colons(tokens) {
                return expand(tokens, prefix, found);
            }
            found.extend((!prefix.is_empty()).then(|| prefix.clone()));
        }
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let mut inside = self::tokens(group.stream());
            while inside.peek().is_some() {
                expand(&mut inside, &mut prefix.clone(), found);
                // Skips `as …` and the comma.
                while inside.next().is_some_and(|token| !is(&token, ',')) {}
            }
        }
        // A glob import, or generics.
        _ => found.extend((!prefix.is_empty()).then(|| prefix.clone())),
    }
}

fn is(token: &TokenTree, sign: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == sign)
}

fn colons(tokens: &mut Tokens) -> bool {
    tokens.next_if(|token| is(token, ':')).is_some() && tokens.next_if(|token| is(token, ':')).is_some()
}

#[test]
fn paths_are_found_in_groups_macros_and_inner_modules() {
    let text = r#"
        //! crate::comment::does_not_count
        use crate::{a::{B, c::D as E}, f};
        use super::super::g::*;
        fn h() -> super::I { log!(x = crate::j::K, "crate::text"); crate::l::<M>() }
        pub(crate) mod tests { use super::*; use super::super::super::n; }
    "#;
    let module = ["x", "y"].map(str::to_owned).to_vec();
    let source = Source { name: "x/y.rs".into(), module, text: text.into() };
    let found: Vec<_> = named(&source).iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["a::B", "a::c::D", "f", "g", "x::I", "j::K", "l", "x::y", "n"]);
}
