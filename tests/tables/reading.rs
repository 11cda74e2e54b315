//! Objects as the API server writes them, read and planned: what the tables say about containers,
//! phases and absent lists.

use closehaul::{
    api::{Kind, Object},
    model::{pod::Pod, port::Ports, service::Service, slice::Slice},
    plan::{endpoint::is_listed, port::Resolver},
};
use serde_json::{Value, json};

use crate::world::port;

fn read<T: Kind>(object: Value) -> T {
    serde_json::from_value::<Object<T>>(object).expect("an object that can be read").value
}

/// A Service with one port `http` that leads to `target`.
fn service(target: &Value, protocol: &str) -> Service {
    let port = json!({"name": "http", "port": 80, "protocol": protocol, "targetPort": target});
    read(json!({
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"selector": {"app": "web"}, "clusterIP": "10.96.0.1", "ports": [port]},
    }))
}

fn pod(spec: &Value, status: &Value) -> Pod {
    read(
        json!({"metadata": {"namespace": "shop", "name": "web-1"}, "spec": spec, "status": status}),
    )
}

/// A container with these ports.
fn container(ports: &Value) -> Value {
    json!({"name": "c", "image": "i", "ports": ports})
}

fn sidecar(restart: &Value, ports: &Value) -> Value {
    json!({"name": "s", "image": "i", "restartPolicy": restart, "ports": ports})
}

fn web(number: u16) -> Value {
    json!([{"name": "web", "containerPort": number, "protocol": "TCP"}])
}

/// `TestFindPort`: a number stands for itself. A name is the first port with that name and
/// protocol, first in the containers, then in init containers that always restart.
#[test]
fn which_container_port_a_target_is() {
    let named = json!("web");
    let udp = json!([{"name": "web", "containerPort": 53, "protocol": "UDP"}]);
    let on_host = json!([{"name": "web", "containerPort": 8080, "hostPort": 80}]);
    let on_address =
        json!([{"name": "web", "containerPort": 8080, "hostPort": 80, "hostIP": "192.0.2.1"}]);
    let one = |ports: &Value| json!([container(ports)]);
    let none = json!([]);
    let always = |ports: &Value| json!([sidecar(&json!("Always"), ports)]);
    let rows = [
        ("a number that is declared", json!(8080), one(&web(8080)), none.clone(), Some(8080)),
        ("a number that is not", json!(9000), one(&web(8080)), none.clone(), Some(9000)),
        ("a number without containers", json!(9000), none.clone(), none.clone(), Some(9000)),
        ("a name", named.clone(), one(&web(8080)), none.clone(), Some(8080)),
        ("another name", json!("admin"), one(&web(8080)), none.clone(), None),
        ("another protocol", named.clone(), one(&udp), none.clone(), None),
        ("no ports at all", named.clone(), json!([{"name": "c"}]), none.clone(), None),
        (
            "the second container",
            named.clone(),
            json!([container(&udp), container(&web(8081))]),
            none.clone(),
            Some(8081),
        ),
        (
            "the first of two containers",
            named.clone(),
            json!([container(&web(8080)), container(&web(8081))]),
            none.clone(),
            Some(8080),
        ),
        ("a port of the host", named.clone(), one(&on_host), none.clone(), Some(8080)),
        ("an address of the host", named.clone(), one(&on_address), none.clone(), Some(8080)),
        ("a sidecar", named.clone(), one(&udp), always(&web(8082)), Some(8082)),
        (
            "an init container that does not restart",
            named.clone(),
            one(&udp),
            json!([sidecar(&Value::Null, &web(8082)), sidecar(&json!("Never"), &web(8083))]),
            None,
        ),
        (
            "a container before a sidecar",
            named.clone(),
            one(&web(8080)),
            always(&web(8082)),
            Some(8080),
        ),
        (
            "a sidecar after a container of another protocol",
            named,
            one(&udp),
            always(&web(8082)),
            Some(8082),
        ),
    ];
    for (what, target, containers, init, expected) in rows {
        let spec = json!({"containers": containers, "initContainers": init});
        let service = service(&target, "TCP");
        let found = Resolver::new(&service).ports_on(&pod(&spec, &json!({}))).clone();
        let expected: Ports = expected.map(|number| port("http", number)).into_iter().collect();
        assert_eq!(found, expected, "{what}");
    }
}

