//! The listener before anybody is served, and the same port of the other loopback address, held so that nobody else has it.

use rustix::io::Errno;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    time::Duration,
};

/// Connections that wait to be accepted; the system may allow fewer. While there are more, one that comes waits a second
/// before it is tried again.
const BACKLOG: i32 = 4_096;
/// Bytes that the kernel keeps for a reader that does not read; its own default grows to megabytes.
const SEND_BUFFER_BYTES: usize = 256 << 10;

/// A listener that nobody accepts from yet.
#[derive(Debug)]
pub struct BoundListener {
    pub(super) listener: TcpListener,
    /// Where, with the port that was taken.
    pub address: SocketAddr,
    pub(super) opposite_port: OppositeFamilyPort,
}

/// The same port of the loopback address of the other family. To a browser both are `localhost`, and it asks the one
/// after the other: whoever listened there could serve a page first and then have it talk to the daemon as its own.
#[derive(Debug)]
pub(super) enum OppositeFamilyPort {
    /// Bound, not listened on: a browser is refused there at once and asks here.
    Reserved(#[expect(dead_code, reason = "held is what it is for")] Socket),
    /// There is none that anybody could have.
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
                tracing::warn!(%opposite, "another program has this address: as {name} the daemon answers nobody");
                OppositeFamilyPort::Taken(opposite)
            }
            Err(error) => {
                // A machine without that family has no such address that anybody could have.
                if !matches!(Errno::from_io_error(&error), Some(Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT)) {
                    tracing::warn!(%opposite, %error, "this address cannot be held: another program may take it");
                }
                OppositeFamilyPort::Unavailable
            }
        }
    }
}

/// Without `SO_REUSEADDR`, by which another that sets it too could still listen.
fn reserve(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

/// Listens at `address`. `unread`: how long a peer may leave unread what was sent to it before the system ends its
/// connection (where the system can).
///
/// # Errors
///
/// The address is in use or cannot be listened on.
pub fn bind(address: SocketAddr, unread: Duration) -> io::Result<BoundListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A daemon that was just stopped leaves connections behind; its address is free all the same.
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
    fn nobody_else_gets_the_port_of_the_other_family() {
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
    fn a_port_that_another_has_is_known_as_taken() {
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
    fn an_address_that_is_no_loopback_has_none() {
        assert!(matches!(
            OppositeFamilyPort::reserve_for("192.0.2.1:4317".parse().unwrap()),
            OppositeFamilyPort::Unavailable
        ));
    }
}
