//! Finds the user whose process is at the other end of a loopback connection. On Linux the kernel answers queries about one
//! socket (`NETLINK_SOCK_DIAG`, 2.5 µs, no privilege), on macOS it lists all sockets (`net.inet.tcp.pcblist_n`). On other
//! systems the user is unknown, and no caller is trusted by user.

#[cfg(any(target_os = "macos", test))]
mod pcblist;

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::OnceLock,
};

#[cfg(target_os = "linux")]
use linux as kernel;
#[cfg(target_os = "macos")]
use macos as kernel;
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
use other as kernel;

/// Returns the id of the user who holds the socket at `peer` that is connected to our `local`. `None` where the kernel
/// names no user: the socket is another machine's, its process has closed it, or the system cannot tell.
pub fn user_of_peer(peer: SocketAddr, local: SocketAddr) -> Option<u32> {
    kernel::owner(peer, local).unwrap_or_else(|error| {
        tracing::debug!(%error, "the kernel did not report the owner of a socket");
        None
    })
}

/// Returns the id of the user who runs this process.
pub fn own_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns whether the kernel reports the owners of connections here. Tried once, on a connection of this process; the
/// daemon does so at start, before other programs can exhaust the sockets that this needs.
pub fn is_supported() -> bool {
    static NAMED: OnceLock<bool> = OnceLock::new();
    *NAMED.get_or_init(|| {
        let named = || {
            let listener = TcpListener::bind(("127.0.0.1", 0)).ok()?;
            let local = listener.local_addr().ok()?;
            let stream = TcpStream::connect(local).ok()?;
            user_of_peer(stream.local_addr().ok()?, local)
        };
        named() == Some(own_user())
    })
}

/// Returns whether an address belongs to this machine, so that a caller with this address runs here: only a local address
/// can be bound. Returns `true` also when that cannot be determined: when the system allows binding any address
/// (`ip_nonlocal_bind`), or no socket is available for the attempt.
pub fn is_local_address(mut address: SocketAddr) -> bool {
    address.set_port(0);
    let is_others = |error: io::Error| error.kind() == io::ErrorKind::AddrNotAvailable;
    address.ip().to_canonical().is_loopback() || !UdpSocket::bind(address).is_err_and(is_others)
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::net::{
        self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType,
        netlink::{self, SocketAddrNetlink},
    };
    use std::{
        io,
        net::{IpAddr, SocketAddr},
    };

    /// Bytes of the request: a netlink header (16) and `inet_diag_req_v2` (56).
    const REQUEST_BYTES: usize = 72;
    /// Offsets in the response, a netlink header (16) and `inet_diag_msg`: family, ports and addresses of both ends, uid,
    /// inode.
    const FAMILY_AT: usize = 16;
    const PORTS_AT: [usize; 2] = [16 + 4, 16 + 6];
    const ADDRESSES_AT: [usize; 2] = [16 + 8, 16 + 24];
    const UID_AT: usize = 16 + 64;
    const INODE_AT: usize = 16 + 68;
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const NLM_F_REQUEST: u16 = 1;
    const TCP: u8 = 6;

    /// Returns the user who owns the socket at `peer`; `None` when it does not exist or no process holds it any more.
    pub(super) fn owner(peer: SocketAddr, local: SocketAddr) -> io::Result<Option<u32>> {
        let socket = net::socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        )?;
        net::sendto(&socket, &request(peer, local), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut response = [0u8; 512];
        let (length, _) = net::recv(&socket, &mut response[..], RecvFlags::DONTWAIT)?;
        Ok(parse_response(&response[..length.min(response.len())], peer, local))
    }

    fn request(peer: SocketAddr, local: SocketAddr) -> [u8; REQUEST_BYTES] {
        let mut request = [0u8; REQUEST_BYTES];
        let mut put = |at: usize, bytes: &[u8]| request[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &72u32.to_ne_bytes());
        put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        put(6, &NLM_F_REQUEST.to_ne_bytes());
        put(16, &[if peer.is_ipv4() { 2 } else { 10 }, TCP]);
        put(20, &u32::MAX.to_ne_bytes()); // in any state
        put(24, &peer.port().to_be_bytes());
        put(26, &local.port().to_be_bytes());
        for (at, ip) in [(28, peer.ip()), (44, local.ip())] {
            match ip {
                IpAddr::V4(v4) => put(at, &v4.octets()),
                IpAddr::V6(v6) => put(at, &v6.octets()),
            }
        }
        put(64, &[0xff; 8]); // no cookie
        request
    }

    fn parse_response(response: &[u8], peer: SocketAddr, local: SocketAddr) -> Option<u32> {
        let word = |at: usize| response.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_ne_bytes);
        // For a connection that is gone, the kernel reports the listener on its port, without a peer.
        let ends = [0, 1].map(|end| address(response, PORTS_AT[end], ADDRESSES_AT[end]));
        if ends != [peer, local].map(|end| Some((end.ip().to_canonical(), end.port()))) {
            return None;
        }
        let kind = response.get(4..6).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes);
        // A socket that no process holds any more is reported with uid 0.
        let held = word(INODE_AT).is_some_and(|inode| inode != 0);
        word(UID_AT).filter(|_| kind == Some(SOCK_DIAG_BY_FAMILY) && held)
    }

    /// Returns one end of the connection in a response.
    fn address(response: &[u8], port_at: usize, ip_at: usize) -> Option<(IpAddr, u16)> {
        let port = u16::from_be_bytes(response.get(port_at..port_at + 2)?.try_into().ok()?);
        let ip = match *response.get(FAMILY_AT)? {
            2 => IpAddr::from(<[u8; 4]>::try_from(response.get(ip_at..ip_at + 4)?).ok()?),
            10 => IpAddr::from(<[u8; 16]>::try_from(response.get(ip_at..ip_at + 16)?).ok()?),
            _ => return None,
        };
        Some((ip.to_canonical(), port))
    }
}