/// `TestGetEndpointPorts`: name, number, protocol and appProtocol of the Service's port.
#[test]
fn what_a_port_of_a_slice_says() {
    let pod = pod(
        &json!({
            "containers": [container(&web(8080))],
            "initContainers": [sidecar(&json!("Always"), &json!([
                {"name": "web", "containerPort": 1}, {"name": "admin", "containerPort": 9090},
            ]))],
        }),
        &json!({}),
    );
    let of = |port: Value| {
        let service: Service = read(json!({
            "metadata": {"namespace": "shop", "name": "web"},
            "spec": {"clusterIP": "10.96.0.1", "ports": [port]},
        }));
        let ports = Resolver::new(&service).ports_on(&pod).clone();
        let port = ports.first().expect("a port");
        (
            port.name.as_deref().map(str::to_owned),
            port.number,
            port.protocol.as_deref().map(str::to_owned),
            port.app_protocol.as_deref().map(str::to_owned),
        )
    };
    let text = |text: &str| Some(text.to_owned());
    let app =
        json!({"name": "a", "port": 80, "targetPort": 80, "appProtocol": "kubernetes.io/h2c"});
    assert_eq!(of(app), (text("a"), Some(80), text("TCP"), text("kubernetes.io/h2c")));
    let udp = json!({"port": 53, "protocol": "UDP"});
    assert_eq!(of(udp), (text(""), Some(53), text("UDP"), None), "the name is there, and empty");
    let named = |name: &str| json!({"name": "n", "port": 80, "targetPort": name});
    assert_eq!(of(named("admin")), (text("n"), Some(9090), text("TCP"), None), "a sidecar's");
    assert_eq!(of(named("web")), (text("n"), Some(8080), text("TCP"), None), "the container's");
}

/// `TestShouldPodBeInEndpoints`: neither pods that have finished, whatever their restart policy,
/// nor pods without an address.
#[test]
fn which_phases_are_listed() {
    let address = json!("10.0.0.1");
    let both = |ip: &Value| json!([{"ip": ip}]);
    for restart in ["Never", "OnFailure", "Always"] {
        for (phase, expected) in [
            ("Pending", true),
            ("Running", true),
            ("Unknown", true),
            ("", true),
            ("Succeeded", false),
            ("Failed", false),
        ] {
            let spec = json!({"restartPolicy": restart, "containers": []});
            let status = json!({"phase": phase, "podIP": address, "podIPs": both(&address)});
            assert_eq!(is_listed(&pod(&spec, &status)), expected, "{restart} {phase}");
        }
    }
    let spec = json!({"containers": []});
    for (what, status, expected) in [
        ("no address", json!({"phase": "Running"}), false),
        ("podIP alone", json!({"phase": "Running", "podIP": address}), true),
        ("podIPs alone", json!({"phase": "Running", "podIPs": both(&address)}), true),
        ("an empty list", json!({"phase": "Running", "podIP": "", "podIPs": []}), false),
    ] {
        assert_eq!(is_listed(&pod(&spec, &status)), expected, "{what}");
    }
    let ending: Pod = read(json!({
        "metadata": {"name": "web-1", "deletionTimestamp": "2026-01-02T03:04:05Z"},
        "status": {"phase": "Running", "podIP": address, "podIPs": both(&address)},
    }));
    assert!(is_listed(&ending), "a pod that is being deleted");
}

/// A slice of one endpoint with this targetRef.
fn slice(target: &Value, ports: &Value) -> Slice {
    read(json!({
        "metadata": {"namespace": "shop", "name": "web-x"},
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": target}],
    }))
}

/// `TestEndpointsEqualBeyondHash`, the row of the resourceVersion.
#[test]
fn the_version_of_a_target_does_not_count() {
    let target = |version: &str| json!({"kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "u", "resourceVersion": version});
    let [one, two] = ["7", "8"].map(|version| slice(&target(version), &Value::Null));
    assert!(one.endpoints[0].is_same_but_hints(&two.endpoints[0]));
    assert_eq!(one.endpoints[0].identity(), two.endpoints[0].identity());
}

/// `TestNewPortMapKey`: no list and an empty list of ports are one group.
#[test]
fn no_ports_and_an_empty_list_are_the_same() {
    let ports = |ports: &Value| slice(&Value::Null, ports).ports;
    assert_eq!(ports(&Value::Null), ports(&json!([])));
    assert_eq!(ports(&json!([])), Ports::default());
    assert_ne!(ports(&json!([{"name": "", "port": 80}])), Ports::default());
}
