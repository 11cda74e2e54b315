//! What kubectl takes and prints is what `closehaul plan` reads: label values that look like numbers,
//! dates or booleans, of which kubectl prints many without quotes, and all objects among the files of
//! the modules from which the components are built.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails so")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

use closehaul::random::Random;
use e2e::{
    closehaul::{self as command, Profile},
    components::{self, Component},
};
use serde_json::{Value, json};

const SEED: u64 = 17;
const VALUES: usize = 10_000;

/// What YAML may take for something else than a text.
const WORDS: [&str; 24] = [
    "y", "Y", "n", "N", "yes", "No", "ON", "off", "true", "False", "null", "Null", "NULL", "nan",
    "NaN", "inf", "Infinity", "0x", "0b", "0o", "1e", "e1", "0", "",
];

fn text(random: &mut Random, letters: &str, longest: u32) -> String {
    let letters: Vec<char> = letters.chars().collect();
    let most = u32::try_from(letters.len() - 1).unwrap();
    let letter = |random: &mut Random| letters[random.within(0..=most) as usize];
    (0..random.within(1..=longest)).map(|_| letter(random)).collect()
}

/// A label value, if the API server takes it.
fn value(random: &mut Random) -> Option<String> {
    const DIGITS: &str = "0123456789";
    let value = match random.within(0..=7) {
        0 => WORDS[random.within(0..=23) as usize].to_owned(),
        // A commit.
        1 => format!("{:07x}", random.within(0..=0xfff_ffff)),
        2 => format!("{}e{}", text(random, DIGITS, 5), text(random, DIGITS, 4)),
        3 => text(random, DIGITS, 40),
        4 => {
            let start = ["0x", "0o", "0b", "0"][random.within(0..=3) as usize];
            format!("{start}{}", text(random, "01234567_89abcdefABCDEF", 8))
        }
        5 => format!("{}.{}", text(random, DIGITS, 3), text(random, "0123456789eE._", 5)),
        6 => format!(
            "{:04}-{:02}-{:02}",
            random.within(0..=2999),
            random.within(0..=13),
            random.within(0..=32)
        ),
        _ => text(random, "0123456789abcdefxoABEXTZ._-", 12),
    };
    let is_end = |char: Option<char>| char.is_none_or(|char| char.is_ascii_alphanumeric());
    let ends = is_end(value.chars().next()) && is_end(value.chars().next_back());
    (ends && value.len() <= 63).then_some(value)
}

/// Runs a program that reads `input`.
fn run(program: &Path, args: &[&str], input: &str) -> Output {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // It may end before it has read all.
    let writer = thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// What a program prints that reads `input`.
fn printed(program: &Path, args: &[&str], input: &str) -> String {
    let output = run(program, args, input);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", program.display());
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn label_values_survive_kubectl() {
    let closehaul = command::build(Profile::Dev).await.unwrap();
    let ensure = || components::ensure(&[Component::Kubectl]);
    let components = tokio::task::spawn_blocking(ensure).await.unwrap().unwrap();
    let mut random = Random::seeded(SEED);
    let values = std::iter::repeat_with(|| value(&mut random)).flatten().take(VALUES);
    let labels: BTreeMap<_, _> =
        values.enumerate().map(|(at, value)| (format!("l{at}"), value)).collect();
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "a", "namespace": "default", "labels": labels},
        "spec": {"clusterIP": "10.96.0.1", "selector": {"a": "b"}, "ports": [{"port": 80}]},
    });

    let args = ["annotate", "--local", "-f", "-", "a=b", "-o", "yaml"];
    let yaml = printed(components.path(Component::Kubectl), &args, &service.to_string());
    let plain = yaml.lines().filter(|line| line.starts_with("    l") && !line.contains('"'));
    assert!(plain.count() > VALUES / 10, "kubectl quotes nearly all of them");
    // Without a list of pods, nothing would be planned.
    let input = format!("{yaml}---\n{{apiVersion: v1, kind: PodList, items: []}}\n");
    let slices = printed(&closehaul, &["plan", "-f", "-", "-o", "json"], &input);

    let slices: Value = serde_json::from_str(&slices).unwrap();
    let found = &slices["items"][0]["metadata"]["labels"];
    let changed: Vec<_> = labels.iter().filter(|(key, value)| found[*key] != **value).collect();
    assert!(changed.is_empty(), "{changed:?}");

    // A diff shows them as kubectl prints them, with quotes or without.
    let diff = printed(&closehaul, &["plan", "-f", "-", "-o", "diff"], &input);
    let shown: BTreeSet<&str> = diff.lines().filter_map(|line| line.strip_prefix('+')).collect();
    let of_kubectl = yaml.lines().filter(|line| line.starts_with("    l"));
    let differing: Vec<_> = of_kubectl.filter(|line| !shown.contains(line)).collect();
    assert!(differing.is_empty(), "{differing:?}");
}

