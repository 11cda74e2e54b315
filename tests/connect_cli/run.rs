//! `closehaul run` outside a pod.

use super::folder::{Folder, to};

#[test]
fn a_controller_does_not_take_the_current_context() {
    let folder = Folder::new();
    folder.run(&["run"], &[]).says(&["--kubeconfig or --context", "there are: none"]);
    let config = to("http://127.0.0.1:1").to_string();
    folder.write("home/.kube/config", &config);
    let file = folder.write("listed", config);
    let in_home = folder.run(&["run"], &[]);
    in_home.says(&["--kubeconfig or --context", "current context here of", "/.kube/config"]);
    let listed = folder.run(&["run"], &[("KUBECONFIG", &file)]);
    listed.says(&["--kubeconfig or --context", "current context here of", &file]);
    // A pod has a token besides.
    let variables = [("KUBERNETES_SERVICE_HOST", "10.0.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];
    let halfway = folder.run(&["run"], &variables);
    for done in [in_home, listed, halfway] {
        assert_eq!(done.code, Some(2), "{done:?}");
    }
}

/// What follows is that the context does not exist.
#[test]
fn levels_are_read_as_kubectl_reads_them() {
    let folder = Folder::new();
    for level in [&["-v", "2"][..], &["-v2"], &["-v=2"], &["--v", "2"], &["--v=2"]] {
        let named = ["run", "--context", "x", "--metrics-bind-address=0"];
        let done =
            folder.run(&[&named[..], &["--health-probe-bind-address=0"], level].concat(), &[]);
        assert_eq!(done.code, Some(1), "{level:?}: {done:?}");
        done.says(&["no context x"]);
    }
}
