//! What readers get of what was published.

use super::{EventBus, EventReader, ResumePoint};
use futures_util::task::noop_waker_ref;
use serde_json::{Value, json};
use std::{
    future::poll_fn,
    task::{Context, Poll},
};

/// A frame: its id, its name, its data.
type Frame = (Option<u64>, String, Value);

impl EventReader {
    /// Returns all frames that are ready; does not distinguish the end from a wait.
    fn frames(&mut self) -> Vec<Frame> {
        let mut cx = Context::from_waker(noop_waker_ref());
        let mut frames = Vec::new();
        while let Poll::Ready(Some(bytes)) = self.poll_next(&mut cx) {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            assert!(text.ends_with("\n\n"), "whole frames: {text}");
            frames.extend(text.trim_end().split("\n\n").map(frame));
        }
        frames
    }

    /// Returns names and data of all events that are ready, for tests of publishers.
    pub(crate) fn told(&mut self) -> Vec<(String, Value)> {
        self.frames().into_iter().map(|(_, name, data)| (name, data)).collect()
    }

    fn ids(&mut self) -> Vec<u64> {
        self.frames().into_iter().map(|(id, ..)| id.expect("no gap")).collect()
    }

    fn has_ended(&mut self) -> bool {
        let mut cx = Context::from_waker(noop_waker_ref());
        matches!(self.poll_next(&mut cx), Poll::Ready(None))
    }
}

fn frame(text: &str) -> Frame {
    let mut frame = (None, String::new(), Value::Null);
    for line in text.lines() {
        match line.split_once(": ").unwrap() {
            ("id", id) => frame.0 = Some(id.parse().unwrap()),
            ("event", name) => frame.1 = name.to_owned(),
            ("data", data) => frame.2 = serde_json::from_str(data).unwrap(),
            _ => panic!("{line}"),
        }
    }
    frame
}

/// A bus that has published as many events as asked, from id 100 on.
fn bus(retained: usize, published: u64) -> EventBus {
    let bus = EventBus::new(100, retained);
    for n in 0..published {
        bus.publish("counted", n);
    }
    bus
}

fn gap(data: Value) -> Frame {
    (None, "gap".to_owned(), data)
}

#[test]
fn everybody_reads_everything_in_order() {
    let bus = bus(8, 2);
    let mut readers = [bus.subscribe(ResumePoint::Live), bus.subscribe(ResumePoint::Live)];
    bus.publish("request", json!({"phase": "queued"}));
    assert_eq!(readers[0].frames(), [(Some(102), "request".into(), json!({"phase": "queued"}))]);
    bus.publish("policy", json!({"waiting": 1}));
    assert_eq!(readers[0].frames(), [(Some(103), "policy".into(), json!({"waiting": 1}))]);
    let told = [("request".to_owned(), json!({"phase": "queued"})), ("policy".to_owned(), json!({"waiting": 1}))];
    assert_eq!(readers[1].told(), told);
    assert!(readers.iter_mut().all(|reader| reader.frames().is_empty() && !reader.has_ended()));
}

#[test]
fn a_reader_that_comes_back_gets_exactly_what_came_after() {
    let bus = bus(4, 6);
    assert_eq!(bus.subscribe(ResumePoint::After(103)).ids(), [104, 105]);
    assert_eq!(bus.subscribe(ResumePoint::After(101)).ids(), [102, 103, 104, 105], "just still kept");
    let mut reader = bus.subscribe(ResumePoint::After(105));
    assert_eq!(reader.ids(), [0; 0], "it had all");
    bus.publish("counted", 6);
    assert_eq!(reader.ids(), [106]);
    assert_eq!(EventBus::new(100, 4).subscribe(ResumePoint::After(99)).ids(), [0; 0], "nothing was there to be missed");
}

#[test]
fn what_cannot_be_replayed_is_a_gap_and_then_all_that_is_kept() {
    let bus = bus(2, 4);
    let cases = [
        (ResumePoint::After(100), json!({"missed": 1, "next_id": 102})),
        (ResumePoint::After(99), json!({"missed": 2, "next_id": 102})),
        (ResumePoint::After(98), json!({"next_id": 102})), // of an earlier process
        (ResumePoint::After(0), json!({"next_id": 102})),
        (ResumePoint::After(104), json!({"next_id": 102})), // of the future
        (ResumePoint::After(u64::MAX), json!({"next_id": 102})),
        (ResumePoint::Unknown, json!({"next_id": 102})),
    ];
    for (after, data) in cases {
        let frames = bus.subscribe(after).frames();
        assert_eq!(frames[0], gap(data), "{after:?}");
        assert_eq!(frames[1..].iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [Some(102), Some(103)], "{after:?}");
    }
    let empty = EventBus::new(7, 2);
    let mut reader = empty.subscribe(ResumePoint::Unknown);
    assert_eq!(reader.frames(), [gap(json!({"next_id": 7}))], "once, and without an event to go on with");
    empty.publish("counted", 1);
    assert_eq!(reader.ids(), [7]);
}

