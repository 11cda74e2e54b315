//! `-o html`: what is on the page, that it agrees with the summary, and that nothing that others
//! have named gets out of its place.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::command::{fixture, plan, plan_text, text};

const AT: [&str; 4] = ["-o", "html", "--at", "2026-06-01T10:00:00Z"];

fn page(world: &str, args: &[&str]) -> String {
    plan_text(world, &[&AT, args].concat()).good()
}

fn summary(world: &str) -> Value {
    serde_json::from_str(&plan_text(world, &["-o", "summary"]).good()).unwrap()
}

/// What is between two texts.
#[track_caller]
fn between<'p>(page: &'p str, start: &str, end: &str) -> &'p str {
    let (_, rest) = page.split_once(start).unwrap_or_else(|| panic!("no {start}"));
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} after {start}")).0
}

/// How often each tag is opened, with the names of its attributes. Panics if a tag does not end.
fn tags(page: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let mut rest = page;
    while let Some((_, tag)) = rest.split_once('<') {
        let name: String = tag.chars().take_while(|it| !" >".contains(*it)).collect();
        let mut signature = name.clone();
        let mut after = &tag[name.len()..];
        while let Some(attribute) = after.strip_prefix(' ') {
            let end = attribute.find(['=', ' ', '>']).unwrap();
            signature.extend([" ", &attribute[..end]]);
            after = &attribute[end..];
            if let Some(value) = after.strip_prefix("=\"") {
                after = &value[value.find('"').unwrap() + 1..];
            }
        }
        assert!(after.starts_with('>'), "<{tag:.80}");
        *found.entry(signature).or_default() += 1;
        rest = after;
        if name == "script" || name == "style" {
            rest = &rest[rest.find(&format!("</{name}>")).unwrap()..];
        }
    }
    found
}

/// The name of a Service, and the other cells of its row with their exact numbers.
type Cells = (String, Vec<(String, Option<f64>)>);

/// The rows of the Services.
fn rows(page: &str) -> Vec<Cells> {
    let row = |row: &str| {
        let name = between(row, "<summary>", "</summary>").to_owned();
        let (_, cells) = row.split_once("</details>").unwrap();
        let cells = cells.split("<td").skip(1).map(|cell| {
            let exact = cell.strip_prefix(" data-v=\"").and_then(|it| it.split_once('"'));
            let (_, html) = cell.split_once('>').unwrap();
            let text = html.split('<').map(|it| it.split_once('>').map_or(it, |it| it.1));
            (text.collect(), exact.map(|(exact, _)| exact.parse().unwrap()))
        });
        (name, cells.collect())
    };
    page.split("<tr data-r=\"")
        .skip(1)
        .map(|it| row(it.split("</tbody></table></section>").next().unwrap()))
        .collect()
}

/// A cluster with three zones and these Services: the name, the fields of the spec, and the zones of
/// its pods.
fn cluster(services: &[(String, Value, Vec<usize>)]) -> String {
    let mut items = Vec::new();
    for zone in ["zone-a", "zone-b", "zone-c"] {
        items.push(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": format!("node-{zone}"), "labels": {"topology.kubernetes.io/zone": zone}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }));
    }
    let mut pods = 0_usize;
    for (at, (name, fields, zones)) in services.iter().enumerate() {
        let mut spec = json!({
            "clusterIP": format!("10.96.{}.{}", at / 250, at % 250 + 1), "ipFamilies": ["IPv4"],
            "selector": {"app": name}, "ports": [{"name": "http", "port": 80}],
        });
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        items.push(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "shop", "uid": format!("uid-{at}")}, "spec": spec,
        }));
        for zone in zones {
            let address =
                format!("10.{}.{}.{}", 128 + pods / 62_500, pods / 250 % 250, pods % 250 + 1);
            items.push(json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": format!("{name}-{pods}"), "namespace": "shop", "uid": format!("pod-{pods}"),
                    "labels": {"app": name}},
                "spec": {"nodeName": format!("node-{}", ["zone-a", "zone-b", "zone-c"][*zone])},
                "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
                    "conditions": [{"type": "Ready", "status": "True"}]},
            }));
            pods += 1;
        }
    }
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// Services in every state, with a policy and with several ports.
fn varied() -> String {
    let prefers = json!({"trafficDistribution": "PreferSameZone"});
    let services = [
        ("even", prefers.clone(), vec![0, 1, 2]),
        ("uneven", prefers.clone(), vec![0, 0, 0, 1]),
        ("plain", json!({}), vec![0, 1, 1]),
        ("gone", prefers.clone(), vec![]),
        (
            "headless",
            json!({"clusterIP": "None", "trafficDistribution": "PreferSameZone"}),
            vec![0],
        ),
        (
            "ports",
            json!({"trafficDistribution": "PreferSameZone", "ports": [
                {"name": "http", "port": 80}, {"name": "admin", "port": 81, "targetPort": "none"}]}),
            vec![0, 1],
        ),
    ];
    let services = services.map(|(name, fields, zones)| (name.to_owned(), fields, zones));
    let policy = json!({
        "apiVersion": "closehaul.io/v1alpha1", "kind": "LocalityPolicy",
        "metadata": {"name": "guarded", "namespace": "shop"},
        "spec": {"services": {"names": ["uneven"]}, "guard": {"maxOverloadPercent": 20}},
    });
    format!("{}\n---\n{policy}\n", cluster(&services))
}

