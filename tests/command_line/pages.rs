//! Completion scripts and pages of the manual. e2e/tests/completion.rs tries the scripts in shells.

use super::command::run;

#[test]
fn every_command_has_a_page() {
    let page = run(&["man"]).out;
    assert!(page.contains(".TH closehaul 1"), "{page}");
    for name in
        ["run", "plan", "explain", "check", "evacuate", "restore", "crds", "version", "completion"]
    {
        assert!(page.contains(&format!("closehaul\\-{name}(1)")), "{name} is not in: {page}");
        let done = run(&["man", name]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(done.out.contains(&format!(".TH closehaul-{name} 1")), "{name}: {}", done.out);
        assert!(done.out.contains("\\-\\-kubeconfig"), "{name}: {}", done.out);
    }
    let plan = run(&["man", "plan"]).out;
    assert!(plan.contains("Exit codes: 0 done"), "{plan}");
}

#[test]
fn every_shell_has_a_script() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish", "ZSH"] {
        let done = run(&["completion", shell]);
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{shell}");
        for word in ["closehaul", "evacuate", "fail-on", "kubeconfig"] {
            assert!(done.out.contains(word), "{shell}: {word}");
        }
    }
}