#[test]
fn a_slow_reader_is_told_how_much_it_missed_and_a_quick_one_misses_nothing() {
    let bus = bus(3, 1);
    let (mut slow, mut quick) = (bus.subscribe(ResumePoint::Live), bus.subscribe(ResumePoint::Live));
    for n in 0..10 {
        bus.publish("counted", n);
        assert_eq!(quick.ids(), [101 + n]);
    }
    let frames = slow.frames();
    assert_eq!(frames[0], gap(json!({"missed": 7, "next_id": 108})));
    assert_eq!(frames[1..].iter().map(|(id, ..)| id.unwrap()).collect::<Vec<_>>(), [108, 109, 110]);
    bus.publish("counted", 10);
    assert_eq!(slow.ids(), [111]);
}

#[test]
fn a_batch_is_whole_frames_of_about_so_many_bytes() {
    let bus = EventBus::new(1, 1_000);
    let mut reader = bus.subscribe(ResumePoint::Live);
    for _ in 0..100 {
        bus.publish("large", "x".repeat(1_000));
    }
    let mut cx = Context::from_waker(noop_waker_ref());
    let Poll::Ready(Some(first)) = reader.poll_next(&mut cx) else { panic!("there is something") };
    assert!((16 << 10..18 << 10).contains(&first.len()), "{}", first.len());
    let read = first.windows(2).filter(|two| two == b"\n\n").count() as u64;
    assert_eq!(reader.ids(), Vec::from_iter(read + 1..=100));
}

#[test]
fn the_end_comes_after_what_is_kept_and_nothing_after_the_end() {
    let bus = bus(8, 1);
    let mut reader = bus.subscribe(ResumePoint::Live);
    bus.publish("counted", 1);
    bus.close();
    bus.publish("counted", 2);
    assert_eq!(reader.ids(), [101]);
    assert!(reader.has_ended() && reader.has_ended());
    let mut late = bus.subscribe(ResumePoint::After(99));
    assert_eq!(late.ids(), [100, 101]);
    assert!(late.has_ended() && bus.subscribe(ResumePoint::Live).has_ended());
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn who_waits_is_woken_by_an_event_and_by_the_end() {
    let bus = bus(8, 0);
    let mut reader = bus.subscribe(ResumePoint::Live);
    let waiting = actix_rt::spawn(async move {
        let first = poll_fn(|cx| reader.poll_next(cx)).await;
        (first, poll_fn(|cx| reader.poll_next(cx)).await)
    });
    for step in 0..2 {
        while bus.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        if step == 0 { bus.publish("counted", 0) } else { bus.close() }
    }
    let (first, second) = waiting.await.unwrap();
    assert!(first.is_some_and(|frames| frames.starts_with(b"id: 100\n")) && second.is_none());
}

#[test]
fn a_reader_that_leaves_while_it_waits_leaves_no_waker_behind() {
    let bus = bus(8, 0);
    let mut readers: Vec<_> = (0..3).map(|_| bus.subscribe(ResumePoint::Live)).collect();
    for reader in &mut readers {
        assert_eq!((reader.ids(), reader.ids()), (vec![], vec![]), "asked twice, it waits once");
    }
    assert_eq!(bus.waiting(), 3);
    readers.pop();
    assert_eq!(bus.waiting(), 2);
    bus.publish("counted", 0);
    assert_eq!(bus.waiting(), 0);
    drop(readers);
    assert_eq!(bus.waiting(), 0);
}

#[test]
fn of_many_threads_that_publish_every_event_has_one_id() {
    const THREADS: u64 = 4;
    const EACH: u64 = 500;
    let bus = EventBus::new(1, (THREADS * EACH) as usize);
    let mut reader = bus.subscribe(ResumePoint::Live);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let bus = bus.clone();
            scope.spawn(move || (0..EACH).for_each(|n| bus.publish("counted", thread * EACH + n)));
        }
    });
    let frames = reader.frames();
    let ids: Vec<_> = frames.iter().map(|(id, ..)| id.unwrap()).collect();
    assert_eq!(ids, Vec::from_iter(1..=THREADS * EACH));
    let mut told: Vec<_> = frames.iter().map(|(.., data)| data.as_u64().unwrap()).collect();
    told.sort_unstable();
    assert_eq!(told, Vec::from_iter(0..THREADS * EACH));
}
