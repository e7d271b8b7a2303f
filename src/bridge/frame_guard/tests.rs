//! The frame guard on streams that are cut at every position, on a paused clock.

use super::*;
use futures_util::StreamExt;

const FREE: MessageRate = MessageRate { per_second: 1_000_000_000, burst: 1_000_000_000 };

fn frame(first: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![first];
    match len {
        0..126 => bytes.push(0x80 | u8::try_from(len).unwrap()),
        126..65536 => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend([1, 2, 3, 4]);
    bytes.resize(bytes.len() + len, b'x');
    bytes
}

type Guarded<S> = FrameGuard<S, &'static str>;

fn guard(
    chunks: Vec<Vec<u8>>,
    max: u64,
    rate: MessageRate,
) -> (Guarded<impl Stream<Item = Result<Bytes, &'static str>> + Unpin>, Arc<SocketMeter>) {
    let meter = Arc::new(SocketMeter::new(max, 64 << 10, None));
    let stream = futures_util::stream::iter(chunks.into_iter().map(|c| Ok(Bytes::from(c))));
    (FrameGuard::new(stream, Arc::clone(&meter), rate, || "broken"), meter)
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn frames_pass_unchanged_however_they_are_cut() {
    let sizes = [5, 300, 70_000, 0];
    let frames = sizes.map(|len| (len, frame(0x81, len)));
    let all: Vec<u8> = frames.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    for cut in [1, 2, 3, 7, 1000, all.len()] {
        let (guarded, meter) = guard(all.chunks(cut).map(<[u8]>::to_vec).collect(), 1 << 20, FREE);
        let mut got = Vec::new();
        let mut guarded = std::pin::pin!(guarded);
        while let Some(chunk) = guarded.next().await {
            let chunk = chunk.unwrap();
            got.extend_from_slice(&chunk);
            // Each frame is handled as soon as it has passed.
            let mut end = 0;
            for (len, bytes) in &frames {
                end += bytes.len();
                if got.len() >= end && got.len() - chunk.len() < end {
                    meter.handled(*len);
                }
            }
        }
        assert_eq!(got, all, "cut at {cut}");
        assert!(!meter.is_full(64 << 10) && meter.is_low(), "all bytes that were read were handled");
    }
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_header_that_declares_too_much_ends_the_stream_before_any_payload() {
    let mut head = vec![0x81, 0x80 | 127];
    head.extend((1u64 << 62).to_be_bytes());
    let (mut guarded, meter) = guard(vec![head], 16 << 20, FREE);
    assert!(guarded.next().await.unwrap().is_err());
    assert_eq!(meter.violation(), Some(CLOSE_TOO_BIG));
    assert!(guarded.next().await.is_none(), "nothing is read after it");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn fragments_of_one_message_add_up_and_control_frames_between_them_do_not() {
    let parts = |last: usize| [frame(0x01, 600), frame(0x89, 100), frame(0x80, last)].concat();
    for (last, code) in [(400, None), (401, Some(CLOSE_TOO_BIG))] {
        let (guarded, meter) = guard(vec![parts(last)], 1_000, FREE);
        guarded.collect::<Vec<_>>().await;
        assert_eq!(meter.violation(), code, "{last}");
    }
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn headers_that_violate_the_protocol_end_the_stream() {
    let unmasked = vec![0x81, 5];
    let reserved = frame(0xC1, 5);
    let long_ping = frame(0x89, 126);
    let split_ping = frame(0x09, 5);
    let padded = [vec![0x81, 0x80 | 126, 0, 5], vec![1, 2, 3, 4], vec![b'x'; 5]].concat();
    for (what, bytes) in [
        ("padded length", padded),
        ("unmasked", unmasked),
        ("reserved", reserved),
        ("long ping", long_ping),
        ("split ping", split_ping),
    ] {
        let (guarded, meter) = guard(vec![bytes], 1 << 20, FREE);
        guarded.collect::<Vec<_>>().await;
        assert_eq!(meter.violation(), Some(CLOSE_PROTOCOL_ERROR), "{what}");
    }
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn more_than_the_rate_is_read_more_slowly() {
    let start = Instant::now();
    let (guarded, _) = guard(vec![frame(0x81, 10).repeat(1_100)], 1 << 20, MessageRate { per_second: 100, burst: 100 });
    let passed: usize = guarded.map(|c| c.unwrap().len()).fold(0, |a, b| async move { a + b }).await;
    assert_eq!(passed, 1_100 * 16);
    let seconds = start.elapsed().as_secs_f64();
    assert!((9.9..11.0).contains(&seconds), "1000 beyond the burst at 100 a second took {seconds} s");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn reading_pauses_while_the_connection_lags_and_resumes_when_it_caught_up() {
    let frames = 100;
    let (mut guarded, meter) = guard(vec![frame(0x81, 2_000).repeat(frames)], 1 << 20, FREE);
    let first = guarded.next().await.unwrap().unwrap().len();
    assert!(first < 70_000, "one window, not everything: {first}");
    assert!(futures_util::poll!(guarded.next()).is_pending());
    let mut handled = 0;
    let mut passed = first;
    while passed < frames * 2_008 {
        while handled < passed / 2_008 {
            meter.handled(2_000);
            handled += 1;
        }
        passed += guarded.next().await.unwrap().unwrap().len();
    }
    assert_eq!(passed, frames * 2_008);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn nothing_passes_after_a_close() {
    let close = frame(0x88, 2);
    let all = [frame(0x81, 5), close, vec![0xff; 99]].concat();
    for cut in [1, 3, all.len()] {
        let (mut guarded, meter) = guard(all.chunks(cut).map(<[u8]>::to_vec).collect(), 1 << 20, FREE);
        let mut passed = Vec::new();
        while let Some(chunk) = guarded.next().await {
            passed.extend_from_slice(&chunk.unwrap());
        }
        assert_eq!(passed, all[..all.len() - 99], "cut at {cut}");
        assert_eq!(meter.violation(), None);
    }
}
