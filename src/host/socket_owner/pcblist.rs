//! Parses the list of TCP sockets of macOS (`net.inet.tcp.pcblist_n`). Pure.
//!
//! ```text
//! xinpgen  { xinpcb_n  xsocket_n  xsockbuf_n ×2  xsockstat_n  xtcpcb_n } for each socket  xinpgen
//! ```
//!
//! Each record begins with its length and kind; the next one follows at a multiple of eight bytes. The offsets are those
//! of XNU's `in_pcb.h` and `socketvar.h`, which pack at four bytes. In a list of another form no owner is found.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Record kinds.
const SOCKET: u32 = 0x001;
const PCB: u32 = 0x010;
/// Offsets in `xinpcb_n`: ports in network order, address family, and both addresses; an IPv4 address is the last four of
/// its 16 bytes.
const FOREIGN_PORT_AT: usize = 16;
const LOCAL_PORT_AT: usize = 18;
const KIND_AT: usize = 44;
const FOREIGN_AT: usize = 48;
const LOCAL_AT: usize = 64;
const IPV4: u8 = 1;
const IPV6: u8 = 2;
/// Offsets in `xsocket_n`: a handle, which is 0 when no process holds the socket any more, and its owner.
const HANDLE_AT: usize = 8;
const UID_AT: usize = 64;

/// Returns the user who owns the socket at `peer` that is connected to our `local`.
pub(super) fn owner(list: &[u8], peer: SocketAddr, local: SocketAddr) -> Option<u32> {
    let mut rest = list.get(padded(word(list, 0)?)..)?;
    let mut is_match = false;
    loop {
        let (length, kind) = (word(rest, 0)? as usize, word(rest, 4)?);
        // The header has eight bytes.
        let record = rest.get(..length).filter(|record| record.len() >= 8)?;
        match kind {
            PCB => is_match = connects(record, peer, local).unwrap_or(false),
            SOCKET if is_match => return user_of_socket(record),
            _ => {}
        }
        rest = rest.get(padded(word(rest, 0)?)..)?;
    }
}

fn connects(pcb: &[u8], peer: SocketAddr, local: SocketAddr) -> Option<bool> {
    let port = |at: usize| pcb.get(at..at + 2).and_then(|b| b.try_into().ok()).map(u16::from_be_bytes);
    let address = |at: usize| -> Option<IpAddr> {
        match pcb.get(KIND_AT)? {
            kind if kind & IPV4 != 0 => Some(Ipv4Addr::from(bytes::<4>(pcb, at + 12)?).into()),
            kind if kind & IPV6 != 0 => Some(Ipv6Addr::from(bytes::<16>(pcb, at)?).into()),
            _ => None,
        }
    };
    // From the point of view of the peer, whose socket this is.
    let own = SocketAddr::new(address(LOCAL_AT)?, port(LOCAL_PORT_AT)?);
    let other = SocketAddr::new(address(FOREIGN_AT)?, port(FOREIGN_PORT_AT)?);
    let same = |one: SocketAddr, other: SocketAddr| {
        (one.ip().to_canonical(), one.port()) == (other.ip().to_canonical(), other.port())
    };
    Some(same(own, peer) && same(other, local))
}

fn user_of_socket(socket: &[u8]) -> Option<u32> {
    bytes::<8>(socket, HANDLE_AT).filter(|handle| *handle != [0; 8])?;
    word(socket, UID_AT)
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..at + N)?.try_into().ok()
}

fn word(from: &[u8], at: usize) -> Option<u32> {
    bytes(from, at).map(u32::from_ne_bytes)
}

