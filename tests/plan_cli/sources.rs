//! Where objects come from.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use serde_json::{Value, json};

use super::command::{fixture, plan, plan_text, text};

/// A directory for one test, removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, file: &str, content: &str) -> String {
        fs::write(self.0.join(file), content).unwrap();
        self.0.join(file).display().to_string()
    }

    fn path(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The shop's documents as values.
fn shop() -> Vec<Value> {
    serde_saphyr::from_multiple(&text("shop.yaml")).unwrap()
}

fn expected() -> String {
    plan(&["-f", &fixture("shop.yaml"), "-o", "yaml"]).good()
}

#[test]
fn the_same_from_everywhere() {
    let documents = shop();
    let lines: Vec<String> = documents.iter().map(ToString::to_string).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
    for input in [text("shop.yaml"), lines.join("\n"), list.to_string(), lines.join("\n---\n")] {
        assert_eq!(plan_text(&input, &["-o", "yaml"]).good(), expected());
    }
}

#[test]
fn lists_of_one_kind_and_lists_of_lists() {
    let mut lists = Vec::new();
    for kind in ["Node", "Service", "Pod"] {
        let mut items: Vec<_> =
            shop().into_iter().filter(|object| object["kind"] == kind).collect();
        for item in &mut items {
            let item = item.as_object_mut().unwrap();
            item.remove("kind");
            item.remove("apiVersion");
        }
        lists.push(json!({"apiVersion": "v1", "kind": format!("{kind}List"), "metadata": {}, "items": items}));
    }
    let list = json!({"apiVersion": "v1", "kind": "List", "items": lists});
    assert_eq!(plan_text(&list.to_string(), &["-o", "yaml"]).good(), expected());
}

#[test]
fn a_directory_and_several_files() {
    let directory = Directory::new("directory");
    let documents = shop();
    let (some, others) = documents.split_at(7);
    let lines = |documents: &[Value]| documents.iter().map(Value::to_string).collect::<Vec<_>>();
    let one = directory.write("a.json", &lines(some).join("\n"));
    let other = directory.write("b.yml", &lines(others).join("\n---\n"));
    directory.write("notes.txt", "kind: [");
    fs::create_dir(directory.0.join("c.yaml")).unwrap();
    assert_eq!(plan(&["-f", &directory.path(), "-o", "yaml"]).good(), expected());
    assert_eq!(plan(&["-f", &other, "-f", &one, "-o", "yaml"]).good(), expected());
}

/// A pipe without a writer would be waited for, and a link may lead back to where it is.
#[test]
fn pipes_and_links_in_a_directory() {
    let directory = Directory::new("pipes");
    directory.write("a.yaml", &text("shop.yaml"));
    let pipe = directory.0.join("b.yaml");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    symlink(&directory.0, directory.0.join("c")).unwrap();
    symlink("/dev/zero", directory.0.join("d.json")).unwrap();
    let path = directory.path();
    let skipped = format!("skipped {path}/b.yaml: not a regular file\n");
    let device = format!("skipped {path}/d.json: not a regular file\n");
    let flat = plan(&["-f", &path, "-o", "yaml"]);
    let folder = format!("skipped the directory {path}/c; -R reads them too\n");
    assert!(flat.err.starts_with(&(skipped.clone() + &device + &folder)), "{}", flat.err);
    assert_eq!(flat.good(), expected());
    let whole = plan(&["-R", "-f", &path, "-o", "yaml"]);
    let link = format!("skipped {path}/c: a link to a directory; name it with -f\n");
    assert!(whole.err.starts_with(&(skipped + &link + &device)), "{}", whole.err);
    assert_eq!(whole.good(), expected());
    // What is named is read: a link, and a pipe with a writer.
    let link = directory.0.join("c").display().to_string();
    assert_eq!(plan(&["-f", &link, "-o", "yaml"]).good(), expected());
    let writer = thread::spawn(move || fs::write(pipe, text("shop.yaml")).unwrap());
    let pipe = format!("{path}/b.yaml");
    assert_eq!(plan(&["-f", &pipe, "-o", "yaml"]).good(), expected());
    writer.join().unwrap();
    let broken = directory.0.join("e.yaml");
    symlink("/nonexistent/e.yaml", broken).unwrap();
    let done = plan(&["-f", &path]);
    assert_eq!(done.code, Some(2));
    assert!(done.err.contains("e.yaml: No such file"), "{}", done.err);
}

#[test]
fn a_directory_without_files_beside_others() {
    let directory = Directory::new("empty");
    let done = plan(&["-f", &fixture("shop.yaml"), "-f", &directory.path()]);
    assert_eq!((done.code, done.out.as_str()), (Some(2), ""));
    let what = format!("{}: no file here ends in .yaml, .yml or .json", directory.path());
    assert!(done.err.contains(&what), "{}", done.err);
}

#[test]
fn objects_without_a_namespace() {
    let document = "
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {clusterIP: 10.96.0.1, selector: {app: cart}, ports: [{port: 80}]}
---
{apiVersion: v1, kind: PodList, items: []}
";
    assert!(plan_text(document, &["-o", "changes"]).good().contains(r#""namespace":"default""#));
    let done = plan_text(document, &["-o", "changes", "-n", "shop"]);
    assert!(done.good().contains(r#""namespace":"shop""#));
}

/// The API server would append something to these.
#[test]
fn objects_whose_names_the_server_chooses() {
    let pod = "
---
apiVersion: v1
kind: Pod
metadata: {generateName: cart-, labels: {app: cart}}
spec: {nodeName: a}
status: {phase: Running, podIP: 10.0.0.NUMBER}";
    let pods = ["1", "2"].map(|number| pod.replace("NUMBER", number)).concat();
    let document = format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: cart, uid: u}}
spec: {{clusterIP: 10.96.0.1, selector: {{app: cart}}, ipFamilies: [IPv4], ports: [{{port: 80}}]}}
---
{{apiVersion: v1, kind: Node, metadata: {{generateName: '', name: a}}}}{pods}
"
    );
    let planned = plan_text(&document, &["-o", "yaml"]).good();
    for name in ["cart-00003", "cart-00004"] {
        assert!(planned.contains(&format!("name: {name}\n")), "{planned}");
    }
    // The slices of a plan have no names yet.
    let again = plan_text(&format!("{document}---\n{planned}"), &["-o", "yaml"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let long =
        format!("{{apiVersion: v1, kind: Pod, metadata: {{generateName: {}}}}}", "a".repeat(300));
    assert_eq!(plan_text(&long, &[]).code, Some(0));
    let wrong = "{apiVersion: v1, kind: Pod, metadata: {generateName: A_}}";
    assert_eq!(plan_text(wrong, &[]).code, Some(2));
}

#[test]
fn what_servers_print_is_read() {
    let done = plan(&["-f", &fixture("real.yaml")]);
    insta::assert_snapshot!(format!("{}{}", done.out, done.err));
    assert_eq!(done.code, Some(0));
    assert!(done.out.lines().all(|line| line.chars().count() <= 100), "wider than a terminal");
}

#[test]
fn other_kinds_are_counted() {
    let done = plan_text(
        "apiVersion: apps/v1\nkind: Deployment\n---\napiVersion: v1\nkind: ConfigMap\n---\napiVersion: serving.knative.dev/v1\nkind: Service\n---\napiVersion: v1\nkind: ConfigMap",
        &["-o", "changes"],
    );
    let counted = "skipped 4 objects of other kinds: 2 ConfigMap, 1 Deployment, 1 Service\n";
    assert!(done.err.starts_with(counted), "{done:?}");
    assert_eq!(done.code, Some(0));
}

/// The shop with a Service changed, and as it is written in a manifest: without what the API server
/// sets.
fn changed_and_as_written() -> (Vec<Value>, Value) {
    let mut documents = shop();
    let is_mail = |document: &&mut Value| document["metadata"]["name"] == "mail";
    let mail = documents.iter_mut().find(is_mail).unwrap();
    mail["spec"]["trafficDistribution"] = json!("PreferSameZone");
    let mut written = mail.clone();
    written["metadata"] = json!({"name": "mail", "namespace": "shop"});
    let spec = written["spec"].as_object_mut().unwrap();
    spec.retain(|field, _| !["clusterIP", "ipFamilies"].contains(&field.as_str()));
    (documents, written)
}

#[test]
fn with_replaces_what_was_read() {
    let directory = Directory::new("with");
    let (documents, written) = changed_and_as_written();
    let whole =
        directory.write("whole.json", &documents.iter().map(Value::to_string).collect::<String>());
    let with = directory.write("with.json", &written.to_string());
    for output in ["yaml", "changes", "wide", "summary"] {
        let expected = plan(&["-f", &whole, "-o", output]).good();
        let args = ["-f", &fixture("shop.yaml"), "--with", &with, "-o", output];
        assert_eq!(plan(&args).good(), expected, "{output}");
        assert_ne!(plan(&args[..2]).good(), expected, "{output}");
    }
    let node = json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "mnode-m03", "labels": {"topology.kubernetes.io/zone": "zone-c"}},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    let node = directory.write("node.json", &node.to_string());
    let wide =
        plan(&["-f", &fixture("shop.yaml"), "--with", &with, "--with", &node, "-o", "wide"]).good();
    assert!(wide.contains("zone-c") && !wide.contains("zone-b"), "{wide}");
}

#[test]
fn with_joins_what_was_read() {
    let directory = Directory::new("with-more");
    let (first, rest) = (&shop()[..9], &shop()[9..]);
    let lines = |documents: &[Value]| documents.iter().map(Value::to_string).collect::<String>();
    let first = directory.write("first.json", &lines(first));
    let rest = directory.write("rest.json", &lines(rest));
    assert_eq!(plan(&["-f", &first, "--with", &rest, "-o", "yaml"]).good(), expected());
    let twice = plan(&["-f", "-", "--with", "-"]);
    assert_eq!((twice.code, twice.out.as_str()), (Some(2), ""));
    assert!(twice.err.contains("`-` is given twice"), "{}", twice.err);
    let same = plan(&["-f", &first, "--with", &rest, "--with", &rest]);
    assert!(same.err.contains("the same object"), "{}", same.err);
}
