//! Called as a plugin of kubectl, the help says what its user types.

use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Command};

/// A link to the command by this name, in a folder of its own.
struct Link(PathBuf);

impl Link {
    fn new(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("called-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let link = folder.join(name);
        symlink(env!("CARGO_BIN_EXE_closehaul"), &link).unwrap();
        Self(link)
    }

    fn text(&self, args: &[&str]) -> String {
        let output = Command::new(&self.0).args(args).env_clear().output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        fs::remove_dir_all(self.0.parent().unwrap()).unwrap();
    }
}

#[test]
fn as_a_plugin() {
    let plugin = Link::new("kubectl-closehaul");
    assert!(plugin.text(&["--help"]).contains("Usage: kubectl closehaul [OPTIONS] <COMMAND>"));
    for name in
        ["plan", "explain", "check", "evacuate", "restore", "run", "crds", "completion", "man"]
    {
        let help = plugin.text(&[name, "--help"]);
        assert!(help.contains(&format!("Usage: kubectl closehaul {name}")), "{help}");
        let rest = help.replace("kubectl closehaul", "");
        assert!(!rest.contains(&format!("closehaul {name}")), "{name}: {rest}");
    }
    let help = plugin.text(&["plan", "--help"]);
    assert!(help.contains("\n  kubectl closehaul plan -A\n"), "{help}");
    assert!(help.contains("| kubectl closehaul plan -f - -o yaml"), "{help}");
    let wrong = plugin.text(&["plan", "--no-such-option"]);
    assert!(wrong.contains("Usage: kubectl closehaul plan"), "{wrong}");
}

#[test]
fn by_its_own_name() {
    for name in ["closehaul", "ch"] {
        let link = Link::new(name);
        let help = link.text(&["plan", "--help"]);
        assert!(!help.contains("kubectl closehaul"), "{help}");
        assert!(help.contains("\n  closehaul plan -A\n"), "{help}");
    }
}
