//! Whether a login can be counted on: a pure function of what was seen, when, and who is connected.

use crate::{bridge::LoginState, clock::WallMs, wire::Freshness};
use serde::{Deserialize, Serialize};

/// How much a login can be counted on; the better first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Its client is connected and has seen it lately.
    Fresh,
    /// Its client is gone, or has not seen it for a while.
    Stale,
    /// It was not seen for long, or is known to be over.
    Lost,
}

impl Status {
    const ALL: [Status; 3] = [Status::Fresh, Status::Stale, Status::Lost];

    /// The status that is written so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Status::Fresh => "fresh",
            Status::Stale => "stale",
            Status::Lost => "lost",
        }
    }
}

impl From<Freshness> for Status {
    fn from(reported: Freshness) -> Self {
        match reported {
            Freshness::Fresh => Status::Fresh,
            Freshness::Stale => Status::Stale,
            Freshness::Lost => Status::Lost,
        }
    }
}

/// When a sighting is old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ages {
    /// Milliseconds after which it is stale.
    pub stale_after_ms: WallMs,
    /// Milliseconds after which it is lost.
    pub lost_after_ms: WallMs,
}

impl From<&LoginState> for Ages {
    fn from(settings: &LoginState) -> Self {
        let ms = |value: u64| WallMs::try_from(value).unwrap_or(WallMs::MAX);
        Ages { stale_after_ms: ms(settings.stale_after_ms), lost_after_ms: ms(settings.lost_after_ms) }
    }
}

/// What is known of a login.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting {
    /// Whether its client is connected.
    pub(super) connected: bool,
    /// When the credential was last seen; never, when only endpoints were.
    pub(super) last_seen_at: Option<WallMs>,
    /// What the extension itself says of it.
    pub(super) reported: Option<Freshness>,
}

impl Ages {
    /// Sightings before this moment are lost.
    pub(super) fn lost_before(self, now: WallMs) -> WallMs {
        now.saturating_sub(self.lost_after_ms)
    }

    /// The worse of what follows from the times and what the extension reported.
    pub(super) fn status(self, sighting: Sighting, now: WallMs) -> Status {
        let Some(seen) = sighting.last_seen_at else { return Status::Lost };
        let follows = if seen < self.lost_before(now) {
            Status::Lost
        } else if sighting.connected && seen >= now.saturating_sub(self.stale_after_ms) {
            Status::Fresh
        } else {
            Status::Stale
        };
        sighting.reported.map_or(follows, |reported| follows.max(reported.into()))
    }
}

/// How many records have which status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StatusCounts {
    /// Fresh ones.
    pub fresh: usize,
    /// Stale ones.
    pub stale: usize,
    /// Lost ones.
    pub lost: usize,
}

impl StatusCounts {
    pub(super) fn add(&mut self, status: Status, records: usize) {
        match status {
            Status::Fresh => self.fresh += records,
            Status::Stale => self.stale += records,
            Status::Lost => self.lost += records,
        }
    }

    /// All of them.
    pub(super) fn total(self) -> usize {
        self.fresh + self.stale + self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: Ages = Ages { stale_after_ms: 5, lost_after_ms: 30 };

    #[test]
    fn each_edge_of_each_rule() {
        use Freshness as F;
        use Status::{Fresh, Lost, Stale};
        for (connected, age, reported, wanted) in [
            (true, 0, F::Fresh, Fresh),
            (true, 5, F::Fresh, Fresh),
            (true, 6, F::Fresh, Stale),
            (true, 30, F::Fresh, Stale),
            (true, 31, F::Fresh, Lost),
            (false, 0, F::Fresh, Stale),
            (false, 30, F::Fresh, Stale),
            (false, 31, F::Fresh, Lost),
            (true, 0, F::Stale, Stale),
            (true, 31, F::Stale, Lost),
            (true, 0, F::Lost, Lost),
            (false, 0, F::Lost, Lost),
            // A clock that was set back: not older than now.
            (true, -100, F::Fresh, Fresh),
        ] {
            let sighting = Sighting { connected, last_seen_at: Some(1_000 - age), reported: Some(reported) };
            assert_eq!(AGES.status(sighting, 1_000), wanted, "{connected} {age} {reported:?}");
        }
        let never = Sighting { connected: true, last_seen_at: None, reported: None };
        assert_eq!(AGES.status(never, 1_000), Lost);
    }
}
