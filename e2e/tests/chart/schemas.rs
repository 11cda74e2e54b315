//! The rendered chart against the schemas of each supported version of Kubernetes: those that its
//! module publishes, and those of the Prometheus Operator's resource definitions.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use e2e::{
    chart::{Error, Tools, repository},
    components::Component,
};
use serde_json::{Map, Value, json};

use crate::{text, value_sets};

/// The newest patch release of each supported minor that Go's module proxy has, and the hash of the
/// module as in go.sum.
const VERSIONS: [(&str, &str); 4] = [
    ("1.34.4", "h1:Yy6R4QB8C9kJPp25GFqEvX5XQwY5qzKeqD0Xx6oAcmk="),
    ("1.35.4", "h1:o/8dBC/pHVpYoGV4OAIytAlNPZbdYVTXJHoYvXC4qzM="),
    ("1.36.3", "h1:qDQdoMiluAE2Eab6Fa52YV+WjiGz9mZFFoagEA6cI+o="),
    ("1.37.2", "h1:A2VDEiObzkYqFTKhSsn0ZEb0RlLEXpHWj93gi2HqEwE="),
];
/// Every kind that the chart can create.
const KINDS: usize = 19;

#[test]
fn all_sets_of_values_fit_the_schemas_of_all_supported_versions() {
    let tools = Tools::ensure().unwrap();
    let directory = env::temp_dir().join(format!("closehaul-schemas-{}", std::process::id()));
    let mut kinds = BTreeSet::new();
    for (version, hash) in VERSIONS {
        let module =
            download(&env::temp_dir(), &format!("k8s.io/kubernetes@v{version}"), Some(hash));
        let schemas = directory.join(version);
        write_schemas(&schemas, &swagger(&module));
        for definition in operator_crds() {
            write_crd(&schemas, &definition);
        }
        for values in value_sets() {
            let values = values.display().to_string();
            let args = ["--values", &values, "--kube-version", version];
            let rendered = tools.render("kube-system", &args);
            if values.ends_with("assist-values.yaml") && version < "1.36" {
                let Err(Error::Refused(said)) = rendered else { panic!("{version}: rendered") };
                assert!(said.contains("assist requires the admission policies of Kubernetes 1.36"));
                continue;
            }
            let manifest = rendered.unwrap();
            let summary = validate(&tools, &schemas, &manifest).unwrap_or_else(|said| {
                panic!("{values} on Kubernetes {version}:\n{said}");
            });
            let documents = e2e::chart::documents(&manifest).unwrap();
            assert_eq!(summary["valid"], documents.len(), "{values}: {summary}");
            kinds.extend(documents.iter().map(|it| it["kind"].as_str().unwrap().to_owned()));
        }
        // The schemas detect errors.
        let manifest = tools.render("kube-system", &["--kube-version", version]).unwrap();
        for (right, wrong) in [
            ("hostNetwork: true", "hostNetwrk: true"),
            ("replicas: 2", "replicas: two"),
            ("verbs: [update]", "verbs: update"),
        ] {
            assert!(manifest.contains(right), "{right}");
            let said = validate(&tools, &schemas, &manifest.replacen(right, wrong, 1)).unwrap_err();
            assert!(said.contains("statusInvalid"), "{wrong}: {said}");
        }
    }
    assert_eq!(kinds.len(), KINDS, "{kinds:?}");
    fs::remove_dir_all(directory).unwrap();
}

/// The definitions of `ServiceMonitor`, `PodMonitor` and `PrometheusRule`, from the operator's
/// module.
pub(crate) fn operator_crds() -> Vec<Value> {
    let pins = repository().join("e2e/components/helm");
    let module = download(&pins, "github.com/prometheus-operator/prometheus-operator", None);
    let directory = module.join("example/prometheus-operator-crd");
    let read = |name: &str| {
        let path = directory.join(format!("monitoring.coreos.com_{name}.yaml"));
        serde_saphyr::from_str(&fs::read_to_string(path).unwrap()).unwrap()
    };
    ["servicemonitors", "podmonitors", "prometheusrules"].map(read).into()
}

/// The directory where Go keeps the module.
fn download(at: &Path, module: &str, hash: Option<&str>) -> PathBuf {
    let mut command = Command::new("go");
    command.args(["mod", "download", "-json", module]).current_dir(at);
    let environment = [("GOTOOLCHAIN", "local"), ("GOWORK", "off"), ("GOFLAGS", "")];
    let output = command.envs(environment).output().unwrap();
    assert!(output.status.success(), "{module}: {}", text(&output));
    let answer = serde_json::from_slice::<Value>(&output.stdout).unwrap();
    if let Some(hash) = hash {
        assert_eq!(answer["Sum"], hash, "{module}");
    }
    PathBuf::from(answer["Dir"].as_str().unwrap())
}

