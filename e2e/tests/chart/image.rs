//! The image, as far as it can be built without a registry: its last stage, around a binary of this
//! checkout, and the files that its first stage gets.

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use e2e::{
    chart::{Tools, documents, repository},
    closehaul::{self, Profile},
    machine, packages,
};
use serde_json::{Value, json};

use crate::text;

const IMAGE: &str = "localhost/closehaul-test";

/// buildah with a separate store. Dropping it removes the store.
struct Buildah(PathBuf);

impl Buildah {
    /// `name` must be unique in this process.
    fn new(name: &str) -> Self {
        machine::prepare_tests().unwrap_or_else(|error| panic!("{error}"));
        let path = env::temp_dir().join(format!("closehaul-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A program as root, if only of a user namespace, because buildah changes owners.
    fn command(program: &str) -> Command {
        if packages::is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--mount", program]);
        command
    }

    fn output(&self, args: &[&str]) -> io::Result<Output> {
        let mut command = Self::command("buildah");
        command.args(["--storage-driver", "vfs"]);
        command.arg("--root").arg(self.0.join("store")).arg("--runroot").arg(self.0.join("run"));
        command.args(args).current_dir(repository()).output()
    }

    /// Runs it in the repository. It must succeed.
    fn run(&self, args: &[&str]) -> String {
        let output = self.output(args).unwrap();
        assert!(output.status.success(), "buildah {}:\n{}", args.join(" "), text(&output));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Builds an image and returns the directory with its files.
    fn build(&self, containerfile: &Path, args: &[&str]) -> PathBuf {
        let file = containerfile.display().to_string();
        let build = ["build", "--isolation=chroot", "--file", &file];
        self.run(&[&build, args, &["--tag", IMAGE, "."]].concat());
        let container = self.run(&["from", "--pull-never", IMAGE]);
        PathBuf::from(self.run(&["mount", &container]))
    }
}

impl Drop for Buildah {
    fn drop(&mut self) {
        let _ = self.output(&["rm", "--all"]);
        // Some directories of an image are not writable, not even by their owner.
        let _ = Self::command("rm").arg("-rf").arg(&self.0).output();
    }
}

#[test]
fn the_image_is_one_binary_run_by_nobody() {
    let buildah = Buildah::new("image");
    // Replaces the first stage, whose base comes from a registry.
    let stage = buildah.0.join("stage");
    fs::create_dir_all(stage.join("out")).unwrap();
    fs::write(stage.join("out/closehaul"), "binary").unwrap();
    let stage = format!("build={}", stage.display());
    let root = buildah.build(&repository().join("Containerfile"), &["--build-context", &stage]);
    let files = fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(files.collect::<Vec<_>>(), ["closehaul"]);
    assert_eq!(fs::read_to_string(root.join("closehaul")).unwrap(), "binary");

    let inspected = buildah.run(&["inspect", "--type", "image", IMAGE]);
    let config = &serde_json::from_str::<Value>(&inspected).unwrap()["OCIv1"]["config"];
    assert_eq!(config["Entrypoint"], json!(["/closehaul"]));
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Labels"]["org.opencontainers.image.licenses"], "Apache-2.0");

    // The user is the same as in the chart.
    let manifest = Tools::ensure().unwrap().render("kube-system", &[]).unwrap();
    let objects = documents(&manifest).unwrap();
    let deployment = objects.iter().find(|it| it["kind"] == "Deployment").unwrap();
    let context = &deployment["spec"]["template"]["spec"]["securityContext"];
    let user = format!("{}:{}", context["runAsUser"], context["runAsGroup"]);
    assert_eq!(config["User"], user);
}

#[tokio::test]
async fn the_first_stage_has_all_that_cargo_reads() {
    let binary = closehaul::build(Profile::Dev).await.unwrap();
    let buildah = Buildah::new("context");
    let containerfile = buildah.0.join("Containerfile");
    fs::write(&containerfile, "FROM scratch\nCOPY . /\n").unwrap();
    let root = buildah.build(&containerfile, &["--ignorefile", ".dockerignore"]);
    for name in [".git", "target", "docs"] {
        assert!(!root.join(name).exists(), "{name} makes the build start again for nothing");
    }
    // A build rejects a target without its file, but here it is only missing.
    assert_eq!(targets(&root), targets(&repository()));
    // The compiler lists what it has read, and that is more than sources.
    let read = fs::read_to_string(binary.with_extension("d")).unwrap();
    let read =
        read.split_whitespace().filter_map(|it| Path::new(it).strip_prefix(repository()).ok());
    let read: Vec<_> = read.filter(|path| !path.starts_with("target")).collect();
    assert!(read.len() > 100, "{read:?}");
    let missing: Vec<_> = read.into_iter().filter(|path| !root.join(path).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// What cargo finds to build there, except tests, which may be missing.
fn targets(directory: &Path) -> BTreeSet<String> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let metadata = Command::new(cargo)
        .args(["metadata", "--locked", "--offline", "--no-deps", "--format-version=1"])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", text(&metadata));
    let metadata = serde_json::from_slice::<Value>(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let targets = packages.flat_map(|package| package["targets"].as_array().unwrap());
    let is_wanted = |target: &&Value| target["kind"] != json!(["test"]);
    let name = |target: &Value| format!("{} {}", target["kind"], target["name"]);
    targets.filter(is_wanted).map(name).collect()
}
