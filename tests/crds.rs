//! The custom resource definitions: the files in `crds/` and in the chart are what the types define,
//! and `closehaul crds` prints them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use closehaul::api::crd::definition::definitions;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

/// How the files are written.
const UPDATE: &str = "CLOSEHAUL_UPDATE=1 cargo test --test crds";

/// The files, by path from the root of the repository.
fn files() -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    for definition in definitions() {
        let name = format!("{}.yaml", definition.spec.names.plural);
        files.insert(Path::new("crds").join(&name), plain(&definition));
        files.insert(Path::new("helm/closehaul/templates/crds").join(name), template(&definition));
    }
    files
}

fn plain(definition: &CustomResourceDefinition) -> String {
    let yaml = serde_saphyr::to_string(definition).unwrap();
    format!("# Made from src/api/crd by `{UPDATE}`.\n{yaml}")
}

/// The same as a template. It has the chart's labels, and helm does not delete it: all policies would
/// be deleted with it.
fn template(definition: &CustomResourceDefinition) -> String {
    let name = definition.metadata.name.as_ref().unwrap();
    let labels = definition.metadata.labels.iter().flatten();
    let labels = labels.map(|(key, value)| format!("{key:?} {value:?}"));
    let labels = labels.collect::<Vec<_>>().join(" ");
    let spec = serde_saphyr::to_string(&serde_json::json!({"spec": definition.spec})).unwrap();
    assert!(!spec.contains("{{"), "helm would read it as a template");
    format!(
        "{{{{- /* Made from src/api/crd by `{UPDATE}`. */ -}}}}\n\
         {{{{- if .Values.crds.install }}}}\n\
         apiVersion: apiextensions.k8s.io/v1\n\
         kind: CustomResourceDefinition\n\
         metadata:\n  \
         {{{{- include \"closehaul.metadata\" (list . {name:?} \"\" (dict {labels}) \
         (dict \"helm.sh/resource-policy\" \"keep\")) | nindent 2 }}}}\n\
         {spec}\
         {{{{- end }}}}\n"
    )
}

#[test]
fn the_files_are_what_the_types_define() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = files();
    assert_eq!(files.len(), 6);
    for (path, wanted) in &files {
        let path = root.join(path);
        if env::var_os("CLOSEHAUL_UPDATE").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, wanted).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == *wanted, "{}: run `{UPDATE}`", path.display());
    }
    // There are no others, for a kind that is gone.
    for directory in ["crds", "helm/closehaul/templates/crds"] {
        for entry in fs::read_dir(root.join(directory)).unwrap() {
            let path = Path::new(directory).join(entry.unwrap().file_name());
            assert!(files.contains_key(&path), "{}: no kind is defined there", path.display());
        }
    }
}

#[test]
fn the_command_prints_all_of_them() {
    let run = Command::new(env!("CARGO_BIN_EXE_closehaul")).arg("crds").output().unwrap();
    assert!(run.status.success() && run.stderr.is_empty(), "{run:?}");
    let text = String::from_utf8(run.stdout).unwrap();
    let printed: Vec<CustomResourceDefinition> = serde_saphyr::from_multiple(&text).unwrap();
    // Not with assert_eq, which would print both.
    assert!(printed == definitions(), "the files are not what the types define");
    // A reader that has enough is no reason to fail.
    let mut head = Command::new(env!("CARGO_BIN_EXE_closehaul"));
    let mut head = head.arg("crds").stdout(Stdio::piped()).spawn().unwrap();
    drop(head.stdout.take());
    assert!(head.wait().unwrap().success());
}
