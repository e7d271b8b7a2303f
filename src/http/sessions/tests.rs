//! Codes are used once and in time, sessions end, and neither serves anybody else.

use super::*;
use actix_web::http::header::HeaderValue;
use std::net::Ipv4Addr;

const HOME: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));

fn sessions() -> Sessions {
    Sessions::new(&Auth { max_sessions: 2, max_session_codes: 2, ..Auth::default() }, 4317)
}

fn code(sessions: &Sessions) -> String {
    sessions.issue(true).unwrap().expose().to_owned()
}

fn begin(sessions: &Sessions) -> Secret {
    sessions.begin(&code(sessions), true, HOME).unwrap()
}

/// A request with this in its `cookie`.
fn with(cookie: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::from_str(cookie).unwrap());
    headers
}

fn showing(secret: &Secret) -> HeaderMap {
    with(&format!("other=1; baa_session_4317={}; last=2", secret.expose()))
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_code_begins_one_session() {
    let sessions = sessions();
    let code = code(&sessions);
    let secret = sessions.begin(&code, true, HOME).unwrap();
    assert_eq!((code.len(), secret.expose().len()), (64, 64));
    assert!(sessions.holds(&showing(&secret), || true));
    assert_eq!(sessions.begin(&code, true, HOME), Err(NoSession::WrongCode), "once");
    let shown = format!("{sessions:?}");
    assert!(!shown.contains(&code) && !shown.contains(secret.expose()), "digests alone are kept");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn codes_and_sessions_end_with_their_time() {
    let sessions = sessions();
    let (early, late) = (code(&sessions), code(&sessions));
    tokio::time::sleep(Duration::from_millis(59_999)).await;
    let secret = sessions.begin(&early, true, HOME).unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(sessions.begin(&late, true, HOME), Err(NoSession::WrongCode));
    tokio::time::sleep(Duration::from_secs(12 * 60 * 60) - Duration::from_millis(2)).await;
    assert!(sessions.holds(&showing(&secret), || true));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!sessions.holds(&showing(&secret), || true));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn one_too_many_ends_the_oldest() {
    let sessions = sessions();
    let codes = [code(&sessions), code(&sessions), code(&sessions)];
    assert_eq!(sessions.begin(&codes[0], true, HOME), Err(NoSession::WrongCode));
    assert!(sessions.begin(&codes[1], true, HOME).is_ok());
    let held = [begin(&sessions), begin(&sessions), begin(&sessions)];
    let holds = held.iter().map(|secret| sessions.holds(&showing(secret), || true));
    assert_eq!(Vec::from_iter(holds), [false, true, true]);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn what_the_own_user_began_serves_nobody_else_and_what_others_began_both() {
    let sessions = sessions();
    let code = code(&sessions);
    assert_eq!(sessions.begin(&code, false, HOME), Err(NoSession::WrongCode));
    let secret = sessions.begin(&code, true, HOME).unwrap();
    assert!(!sessions.holds(&showing(&secret), || false) && !sessions.end(&showing(&secret), false));
    assert!(sessions.holds(&showing(&secret), || true), "another's try ends nothing");
    let code = sessions.issue(false).unwrap();
    let secret = sessions.begin(code.expose(), false, HOME).unwrap();
    assert!(sessions.holds(&showing(&secret), || false) && sessions.holds(&showing(&secret), || true));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_session_is_ended_alone_or_with_all_others() {
    let sessions = sessions();
    let (one, other) = (begin(&sessions), begin(&sessions));
    assert!(sessions.end(&showing(&one), true));
    assert!(!sessions.end(&showing(&one), true), "there is none any more");
    assert!(!sessions.holds(&showing(&one), || true) && sessions.holds(&showing(&other), || true));
    let waiting = code(&sessions);
    sessions.forget_all();
    assert!(!sessions.holds(&showing(&other), || true));
    assert_eq!(sessions.begin(&waiting, true, HOME), Err(NoSession::WrongCode));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn wrong_codes_are_throttled_for_a_minute_and_right_ones_never() {
    let sessions = sessions();
    for _ in 0..10 {
        assert_eq!(sessions.begin("wrong", true, HOME), Err(NoSession::WrongCode));
    }
    assert_eq!(sessions.begin("wrong", true, HOME), Err(NoSession::Throttled { left: Duration::from_secs(60) }));
    assert!(sessions.begin(&code(&sessions), true, HOME).is_ok());
    let elsewhere = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    assert_eq!(sessions.begin("wrong", true, elsewhere), Err(NoSession::WrongCode));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(sessions.begin("wrong", true, HOME), Err(NoSession::WrongCode));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn only_the_cookie_of_this_port_counts() {
    let sessions = sessions();
    let secret = begin(&sessions);
    let value = secret.expose();
    for cookie in [
        format!("baa_session={value}"),
        format!("baa_session_4318={value}"),
        format!("xbaa_session_4317={value}"),
        format!("baa_session_4317={value}x"),
        "baa_session_4317=".to_owned(),
        "baa_session_4317".to_owned(),
    ] {
        assert!(!sessions.holds(&with(&cookie), || true), "{cookie}");
    }
    assert!(sessions.holds(&with(&format!("baa_session_4317={value}")), || true));
    let cookie = format!("baa_session_4317={value}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict");
    assert_eq!(sessions.cookie(&secret), cookie);
    assert_eq!(sessions.no_cookie(), "baa_session_4317=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
}
