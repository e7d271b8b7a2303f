//! Idle connections are aborted, and bodies keep their requests in flight.

use super::*;
use std::{
    future::poll_fn,
    io::Read,
    net::{TcpListener, TcpStream},
};

const IDLE: Duration = Duration::from_secs(10);

/// Registers a connection; returns it with its other end.
fn connect(connections: &Arc<ConnectionTable>) -> (OpenConnection, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    other.set_nonblocking(true).unwrap();
    (connections.register(Some(TcpAbortHandle::new(listener.accept().unwrap().0))), other)
}

fn is_cut(mut other: &TcpStream) -> bool {
    matches!(other.read(&mut [0]), Ok(0))
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn only_connections_idle_for_too_long_are_aborted() {
    let connections = Arc::<ConnectionTable>::default();
    let ((idle, of_idle), (used, of_used)) = (connect(&connections), connect(&connections));
    let first = used.begin_request();
    tokio::time::advance(IDLE).await;
    connections.close_idle(IDLE);
    assert!(!is_cut(&of_idle), "not yet");
    tokio::time::advance(Duration::from_millis(1)).await;
    connections.close_idle(IDLE);
    assert!(is_cut(&of_idle) && !is_cut(&of_used));
    // The idle time counts from the end of the last request.
    let second = used.begin_request();
    drop(first);
    tokio::time::advance(IDLE * 2).await;
    connections.close_idle(IDLE);
    assert!(!is_cut(&of_used), "the second is under way");
    drop(second);
    tokio::time::advance(IDLE).await;
    connections.close_idle(IDLE);
    assert!(!is_cut(&of_used), "it was in use a moment ago");
    tokio::time::advance(Duration::from_millis(1)).await;
    connections.close_idle(IDLE);
    assert!(is_cut(&of_used));
    drop((idle, used));
    assert!(connections.open.lock().is_empty(), "who is gone is not known any more");
}

/// Collects the pieces of a body.
async fn pieces(mut body: BoxBody) -> Vec<Bytes> {
    let mut pieces = Vec::new();
    while let Some(piece) = poll_fn(|cx| Pin::new(&mut body).poll_next(cx)).await {
        pieces.push(piece.unwrap());
    }
    pieces
}

#[actix_rt::test]
async fn a_large_body_is_in_flight_until_its_last_piece() {
    let connections = Arc::<ConnectionTable>::default();
    let (open, _other) = connect(&connections);
    let in_flight = |open: &OpenConnection| open.state.in_flight.load(Relaxed);
    let text: Bytes = (0..3_000_001_u32).map(|n| n.to_le_bytes()[1]).collect();
    let body = TrackedBody::wrap(BoxBody::new(text.clone()), open.begin_request(), &AccessGrant::permanent());
    assert_eq!(body.size(), BodySize::Sized(3_000_001));
    assert_eq!(in_flight(&open), 1);
    let pieces = pieces(body).await;
    assert!(pieces.iter().all(|piece| (1..=PIECE_BYTES).contains(&piece.len())));
    assert_eq!(pieces.concat(), text);
    assert_eq!(in_flight(&open), 0);
}

#[actix_rt::test]
async fn a_small_body_is_not_tracked_and_a_stream_is() {
    let connections = Arc::<ConnectionTable>::default();
    let (open, _other) = connect(&connections);
    let in_flight = |open: &OpenConnection| open.state.in_flight.load(Relaxed);
    let small = TrackedBody::wrap(BoxBody::new("text"), open.begin_request(), &AccessGrant::permanent());
    assert_eq!((in_flight(&open), small.size()), (0, BodySize::Sized(4)));
    assert_eq!(pieces(small).await, ["text"]);
    let frames =
        futures_util::stream::iter(["a", "b"].map(|text| Ok::<_, std::convert::Infallible>(Bytes::from(text))));
    let stream = TrackedBody::wrap(
        BoxBody::new(actix_web::body::BodyStream::new(frames)),
        open.begin_request(),
        &AccessGrant::permanent(),
    );
    assert_eq!((in_flight(&open), stream.size()), (1, BodySize::Stream));
    assert_eq!(pieces(stream).await, ["a", "b"]);
    assert_eq!(in_flight(&open), 0);
}
