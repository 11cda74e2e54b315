//! Input as it comes in the field: what kubectl prints or reads is read, what the API server would
//! refuse is refused, and what is missing is said.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Output, Stdio},
};

use super::command::{Done, command, fixture, plan, plan_text, text};

fn plan_bytes(bytes: &[u8]) -> Done {
    let mut command = command(&["-f", "-", "-o", "yaml"]);
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output: Output = child.wait_with_output().unwrap();
    output.into()
}

#[track_caller]
fn refused(done: &Done, what: &str) {
    assert_eq!((done.code, done.out.as_str()), (Some(2), ""), "{done:?}");
    assert!(done.err.contains(what), "{what}: {}", done.err);
}

#[test]
fn encodings_of_windows_shells_are_read() {
    let yaml = text("shop.yaml");
    let expected = plan_text(&yaml, &["-o", "yaml"]).good();
    for written in [yaml.clone(), format!("\u{feff}{yaml}"), yaml.replace('\n', "\r\n")] {
        let units = || written.encode_utf16();
        let le: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let be: Vec<u8> = units().flat_map(u16::to_be_bytes).collect();
        for bytes in [written.as_bytes(), &le, &be] {
            assert_eq!(plan_bytes(bytes).good(), expected);
        }
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(yaml.as_bytes()).unwrap();
    assert_eq!(plan_bytes(&gzip.finish().unwrap()).good(), expected);
}

#[test]
fn plain_scalars_are_the_strings_that_kubectl_printed() {
    let plain = text("field/plain-labels.yaml");
    assert!(plan_text(&plain, &[]).good().contains(" orders "));
    for label in ["81e4110", "76e1234567", "1234e567", "1.10", "010", "0x1F", "2024-01-02"] {
        let shop = text("shop.yaml").replace("app: cart", &format!("app: {label}"));
        let quoted = text("shop.yaml").replace("app: cart", &format!("app: \"{label}\""));
        let expected = plan_text(&quoted, &["-o", "yaml"]).good();
        assert_eq!(plan_text(&shop, &["-o", "yaml"]).good(), expected, "{label}");
    }
    // The same in JSON. Neither is the text of a float.
    for label in ["1.10", "1e3", "100000000000000000000"] {
        let service = |label: &str| {
            let metadata = format!(r#"{{"name": "a", "labels": {{"managedFields": {label}}}}}"#);
            let spec = r#"{"selector": {"a": "b"}}"#;
            let text = format!(
                r#"{{"apiVersion": "v1", "kind": "Service", "metadata": {metadata}, "spec": {spec}}}
                   {{"apiVersion": "v1", "kind": "PodList", "items": []}}"#
            );
            plan_text(&text, &["-o", "yaml"]).good()
        };
        let found = service(label);
        assert!(found.contains(&format!("managedFields: \"{label}\"\n")), "{found}");
        assert_eq!(found, service(&format!("\"{label}\"")));
    }
}

#[test]
fn nulls_and_numbers_mean_what_they_mean_to_kubectl() {
    let document = |spec: &str| {
        format!(
            "[{{apiVersion: v1, kind: Service, metadata: {{name: a, annotations: null}}, spec: {spec}}}, \
             {{apiVersion: v1, kind: PodList, items: null}}, {{apiVersion: v1, kind: NodeList, items: []}}, \
             {{apiVersion: discovery.k8s.io/v1, kind: EndpointSliceList, items: []}}]"
        )
    };
    let expected = plan_text(
        &document("{clusterIP: 10.0.0.1, selector: {a: b}, ports: [{port: 8}]}"),
        &["-o", "yaml"],
    );
    let expected = expected.good();
    for spec in [
        "{clusterIP: 10.0.0.1, selector: {a: b}, ports: [{port: 010, targetPort: null}]}",
        "{clusterIP: 10.0.0.1, selector: {a: b}, ports: [{port: 8.0, name: null}], ipFamilies: null}",
        "{clusterIP: 10.0.0.1, selector: {a: b}, ports: [{port: 0o10, protocol: null}], publishNotReadyAddresses: null}",
    ] {
        let done = plan_text(&document(spec), &["-o", "yaml"]);
        assert_eq!(done.err.lines().count(), 1, "{}", done.err);
        assert!(
            done.err.starts_with("nothing to do: 1 Service, ")
                || done.err.starts_with("to write: ")
        );
        assert_eq!(done.out, expected, "{spec}");
    }
    let node = "{apiVersion: v1, kind: Node, metadata: {name: node-a}, spec: {unschedulable: null, taints: [{effect: null}]}, status: {allocatable: {cpu: 2.5, memory: 8}}}";
    plan_text(node, &[]).good();
}

#[test]
fn dumps_are_read_as_kubectl_writes_them() {
    let folder = fixture("field/dump");
    let flat = plan(&["-f", &folder]);
    assert!(flat.err.contains("dump/field; -R reads them too"), "{}", flat.err);
    let whole = plan(&["-R", "-f", &folder, "-o", "yaml"]).good();
    assert!(whole.contains("10.1.0.1") && whole.contains("10.1.1.1"), "{whole}");
    // The same on standard output: all files one after the other, with the pods' logs between them.
    let mixed = plan(&["-f", &fixture("field/dump.txt"), "-o", "yaml"]).good();
    assert!(mixed.contains("10.1.0.1") && !mixed.contains("10.1.1.1"), "{mixed}");
}

#[test]
fn what_helm_prints_is_read_and_its_templates_are_recognised() {
    plan(&["-f", &fixture("field/helm.yaml")]).good();
    refused(&plan(&["-f", &fixture("field/template.txt")]), "`helm template`");
    refused(
        &plan_text("kind: Service\nmetadata:\n  name: {{ .Release.Name }}-web\n", &[]),
        "`helm template`",
    );
}

#[test]
fn a_kind_that_is_missing_is_unknown() {
    let done = plan(&["-f", &fixture("field/without-nodes.yaml"), "-o", "changes"]);
    assert!(done.err.contains("no Node in the input"), "{}", done.err);
    for word in ["delete", "\"endpoints\":0"] {
        assert!(!done.out.contains(word), "{done:?}");
    }
    let documents = text("shop.yaml");
    let no_pods = documents.split("---\n").filter(|one| !one.contains("kind: Pod"));
    let no_pods = no_pods.collect::<Vec<_>>().join("---\n");
    let done = plan_text(&no_pods, &["-o", "changes"]);
    assert!(done.err.contains("no Pod in the input"), "{}", done.err);
    assert!(!done.err.contains("nothing to do"), "{}", done.err);
    assert_eq!(done.good(), "");
    // The slices stay, and are judged as they are.
    let slices = plan(&["-f", &fixture("shop.yaml"), "-o", "yaml"]).good();
    let slices = slices.replace("generateName: cart-", "name: cart-x");
    let slices = slices.split("    generateName").next().unwrap().rsplit_once("\n- ").unwrap().0;
    let known = format!("{no_pods}\n---\n{slices}\n");
    let listed = plan_text(&known, &["-o", "yaml"]).good();
    assert!(listed.contains("name: cart-x") && listed.contains("10.0.2.1"), "{listed}");
    let table = plan_text(&known, &[]).good();
    let cart = table.lines().find(|line| line.contains(" cart ")).unwrap();
    assert!(cart.contains("Applied"), "{table}");
    let known = format!("{no_pods}\n---\n{{apiVersion: v1, kind: PodList, items: []}}");
    assert_ne!(plan_text(&known, &["-o", "changes"]).good(), "");
}

#[test]
fn empty_input_is_an_error() {
    for empty in ["", "\n", "# nothing\n", "---\n---\n", "null", "\u{feff}"] {
        refused(&plan_text(empty, &[]), "no object to read");
    }
}

#[test]
fn what_the_api_server_refuses_is_refused() {
    let service = |name: &str, spec: &str| {
        let text =
            format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{spec}}}");
        plan_text(&text, &[])
    };
    for (spec, field) in [
        ("ports: [{port: 0}]", "spec.ports[0].port: "),
        ("ports: [{port: 65536}]", "spec.ports[0].port: "),
        ("ports: [{port: 80, targetPort: -1}]", "spec.ports[0].targetPort: "),
        ("ports: [{port: 80, targetPort: true}]", "spec.ports[0].targetPort: "),
        ("ports: [{port: 80, name: a}, {port: 81, name: a}]", "spec.ports[1].name: "),
        ("ports: [{port: 80}, {port: 81}]", "spec.ports[1].name: "),
        ("ports: [{port: 80, name: a}, {port: 80, name: b}]", "spec.ports[1].protocol: "),
        ("ipFamilies: [IPv4, IPv4]", "spec.ipFamilies[1]: "),
        ("clusterIP: ten", "spec.clusterIP: "),
    ] {
        refused(&service("a", spec), field);
    }
    for name in ["a/b", "A", "-a", "a.b", "\"\\e[2J\""] {
        refused(&service(name, ""), "metadata.name: ");
    }
    let twice = r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a", "name": "b"}}"#;
    refused(&plan_text(twice, &[]), "duplicate key `name`");
}

#[test]
fn what_would_fill_the_memory_or_wait_for_ever_is_bounded() {
    refused(&plan(&["-f", "/dev/zero", "--max-input", "1"]), "larger than 1 MiB");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for at in 1..20 {
        let last = [format!("*a{}", at - 1).as_str(); 9].join(", ");
        writeln!(bomb, "a{at}: &a{at} [{last}]").unwrap();
    }
    refused(&plan_text(&bomb, &[]), "copy more than");
    refused(&plan_text(&"[".repeat(100_000), &[]), "standard input, document 1");
}
