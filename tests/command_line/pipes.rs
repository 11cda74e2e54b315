//! Readers that leave, and disks that are full.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    process::Stdio,
};

use super::command::{Done, command, shop};

/// What prints something, with a file to read.
fn printing(file: &str) -> Vec<Vec<&str>> {
    let mut commands = vec![
        vec!["crds"],
        vec!["man"],
        vec!["man", "plan"],
        vec!["completion", "bash"],
        vec!["version", "--client"],
        vec!["--help"],
        vec!["plan", "--help"],
        vec!["--version"],
        vec!["explain", "shop/cart", "-f", file],
    ];
    for output in ["table", "wide", "yaml", "json", "changes", "diff", "summary", "html"] {
        commands.push(vec!["plan", "-f", file, "-o", output]);
    }
    commands
}

#[test]
fn a_full_disk_is_an_error() {
    for args in printing(&shop()) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let done: Done = command(&args).stdout(full).output().unwrap().into();
        assert_eq!(done.code, Some(1), "{args:?}: {done:?}");
        let last = done.err.lines().last().unwrap_or_default();
        assert!(last.starts_with("error: "), "{args:?}: {done:?}");
        assert!(last.contains("No space left on device"), "{args:?}: {done:?}");
    }
}

/// A plan that is longer than a pipe takes, of which only the beginning is read.
#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let shop = fs::read_to_string(shop()).unwrap();
    let service = shop.split("---\n").find(|one| one.contains("name: search,")).unwrap();
    let more = (0..500).map(|at| {
        let service = service.replace("name: search,", &format!("name: search-{at},"));
        format!("---\n{service}")
    });
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pipes.yaml");
    fs::write(&file, shop.clone() + &more.collect::<String>()).unwrap();
    let file = file.display().to_string();
    for args in printing(&file) {
        let mut command = command(&args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut [0; 8]).unwrap();
        drop(out);
        let done: Done = child.wait_with_output().unwrap().into();
        assert_eq!(done.code, Some(0), "{args:?}: {done:?}");
        assert!(
            !done.err.contains("error") && !done.err.contains("panicked"),
            "{args:?}: {done:?}"
        );
    }
    fs::remove_file(file).unwrap();
}
