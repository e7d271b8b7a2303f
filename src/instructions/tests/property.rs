//! The fast reading against the slow one.

use super::{
    super::{Authority, Batch, Block, Code, Message, Params, Rejection, extract, parse, settings::Instructions},
    generate,
    reference::{self, Document, Found},
};
use proptest::{prelude::*, test_runner::Config};

/// Few cases, or with `BAA_SLOW=1` a million.
fn cases() -> Config {
    let cases = if std::env::var_os("BAA_SLOW").is_some() { 1_000_000 } else { 4_000 };
    Config { cases, failure_persistence: None, ..Config::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn blocks_are_found_where_commonmark_has_them(text in generate::messages()) {
        let found = extract(&text);
        let Document { blocks, is_open } = reference::read(&text);
        match found {
            Ok(found) => {
                let found: Vec<_> = found.into_iter().map(|Block { raw, content, .. }| Found { raw, content }).collect();
                prop_assert_eq!((found, false), (blocks, is_open));
            }
            Err(Rejection { code: Code::Unterminated, block_index, .. }) => {
                prop_assert_eq!((block_index, true), (Some(blocks.len()), is_open));
            }
            Err(Rejection { code, .. }) => {
                let lower = text.to_ascii_lowercase();
                prop_assert!(code == Code::AmbiguousHtml && lower.contains("</"), "{:?}", code);
            }
        }
    }
}
