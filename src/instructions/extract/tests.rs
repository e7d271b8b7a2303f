//! Where blocks begin and end, and what they hold.

use super::*;

fn contents(text: &str) -> Vec<String> {
    extract(text).unwrap_or_else(|why| panic!("{text:?}: {why}")).into_iter().map(|block| block.content).collect()
}

fn code(text: &str) -> RejectionCode {
    extract(text).expect_err(text).code
}

#[test]
fn fences_of_both_kinds_and_any_length_count() {
    for text in [
        "```baa\nx\n```",
        "~~~baa\nx\n~~~\n",
        "`````baa\nx\n``````\n",
        "~~~~ baa\nx\n~~~~~ \t\n",
        "   ```baa\nx\n  ```\n",
        "para\n```baa\nx\n```\n",
        "# h\n```baa\nx\n```\nafter",
    ] {
        assert_eq!(contents(text), ["x"], "{text:?}");
    }
}

#[test]
fn only_a_fence_of_the_same_kind_and_length_closes() {
    assert_eq!(contents("````baa\n```\n~~~~\n````x\n    ````\n````\n"), ["```\n~~~~\n````x\n    ````"]);
    assert_eq!(contents("~~~baa\n```\n~~\n~~~ x\n~~~\n"), ["```\n~~\n~~~ x"]);
    assert_eq!(contents("```baa\nx\n```\t\n```baa\ny\n```\t \n"), ["x", "y"], "tabs may follow a closing fence");
    assert_eq!(contents("```baa\n```\u{b}\n```\n"), ["```\u{b}"], "a vertical tab is no blank");
}

#[test]
fn a_block_that_nothing_closes_is_refused() {
    for text in [
        "```baa",
        "```baa\n",
        "```baa\nx",
        "```baa\nx\n``",
        "```baa\nx\n~~~\n",
        "```baa\nx\n```x\n",
        "```baa\nx\n    ```\n",
        "```baa\nx\n\t```\n",
        "```baa\nx\n> ```\n",
        "```baa\nx\n```\u{a0}\n",
        "```baa\r",
    ] {
        assert_eq!(code(text), RejectionCode::Unterminated, "{text:?}");
    }
    assert!(contents("```\n```baa\n").is_empty(), "the fence around it is open, not it");
}

#[test]
fn every_kind_of_line_end_is_read_alike() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["```baa", "@a::b", "", "c", "```", ""].join(end);
        let block = extract(&text).unwrap().remove(0);
        assert_eq!((block.content.as_str(), block.raw.as_str()), ("@a::b\n\nc", "```baa\n@a::b\n\nc\n```"), "{end:?}");
    }
    assert_eq!(contents("```baa\r\rx\n\ry\r\n```"), ["\nx\n\ny"]);
}

#[test]
fn lines_lose_the_indentation_of_the_opening_fence_alone() {
    assert_eq!(contents("  ```baa\n x\n  y\n   z\n\tt\n  ```\n"), ["x\ny\n z\n  t"]);
    assert_eq!(contents("```baa\n  x\n\ty \t\n```\n"), ["  x\n\ty \t"]);
    let block = extract("para\n   ```baa\n   x\n  ``` \nafter").unwrap().remove(0);
    assert_eq!(block.raw, "   ```baa\n   x\n  ``` ");
}

#[test]
fn what_stands_between_the_fences_stays_as_it_is() {
    let odd = "\u{b}\u{c} \\` &amp; *a* <b> [x]: y\t\n\0\u{feff}ü😀\u{2028}\n\t\n `` ";
    assert_eq!(contents(&format!("```baa\n{odd}\n```\n")), [odd]);
}

#[test]
fn vertical_tabs_and_form_feeds_are_no_blanks() {
    let block = "```baa\nx\n```\n";
    for odd in ['\u{b}', '\u{c}'] {
        let after_text = format!("{odd}\n<x-y>\n{block}");
        assert_eq!(contents(&after_text), ["x"], "it makes a line of text, which no such tag interrupts");
        let in_no_raw_html = format!("a\n<pre{odd}\n{block}");
        assert_eq!(contents(&in_no_raw_html), ["x"], "it ends no name");
        let in_html = format!("<div>\n{odd}\n{block}");
        assert!(contents(&in_html).is_empty(), "it makes no empty line");
    }
}

#[test]
fn blocks_are_counted_without_other_fences() {
    let text = "```baa\na\n```\n```bash\n```\n> ```baa\n> x\n> ```\n\n~~~baa\nb\n~~~\n";
    let indexes: Vec<_> = extract(text).unwrap().into_iter().map(|block| (block.index, block.content)).collect();
    assert_eq!(indexes, [(0, "a".to_owned()), (1, "b".to_owned())]);
}

#[test]
fn text_that_is_hard_to_read_is_read_soon() {
    let block = "```baa\n@conductor::status\n```\n";
    let many = |part: &str| format!("{}\n\n{block}", part.repeat((1 << 16) / part.len()));
    // Behind a letter, so that it is text.
    let inline = |part: &str| format!("a{}", many(part));
    for part in [
        "[", "![", "*a_ ", "`", "a`b``", "<", "<!", "&", "\\", "[a](", "[a]: ", "(", "**x ", "<a ", "_ ", "![[]()",
        "\"'", "](",
    ] {
        assert_eq!(contents(&inline(part)).len(), 1, "{part:?}");
    }
    for part in ["> ", "- ", "1. ", ">", "[a]: /b\n", "<div>\n", "*\n", "- -\n", "> x\n", "a\n\n", "```\n", "\t", " "] {
        assert!(extract(&many(part)).is_ok_and(|blocks| blocks.len() <= 1), "{part:?}");
    }
    // Over a whole message each of these would take minutes, if it were read.
    for (first, then) in [("> ", "a\n"), ("> ", "> a\n"), ("- ", "  a\n"), ("1. ", "x\n"), ("- > ", "y\n")] {
        let half = |part: &str| part.repeat((1 << 19) / part.len() - 16);
        assert_eq!(
            code(&format!("{}{}{block}", half(first), half(then))),
            RejectionCode::TooDeep,
            "{first:?} {then:?}"
        );
    }
}
