//! Ports: each has its own number behind the Service, also where all lead to the same pods.

use serde_json::{Value, json};

use crate::{command::explain, world::World};

/// The numbers to which each port leads, by the port's name.
fn targets(world: &World, args: &[&str]) -> Vec<(String, Vec<i64>)> {
    let text = explain(&world.objects, "cart", &[&["-o", "json"], args].concat()).good();
    let body: Value = serde_json::from_str(&text).unwrap();
    let mut found = Vec::new();
    for consumer in body["consumers"].as_array().unwrap() {
        for from in consumer["from"].as_array().unwrap() {
            let endpoints = from["endpoints"].as_array().unwrap().iter();
            let mut numbers: Vec<_> =
                endpoints.map(|it| it["targetPort"].as_i64().unwrap()).collect();
            numbers.dedup();
            found.push((from["port"].as_str().unwrap().to_owned(), numbers));
        }
    }
    found.sort();
    found.dedup();
    found
}

#[test]
fn ports_with_the_same_endpoints_keep_their_numbers() {
    let mut world = World::new([2, 1, 1], Some("PreferSameZone"));
    let ports = json!([
        { "name": "http", "port": 80, "targetPort": 8080 },
        { "name": "metrics", "port": 90, "targetPort": 9090 },
    ]);
    world.service(&json!({ "spec": { "ports": ports } }));
    let expected = [("http".to_owned(), vec![8080]), ("metrics".to_owned(), vec![9090])];
    assert_eq!(targets(&world, &[]), expected);
    assert_eq!(targets(&world, &["--from", "node-a"]), expected);
}

/// Of a Service without selector, the slices are read as others have written them.
#[test]
fn slices_of_other_controllers_are_read_where_closehaul_writes_none() {
    let mut world = World::new([1, 1, 1], None);
    world.foreign();
    let ports = json!([
        { "name": "http", "port": 80, "targetPort": 8080 },
        { "name": "admin", "port": 90, "targetPort": 9090 },
    ]);
    world.service(&json!({ "spec": { "selector": null, "ports": ports } }));
    let ports = json!([
        { "name": "http", "port": 8080, "protocol": "TCP" },
        { "name": "admin", "port": 7000, "protocol": "TCP" },
    ]);
    world.change("EndpointSlice", "cart-mesh", &json!({ "ports": ports }));
    let expected = [("admin".to_owned(), vec![7000]), ("http".to_owned(), vec![8080])];
    assert_eq!(targets(&world, &[]), expected);
    let text = explain(&world.objects, "cart", &[]).good();
    assert!(text.contains("NoSelector: the Service selects no pods"), "{text}");
    assert!(text.contains("1 other"), "{text}");
}