fn padded(length: u32) -> usize {
    (length as usize).next_multiple_of(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(length: usize, kind: u32, fields: &[(usize, &[u8])]) -> Vec<u8> {
        let mut record = vec![0; length.next_multiple_of(8)];
        let head = [(0, u32::try_from(length).unwrap().to_ne_bytes()), (4, kind.to_ne_bytes())];
        for (at, value) in head.iter().map(|(at, value)| (*at, &value[..])).chain(fields.iter().copied()) {
            record[at..at + value.len()].copy_from_slice(value);
        }
        record
    }

    /// A socket of a user, as listed by the kernel.
    fn socket(own: &str, other: &str, uid: u32, handle: u64) -> Vec<u8> {
        let (own, other): (SocketAddr, SocketAddr) = (own.parse().unwrap(), other.parse().unwrap());
        let address = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => [&[0; 12][..], &ip.octets()].concat(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let kind = if own.is_ipv4() { IPV4 } else { IPV6 };
        let pcb = record(
            104,
            PCB,
            &[
                (FOREIGN_PORT_AT, &other.port().to_be_bytes()),
                (LOCAL_PORT_AT, &own.port().to_be_bytes()),
                (KIND_AT, &[kind]),
                (FOREIGN_AT, &address(other.ip())),
                (LOCAL_AT, &address(own.ip())),
            ],
        );
        let holder = record(76, SOCKET, &[(HANDLE_AT, &handle.to_ne_bytes()), (UID_AT, &uid.to_ne_bytes())]);
        [pcb, holder, record(32, 2, &[]), record(32, 4, &[]), record(136, 8, &[]), record(204, 0x20, &[])].concat()
    }

    /// A list with its header and trailer, whose count looks like a record kind.
    fn list(sockets: &[Vec<u8>]) -> Vec<u8> {
        let end = record(24, PCB, &[]);
        [end.clone(), sockets.concat(), end].concat()
    }

    fn of(list: &[u8], peer: &str, local: &str) -> Option<u32> {
        owner(list, peer.parse().unwrap(), local.parse().unwrap())
    }

    #[test]
    fn the_socket_at_the_other_end_is_found_among_others() {
        let all = list(&[
            socket("127.0.0.1:4317", "127.0.0.1:5000", 501, 1),
            socket("127.0.0.1:5000", "127.0.0.1:4317", 502, 2),
            socket("127.0.0.1:5001", "127.0.0.1:4317", 503, 3),
            socket("[::1]:5000", "[::1]:4317", 504, 4),
        ]);
        assert_eq!(of(&all, "127.0.0.1:5000", "127.0.0.1:4317"), Some(502), "and not our own end of it");
        assert_eq!(of(&all, "127.0.0.1:5001", "127.0.0.1:4317"), Some(503));
        assert_eq!(of(&all, "[::1]:5000", "[::1]:4317"), Some(504));
        for (peer, local) in [
            ("127.0.0.1:5002", "127.0.0.1:4317"),
            ("127.0.0.1:5000", "127.0.0.1:4318"),
            ("127.0.0.2:5000", "127.0.0.1:4317"),
            ("[::1]:5001", "[::1]:4317"),
        ] {
            assert_eq!(of(&all, peer, local), None, "{peer} {local}");
        }
    }

    #[test]
    fn a_socket_that_no_process_holds_any_more_has_no_owner() {
        let all = list(&[socket("127.0.0.1:5000", "127.0.0.1:4317", 0, 0)]);
        assert_eq!(of(&all, "127.0.0.1:5000", "127.0.0.1:4317"), None);
    }

    #[test]
    fn in_a_truncated_or_malformed_list_no_owner_is_found() {
        let all = list(&[socket("127.0.0.1:5000", "127.0.0.1:4317", 502, 2)]);
        // Long enough from the end of the socket's record on.
        let known = 24 + 104 + 76;
        for cut in 0..all.len() {
            let found = of(&all[..cut], "127.0.0.1:5000", "127.0.0.1:4317");
            assert_eq!(found, (cut >= known).then_some(502), "{cut}");
        }
        for length in [0_u32, 7, u32::MAX] {
            let mut odd = all.clone();
            odd[24..28].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(of(&odd, "127.0.0.1:5000", "127.0.0.1:4317"), None, "{length}");
        }
    }
}