#[test]
fn the_page_needs_nothing_else() {
    let page = page(&varied(), &["--cost-per-gb", "0.02", "--bytes", "1000"]);
    assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"));
    let policy = between(&page, "Content-Security-Policy\" content=\"", "\"");
    assert!(
        policy.starts_with(
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
        )
    );
    for foreign in ["http:", "https:", "//cdn", "@import", " src=", "url(\"", "fetch(", "<link"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert_eq!(page.matches("url(").count(), page.matches("url(#hatch)").count());
    assert!(page.contains("2026-06-01 10:00:00 UTC"));
    assert!(page.contains(&format!("closehaul {}", env!("CARGO_PKG_VERSION"))));
    // Every reference to a picture leads to one.
    for reference in page.split("<use href=\"#").skip(1) {
        let id = reference.split('"').next().unwrap();
        assert!(page.contains(&format!("<g id=\"{id}\">")), "{id}");
    }
}

#[test]
fn details_say_what_hinders_what_would_help_and_what_is_written() {
    let page = page(&varied(), &[]);
    let of =
        |name: &str| between(&page, &format!("<summary>{name}</summary>"), "</details>").to_owned();
    let uneven = of("uneven");
    for expected in [
        "What hinders",
        "no ready endpoint in zone-c",
        "What would help",
        "To keep zone-c local, add ",
        "Without hints: 33% in zone",
        "After: ",
        "create uneven-…, IPv4, 4 endpoints",
        "<th scope=\"row\">zone-c<td>33%<td>0<td>",
    ] {
        assert!(uneven.contains(expected), "{expected}: {uneven}");
    }
    assert!(of("ports").contains("Port admin, IPv4: Empty"), "{}", of("ports"));
    assert!(of("gone").contains("no pod has the labels app=gone"));
    // On paper, details are shown of all that is not as it should be.
    for (name, is_printed) in [("even", false), ("plain", false), ("uneven", true), ("gone", true)]
    {
        let class = format!("<details class=\"p\"><summary>{name}<");
        assert_eq!(page.contains(&class), is_printed, "{name}");
    }
}

#[test]
fn the_page_agrees_with_the_summary() {
    for world in [varied(), text("shop.yaml"), text("real.yaml")] {
        let (page, summary) = (page(&world, &[]), summary(&world));
        let services = summary["services"].as_array().unwrap();
        let rows = rows(&page);
        assert_eq!(rows.len(), services.len());
        for ((name, cells), service) in rows.iter().zip(services) {
            assert_eq!(
                (name.as_str(), cells[0].0.as_str()),
                (service["name"].as_str().unwrap(), service["namespace"].as_str().unwrap())
            );
            assert_eq!(cells[3].0, service["state"].as_str().unwrap(), "{name}");
            for (cell, field) in [(6, "inZoneShare"), (7, "overload")] {
                let found = cells[cell].1;
                let expected = service[field].as_f64();
                assert_eq!(found.is_some(), expected.is_some(), "{name} {field}");
                let difference = found.unwrap_or_default() - expected.unwrap_or_default();
                assert!(difference.abs() < 1e-4, "{name} {field}: {found:?} {expected:?}");
            }
        }
        let shares: Vec<f64> =
            services.iter().filter_map(|it| it["inZoneShare"].as_f64()).collect();
        if !shares.is_empty() {
            #[expect(clippy::cast_precision_loss, reason = "a few Services")]
            let mean = shares.iter().sum::<f64>() / shares.len() as f64;
            let shown = between(between(&page, "Stays in its zone</h2>", "</p>"), "<b>", "</b>");
            assert_eq!(shown, format!("{:.0}%", mean * 100.0));
            let counted = format!(
                "{} of {} counted",
                if shares.len() == 1 {
                    "1 Service".to_owned()
                } else {
                    format!("{} Services", shares.len())
                },
                services.len()
            );
            assert!(page.contains(&counted), "{counted}");
        }
        let totals = &summary["totals"];
        let writes: u64 =
            ["creates", "updates", "deletes"].iter().map(|it| totals[it].as_u64().unwrap()).sum();
        assert!(page.contains(&format!("Writes</h2><p class=\"big\"><b>{writes}</b>")), "{writes}");
        for state in ["Applied", "Partial", "Ineffective", "Empty", "None", "Shadow"] {
            let count = totals[state.to_lowercase()].as_u64().unwrap();
            let shown = page.contains(&format!("<b>{count}</b> <span class=\"s s{state}\">"));
            assert_eq!(shown, count > 0, "{state}");
        }
    }
}

/// Before are the slices as they are.
#[test]
fn slices_that_exist_are_what_was_before() {
    let services = [("even".to_owned(), json!({}), vec![0, 1, 2])];
    let world = cluster(&services);
    let made: Value = serde_json::from_str(&plan_text(&world, &["-o", "json"]).good()).unwrap();
    let mut slice = made["items"][0].clone();
    slice["metadata"]["name"] = "even-x".into();
    slice["metadata"]["resourceVersion"] = "7".into();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut slice = slice.clone();
        change(&mut slice);
        page(&format!("{world}\n---\n{slice}"), &[])
    };
    let plain = with(&|_| ());
    assert!(plain.contains("Before and after: 33% in zone") && !plain.contains("without hints"));
    let hinted = with(&|slice| {
        for endpoint in slice["endpoints"].as_array_mut().unwrap() {
            endpoint["hints"] = json!({"forZones": [{"name": endpoint["zone"]}]});
        }
    });
    assert!(
        hinted.contains("Before: 100% in zone") && hinted.contains("After: 33% in zone"),
        "{hinted}"
    );
    let unready = with(&|slice| slice["endpoints"] = json!([]));
    assert!(unready.contains("1 Service had no slice with a ready endpoint"), "{unready}");
}

