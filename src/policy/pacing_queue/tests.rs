//! Order, waits and what is foretold of them.

use super::*;
use rand::SeedableRng;

const LIMIT: RateLimit = RateLimit { requests_per_minute_per_platform: 2, window_ms: 1_000 };
const OFF: Jitter = Jitter { min_ms: 0, max_ms: 0, mu_ms: 0, sigma_ms: 0 };
const STEADY: Jitter = Jitter { min_ms: 0, max_ms: 100, mu_ms: 100, sigma_ms: 0 };

struct Fixture {
    pacing: PacingQueue<char>,
    start: Instant,
    effects: Vec<PacingEffect<char>>,
}

impl Fixture {
    fn new(jitter: Jitter) -> Self {
        let pacing = PacingQueue::new(&LIMIT, jitter, StdRng::seed_from_u64(1));
        Fixture { pacing, start: Instant::now(), effects: Vec::new() }
    }

    fn at(&self, ms: u64) -> Moment {
        Moment { instant: self.start + Duration::from_millis(ms), wall: ms as i64 }
    }

    fn join(&mut self, number: u64, ms: u64) -> String {
        let reply_to = char::from(b'a' + number as u8);
        let now = self.at(ms);
        self.pacing.join(number, reply_to, now, &mut self.effects);
        self.said()
    }

    fn leave(&mut self, number: u64, ms: u64) -> String {
        let now = self.at(ms);
        self.pacing.leave(number, now, &mut self.effects);
        self.said()
    }

    fn advance(&mut self, ms: u64) -> String {
        let now = self.at(ms);
        self.pacing.advance(now, &mut self.effects);
        self.said()
    }

    fn next_wakeup(&self) -> Option<u64> {
        self.pacing.next_wakeup().map(|at| (at - self.start).as_millis() as u64)
    }

    /// Turns as letters, waits as letters with their rule.
    fn said(&mut self) -> String {
        let words = self.effects.drain(..).map(|effects| match effects {
            PacingEffect::Waits { reply_to, why, .. } => format!("{reply_to}:{}", why.name()),
            PacingEffect::Turn(reply_to, turn) => format!("{reply_to}!{}", turn.jitter_ms),
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn with_room_and_no_jitter_the_turn_comes_at_once() {
    let mut fixture = Fixture::new(OFF);
    assert_eq!(fixture.join(0, 0), "a!0");
    assert_eq!((fixture.pacing.waiting(), fixture.next_wakeup()), (0, None));
}

#[test]
fn one_after_the_other_in_order_as_the_window_has_room() {
    let mut fixture = Fixture::new(OFF);
    assert_eq!((fixture.join(0, 0).as_str(), fixture.join(1, 100).as_str()), ("a!0", "b!0"));
    assert_eq!(fixture.join(2, 200), "c:rate_limit");
    assert_eq!(fixture.join(3, 300), "d:rate_limit");
    assert_eq!((fixture.next_wakeup(), fixture.pacing.waiting()), (Some(1_000), 2));
    assert_eq!(fixture.advance(999), "");
    assert_eq!(fixture.advance(1_000), "c!0 d:rate_limit");
    assert_eq!((fixture.next_wakeup(), fixture.advance(1_100)), (Some(1_100), "d!0".to_owned()));
}

#[test]
fn the_random_pauses_follow_one_another() {
    let mut fixture = Fixture::new(STEADY);
    assert_eq!((fixture.join(0, 0), fixture.join(1, 10)), ("a:jitter".into(), "b:rate_limit".into()));
    assert_eq!((fixture.next_wakeup(), fixture.advance(100)), (Some(100), "a!100 b:jitter".into()));
    assert_eq!((fixture.next_wakeup(), fixture.advance(200)), (Some(200), "b!100".into()));
}

#[test]
fn who_leaves_is_gone_and_the_next_is_looked_at() {
    let mut fixture = Fixture::new(STEADY);
    fixture.join(0, 0);
    fixture.join(1, 0);
    fixture.join(2, 0);
    assert_eq!(fixture.leave(1, 10), "", "a request in the middle");
    assert_eq!(fixture.leave(0, 50), "c:jitter", "the first: the next begins its own pause");
    assert_eq!((fixture.next_wakeup(), fixture.advance(150)), (Some(150), "c!100".into()));
    assert_eq!((fixture.leave(7, 160), fixture.pacing.waiting()), (String::new(), 0));
}

#[test]
fn what_is_foretold() {
    let mut fixture = Fixture::new(STEADY);
    let start = fixture.start;
    let at = |ms| start + Duration::from_millis(ms);
    let pacing_forecast =
        |ahead, room_at, jitter_ms, jitter_until| Some(PacingForecast { ahead, room_at, jitter_ms, jitter_until });
    assert_eq!(fixture.pacing.forecast(None, at(0)), pacing_forecast(0, None, 100, None), "of one that comes now");
    fixture.join(0, 0);
    fixture.join(1, 0);
    assert_eq!(fixture.pacing.forecast(Some(0), at(30)), pacing_forecast(0, None, 70, Some(at(100))));
    assert_eq!(fixture.pacing.forecast(Some(1), at(30)), pacing_forecast(1, None, 200, None));
    assert_eq!(fixture.pacing.forecast(Some(9), at(30)), None);
    fixture.advance(100);
    fixture.advance(200);
    assert_eq!(fixture.pacing.forecast(None, at(300)), pacing_forecast(0, Some(at(1_100)), 100, None));
}