#[cfg(target_os = "macos")]
mod macos {
    use super::pcblist;
    use std::{io, net::SocketAddr};
    use sysctl::{Ctl, CtlValue, Sysctl};

    /// Returns the user who owns the socket at `peer`; `None` when it is not listed or no process holds it.
    pub(super) fn owner(peer: SocketAddr, local: SocketAddr) -> io::Result<Option<u32>> {
        let sockets = Ctl::new("net.inet.tcp.pcblist_n").and_then(|list| list.value()).map_err(io::Error::other)?;
        match sockets {
            CtlValue::Struct(list) | CtlValue::Node(list) => Ok(pcblist::owner(&list, peer, local)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos")))]
mod other {
    use std::{io, net::SocketAddr};

    pub(super) fn owner(_: SocketAddr, _: SocketAddr) -> io::Result<Option<u32>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn our_own_connection_is_ours_and_an_ended_one_has_no_owner() {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(bind) else { continue };
            let local = listener.local_addr().unwrap();
            let mine = TcpStream::connect(local).unwrap();
            let (accepted, peer) = listener.accept().unwrap();
            assert_eq!(user_of_peer(peer, local), Some(own_user()), "{bind}");
            drop(mine);
            assert_eq!(user_of_peer(peer, local), None, "no process holds the other end any more");
            drop(accepted);
        }
    }

    #[test]
    fn a_connection_that_does_not_exist_has_no_owner() {
        assert_eq!(user_of_peer("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()), None);
    }

    /// The kernel reports the listener on a port when the requested connection is gone.
    #[test]
    fn the_listener_on_the_port_of_a_gone_connection_is_not_its_owner() {
        for bind in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(bind) else { continue };
            let mut peer = listener.local_addr().unwrap();
            if peer.ip().is_unspecified() {
                peer.set_ip([127, 0, 0, 1].into());
            }
            assert_eq!(user_of_peer(peer, SocketAddr::new(peer.ip(), 9)), None, "{bind}");
        }
    }

    #[test]
    fn owners_are_supported_here_and_local_addresses_are_known() {
        assert!(is_supported());
        for (address, own) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("192.0.2.1:1", false),
            ("[::ffff:192.0.2.1]:1", false),
        ] {
            assert_eq!(is_local_address(address.parse().unwrap()), own, "{address}");
        }
    }
}
