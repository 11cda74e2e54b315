//! What helm prints after an installation, beside what docs/install.md and the cluster for kind say.

use std::fs;

use e2e::{
    chart::{Tools, directory, repository},
    components::Component,
};
use serde_json::Value;

use crate::succeed;

/// The list of controllers with which kubeadm starts kube-controller-manager, and our entry.
const CONTROLLERS: &str = "*,bootstrapsigner,tokencleaner,-endpointslice-controller";

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap()
}

/// The notes of the release `closehaul` in kube-system.
fn notes(tools: &Tools, values: &str) -> String {
    let chart = directory().display().to_string();
    let place = ["--namespace", "kube-system", "--dry-run=client", "--kubeconfig", "/dev/null"];
    let args = [&["install", "closehaul", &chart, "--set", values], &place[..]].concat();
    let printed = succeed(tools, Component::Helm, &args);
    printed.split_once("\nNOTES:\n").expect("notes").1.to_owned()
}

/// Commands stand by themselves, further to the right than the text.
fn commands(notes: &str) -> Vec<&str> {
    notes.lines().filter_map(|line| line.strip_prefix("     ")).collect()
}

#[test]
fn notes_and_documents_have_the_same_commands() {
    let (tools, install) = (Tools::ensure().unwrap(), read("docs/install.md"));
    for values in ["mode=replace", "mode=advise"] {
        let notes = notes(&tools, values);
        let commands = commands(&notes);
        assert!(commands.len() >= 3, "{values}: {commands:?}");
        for command in commands {
            let command = command.trim_start_matches("--controllers=");
            assert!(install.contains(command), "{values}: `{command}` is not in docs/install.md");
        }
        let uninstall = "helm uninstall closehaul --namespace kube-system";
        assert!(notes.contains(uninstall) && install.contains(uninstall), "{values}:\n{notes}");
    }
    assert!(notes(&tools, "mode=replace").contains(&format!("--controllers={CONTROLLERS}\n")));
}

#[test]
fn the_cluster_for_kind_is_as_the_documents_say() {
    let cluster = serde_saphyr::from_str::<Value>(&read("docs/kind/cluster.yaml")).unwrap();
    let patches = cluster["kubeadmConfigPatches"].as_array().unwrap().iter();
    let patches = patches.map(|patch| serde_saphyr::from_str::<Value>(patch.as_str().unwrap()));
    let patches = patches.collect::<Result<Vec<_>, _>>().unwrap();
    let [old, new] = &patches[..] else { panic!("{patches:?}") };
    assert_eq!(old["apiVersion"], "kubeadm.k8s.io/v1beta3");
    assert_eq!(old["controllerManager"]["extraArgs"]["controllers"], CONTROLLERS);
    // The same as for kubeadm.
    let install = read("docs/install.md");
    let blocks = install.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let blocks = blocks.map(|block| serde_saphyr::from_str::<Value>(block).unwrap());
    let blocks = blocks.collect::<Vec<_>>();
    assert!(blocks.len() >= 7, "{}", blocks.len());
    let kubeadm = blocks.iter().find(|it| it["kind"] == "ClusterConfiguration").unwrap();
    assert_eq!(new, kubeadm);
    assert_eq!(new["controllerManager"]["extraArgs"][0]["value"], CONTROLLERS);
    let nodes = cluster["nodes"].as_array().unwrap().iter();
    let zones = nodes.filter_map(|node| node["labels"]["topology.kubernetes.io/zone"].as_str());
    assert_eq!(zones.collect::<Vec<_>>(), ["zone-a", "zone-b", "zone-c"]);
}

#[test]
fn the_icon_exists() {
    let chart = fs::read_to_string(directory().join("Chart.yaml")).unwrap();
    let chart = serde_saphyr::from_str::<Value>(&chart).unwrap();
    let (_, path) = chart["icon"].as_str().unwrap().split_once("/main/").unwrap();
    assert!(repository().join(path).is_file(), "{path}");
}