/// Modules with objects in their files, all of the pinned version.
const MODULES: [&str; 4] =
    ["k8s.io/kubernetes", "k8s.io/api", "k8s.io/kubectl", "k8s.io/cli-runtime"];
/// The kinds that are compared. Policies are not among the modules' objects, and of slices and
/// Namespaces no file has one that the API server would take.
const KINDS: [&str; 3] = ["Service", "Pod", "Node"];

/// What closehaul refuses though `kubectl --local` takes it, since the API server would refuse it: a
/// part of the message, and why.
const REFUSED: [(&str, &str); 9] = [
    ("unknown value `", "fixtures with `typeValue` and the like for words of a closed list"),
    ("is not a DNS label", "an invalid name: fixtures with `nameValue`"),
    ("is not a DNS name", "an invalid name: templates that are not rendered, and `POD-B`"),
    ("expected a whole number", "a template that is not rendered in place of a port"),
    ("is not an IP address", "`10..10.10`"),
    ("metadata.name: is missing", "neither a name nor the start of one: files for the kubelet"),
    ("apiVersion: is missing", "no object: discovery documents, and a test of kubeadm for this"),
    ("discovery.k8s.io/v1beta1` is not read", "no server has it since 1.25"),
    ("unknown field `spec.Type`", "a field in the wrong case"),
];

/// Those among `files` that name a kind that closehaul reads: others take minutes. With
/// `CLOSEHAUL_KUBECTL_FILES=all`, all of them.
fn is_tried(text: &str) -> bool {
    let names = |line: &str, kind: &str| {
        let words: Vec<_> =
            line.split(['"', ':', ',', ' ', '-']).filter(|it| !it.is_empty()).collect();
        words == ["kind", kind] || words == ["kind", &format!("{kind}List")]
    };
    let kinds = KINDS.iter().chain(&["EndpointSlice", "Namespace", ""]);
    std::env::var("CLOSEHAUL_KUBECTL_FILES").is_ok_and(|tried| tried == "all")
        || text.lines().any(|line| kinds.clone().any(|kind| names(line.trim(), kind)))
}

/// The directory of a module in Go's cache.
fn module(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("components/kubernetes");
    let mut command = Command::new("go");
    command.args(["list", "-m", "-f", "{{.Dir}}", name]).current_dir(root);
    let environment = [("GOTOOLCHAIN", "local"), ("GOWORK", "off"), ("GOFLAGS", "-mod=mod")];
    let output = command.envs(environment).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// The YAML and JSON files below a directory.
fn files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            files(&path, found);
        } else if matches!(extension, Some("yaml" | "yml" | "json")) {
            found.push(path);
        }
    }
}

/// What became of one file.
enum Outcome {
    /// kubectl does not take it.
    NotTaken,
    /// closehaul refuses it as the API server would: the position in [`REFUSED`].
    Refused(usize),
    /// It was read; how many objects were compared.
    Read(usize),
    /// What is wrong.
    Wrong(String),
}

/// The programs.
struct Programs {
    kubectl: PathBuf,
    closehaul: PathBuf,
}

