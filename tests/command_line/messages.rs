//! Errors of usage and errors while running look the same.

use super::{
    command::{command, run, shop},
    terminal::Terminal,
};

/// Wrong usage, as clap finds it and as the commands find it, and what fails while it runs.
fn failing(file: &str) -> Vec<(Vec<&str>, i32)> {
    vec![
        (vec!["plan", "--no-such-option"], 2),
        (vec!["no-such-command"], 2),
        (vec!["plan", "-o", "xml"], 2),
        (vec!["plan", "-f", file, "--bytes=1"], 2),
        (vec!["plan", "-f", file, "a/b/c"], 2),
        (vec!["plan", "-f", "/nonexistent"], 2),
        (vec!["man", "no-such-command"], 2),
        (vec!["completion", "no-such-shell"], 2),
        (vec!["restore", "-n", "shop"], 2),
        (vec!["run", "-n", "shop", "--metrics-bind-address=0", "--health-probe-bind-address=0"], 2),
        (vec!["plan", "--as-group=x"], 1),
        (vec!["explain", "shop/crt", "-f", file], 1),
        (vec!["plan"], 1),
        (vec!["version"], 1),
        (vec!["evacuate", "zone-a", "--for=1h", "--yes"], 1),
    ]
}

#[test]
fn every_message_begins_the_same() {
    let shop = shop();
    for (args, code) in failing(&shop) {
        let done = run(&args);
        assert_eq!(done.code, Some(code), "{args:?}: {done:?}");
        let is_it = |line: &str| line.starts_with("error: ");
        assert_eq!(done.err.lines().filter(|line| is_it(line)).count(), 1, "{args:?}: {done:?}");
        assert!(!done.err.contains('\u{1b}'), "{args:?}: {done:?}");
    }
}

#[test]
fn on_a_terminal_they_have_the_same_colour() {
    let shop = shop();
    for (args, _) in failing(&shop) {
        let (_, coloured) = Terminal::new(120).run(command(&args));
        assert!(coloured.contains("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m "), "{args:?}: {coloured:?}");
        for plain in [&["--color=never"][..], &["--color", "never"]] {
            let (_, plain) = Terminal::new(120).run(command(&[plain, &args].concat()));
            assert!(plain.contains("error: ") && !plain.contains('\u{1b}'), "{args:?}: {plain:?}");
        }
    }
}

/// Options of the connection stand before or after the command.
#[test]
fn global_options_stand_anywhere() {
    let place = ["--kubeconfig", "/nonexistent/config"];
    for args in [[&place[..], &["plan"]].concat(), [&["plan"], &place[..]].concat()] {
        let done = run(&args);
        assert!(done.err.contains("cannot read the kubeconfig /nonexistent/config"), "{done:?}");
    }
    let shop = shop();
    let before = run(&["-n", "default", "plan", "-f", &shop]);
    assert!(before.out.contains("kubernetes") && !before.out.contains("cart"), "{before:?}");
    assert_eq!(before.out, run(&["plan", "-f", &shop, "-n", "default"]).out);
    let mut by_variable = command(&["plan", "-f", &shop]);
    let by_variable: super::command::Done =
        by_variable.env("CLOSEHAUL_NAMESPACE", "default").output().unwrap().into();
    assert_eq!(by_variable.out, before.out);
}

#[test]
fn formats_are_read_in_capitals_too() {
    let shop = shop();
    for output in ["JSON", "Yaml", "Summary"] {
        let done = run(&["plan", "-f", &shop, "-o", output]);
        assert_eq!(done.out, run(&["plan", "-f", &shop, "-o", &output.to_lowercase()]).out);
        assert_eq!(done.code, Some(0));
    }
    let done = run(&["explain", "shop/cart", "-f", &shop, "-o", "JSON", "--consumer=Linkerd"]);
    assert_eq!(done.code, Some(0), "{done:?}");
}
