//! Tables fit the terminal, by shortening names. Colour is for terminals.

use std::{fs, path::Path};

use insta::assert_snapshot;
use unicode_width::UnicodeWidthStr as _;

use super::{
    command::{Done, command, run, shop},
    terminal::Terminal,
};

/// A shop with long names, and a policy with one.
fn long_names(name: &str) -> String {
    let shop = fs::read_to_string(shop()).unwrap();
    let shop = shop.replace("namespace: shop", "namespace: the-namespace-of-the-whole-shop");
    let shop =
        shop.replace("name: cart\n", "name: the-cart-that-everyone-pushes-through-the-shop\n");
    let shop = shop.replace("name: search,", "name: search-with-suggestions,");
    let policy = "---
apiVersion: closehaul.io/v1alpha1
kind: LocalityPolicy
metadata: {name: keep-even, namespace: the-namespace-of-the-whole-shop}
spec:
  guard: {maxOverloadPercent: 20}
";
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("widths-{name}.yaml"));
    fs::write(&file, shop + policy).unwrap();
    file.display().to_string()
}

/// The table on a terminal of this width, without colour.
fn on_terminal(columns: u16, file: &str, output: &str) -> String {
    let mut command = command(&["plan", "-f", file, "-o", output, "--color=never"]);
    command.stderr(std::process::Stdio::null());
    let terminal = Terminal::new(columns);
    let child = command.stdout(terminal.file()).spawn().unwrap();
    drop(command);
    let (code, printed) = terminal.end(child);
    assert_eq!(code, Some(0));
    printed
}

#[test]
fn tables_fit_the_terminal() {
    let file = long_names("terminal");
    for columns in [80, 100, 160] {
        for output in ["table", "wide"] {
            let table = on_terminal(columns, &file, output);
            for line in table.lines() {
                assert!(line.width() <= columns.into(), "{columns}: {line}");
            }
            assert!(table.contains("Ineffective") && table.contains("+0%"), "{table}");
        }
        assert_snapshot!(format!("table-{columns}"), on_terminal(columns, &file, "table"));
    }
    let wide = on_terminal(250, &file, "table");
    assert!(!wide.contains('…'), "{wide}");
    fs::remove_file(file).unwrap();
}

#[test]
fn without_a_terminal_there_are_100_columns() {
    let file = long_names("pipe");
    let table = run(&["plan", "-f", &file]).out;
    assert!(table.lines().all(|line| line.width() <= 100) && table.contains('…'), "{table}");
    assert_eq!(table, on_terminal(100, &file, "table"));
    assert_eq!(table, on_terminal(0, &file, "table"), "a terminal that does not know its width");
    let mut given = command(&["plan", "-f", &file]);
    let given: Done = given.env("COLUMNS", "250").output().unwrap().into();
    assert!(!given.out.contains('…'), "{}", given.out);
    let json = run(&["plan", "-f", &file, "-o", "json"]).out;
    assert!(json.contains("the-cart-that-everyone-pushes-through-the-shop"));
    fs::remove_file(file).unwrap();
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let shop = shop();
    let is_coloured = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = command(&[&["plan", "-f", &shop], args].concat());
        command.envs(variables.iter().copied());
        let (code, printed) = Terminal::new(120).run(command);
        assert_eq!(code, Some(0), "{printed}");
        printed.contains("\u{1b}[32mApplied\u{1b}[0m")
    };
    assert!(is_coloured(&[], &[]));
    assert!(is_coloured(&[], &[("TERM", "xterm-256color")]));
    assert!(is_coloured(&["--color", "Auto"], &[("NO_COLOR", "")]), "it is not set");
    assert!(!is_coloured(&[], &[("NO_COLOR", "1")]));
    assert!(!is_coloured(&[], &[("TERM", "dumb")]));
    assert!(!is_coloured(&["--color=never"], &[]));
    assert!(!is_coloured(&[], &[("CLOSEHAUL_COLOR", "never")]));
    assert!(is_coloured(&["--color=always"], &[("NO_COLOR", "1"), ("TERM", "dumb")]));
    let piped = run(&["plan", "-f", &shop]).out;
    assert!(!piped.contains('\u{1b}'), "{piped}");
    let piped = run(&["--color", "always", "plan", "-f", &shop]).out;
    assert!(piped.contains("\u{1b}[32mApplied\u{1b}[0m"), "{piped}");
}