impl Programs {
    fn try_file(&self, file: &Path) -> Outcome {
        let name = file.display().to_string();
        let taken =
            run(&self.kubectl, &["annotate", "--local", "-f", &name, "a=b", "-o", "json"], "");
        if !taken.status.success() {
            return Outcome::NotTaken;
        }
        for (args, input) in [
            (["plan", "-f", &*name], ""),
            (["plan", "-f", "-"], &*String::from_utf8_lossy(&taken.stdout)),
        ] {
            let done = run(&self.closehaul, &args, input);
            let error = String::from_utf8_lossy(&done.stderr);
            if done.status.code() == Some(2) {
                let reason = REFUSED.iter().position(|(part, _)| error.contains(part));
                return reason.map_or_else(
                    || Outcome::Wrong(format!("{name} is refused: {error}")),
                    Outcome::Refused,
                );
            }
            if !done.status.success() {
                return Outcome::Wrong(format!("{name}: {error}"));
            }
        }
        let stream = serde_json::Deserializer::from_slice(&taken.stdout).into_iter::<Value>();
        let objects = stream.map(Result::unwrap).flat_map(|object| {
            let items = object.get("items").and_then(Value::as_array).cloned();
            items.unwrap_or_else(|| vec![object])
        });
        let is_compared = |object: &Value| {
            // What the server would name has no name to compare, and without a selector or with an
            // alias nothing is planned.
            let of_kind = object["apiVersion"] == "v1"
                && KINDS.iter().any(|kind| object["kind"] == *kind)
                && object["metadata"]["name"].is_string();
            let is_planned =
                object["spec"]["selector"].as_object().is_some_and(|it| !it.is_empty())
                    && object["spec"]["type"] != "ExternalName";
            of_kind && (object["kind"] != "Service" || is_planned)
        };
        let objects: Vec<_> = objects.filter(is_compared).collect();
        for object in &objects {
            if let Err(difference) = self.compare(object.clone()) {
                return Outcome::Wrong(format!("{name}: {difference}\n{object:#}"));
            }
        }
        Outcome::Read(objects.len())
    }

    /// Compares an object with what the plan of a cluster around it says about it.
    fn compare(&self, mut object: Value) -> Result<(), String> {
        let meta = &mut object["metadata"];
        let namespace = meta["namespace"].as_str().unwrap_or("default").to_owned();
        let name = meta["name"].as_str().unwrap().to_owned();
        let mut service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "around", "namespace": namespace},
            "spec": {"clusterIP": "10.96.0.1", "ipFamilies": ["IPv4"], "selector": {"around": "yes"},
                "ports": [{"name": "around", "port": 80}]},
        });
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "around", "namespace": namespace, "labels": {"around": "yes"}},
            "spec": {"nodeName": "around", "containers": []},
            "status": {"phase": "Running", "podIP": "10.1.0.1"},
        });
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "around"}});
        let kind = object["kind"].as_str().unwrap().to_owned();
        let around = match &*kind {
            "Service" => {
                object["spec"]["clusterIP"] = json!("10.96.0.1");
                object["spec"]["ipFamilies"] = json!(["IPv4"]);
                object["spec"]["clusterIPs"] = json!(["10.96.0.1"]);
                pod["metadata"]["labels"] = object["spec"]["selector"].clone();
                let ports = object["spec"]["ports"].as_array().cloned().unwrap_or_default();
                let named = ports.iter().filter(|port| port["targetPort"].is_string()).map(|port| {
                    json!({"name": port["targetPort"], "containerPort": 7, "protocol": port["protocol"]})
                });
                pod["spec"]["containers"] =
                    json!([{"name": "c", "ports": named.collect::<Vec<_>>()}]);
                [pod.clone(), node]
            }
            "Pod" => {
                let labels = object["metadata"]["labels"].as_object().cloned();
                let mut labels = labels.unwrap_or_default();
                labels.insert("around".to_owned(), json!("yes"));
                service["spec"]["selector"] = json!(labels);
                object["metadata"]["labels"] = json!(labels);
                object["spec"]["nodeName"] = json!("around");
                object["status"] = pod["status"].clone();
                [service.clone(), node]
            }
            _ => {
                pod["spec"]["nodeName"] = json!(name);
                [service.clone(), pod.clone()]
            }
        };
        let args = ["annotate", "--local", "-f", "-", "around=yes", "-o", "yaml"];
        let yaml = printed(&self.kubectl, &args, &object.to_string());
        let input = format!("{}\n---\n{}\n---\n{yaml}", around[0], around[1]);
        let planned = printed(&self.closehaul, &["plan", "-f", "-", "-o", "json"], &input);
        let planned: Value = serde_json::from_str(&planned).unwrap();
        let slices = planned["items"].as_array().unwrap();
        let slice = slices.first().ok_or("no slice")?;
        let endpoint = &slice["endpoints"][0];
        let mut pairs = vec![(slice["metadata"]["namespace"].clone(), json!(namespace))];
        match &*kind {
            "Service" => {
                let labels = &slice["metadata"]["labels"];
                pairs.push((labels["kubernetes.io/service-name"].clone(), json!(name)));
                let own = object["metadata"]["labels"].as_object().cloned().unwrap_or_default();
                pairs.extend(own.iter().map(|(key, value)| (labels[key].clone(), value.clone())));
                pairs.push((endpoint["targetRef"]["name"].clone(), json!("around")));
                pairs.push((ports(&slice["ports"], |port| &port["port"]), wanted(&object)));
            }
            "Pod" => pairs.push((endpoint["targetRef"]["name"].clone(), json!(name))),
            _ => {
                let zone = &object["metadata"]["labels"]["topology.kubernetes.io/zone"];
                pairs.push((endpoint["nodeName"].clone(), json!(name)));
                pairs.push((endpoint["zone"].clone(), zone.clone()));
            }
        }
        let differs = pairs.into_iter().find(|(found, expected)| found != expected);
        differs.map_or(Ok(()), |(found, expected)| Err(format!("{found} is not {expected}")))
    }
}