#[test]
fn hostile_names_stay_text() {
    let world = |name: &str| {
        let quoted = serde_json::to_string(name).unwrap();
        let shop = text("shop.yaml");
        let hostile = |world: &str, from: &str, to: &str| {
            assert!(world.contains(from), "{from}");
            world.replace(from, to)
        };
        let shop = hostile(
            &shop,
            "topology.kubernetes.io/zone: zone-a",
            &format!("topology.kubernetes.io/zone: {quoted}"),
        );
        let shop = hostile(&shop, "{name: http, port", &format!("{{name: {quoted}, port"));
        let shop = hostile(&shop, "targetPort: web", &format!("targetPort: {quoted}"));
        let shop = hostile(&shop, "nodeName: gone", &format!("nodeName: {quoted}"));
        let annotated =
            format!("labels: {{tier: web}}\n  annotations: {{closehaul.io/policy: {quoted}}}");
        hostile(&shop, "labels: {tier: web}", &annotated)
    };
    let harmless = tags(&page(&world("harmless"), &[]));
    assert!(harmless.values().sum::<usize>() > 300, "{harmless:?}");
    let mut read = 0;
    for name in [
        "</script><script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</style></td></title><!--",
        "&lt;b&gt;&amp;",
        "\u{202e}gnp.exe\u{2066}\u{200b}",
        "a\nb\u{1b}[2J\u{0}\u{85}",
    ] {
        let done = plan_text(&world(name), &AT);
        assert_eq!(done.code, Some(0), "{name:?}: {}", done.err);
        assert_eq!(tags(&done.out), harmless, "{name:?}");
        let is_raw = |it: char| {
            (it.is_control() && it != '\n')
                || ('\u{202a}'..='\u{202e}').contains(&it)
                || ('\u{2066}'..='\u{2069}').contains(&it)
                || it == '\u{200b}'
        };
        assert_eq!(done.out.find(is_raw), None, "{name:?}");
        read += 1;
    }
    assert_eq!(read, 7);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let world = text("shop.yaml");
    let expected = page(&world, &[]);
    let mut documents: Vec<&str> = world.split("\n---\n").collect();
    documents.reverse();
    documents.rotate_left(3);
    assert_eq!(page(&documents.join("\n---\n"), &[]), expected);
}

