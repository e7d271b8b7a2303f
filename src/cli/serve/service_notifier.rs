//! Notifies the service manager by `sd_notify(3)`: the daemon is ready, stopping, and alive (watchdog).
//!
//! Invariant: an unreachable manager only causes a log line; without a manager nothing is sent.

use std::{convert::Infallible, ffi::OsString, future, io, os::unix::net::UnixDatagram, time::Duration};
use tokio::time::{MissedTickBehavior, interval};

/// A connection to the service manager, if there is one.
#[derive(Debug, Default)]
pub(super) struct ServiceNotifier {
    socket: Option<UnixDatagram>,
    /// Half of the manager's watchdog timeout.
    watchdog_interval: Option<Duration>,
}

impl ServiceNotifier {
    /// Returns a notifier for the manager that the environment names.
    pub(super) fn of_environment() -> Self {
        ServiceNotifier::new(|name| std::env::var_os(name), std::process::id())
    }

    fn new(variable: impl Fn(&str) -> Option<OsString>, own_pid: u32) -> Self {
        let Some(address) = variable("NOTIFY_SOCKET").filter(|address| !address.is_empty()) else {
            return ServiceNotifier::default();
        };
        let number = |name: &str| variable(name)?.into_string().ok()?.parse::<u64>().ok();
        // The variables of a parent's watchdog are inherited too.
        let ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(own_pid));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| ours && *usec > 1);
        match connected(&address) {
            Ok(socket) => ServiceNotifier {
                socket: Some(socket),
                watchdog_interval: watchdog.map(|usec| Duration::from_micros(usec / 2)),
            },
            Err(error) => {
                tracing::warn!(%error, socket = %address.display(), "the service manager cannot be reached");
                ServiceNotifier::default()
            }
        }
    }

    /// Sends a state, such as `READY=1`.
    pub(super) fn notify(&self, state: &str) {
        let Some(socket) = &self.socket else { return };
        if let Err(error) = socket.send(state.as_bytes()) {
            tracing::warn!(%error, state, "the service manager was not notified");
        }
    }

    /// Sends a keep-alive twice per watchdog timeout, from the thread of the actors, so that a blocked thread is noticed.
    pub(super) async fn feed_watchdog(&self) -> Infallible {
        let Some(watchdog_interval) = self.watchdog_interval else { return future::pending().await };
        let mut beats = interval(watchdog_interval);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            self.notify("WATCHDOG=1");
        }
    }
}

/// Connects a non-blocking socket to the address; a leading `@` means an abstract address of Linux.
fn connected(address: &OsString) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    match address.as_encoded_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => {
            use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
            socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
        }
        _ => socket.connect(address)?,
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RequestId;

    /// Returns a receiver and its address.
    fn receiver() -> (UnixDatagram, OsString) {
        let path = std::env::temp_dir().join(format!("baa-notify-{}", RequestId::generate()));
        (UnixDatagram::bind(&path).unwrap(), path.into_os_string())
    }

    fn notifier(address: &OsString, watchdog: &[(&str, &str)]) -> ServiceNotifier {
        let variable = |name: &str| match name {
            "NOTIFY_SOCKET" => Some(address.clone()),
            _ => watchdog.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into()),
        };
        ServiceNotifier::new(variable, 7)
    }

    fn next(receiver: &UnixDatagram) -> String {
        let mut bytes = [0; 128];
        let length = receiver.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_notification_is_one_datagram() {
        let (receiver, address) = receiver();
        notifier(&address, &[]).notify("READY=1\nSTATUS=x");
        assert_eq!(next(&receiver), "READY=1\nSTATUS=x");
        std::fs::remove_file(address).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abstract_address_is_reached_too() {
        use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
        let name = format!("baa-notify-{}", RequestId::generate());
        let receiver = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        notifier(&format!("@{name}").into(), &[]).notify("STOPPING=1");
        assert_eq!(next(&receiver), "STOPPING=1");
    }

    #[test]
    fn the_watchdog_interval_is_half_the_timeout_and_only_for_this_process() {
        let (_receiver, address) = receiver();
        for (variables, watchdog_interval) in [
            (&[("WATCHDOG_USEC", "60000000")][..], Some(Duration::from_secs(30))),
            (&[("WATCHDOG_USEC", "2000"), ("WATCHDOG_PID", "7")], Some(Duration::from_millis(1))),
            (&[("WATCHDOG_USEC", "2000"), ("WATCHDOG_PID", "8")], None),
            (&[("WATCHDOG_USEC", "0")], None),
            (&[("WATCHDOG_USEC", "soon")], None),
            (&[], None),
        ] {
            assert_eq!(notifier(&address, variables).watchdog_interval, watchdog_interval, "{variables:?}");
        }
        std::fs::remove_file(address).unwrap();
    }

    #[test]
    fn a_missing_manager_is_no_error() {
        for address in ["", "/no/such/socket"] {
            let notifier = notifier(&address.into(), &[("WATCHDOG_USEC", "2000")]);
            notifier.notify("READY=1");
            assert_eq!(notifier.watchdog_interval, None);
        }
    }

    #[actix_rt::test(system = "crate::testing::PausedSystem")]
    async fn the_watchdog_is_fed_at_its_interval() {
        let (receiver, address) = receiver();
        let notifier = notifier(&address, &[("WATCHDOG_USEC", "60000000")]);
        let ended = tokio::time::timeout(Duration::from_secs(100), notifier.feed_watchdog()).await;
        assert!(ended.is_err());
        let beats: Vec<_> = (0..4).map(|_| next(&receiver)).collect();
        assert_eq!(beats, ["WATCHDOG=1"; 4], "at 0, 30, 60 and 90 seconds");
        std::fs::remove_file(address).unwrap();
    }
}
