//! Whose process is at the other end of a loopback connection. The kernel says so, to anybody who asks about one exact
//! socket (Linux: `NETLINK_SOCK_DIAG`, 2.5 µs, no privilege), or lists them all (macOS: `net.inet.tcp.pcblist_n`).
//! Elsewhere nobody says it, and nobody is trusted.

#[cfg(any(target_os = "macos", test))]
mod pcblist;

use std::net::SocketAddr;

#[cfg(target_os = "linux")]
use linux as kernel;
#[cfg(target_os = "macos")]
use macos as kernel;
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
use other as kernel;

/// Whether the socket at `peer` that is connected to our `local` belongs to the user who runs this process.
pub fn is_own_user(peer: SocketAddr, local: SocketAddr) -> bool {
    match kernel::owner(peer, local) {
        Ok(owner) => owner == Some(rustix::process::geteuid().as_raw()),
        Err(error) => {
            tracing::debug!(%error, "the kernel does not say who is at the other end");
            false
        }
    }
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

    /// Bytes of the question: a netlink head (16) and `inet_diag_req_v2` (56).
    const QUESTION: usize = 72;
    /// Where `inet_diag_msg` begins in the answer, and where uid and inode lie.
    const UID_AT: usize = 16 + 64;
    const INODE_AT: usize = 16 + 68;
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const NLM_F_REQUEST: u16 = 1;
    const TCP: u8 = 6;

    /// The user who owns the socket at `peer`; nothing when there is no such socket or nobody holds it any more.
    pub(super) fn owner(peer: SocketAddr, local: SocketAddr) -> io::Result<Option<u32>> {
        let socket = net::socket_with(
            AddressFamily::NETLINK,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC,
            Some(netlink::SOCK_DIAG),
        )?;
        net::sendto(&socket, &question(peer, local), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        let mut answer = [0u8; 512];
        let (length, _) = net::recv(&socket, &mut answer[..], RecvFlags::DONTWAIT)?;
        Ok(read(&answer[..length.min(answer.len())]))
    }

    fn question(peer: SocketAddr, local: SocketAddr) -> [u8; QUESTION] {
        let mut question = [0u8; QUESTION];
        let mut put = |at: usize, bytes: &[u8]| question[at..at + bytes.len()].copy_from_slice(bytes);
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
        question
    }

    fn read(answer: &[u8]) -> Option<u32> {
        let word = |at: usize| answer.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_ne_bytes);
        let kind = answer.get(4..6).and_then(|b| b.try_into().ok()).map(u16::from_ne_bytes);
        // A socket that nobody holds any more says uid 0: never believe it.
        let held = word(INODE_AT).is_some_and(|inode| inode != 0);
        word(UID_AT).filter(|_| kind == Some(SOCK_DIAG_BY_FAMILY) && held)
    }
}

#[cfg(target_os = "macos")]
mod macos {
    use super::pcblist;
    use std::{io, net::SocketAddr};
    use sysctl::{Ctl, CtlValue, Sysctl};

    /// The user who owns the socket at `peer`; nothing when it is not among the kernel's sockets or nobody holds it.
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
    fn our_own_connection_is_ours_and_an_ended_one_nobodys() {
        for bind in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(bind) else { continue };
            let local = listener.local_addr().unwrap();
            let mine = TcpStream::connect(local).unwrap();
            let (accepted, peer) = listener.accept().unwrap();
            assert!(is_own_user(peer, local), "{bind}");
            drop(mine);
            assert!(!is_own_user(peer, local), "nobody holds the other end any more");
            drop(accepted);
        }
    }

    #[test]
    fn a_connection_that_does_not_exist_is_nobodys() {
        assert!(!is_own_user("127.0.0.1:1".parse().unwrap(), "127.0.0.1:2".parse().unwrap()));
    }
}
