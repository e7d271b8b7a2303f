//! Status of a login, derived from what was seen, when, and which clients are connected. Pure.

use crate::{clock::WallMs, store::settings::LoginStateSettings, wire::Freshness};

pub use crate::api::records::{LoginStatus, LoginStatusCounts};

impl LoginStatus {
    /// Returns the name of the status in the API.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl From<Freshness> for LoginStatus {
    fn from(reported: Freshness) -> Self {
        match reported {
            Freshness::Fresh => LoginStatus::Fresh,
            Freshness::Stale => LoginStatus::Stale,
            Freshness::Lost => LoginStatus::Lost,
        }
    }
}

/// Ages at which a login changes its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginAgeLimits {
    /// Milliseconds after which it is stale.
    pub stale_after_ms: WallMs,
    /// Milliseconds after which it is lost.
    pub lost_after_ms: WallMs,
}

impl From<&LoginStateSettings> for LoginAgeLimits {
    fn from(settings: &LoginStateSettings) -> Self {
        let ms = |value: u64| WallMs::try_from(value).unwrap_or(WallMs::MAX);
        LoginAgeLimits { stale_after_ms: ms(settings.stale_after_ms), lost_after_ms: ms(settings.lost_after_ms) }
    }
}

/// What is known of a login.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoginSighting {
    /// Whether its client is connected.
    pub(super) connected: bool,
    /// When the credential was last seen; absent if only endpoints were seen.
    pub(super) last_seen_at: Option<WallMs>,
    /// Status reported by the extension.
    pub(super) reported: Option<Freshness>,
}

impl LoginAgeLimits {
    /// Returns the time before which sightings count as lost.
    pub(super) fn lost_before(self, now: WallMs) -> WallMs {
        now.saturating_sub(self.lost_after_ms)
    }

    /// Returns the worse of the derived and the reported status.
    pub(super) fn status(self, sighting: LoginSighting, now: WallMs) -> LoginStatus {
        let Some(seen) = sighting.last_seen_at else { return LoginStatus::Lost };
        let follows = if seen < self.lost_before(now) {
            LoginStatus::Lost
        } else if sighting.connected && seen >= now.saturating_sub(self.stale_after_ms) {
            LoginStatus::Fresh
        } else {
            LoginStatus::Stale
        };
        sighting.reported.map_or(follows, |reported| follows.max(reported.into()))
    }
}

impl LoginStatusCounts {
    pub(super) fn add(&mut self, status: LoginStatus, records: usize) {
        match status {
            LoginStatus::Fresh => self.fresh += records,
            LoginStatus::Stale => self.stale += records,
            LoginStatus::Lost => self.lost += records,
        }
    }

    pub(super) fn total(self) -> usize {
        self.fresh + self.stale + self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: LoginAgeLimits = LoginAgeLimits { stale_after_ms: 5, lost_after_ms: 30 };

    #[test]
    fn each_edge_of_each_rule() {
        use Freshness as F;
        use LoginStatus::{Fresh, Lost, Stale};
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
            // The clock was set back, so the sighting lies in the future.
            (true, -100, F::Fresh, Fresh),
        ] {
            let sighting = LoginSighting { connected, last_seen_at: Some(1_000 - age), reported: Some(reported) };
            assert_eq!(AGES.status(sighting, 1_000), wanted, "{connected} {age} {reported:?}");
        }
        let never = LoginSighting { connected: true, last_seen_at: None, reported: None };
        assert_eq!(AGES.status(never, 1_000), Lost);
    }
}
