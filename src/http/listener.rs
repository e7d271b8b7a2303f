//! Binding the listener, and reserving the same port on the loopback address of the other family.

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    time::Duration,
};

/// Connections that may wait to be accepted; the system may allow fewer. A further one is retried by its peer's kernel
/// after a second.
const BACKLOG: i32 = 4_096;
/// Bytes that the kernel buffers for a reader that does not read; its own default grows to megabytes.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// A bound listener that does not accept yet.
#[derive(Debug)]
pub struct BoundListener {
    pub(super) listener: TcpListener,
    /// The bound address, with the actual port.
    pub address: SocketAddr,
    pub(super) opposite_port: OppositeFamilyPort,
}

/// The same port on the loopback address of the other family. Browsers try both for `localhost`, so a program that
/// listened there could serve a page that talks to the daemon as same-origin.
#[derive(Debug)]
pub(super) enum OppositeFamilyPort {
    /// Bound without listening: browsers are refused there at once and try the daemon's address.
    Reserved(#[expect(dead_code, reason = "held is what it is for")] Socket),
    /// This machine has no such address, or it cannot be reserved.
    Unavailable,
    /// Another program has it.
    Taken(SocketAddr),
}

impl OppositeFamilyPort {
    fn reserve_for(address: SocketAddr) -> Self {
        let ip: IpAddr = match address.ip() {
            IpAddr::V4(ip) if ip.is_loopback() || ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_loopback() => Ipv4Addr::LOCALHOST.into(),
            _ => return OppositeFamilyPort::Unavailable,
        };
        let opposite = SocketAddr::new(ip, address.port());
        match reserve(opposite) {
            Ok(socket) => OppositeFamilyPort::Reserved(socket),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let name = format!("localhost:{}", opposite.port());
                tracing::warn!(%opposite, "another program has this address, so the daemon refuses requests to {name}");
                OppositeFamilyPort::Taken(opposite)
            }
            Err(error) => {
                // Without the other family no program can listen there.
                if !matches!(Errno::from_io_error(&error), Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT)) {
                    tracing::warn!(%opposite, %error, "this address cannot be reserved; another program may listen there");
                }
                OppositeFamilyPort::Unavailable
            }
        }
    }
}

/// Binds without `SO_REUSEADDR`, with which another socket that sets it too could still listen.
fn reserve(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// Listens at `address`. `unread` is how long sent data may stay unacknowledged before the system ends the connection
/// (Linux only).
///
/// # Errors
///
/// The address is in use or cannot be listened on.
pub fn bind(address: SocketAddr, unread: Duration) -> io::Result<BoundListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // The connections of a daemon that just stopped must not block its address.
    socket.set_reuse_address(true)?;
    socket.set_send_buffer_size(SEND_BUFFER_BYTES)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(unread))?;
    #[cfg(not(target_os = "linux"))]
    let _ = unread;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    let address = listener.local_addr()?;
    Ok(BoundListener { listener, address, opposite_port: OppositeFamilyPort::reserve_for(address) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind_to(address: &str) -> BoundListener {
        bind(address.parse().unwrap(), Duration::from_secs(1)).unwrap()
    }

    #[test]
    fn no_other_program_gets_the_port_of_the_other_family() {
        let listening = bind_to("127.0.0.1:0");
        if !matches!(listening.opposite_port, OppositeFamilyPort::Reserved(_)) {
            crate::testing::skipped("this machine has no IPv6");
            return;
        }
        let opposite = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), listening.address.port());
        assert_eq!(TcpListener::bind(opposite).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listening);
        TcpListener::bind(opposite).unwrap();
    }

    #[test]
    fn a_port_of_another_program_is_reported_as_taken() {
        let Ok(another) = TcpListener::bind("[::1]:0") else {
            crate::testing::skipped("this machine has no IPv6");
            return;
        };
        let opposite = another.local_addr().unwrap();
        let listening = bind_to(&format!("127.0.0.1:{}", opposite.port()));
        assert!(
            matches!(listening.opposite_port, OppositeFamilyPort::Taken(taken) if taken == opposite),
            "{:?}",
            listening.opposite_port
        );
    }

    #[test]
    fn an_address_that_is_not_loopback_reserves_none() {
        assert!(matches!(
            OppositeFamilyPort::reserve_for("192.0.2.1:4317".parse().unwrap()),
            OppositeFamilyPort::Unavailable
        ));
    }
}