/// Runs kubeconform. Returns its summary, or what it found.
fn validate(tools: &Tools, schemas: &Path, manifest: &str) -> Result<Value, String> {
    let file = schemas.join("manifest.yaml");
    fs::write(&file, manifest).unwrap();
    let location = format!(
        "{}/{{{{.Group}}}}_{{{{.ResourceKind}}}}_{{{{.ResourceAPIVersion}}}}.json",
        schemas.display()
    );
    let file = file.display().to_string();
    let args = ["-strict", "-summary", "-output", "json", "-schema-location", &location, &file];
    let output = tools.run(Component::Kubeconform, &args).unwrap();
    if !output.status.success() {
        return Err(text(&output));
    }
    Ok(serde_json::from_slice::<Value>(&output.stdout).unwrap()["summary"].clone())
}

fn swagger(module: &Path) -> Map<String, Value> {
    let path = module.join("api/openapi-spec/swagger.json");
    let mut document = serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let Value::Object(mut definitions) = document["definitions"].take() else { panic!() };
    definitions.values_mut().for_each(tighten);
    // The API server also reads this, although its document does not say so.
    let quantity = "io.k8s.apimachinery.pkg.api.resource.Quantity";
    definitions[quantity]["type"] = json!(["string", "number"]);
    definitions
}

/// One file for each kind, with the definitions that it needs.
fn write_schemas(directory: &Path, definitions: &Map<String, Value>) {
    fs::create_dir_all(directory).unwrap();
    for (name, definition) in definitions {
        let kinds = definition["x-kubernetes-group-version-kind"].as_array();
        let Some([kind]) = kinds.map(Vec::as_slice) else { continue };
        let mut needed = BTreeSet::new();
        reach(name, definitions, &mut needed);
        let needed = needed.iter().map(|name| (name.clone(), definitions[name].clone()));
        let schema = json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": format!("#/definitions/{name}"),
            "definitions": needed.collect::<Map<_, _>>(),
        });
        let of = |key: &str| kind[key].as_str().unwrap().to_owned();
        write(directory, [of("group"), of("kind"), of("version")], &schema);
    }
}

fn write_crd(directory: &Path, definition: &Value) {
    let spec = &definition["spec"];
    for version in spec["versions"].as_array().unwrap() {
        let mut schema = version["schema"]["openAPIV3Schema"].clone();
        tighten(&mut schema);
        // The API server knows what these are.
        schema["properties"]["metadata"] = json!({"type": "object"});
        let of = |value: &Value| value.as_str().unwrap().to_owned();
        let names = [of(&spec["group"]), of(&spec["names"]["kind"]), of(&version["name"])];
        write(directory, names, &schema);
    }
}

fn write(directory: &Path, [group, kind, version]: [String; 3], schema: &Value) {
    // kubeconform uses the version as the group if there is none.
    let group = if group.is_empty() { version.clone() } else { group };
    let name = format!("{group}_{}_{version}.json", kind.to_lowercase());
    fs::write(directory.join(name), schema.to_string()).unwrap();
}

/// The definitions that `name` refers to, including itself.
fn reach(name: &str, definitions: &Map<String, Value>, found: &mut BTreeSet<String>) {
    fn walk(value: &Value, definitions: &Map<String, Value>, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(object) => {
                let reference = object.get("$ref").and_then(Value::as_str);
                if let Some(name) = reference.and_then(|it| it.strip_prefix("#/definitions/")) {
                    reach(name, definitions, found);
                }
                object.values().for_each(|value| walk(value, definitions, found));
            }
            Value::Array(values) => {
                for value in values {
                    walk(value, definitions, found);
                }
            }
            _ => {}
        }
    }
    if found.insert(name.to_owned()) {
        walk(&definitions[name], definitions, found);
    }
}

/// Converts the extensions in the API server's document to JSON Schema, and rejects fields that the
/// document does not name.
fn tighten(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let is_either = object.get("format").is_some_and(|it| it == "int-or-string")
                || object.get("x-kubernetes-int-or-string").is_some_and(|it| it == true);
            if is_either {
                object.remove("anyOf");
                object.insert("type".to_owned(), json!(["integer", "string"]));
            }
            let is_open = object.contains_key("additionalProperties")
                || object.contains_key("x-kubernetes-preserve-unknown-fields");
            // Only if `properties` belongs to a schema, and is not a field with that name.
            if object.get("properties").is_some_and(Value::is_object) && !is_open {
                object.insert("additionalProperties".to_owned(), json!(false));
            }
            object.values_mut().for_each(tighten);
        }
        Value::Array(values) => values.iter_mut().for_each(tighten),
        _ => {}
    }
}
