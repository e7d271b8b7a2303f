//! The stages together: against a slow reading of the grammar, and against what an attacker would write.

mod generate;
mod injection;
mod property;
mod reference;
