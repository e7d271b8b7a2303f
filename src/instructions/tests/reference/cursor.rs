//! A place in a line, in columns: a tab reaches to the next multiple of four.

/// What is left of a line.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    signs: Vec<char>,
    at: usize,
    column: usize,
    /// Columns of a tab that was taken in part.
    left: usize,
}

impl Cursor {
    pub(super) fn new(line: &str) -> Self {
        Cursor { signs: line.chars().collect(), at: 0, column: 0, left: 0 }
    }

    /// The sign at this place; a tab taken in part is a space.
    pub(super) fn sign(&self) -> Option<char> {
        if self.left > 0 { Some(' ') } else { self.signs.get(self.at).copied() }
    }

    /// Takes a sign, or a column of a tab.
    pub(super) fn step(&mut self) {
        if self.left == 0 {
            self.left = if self.signs[self.at] == '\t' { 4 - self.column % 4 } else { 1 };
            self.at += 1;
        }
        self.left -= 1;
        self.column += 1;
    }

    /// Columns of blanks from here on.
    pub(super) fn indent(&self) -> usize {
        let mut ahead = self.clone();
        while matches!(ahead.sign(), Some(' ' | '\t')) {
            ahead.step();
        }
        ahead.column - self.column
    }

    pub(super) fn is_blank(&self) -> bool {
        self.rest_trimmed().is_empty()
    }

    /// Takes columns.
    pub(super) fn skip(&mut self, columns: usize) {
        (0..columns).for_each(|_| self.step());
    }

    /// Takes columns of blanks, as many as there are.
    pub(super) fn skip_up_to(&mut self, columns: usize) {
        self.skip(columns.min(self.indent()));
    }

    /// What is left; a tab taken in part is spaces.
    pub(super) fn rest(&self) -> String {
        " ".repeat(self.left) + &self.signs[self.at..].iter().collect::<String>()
    }

    /// What is left without the blanks around it.
    pub(super) fn rest_trimmed(&self) -> String {
        self.rest().trim_matches([' ', '\t']).to_owned()
    }
}
