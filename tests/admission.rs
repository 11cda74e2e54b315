//! The admission policies: the chart's templates are what `closehaul::admission` says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

use std::{collections::BTreeMap, env, fs, path::Path};

use closehaul::admission::{
    names::{LIMIT_POLICY, POLICY},
    objects,
};
use serde_json::{Value, json};

/// How the files are written.
const UPDATE: &str = "CLOSEHAUL_UPDATE=1 cargo test --test admission";
/// Where the files are.
const DIRECTORY: &str = "helm/closehaul/templates/admission";
/// The user name of the chart's service account.
const USER: &str = r#"{{ include "closehaul.user" . }}"#;

/// The files by name: a policy and its binding in each.
fn files() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for object in objects(USER) {
        let kind = object["kind"].as_str().unwrap();
        let name = format!("{}.yaml", kind.trim_end_matches("Binding").to_lowercase());
        let text = files.entry(name).or_insert_with(|| {
            format!(
                "{{{{- /* Made from src/admission by `{UPDATE}`. */ -}}}}\n\
                 {{{{- if eq .Values.mode \"assist\" }}}}\n"
            )
        });
        if kind.ends_with("Binding") {
            text.push_str("---\n");
        }
        text.push_str(&template(&object));
        if kind.ends_with("Binding") {
            text.push_str("{{- end }}\n");
        }
    }
    files
}

/// An object as a template, with the chart's labels.
fn template(object: &Value) -> String {
    let spec = serde_saphyr::to_string(&json!({"spec": object["spec"]})).unwrap();
    let plain = spec.replace(USER, "");
    assert!(!plain.contains("{{") && !plain.contains("}}"), "helm would read it as a template");
    let (version, kind) =
        (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
    let name = object["metadata"]["name"].as_str().unwrap();
    format!(
        "apiVersion: {version}\n\
         kind: {kind}\n\
         metadata:\n  \
         {{{{- include \"closehaul.metadata\" (list . {name:?} \"\" dict dict) | nindent 2 }}}}\n\
         {spec}"
    )
}

#[test]
fn the_templates_are_what_the_policies_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(DIRECTORY);
    let files = files();
    assert_eq!(files.len(), 2);
    for (name, wanted) in &files {
        let path = root.join(name);
        if env::var_os("CLOSEHAUL_UPDATE").is_some() {
            fs::create_dir_all(&root).unwrap();
            fs::write(&path, wanted).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(found == *wanted, "{DIRECTORY}/{name}: run `{UPDATE}`");
    }
    // There are no others, for a policy that is gone.
    for entry in fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(files.contains_key(&name), "{DIRECTORY}/{name}: no policy is defined there");
    }
}

/// The parts that decide whom the policies can hinder, whatever their expressions say.
#[test]
fn no_policy_can_block_another_client() {
    let [policy, binding, only, only_binding] = objects("system:serviceaccount:a:b");
    assert_eq!(policy["spec"]["failurePolicy"], "Ignore");
    assert_eq!(policy["spec"]["reinvocationPolicy"], "Never");
    assert_eq!(binding["spec"], json!({"policyName": POLICY}));
    assert_eq!(only["spec"]["failurePolicy"], "Fail");
    let condition = "request.userInfo.username == 'system:serviceaccount:a:b'";
    let conditions = json!([{"name": "only-closehaul", "expression": condition}]);
    assert_eq!(only["spec"]["matchConditions"], conditions);
    let denies = json!({"policyName": LIMIT_POLICY, "validationActions": ["Deny"]});
    assert_eq!(only_binding["spec"], denies);
    // Every value is filled in.
    let text = json!([policy, only]).to_string();
    let rest: Vec<&str> = text.split('$').skip(1).filter(|it| !it.starts_with('\'')).collect();
    assert!(rest.is_empty(), "{rest:?}");
}
