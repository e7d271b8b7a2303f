//! Retention on a paused clock, with a virtual wall clock.
