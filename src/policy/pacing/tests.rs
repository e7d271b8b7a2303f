//! Order, waits and what is foretold of them.

use super::*;
use rand::SeedableRng;

const LIMIT: RateLimit = RateLimit { requests_per_minute_per_platform: 2, window_ms: 1_000 };
const OFF: Jitter = Jitter { min_ms: 0, max_ms: 0, mu_ms: 0, sigma_ms: 0 };
const STEADY: Jitter = Jitter { min_ms: 0, max_ms: 100, mu_ms: 100, sigma_ms: 0 };

struct Scene {
    pacing: Pacing<char>,
    start: Instant,
    told: Vec<Told<char>>,
}

impl Scene {
    fn new(jitter: Jitter) -> Self {
        let pacing = Pacing::new(&LIMIT, jitter, StdRng::seed_from_u64(1));
        Scene { pacing, start: Instant::now(), told: Vec::new() }
    }

    fn at(&self, ms: u64) -> Moment {
        Moment { instant: self.start + Duration::from_millis(ms), wall: ms as i64 }
    }

    fn enter(&mut self, number: u64, ms: u64) -> String {
        let who = char::from(b'a' + number as u8);
        let now = self.at(ms);
        self.pacing.enter(number, who, now, &mut self.told);
        self.said()
    }

    fn leave(&mut self, number: u64, ms: u64) -> String {
        let now = self.at(ms);
        self.pacing.leave(number, now, &mut self.told);
        self.said()
    }

    fn advance(&mut self, ms: u64) -> String {
        let now = self.at(ms);
        self.pacing.advance(now, &mut self.told);
        self.said()
    }

    fn alarm(&self) -> Option<u64> {
        self.pacing.alarm().map(|at| (at - self.start).as_millis() as u64)
    }

    /// Turns as letters, waits as letters with their rule.
    fn said(&mut self) -> String {
        let words = self.told.drain(..).map(|told| match told {
            Told::Waits { who, why, .. } => format!("{who}:{}", why.name()),
            Told::Turn(who, turn) => format!("{who}!{}", turn.jitter_ms),
        });
        words.collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn with_room_and_no_jitter_the_turn_comes_at_once() {
    let mut scene = Scene::new(OFF);
    assert_eq!(scene.enter(0, 0), "a!0");
    assert_eq!((scene.pacing.waiting(), scene.alarm()), (0, None));
}

#[test]
fn one_after_the_other_in_order_as_the_window_has_room() {
    let mut scene = Scene::new(OFF);
    assert_eq!((scene.enter(0, 0).as_str(), scene.enter(1, 100).as_str()), ("a!0", "b!0"));
    assert_eq!(scene.enter(2, 200), "c:rate_limit");
    assert_eq!(scene.enter(3, 300), "d:rate_limit");
    assert_eq!((scene.alarm(), scene.pacing.waiting()), (Some(1_000), 2));
    assert_eq!(scene.advance(999), "");
    assert_eq!(scene.advance(1_000), "c!0 d:rate_limit");
    assert_eq!((scene.alarm(), scene.advance(1_100)), (Some(1_100), "d!0".to_owned()));
}

#[test]
fn the_random_pauses_follow_one_another() {
    let mut scene = Scene::new(STEADY);
    assert_eq!((scene.enter(0, 0), scene.enter(1, 10)), ("a:jitter".into(), "b:rate_limit".into()));
    assert_eq!((scene.alarm(), scene.advance(100)), (Some(100), "a!100 b:jitter".into()));
    assert_eq!((scene.alarm(), scene.advance(200)), (Some(200), "b!100".into()));
}

#[test]
fn who_leaves_is_gone_and_the_next_is_looked_at() {
    let mut scene = Scene::new(STEADY);
    scene.enter(0, 0);
    scene.enter(1, 0);
    scene.enter(2, 0);
    assert_eq!(scene.leave(1, 10), "", "somebody in the middle");
    assert_eq!(scene.leave(0, 50), "c:jitter", "the first: the next begins its own pause");
    assert_eq!((scene.alarm(), scene.advance(150)), (Some(150), "c!100".into()));
    assert_eq!((scene.leave(7, 160), scene.pacing.waiting()), (String::new(), 0));
}

#[test]
fn what_is_foretold() {
    let mut scene = Scene::new(STEADY);
    let start = scene.start;
    let at = |ms| start + Duration::from_millis(ms);
    let outlook = |ahead, room_at, jitter_ms, jitter_until| Some(Outlook { ahead, room_at, jitter_ms, jitter_until });
    assert_eq!(scene.pacing.outlook(None, at(0)), outlook(0, None, 100, None), "of one that comes now");
    scene.enter(0, 0);
    scene.enter(1, 0);
    assert_eq!(scene.pacing.outlook(Some(0), at(30)), outlook(0, None, 70, Some(at(100))));
    assert_eq!(scene.pacing.outlook(Some(1), at(30)), outlook(1, None, 200, None));
    assert_eq!(scene.pacing.outlook(Some(9), at(30)), None);
    scene.advance(100);
    scene.advance(200);
    assert_eq!(scene.pacing.outlook(None, at(300)), outlook(0, Some(at(1_100)), 100, None));
}
