//! Characters that could deceive a reader, from the table that the status page uses too.

use std::{ops::RangeInclusive, sync::LazyLock};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The status page's module with the table: ranges of hexadecimal code points between back-ticks.
const TABLE: &str = include_str!("../../web/status-page/assets/characters.js");

static HIDDEN: LazyLock<Vec<RangeInclusive<u32>>> = LazyLock::new(|| ranges("HIDDEN"));
static COMBINING: LazyLock<Vec<RangeInclusive<u32>>> = LazyLock::new(|| ranges("COMBINING"));

/// Returns whether a character is invisible, controls the terminal, reverses text, or looks like a space.
pub(super) fn is_hidden(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_control() } else { is_in(&HIDDEN, c) }
}

/// Returns whether a character combines with the one before it.
pub(super) fn is_combining(c: char) -> bool {
    !c.is_ascii() && is_in(&COMBINING, c)
}

/// Returns whether a character is in a block of right-to-left scripts.
pub(super) fn runs_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

/// Variation selector 16: the character before it is shown as an emoji.
const EMOJI_SELECTOR: char = '\u{fe0f}';

/// Returns whether a hidden character is visible here: [`EMOJI_SELECTOR`] after a character that it makes two columns wide.
pub(super) fn is_shown_with(c: char, before: Option<char>) -> bool {
    let is_widened =
        |sign: char| sign.width() == Some(1) && [sign, EMOJI_SELECTOR].iter().collect::<String>().width() == 2;
    c == EMOJI_SELECTOR && before.is_some_and(is_widened)
}

fn is_in(ranges: &[RangeInclusive<u32>], c: char) -> bool {
    let code = u32::from(c);
    let at = ranges.partition_point(|range| *range.end() < code);
    ranges.get(at).is_some_and(|range| range.contains(&code))
}

/// Returns the ranges of one list of the table.
fn ranges(name: &str) -> Vec<RangeInclusive<u32>> {
    let list = TABLE.split_once(&format!("const {name} = `")).and_then(|(_, rest)| rest.split_once('`'));
    let (list, _) = list.expect("the table holds this list, as a test sees");
    let code = |text: &str| u32::from_str_radix(text, 16).expect("the table holds hexadecimal numbers, as a test sees");
    let range = |text: &str| match text.split_once('-') {
        Some((first, last)) => code(first)..=code(last),
        None => code(text)..=code(text),
    };
    list.split_whitespace().map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = char> {
        (0..=u32::from(char::MAX)).filter_map(char::from_u32)
    }

    #[test]
    fn the_table_is_sorted_and_no_character_is_in_both_lists() {
        let both: Vec<_> = [&*HIDDEN, &*COMBINING].into_iter().collect();
        for ranges in both {
            assert!(ranges.len() > 300 && ranges.windows(2).all(|pair| pair[0].end() + 1 < *pair[1].start()));
            assert!(ranges.iter().all(|range| range.start() <= range.end()));
        }
        assert!(all().all(|c| !(is_hidden(c) && is_combining(c))));
        // Surrogates are characters in JavaScript, but not in Rust.
        assert!(HIDDEN.iter().any(|range| range.contains(&0xd800) && range.contains(&0xdfff)));
    }

    #[test]
    fn characters_that_the_standard_library_escapes_are_hidden_or_combining() {
        let is_escaped = |c: char| c.escape_debug().count() > 2;
        let missing: Vec<_> = all().filter(|c| is_escaped(*c) && !is_hidden(*c) && !is_combining(*c)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn characters_without_width_are_hidden_or_combining() {
        let missing: Vec<_> = all().filter(|c| c.width() == Some(0) && !is_hidden(*c) && !is_combining(*c)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn blanks_fillers_and_controls_are_hidden() {
        let ranges = [
            ('\0', '\u{1f}'),
            ('\u{7f}', '\u{a0}'),
            ('\u{ad}', '\u{ad}'),
            ('\u{34f}', '\u{34f}'),
            ('\u{61c}', '\u{61c}'),
            ('\u{115f}', '\u{1160}'),
            ('\u{1680}', '\u{1680}'),
            ('\u{17b4}', '\u{17b5}'),
            ('\u{180b}', '\u{180f}'),
            ('\u{2000}', '\u{200f}'),
            ('\u{2028}', '\u{202f}'),
            ('\u{205f}', '\u{206f}'),
            ('\u{2800}', '\u{2800}'),
            ('\u{3000}', '\u{3000}'),
            ('\u{3164}', '\u{3164}'),
            ('\u{e000}', '\u{f8ff}'),
            ('\u{fdd0}', '\u{fdef}'),
            ('\u{fe00}', '\u{fe0f}'),
            ('\u{feff}', '\u{feff}'),
            ('\u{ffa0}', '\u{ffa0}'),
            ('\u{fff0}', '\u{fffc}'),
            ('\u{fffe}', '\u{ffff}'),
            ('\u{1bca0}', '\u{1bca3}'),
            ('\u{1d159}', '\u{1d159}'),
            ('\u{1d173}', '\u{1d17a}'),
            ('\u{1fffe}', '\u{1ffff}'),
            ('\u{e0000}', '\u{10ffff}'),
        ];
        for (first, last) in ranges {
            assert!((first..=last).all(is_hidden), "{first:?} to {last:?}");
        }
    }

    #[test]
    fn ordinary_characters_are_neither() {
        for c in " a~éßж日本語ไ한ع א€→│…🙂\u{1f1e9}\u{1f3fd}".chars() {
            assert!(!is_hidden(c) && !is_combining(c), "{c:?}");
        }
        for c in "\u{301}\u{323}\u{e31}\u{5b0}\u{93e}\u{20dd}".chars() {
            assert!(is_combining(c), "{c:?}");
        }
    }
}