#[test]
fn two_thousand_services_fit_in_three_megabytes() {
    let service = |at: usize| {
        let fields = if at.is_multiple_of(3) {
            json!({})
        } else {
            json!({"trafficDistribution": "PreferSameZone"})
        };
        let zones = (0..at % 7).map(|pod| (pod * at) % 3).collect();
        (format!("a-service-with-a-name-{at}"), fields, zones)
    };
    let services: Vec<_> = (0..2000).map(service).collect();
    let page = page(&cluster(&services), &[]);
    assert_eq!(rows(&page).len(), 2000);
    // Details of hundreds are not printed.
    assert!(!page.contains("<details class=\"p\">") && page.contains("Without the details of "));
    assert!(page.len() < 3 << 20, "{} bytes", page.len());
}

#[test]
fn what_traffic_between_zones_costs() {
    let world = varied();
    let page = page(&world, &["--cost-per-gb", "0.5", "--bytes", "1000"]);
    let summary = summary(&world);
    let shares: Vec<f64> = summary["services"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["inZoneShare"].as_f64())
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a few Services")]
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let cost = between(&page, "<section class=\"cost\"", "</section>");
    let after: f64 = between(cost, "<b>", "</b>").parse().unwrap();
    assert!((after - 500.0 * (1.0 - mean)).abs() < 0.01, "{after}, {mean}");
    assert!(cost.contains("An estimate, not a bill") && cost.contains("at 0.5 per GB"), "{cost}");
    assert!(!self::page(&world, &[]).contains("class=\"cost\""));
}

/// What is under a policy in mode `Shadow` saves nothing yet.
#[test]
fn services_in_mode_shadow_are_named_with_the_cost_and_the_flow() {
    let policy = |mode: &str| {
        json!({
            "apiVersion": "closehaul.io/v1alpha1", "kind": "LocalityPolicy",
            "metadata": {"name": "near", "namespace": "shop"}, "spec": {"mode": mode, "prefer": ["Zone"]},
        })
    };
    let services = [("even".to_owned(), json!({}), vec![0, 1, 2])];
    let world = |mode: &str| format!("{}\n---\n{}", cluster(&services), policy(mode));
    let args = ["--cost-per-gb", "0.5", "--bytes", "1000"];
    let (shadow, enforced) = (page(&world("Shadow"), &args), page(&world("Enforce"), &args));
    let said = "1 Service as under a policy in mode Shadow";
    for section in ["cost", "flow"] {
        let of = |page: &str| {
            between(page, &format!("<section class=\"{section}\""), "</section>").to_owned()
        };
        assert!(of(&shadow).contains(said), "{section}: {shadow}");
        assert!(!of(&enforced).contains("Shadow"), "{section}: {enforced}");
    }
}

#[test]
fn the_only_namespace_is_named() {
    let world = varied();
    assert!(page(&world, &[]).contains("All namespaces that were read are shown."));
    let limited = page(&world, &["-n", "shop"]);
    assert!(
        limited.contains("Only the namespace <bdi class=\"name\">shop</bdi> is shown."),
        "{limited}"
    );
}

#[test]
fn a_price_goes_with_an_amount_and_the_page() {
    let file = fixture("shop.yaml");
    let refused = |args: &[&str]| {
        let done = plan(&[&["-f", &file], args].concat());
        assert_eq!((done.code, done.out.as_str()), (Some(2), ""), "{args:?}");
        done.err
    };
    let one = refused(&["-o", "html", "--bytes", "10"]);
    assert!(one.contains("--cost-per-gb"), "{one}");
    let other = refused(&["-o", "html", "--cost-per-gb", "1"]);
    assert!(other.contains("--bytes"), "{other}");
    for output in ["table", "summary"] {
        let err = refused(&["-o", output, "--cost-per-gb", "1", "--bytes", "10"]);
        assert_eq!(
            err,
            "error: --cost-per-gb and --bytes are only for --output html: add it, or leave them out\n"
        );
    }
    for price in ["-1", "NaN", "inf", "ten", "1e999"] {
        let price = format!("--cost-per-gb={price}");
        let err = refused(&["-o", "html", "--bytes", "10", &price]);
        assert!(err.contains("must be a number from 0"), "{err}");
    }
}

#[test]
fn nothing_to_show_is_said() {
    let empty = page("{kind: List, apiVersion: v1, items: []}", &[]);
    assert!(empty.contains("There is no Service."), "{empty}");
    let without_pods: String = text("shop.yaml")
        .split("\n---\n")
        .filter(|it| !it.contains("kind: Pod"))
        .collect::<Vec<_>>()
        .join("\n---\n");
    assert!(page(&without_pods, &[]).contains("Nothing is planned"));
}
