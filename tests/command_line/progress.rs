//! Long work reports how far it has come, on a terminal alone.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use super::{
    command::{Done, command, shop},
    terminal::Terminal,
};

/// A pipe whose writer waits so long before it writes the shop.
fn slow(name: &str, wait: Duration) -> (PathBuf, thread::JoinHandle<()>) {
    let pipe = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("progress-{name}-{}.yaml", std::process::id()));
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let path = pipe.clone();
    let writer = thread::spawn(move || {
        let mut pipe = OpenOptions::new().write(true).open(path).unwrap();
        thread::sleep(wait);
        pipe.write_all(&fs::read(shop()).unwrap()).unwrap();
    });
    (pipe, writer)
}

const SLOW: Duration = Duration::from_millis(2500);

#[test]
fn a_line_appears_and_disappears() {
    let (pipe, writer) = slow("shown", SLOW);
    let (code, printed) =
        Terminal::new(60).run(command(&["plan", "--color=never", "-f", pipe.to_str().unwrap()]));
    writer.join().unwrap();
    fs::remove_file(&pipe).unwrap();
    assert_eq!(code, Some(0));
    let lines: Vec<_> = printed.split("\r\u{1b}[K").collect();
    let (end, shown) = lines[1..].split_last().unwrap();
    assert!(shown.len() > 2, "{printed:?}");
    for line in shown {
        assert!(line.starts_with("reading ") && line.chars().count() < 60, "{line:?}");
    }
    assert!(end.contains("STATE") && !end.contains("reading"), "{printed:?}");
}

#[test]
fn what_is_quick_or_not_on_a_terminal_is_quiet() {
    let shop = shop();
    let (_, printed) = Terminal::new(100).run(command(&["plan", "--color=never", "-f", &shop]));
    assert!(!printed.contains('\r') && !printed.contains('\u{1b}'), "{printed:?}");
    let (pipe, writer) = slow("piped", SLOW);
    let done: Done = command(&["plan", "-f", pipe.to_str().unwrap()]).output().unwrap().into();
    writer.join().unwrap();
    fs::remove_file(&pipe).unwrap();
    assert!(!done.err.contains("reading") && !done.err.contains('\r'), "{done:?}");
    let (pipe, writer) = slow("dumb", SLOW);
    let mut dumb = command(&["plan", "-f", pipe.to_str().unwrap()]);
    dumb.env("TERM", "dumb");
    let (_, printed) = Terminal::new(100).run(dumb);
    writer.join().unwrap();
    fs::remove_file(&pipe).unwrap();
    assert!(!printed.contains("reading") && !printed.contains('\u{1b}'), "{printed:?}");
}
