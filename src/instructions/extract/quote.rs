//! Quotes that go on behind a tab. CommonMark takes a `>` that stands four columns in for text; the reader takes one
//! behind a tab for the quote's own mark. What follows is in the quote to the one and outside of it to the other, so a
//! fence could be hidden from one of them.

/// Whether a line of the quote has a marker behind a tab.
pub(super) fn is_ambiguous(quote: &str) -> bool {
    quote.lines().any(|line| {
        let marks = &line[..line.len() - line.trim_start_matches([' ', '\t', '>']).len()];
        marks.split_once('\t').is_some_and(|(_, behind)| behind.contains('>'))
    })
}
