//! A terminal of some width, on which a command prints.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::Read as _,
    os::unix::ffi::OsStringExt as _,
    process::{Child, Command},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

/// A terminal.
pub struct Terminal {
    master: File,
    slave: File,
}

impl Terminal {
    pub fn new(columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = OsString::from_vec(ptsname(&master, Vec::new()).unwrap().into_bytes());
        let slave = OpenOptions::new().read(true).write(true).open(name).unwrap();
        Self { master: master.into(), slave }
    }

    /// What the command prints here, as standard output, standard error, or both.
    pub fn file(&self) -> File {
        self.slave.try_clone().unwrap()
    }

    /// Runs a command to its end whose standard output and standard error are the terminal. Returns its
    /// exit code and what it has printed.
    pub fn run(self, mut command: Command) -> (Option<i32>, String) {
        let child = command.stdout(self.file()).stderr(self.file()).spawn().unwrap();
        // It has the terminal, too, and would keep it open.
        drop(command);
        self.end(child)
    }

    /// Reads until the command has ended.
    pub fn end(self, mut child: Child) -> (Option<i32>, String) {
        let Self { mut master, slave } = self;
        drop(slave);
        let mut printed = Vec::new();
        let mut bytes = [0; 4096];
        // At the end, Linux reports an error.
        while let Ok(read @ 1..) = master.read(&mut bytes) {
            printed.extend_from_slice(&bytes[..read]);
        }
        let printed = String::from_utf8(printed).unwrap().replace("\r\n", "\n");
        (child.wait().unwrap().code(), printed)
    }
}
