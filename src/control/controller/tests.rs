//! The controller by itself: events in, jobs out.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::Object,
    control::{
        expectations::Sight,
        watch::Change,
        write::{Outcome, WriteError},
    },
    model::{node::Node, pod::Pod, service::Service, slice::Slice},
    plan,
};

fn controller() -> Controller {
    let settings = Settings {
        plan: plan::Settings::with(100),
        batch_period: Duration::ZERO,
        replan_qps: 0.0,
        concurrency: 5,
        policies: false,
        mode: Mode::Replace,
        renew_deadline: Duration::from_secs(10),
    };
    Controller::new(settings, Metrics::new().unwrap(), Health::default())
}

fn service(name: &str) -> Value {
    json!({
        "metadata": { "namespace": "shop", "name": name, "uid": name, "resourceVersion": "1" },
        "spec": { "selector": { "app": name }, "clusterIP": "10.96.0.1", "ipFamilies": ["IPv4"] },
    })
}

/// The empty slice of a Service.
fn slice(name: &str, version: u64) -> Value {
    let owner = json!({ "apiVersion": "v1", "kind": "Service", "name": name, "uid": name });
    json!({
        "metadata": {
            "namespace": "shop", "name": format!("{name}-x"), "uid": format!("{name}-x"),
            "resourceVersion": version.to_string(), "ownerReferences": [owner],
            "labels": {
                "kubernetes.io/service-name": name,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "addressType": "IPv4", "endpoints": [], "ports": [],
    })
}

/// An iteration of the main loop. The time of day decides nothing here.
fn at(monotonic: Instant) -> Now {
    Now { monotonic, wall: Timestamp::UNIX_EPOCH }
}

fn put_service(controller: &mut Controller, service: Value, now: Instant) {
    let object: Object<Service> = serde_json::from_value(service).unwrap();
    controller.take_in(Event::from(Change::Applied(object)), at(now));
}

fn put_slice(controller: &mut Controller, slice: Value, now: Instant) {
    let object: Object<Slice> = serde_json::from_value(slice).unwrap();
    controller.take_in(Event::from(Change::Applied(object)), at(now));
}

fn list_slices(controller: &mut Controller, slices: &[Value], now: Instant) {
    controller.take_in(Change::<Slice>::Restarted { asked: now }.into(), at(now));
    for slice in slices {
        put_slice(controller, slice.clone(), now);
    }
    controller.take_in(Change::<Slice>::Listed.into(), at(now));
}

/// All other kinds are listed, and there is nothing.
fn list_the_rest(controller: &mut Controller, now: Instant) {
    controller.take_in(Change::<Service>::Listed.into(), at(now));
    controller.take_in(Change::<Pod>::Listed.into(), at(now));
    controller.take_in(Change::<Node>::Listed.into(), at(now));
}

/// The version of another slice says nothing about a slice that the list has yet to name.
#[test]
fn a_list_under_way_shows_no_write() {
    let now = Instant::now();
    let mut controller = controller();
    put_service(&mut controller, service("web"), now);
    list_slices(&mut controller, &[], now);
    list_the_rest(&mut controller, now);
    let job = controller.next_job(Role::Leader, at(now)).unwrap();
    assert_eq!(job.families[0].creates.len(), 1);
    let written = vec![Sight::Version(50)];
    controller.finish(Outcome { written, ..Outcome::of(job.service) }, at(now));

    controller.take_in(Change::<Slice>::Restarted { asked: now }.into(), at(now));
    put_slice(&mut controller, slice("db", 60), now);
    put_service(&mut controller, labelled(service("web")), now);
    controller.tick(at(now));
    assert!(
        controller.next_job(Role::Leader, at(now)).is_none(),
        "the slice would be created once more"
    );
    put_slice(&mut controller, slice("web", 50), now);
    controller.take_in(Change::<Slice>::Listed.into(), at(now));
    let job = controller.next_job(Role::Leader, at(now)).unwrap();
    assert_eq!((job.families[0].creates.len(), job.families[0].updates.len()), (0, 1));
}

/// The API server may have built a list before a write, and the beginning of the list may be taken
/// in after the write's answer.
#[test]
fn a_list_that_was_asked_for_before_a_write_says_nothing_of_it() {
    let (asked, later) = (Instant::now(), Instant::now() + Duration::from_secs(1));
    let mut controller = controller();
    put_service(&mut controller, service("web"), asked);
    list_slices(&mut controller, &[], asked);
    list_the_rest(&mut controller, asked);
    let job = controller.next_job(Role::Leader, at(asked)).unwrap();
    let written = vec![Sight::Version(50)];
    controller.finish(Outcome { written, ..Outcome::of(job.service) }, at(later));

    controller.take_in(Change::<Slice>::Restarted { asked }.into(), at(later));
    controller.take_in(Change::<Slice>::Listed.into(), at(later));
    put_service(&mut controller, labelled(service("web")), later);
    assert!(
        controller.next_job(Role::Leader, at(later)).is_none(),
        "the slice would be created once more"
    );
    put_slice(&mut controller, slice("web", 50), later);
    let job = controller.next_job(Role::Leader, at(later)).unwrap();
    assert_eq!((job.families[0].creates.len(), job.families[0].updates.len()), (0, 1));
}

fn labelled(mut service: Value) -> Value {
    service["metadata"]["resourceVersion"] = json!("61");
    service["metadata"]["labels"] = json!({ "a": "b" });
    service
}

/// The garbage collector deletes a Service's slices after it. A replica that does not lead takes
/// nothing from the queue, so entries for them would stay.
#[test]
fn a_slice_without_service_is_nothing_to_do() {
    let now = Instant::now();
    let mut controller = controller();
    put_slice(&mut controller, slice("web", 5), now);
    let object: Object<Slice> = serde_json::from_value(slice("web", 6)).unwrap();
    controller.take_in(Event::from(Change::Deleted(object)), at(now));
    assert_eq!(controller.next_due(), None);
}

/// Between two calls, events are taken in and the lease is renewed.
#[test]
fn many_services_that_need_nothing_do_not_hold_everything_up() {
    let now = Instant::now();
    let mut controller = controller();
    for number in 0..1000 {
        let name = format!("s{number}");
        put_service(&mut controller, service(&name), now);
        put_slice(&mut controller, slice(&name, 2), now);
    }
    list_the_rest(&mut controller, now);
    controller.take_in(Change::<Slice>::Listed.into(), at(now));
    assert!(controller.next_job(Role::Leader, at(now)).is_none());
    assert!(controller.queue.len() > 900);
    let calls = (0..1000).take_while(|_| {
        let is_due = controller.next_due().is_some_and(|due| due <= now);
        is_due && controller.next_job(Role::Leader, at(now)).is_none()
    });
    assert!(calls.count() > 1);
    assert!(controller.queue.is_empty());
}

/// What one answer shows applies to every Service (docs/semantics.md 5.4).
#[test]
fn hints_for_nodes_are_given_up_for_all_services() {
    let now = Instant::now();
    let mut controller = controller();
    for name in ["web", "db"] {
        let mut service = service(name);
        service["spec"]["trafficDistribution"] = json!("PreferSameNode");
        put_service(&mut controller, service, now);
        let pod = json!({
            "metadata": { "namespace": "shop", "name": name, "labels": { "app": name } },
            "spec": { "nodeName": "a1", "containers": [] },
            "status": { "podIPs": [{ "ip": "10.0.0.1" }], "phase": "Running",
                "conditions": [{ "type": "Ready", "status": "True" }] },
        });
        let pod: Object<Pod> = serde_json::from_value(pod).unwrap();
        controller.take_in(Event::from(Change::Applied(pod)), at(now));
    }
    let node: Object<Node> =
        serde_json::from_value(json!({ "metadata": { "name": "a1" } })).unwrap();
    controller.take_in(Event::from(Change::Applied(node)), at(now));
    list_slices(&mut controller, &[], now);
    list_the_rest(&mut controller, now);
    let nodes = |job: &Job| {
        let endpoints = job.families[0].creates[0].endpoints.iter();
        endpoints
            .filter_map(|endpoint| endpoint.hints.as_ref())
            .map(|hints| hints.nodes.len())
            .sum::<usize>()
    };

    let first = controller.next_job(Role::Leader, at(now)).unwrap();
    assert_eq!(nodes(&first), 1);
    assert!(controller.settings.plan.node_hints);
    controller.finish(Outcome { node_hints_dropped: true, ..Outcome::of(first.service) }, at(now));
    assert!(!controller.settings.plan.node_hints);
    let second = controller.next_job(Role::Leader, at(now)).unwrap();
    assert_eq!(nodes(&second), 0);
    controller.finish(Outcome::of(second.service), at(now));
    assert!(!controller.settings.plan.node_hints, "until the process ends");
}

/// One address type is refused, and the server is busy for the other: the Service waits.
#[test]
fn a_busy_server_is_spared_whatever_else_failed() {
    let now = Instant::now();
    let second = Duration::from_secs(1);
    let busy = || WriteError::Busy { what: "create".into(), wait: 30 * second };
    let lost = || WriteError::TimedOut { what: "create".into(), after: second };
    for failures in [vec![busy(), lost()], vec![lost(), busy()]] {
        let mut controller = controller();
        put_service(&mut controller, service("web"), now);
        list_slices(&mut controller, &[], now);
        list_the_rest(&mut controller, now);
        let job = controller.next_job(Role::Leader, at(now)).unwrap();
        controller.finish(Outcome { failures, ..Outcome::of(job.service) }, at(now));
        assert_eq!(controller.next_due(), Some(now + 30 * second));
    }
}

/// A webhook changes what is written, so that no plan finds its slices correct.
#[test]
fn a_slice_that_never_stands_as_planned_is_not_written_without_end() {
    let now = Instant::now();
    let mut controller = controller();
    put_service(&mut controller, service("web"), now);
    let mut changed = slice("web", 50);
    changed["endpoints"] = json!([{ "addresses": ["10.0.0.9"] }]);
    list_slices(&mut controller, &[changed], now);
    list_the_rest(&mut controller, now);
    let job = controller.next_job(Role::Leader, at(now)).unwrap();
    let status = serde_json::from_value(json!({ "code": 422 })).unwrap();
    let failures = vec![WriteError::Refused { what: "update".into(), status }];
    controller.finish(Outcome { failures, ..Outcome::of(job.service) }, at(now));

    let later = now + Duration::from_secs(10);
    let mut writes = 0;
    while let Some(job) = controller.next_job(Role::Leader, at(later)).filter(|_| writes < 10) {
        writes += 1;
        let written = vec![Sight::Version(50)];
        controller.finish(Outcome { written, ..Outcome::of(job.service) }, at(later));
    }
    assert_eq!(writes, 2, "the next try, and the plan that reports its success");
}

/// A Service that an adviser has planned is written by a leader when it is queued again.
#[test]
fn an_adviser_reports_and_a_standby_waits() {
    let now = Instant::now();
    let mut controller = controller();
    put_service(&mut controller, service("web"), now);
    list_slices(&mut controller, &[], now);
    list_the_rest(&mut controller, now);
    assert!(controller.next_job(Role::Standby, at(now)).is_none());
    assert_eq!(controller.next_due(), Some(now), "it is still queued");
    controller.tick(at(now));
    assert!(!controller.reporter.is_summed_up());

    assert!(controller.next_job(Role::Adviser, at(now)).is_none());
    assert_eq!(controller.next_due(), None, "it is planned");
    controller.tick(at(now));
    assert!(controller.reporter.is_summed_up());

    put_service(&mut controller, service("db"), now);
    let mut web = service("web");
    web["metadata"]["resourceVersion"] = json!("2");
    put_service(&mut controller, web, now);
    let jobs = std::iter::from_fn(|| controller.next_job(Role::Leader, at(now)));
    let services: Vec<String> = jobs.map(|job| job.service.to_string()).collect();
    assert_eq!(services, ["shop/db", "shop/web"]);
}
