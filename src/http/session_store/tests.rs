//! Codes are used once and in time, sessions end, and neither serves another owner.

use super::*;
use actix_web::http::header::HeaderValue;

const USER: Option<SessionOwner> = Some(SessionOwner::User(1_000));
const OTHER: Option<SessionOwner> = Some(SessionOwner::User(1_001));
const UNNAMED: Option<SessionOwner> = Some(SessionOwner::Unnamed);
const HOME: Option<PeerIdentity> = Some(PeerIdentity::OwnUser);

fn sessions() -> SessionStore {
    SessionStore::new(&AuthSettings { max_sessions: 2, max_session_codes: 2, ..AuthSettings::default() }, 4317)
}

fn code(sessions: &SessionStore) -> String {
    sessions.issue_code(USER).unwrap().expose().to_owned()
}

fn begin(sessions: &SessionStore) -> Secret {
    sessions.redeem_code(&code(sessions), None, USER, HOME).unwrap()
}

/// Returns the headers of a request with this `cookie`.
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
    let secret = sessions.redeem_code(&code, None, USER, HOME).unwrap();
    assert_eq!((code.len(), secret.expose().len()), (64, 64));
    assert!(sessions.has_session(&showing(&secret), || USER));
    assert_eq!(sessions.redeem_code(&code, None, USER, HOME), Err(SessionError::WrongCode), "once");
    let shown = format!("{sessions:?}");
    assert!(!shown.contains(&code) && !shown.contains(secret.expose()), "digests alone are kept");
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn codes_and_sessions_end_with_their_time() {
    let sessions = sessions();
    let (early, late) = (code(&sessions), code(&sessions));
    tokio::time::sleep(Duration::from_millis(59_999)).await;
    let secret = sessions.redeem_code(&early, None, USER, HOME).unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(sessions.redeem_code(&late, None, USER, HOME), Err(SessionError::WrongCode));
    tokio::time::sleep(Duration::from_secs(12 * 60 * 60) - Duration::from_millis(2)).await;
    assert!(sessions.has_session(&showing(&secret), || USER));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(!sessions.has_session(&showing(&secret), || USER));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn one_beyond_the_limit_ends_the_oldest() {
    let sessions = sessions();
    let codes = [code(&sessions), code(&sessions), code(&sessions)];
    assert_eq!(sessions.redeem_code(&codes[0], None, USER, HOME), Err(SessionError::WrongCode));
    assert!(sessions.redeem_code(&codes[1], None, USER, HOME).is_ok());
    let held = [begin(&sessions), begin(&sessions), begin(&sessions)];
    let holds = held.iter().map(|secret| sessions.has_session(&showing(secret), || USER));
    assert_eq!(Vec::from_iter(holds), [false, true, true]);
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn codes_and_sessions_serve_only_their_owner() {
    for (owner, others) in
        [(USER, [OTHER, UNNAMED, None]), (OTHER, [USER, UNNAMED, None]), (UNNAMED, [USER, OTHER, None])]
    {
        let sessions = sessions();
        let code = sessions.issue_code(owner).unwrap();
        for other in others {
            assert_eq!(
                sessions.redeem_code(code.expose(), None, other, HOME),
                Err(SessionError::WrongCode),
                "{owner:?} {other:?}"
            );
        }
        let secret = sessions.redeem_code(code.expose(), None, owner, HOME).unwrap();
        for other in others {
            assert!(
                !sessions.has_session(&showing(&secret), || other) && !sessions.end_sessions(&showing(&secret), other)
            );
        }
        assert!(sessions.has_session(&showing(&secret), || owner), "another's try ends nothing");
    }
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_code_issued_without_an_owner_cannot_be_redeemed() {
    let sessions = sessions();
    let code = sessions.issue_code(None).unwrap();
    for owner in [None, USER, UNNAMED] {
        assert_eq!(sessions.redeem_code(code.expose(), None, owner, HOME), Err(SessionError::WrongCode), "{owner:?}");
    }
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn any_of_several_cookies_of_the_name_may_match() {
    let sessions = sessions();
    let (one, other) = (begin(&sessions), begin(&sessions));
    let wrong = format!("baa_session_4317={}", "0".repeat(SECRET_CHARS));
    let both = with(&format!("{wrong}; {wrong};baa_session_4317={}; {wrong}", one.expose()));
    assert!(sessions.has_session(&both, || USER));
    let mut apart = with(&wrong);
    apart.append(header::COOKIE, HeaderValue::from_bytes(b"a=\xff; baa_session_4317=\xff").unwrap());
    assert!(!sessions.has_session(&apart, || USER));
    apart.append(header::COOKIE, showing(&one).get(header::COOKIE).unwrap().clone());
    assert!(sessions.has_session(&apart, || USER));
    assert!(sessions.end_sessions(&both, USER) && !sessions.end_sessions(&both, USER));
    assert!(
        !sessions.has_session(&apart, || USER) && sessions.has_session(&showing(&other), || USER),
        "the one that was shown"
    );
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn the_owner_is_looked_up_only_for_a_plausible_cookie() {
    for cookie in ["other=1", "baa_session_4317=", "baa_session_4317=short", "baa_session_4317"] {
        assert!(!sessions().has_session(&with(cookie), || panic!("asked for {cookie}")));
    }
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn a_session_is_ended_alone_or_with_all_others() {
    let sessions = sessions();
    let (one, other) = (begin(&sessions), begin(&sessions));
    assert!(sessions.end_sessions(&showing(&one), USER));
    assert!(!sessions.end_sessions(&showing(&one), USER), "there is none any more");
    assert!(!sessions.has_session(&showing(&one), || USER) && sessions.has_session(&showing(&other), || USER));
    let waiting = code(&sessions);
    sessions.revoke_all();
    assert!(!sessions.has_session(&showing(&other), || USER));
    assert_eq!(sessions.redeem_code(&waiting, None, USER, HOME), Err(SessionError::WrongCode));
}

#[actix_rt::test(system = "crate::testing::PausedSystem")]
async fn wrong_codes_are_throttled_for_a_minute_and_right_ones_never() {
    let sessions = sessions();
    for _ in 0..10 {
        assert_eq!(sessions.redeem_code("wrong", None, USER, HOME), Err(SessionError::WrongCode));
    }
    assert_eq!(
        sessions.redeem_code("wrong", None, USER, HOME),
        Err(SessionError::Throttled { left: Duration::from_secs(60) })
    );
    assert!(sessions.redeem_code(&code(&sessions), None, USER, HOME).is_ok());
    let elsewhere = Some(PeerIdentity::OtherUser(1_001));
    assert_eq!(sessions.redeem_code("wrong", None, USER, elsewhere), Err(SessionError::WrongCode));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(sessions.redeem_code("wrong", None, USER, HOME), Err(SessionError::WrongCode));
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
        assert!(!sessions.has_session(&with(&cookie), || USER), "{cookie}");
    }
    assert!(sessions.has_session(&with(&format!("baa_session_4317={value}")), || USER));
    let cookie = format!("baa_session_4317={value}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict");
    assert_eq!(sessions.set_cookie(&secret), cookie);
    assert_eq!(sessions.clear_cookie(), "baa_session_4317=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
}
