//! Wrong tokens and codes: ten of one holder within a minute, and for a minute further ones are answered as too many. One
//! user of this machine is one holder, whichever of its many loopback addresses it calls from.

use super::shares::Holder;
use std::{collections::VecDeque, time::Duration};
use tokio::time::Instant;

/// Wrong tokens within the window that silence a holder.
const WRONG_MAX: usize = 10;
/// The window, and how long the silence is.
const WINDOW: Duration = Duration::from_secs(60);
/// Holders that are remembered; beyond it all are forgotten.
const HOLDERS_MAX: usize = 4_096;

/// Who gave wrong tokens.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    holders: foldhash::HashMap<Holder, Wrong>,
}

#[derive(Debug, Default)]
struct Wrong {
    /// When, the oldest first, within the window.
    at: VecDeque<Instant>,
    silent_until: Option<Instant>,
}

impl Throttle {
    /// Counts a wrong token or code. Returns for how long its holder is silenced, if it was before this one.
    pub(super) fn wrong(&mut self, holder: Holder, now: Instant) -> Option<Duration> {
        if self.holders.len() >= HOLDERS_MAX && !self.holders.contains_key(&holder) {
            self.holders.clear();
        }
        let wrong = self.holders.entry(holder).or_default();
        if let Some(left) = wrong.silent_until.and_then(|until| until.checked_duration_since(now))
            && !left.is_zero()
        {
            return Some(left);
        }
        wrong.silent_until = None;
        while wrong.at.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            wrong.at.pop_front();
        }
        wrong.at.push_back(now);
        if wrong.at.len() == WRONG_MAX {
            wrong.at.clear();
            wrong.silent_until = Some(now + WINDOW);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDER: Holder = Holder::Own;

    /// Which of the wrong tokens at these seconds were not looked at.
    fn silenced(at: impl IntoIterator<Item = u64>) -> Vec<bool> {
        let (mut throttle, begin) = (Throttle::default(), Instant::now());
        at.into_iter().map(|s| throttle.wrong(HOLDER, begin + Duration::from_secs(s)).is_some()).collect()
    }

    #[test]
    fn ten_within_a_minute_silence_a_holder_for_a_minute() {
        let mut expected = vec![false; 10];
        expected.extend([true, true, false]);
        assert_eq!(silenced((0..10).chain([10, 68, 69])), expected, "the tenth came after nine seconds");
    }

    #[test]
    fn any_minute_counts_and_not_one_that_began_with_the_first() {
        let late = [0, 50, 51, 52, 53, 54, 61, 62, 63, 64, 65, 66];
        assert_eq!(silenced(late).iter().position(|silent| *silent), Some(11), "ten from 50 to 65");
        assert!(!silenced((0..100).map(|n| n * 7)).contains(&true), "one in seven seconds is never too many");
    }

    #[test]
    fn what_comes_in_the_silence_does_not_prolong_it_and_after_it_all_begins_anew() {
        let at = (0..10).map(|_| 0).chain((1..60).step_by(10)).chain([60; 11]);
        let silent = silenced(at);
        assert_eq!(silent[10..16], [true; 6]);
        assert_eq!(silent[16..], [vec![false; 10], vec![true]].concat());
    }

    #[test]
    fn each_holder_counts_for_itself_and_they_are_bounded() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..10 {
            throttle.wrong(HOLDER, now);
        }
        assert_eq!(throttle.wrong(HOLDER, now + Duration::from_secs(1)), Some(Duration::from_secs(59)));
        for n in 0..2 * HOLDERS_MAX {
            let other = Holder::User(u32::try_from(n).unwrap());
            assert_eq!(throttle.wrong(other, now), None);
            assert!(throttle.holders.len() <= HOLDERS_MAX);
        }
    }
}
