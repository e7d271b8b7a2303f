//! A small proxy: accepts any connection and opens one to the daemon for each, as a given user.

use crate::support::users::User;
use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
};

/// How it changes requests.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// Not at all, as `ssh -R` or `socat`.
    Raw,
    /// The daemon's own `Host`, this protocol, and a header of a proxy.
    Rewriting { header: Option<&'static str>, version: &'static str },
    /// The daemon's own `Host`, and an absolute target, as a forward proxy.
    Absolute,
}

/// A running proxy; it accepts connections for as long as the tests run.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
}

impl Proxy {
    /// Starts one whose connections to `daemon` belong to this user.
    pub(super) fn start(user: User, daemon: SocketAddr, way: Way) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                thread::spawn(move || pass(client, user, daemon, way));
            }
        });
        Proxy { address }
    }
}

/// Relays one connection until either side closes it.
fn pass(client: TcpStream, user: User, daemon: SocketAddr, way: Way) -> io::Result<()> {
    let upstream = user.makes(move || TcpStream::connect(daemon))?;
    let (mut from_daemon, mut to_client) = (upstream.try_clone()?, client.try_clone()?);
    thread::spawn(move || {
        // The other side may be closed already.
        let _ = io::copy(&mut from_daemon, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    let (mut client, mut upstream) = (client, upstream);
    if !matches!(way, Way::Raw) {
        let head = head(&mut client)?;
        upstream.write_all(rewritten(&head, daemon, way).as_bytes())?;
    }
    io::copy(&mut client, &mut upstream)?;
    upstream.shutdown(Shutdown::Write)
}

/// Reads the head of a request, byte for byte.
fn head(client: &mut TcpStream) -> io::Result<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    String::from_utf8(head).map_err(io::Error::other)
}

fn rewritten(head: &str, daemon: SocketAddr, way: Way) -> String {
    let mut lines = head.trim_end().split("\r\n");
    let first: Vec<_> = lines.next().unwrap().split(' ').collect();
    let (target, version, header) = match way {
        Way::Raw => (first[1].to_owned(), first[2], None),
        Way::Rewriting { header, version } => (first[1].to_owned(), version, header),
        Way::Absolute => (format!("http://{daemon}{}", first[1]), first[2], None),
    };
    let mut text = format!("{} {target} {version}\r\nHost: {daemon}\r\n", first[0]);
    for line in lines.filter(|line| !line.to_ascii_lowercase().starts_with("host:")).chain(header) {
        text.push_str(&format!("{line}\r\n"));
    }
    text + "\r\n"
}