/// Name, protocol, application protocol and number of each port, in order.
fn ports(ports: &Value, number: impl Fn(&Value) -> &Value) -> Value {
    let row = |port: &Value| {
        let text = |field: &str, default| port[field].as_str().unwrap_or(default).to_owned();
        let row = (text("name", ""), text("protocol", "TCP"), text("appProtocol", ""));
        json!([row, number(port)])
    };
    let mut rows: Vec<_> = ports.as_array().into_iter().flatten().map(row).collect();
    rows.sort_by_key(Value::to_string);
    json!(rows)
}

/// The ports that a Service's slice is to have. The pod has the number 7 for each that is named.
fn wanted(service: &Value) -> Value {
    static SEVEN: std::sync::LazyLock<Value> = std::sync::LazyLock::new(|| json!(7));
    ports(&service["spec"]["ports"], |port| match &port["targetPort"] {
        Value::String(_) => &SEVEN,
        Value::Number(number) if number.as_i64() != Some(0) => &port["targetPort"],
        _ => &port["port"],
    })
}

#[tokio::test]
async fn objects_of_the_components_survive_kubectl() {
    let closehaul = command::build(Profile::Dev).await.unwrap();
    let ensure = || components::ensure(&[Component::Kubectl]);
    let components = tokio::task::spawn_blocking(ensure).await.unwrap().unwrap();
    let kubectl = components.path(Component::Kubectl).to_owned();
    let programs = Programs { kubectl, closehaul };
    let mut found = Vec::new();
    for name in MODULES {
        files(&module(name), &mut found);
    }
    found.retain(|file| is_tried(&String::from_utf8_lossy(&fs::read(file).unwrap())));
    found.sort();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let at = || next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        std::iter::from_fn(|| found.get(at())).map(|file| programs.try_file(file)).collect()
    };
    let outcomes: Vec<Outcome> = thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(work));
        threads.into_iter().flat_map(|thread| -> Vec<_> { thread.join().unwrap() }).collect()
    });
    let (mut taken, mut compared, mut wrong) = (0, 0, Vec::new());
    let mut refused = [0; REFUSED.len()];
    for outcome in outcomes {
        taken += usize::from(!matches!(outcome, Outcome::NotTaken));
        match outcome {
            Outcome::NotTaken => (),
            Outcome::Refused(reason) => refused[reason] += 1,
            Outcome::Read(objects) => compared += objects,
            Outcome::Wrong(what) => wrong.push(what),
        }
    }
    println!("{} files, kubectl takes {taken}; {compared} objects compared", found.len());
    for (count, (part, why)) in refused.iter().zip(REFUSED) {
        println!("{count} files refused ({part}): {why}");
    }
    assert!(wrong.is_empty(), "{} files:\n{}", wrong.len(), wrong.join("\n"));
    assert!(taken > 200 && compared > 100, "{taken} files, {compared} objects");
    // A reason that no file has is one too many.
    assert!(refused.iter().all(|count| *count > 0), "{refused:?}");
}
