//! A pseudo-terminal with a program on it: its screen, and typed input.

use super::{daemon::exit_code, until};
use rustix::{
    fs::{Mode, OFlags, open},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};
use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command},
    sync::{Arc, Mutex},
};

/// Ends the input when typed at the beginning of a line.
pub(crate) const END_OF_INPUT: &str = "\u{4}";

/// A pseudo-terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    keys: File,
    screen: Arc<Mutex<Vec<u8>>>,
    line: OwnedFd,
}

impl Terminal {
    /// Opens one with this many columns.
    pub(crate) fn new(columns: u16) -> Self {
        let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&own).unwrap();
        unlockpt(&own).unwrap();
        tcsetwinsize(&own, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let name = ptsname(&own, Vec::new()).unwrap();
        let line = open(&*name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let keys = File::from(own);
        let (mut from, screen) = (keys.try_clone().unwrap(), Arc::default());
        let to: Arc<Mutex<Vec<u8>>> = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4_096];
            // Reading fails when the other end is closed everywhere.
            while let Ok(length @ 1..) = from.read(&mut bytes) {
                to.lock().unwrap().extend_from_slice(&bytes[..length]);
            }
        });
        Terminal { keys, screen, line }
    }

    /// Types text.
    pub(crate) fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Starts a program with the terminal as its input and output.
    pub(crate) fn starts(&self, command: &mut Command) -> Child {
        let end = || self.line.try_clone().unwrap();
        command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap()
    }

    /// Returns everything that was written to it, with plain line ends.
    pub(crate) fn screen(&self) -> String {
        String::from_utf8(self.screen.lock().unwrap().clone()).unwrap().replace("\r\n", "\n")
    }

    /// Waits until this text was written.
    pub(crate) async fn shows(&self, text: &str) {
        until(text, async || self.screen().contains(text).then_some(())).await;
    }

    /// Waits for the end of a program and of its output.
    pub(crate) async fn ended(&mut self, child: &mut Child) -> (Option<i32>, String) {
        let code = exit_code(child).await;
        // Written after the program's end, so it is read last.
        (&File::from(self.line.try_clone().unwrap())).write_all("— end —\n".as_bytes()).unwrap();
        self.shows("— end —\n").await;
        let screen = self.screen();
        (code, screen.split("— end —").next().unwrap_or_default().to_owned())
    }
}
