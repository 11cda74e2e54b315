//! Table: which hints are stored after a write, and whether anything is.

use closehaul::model::slice::{CONTROLLER, MANAGED_BY};
use e2e::cluster::Actor;
use serde_json::{Value, json};

use crate::{
    LIMIT,
    notation::{endpoint, slice, written},
    stage::Stage,
};

/// A write of a slice. Endpoints are written as in [`endpoint`].
struct Case {
    name: &'static str,
    annotation: Option<&'static str>,
    manager: &'static str,
    stored: &'static [&'static str],
    put: &'static [&'static str],
    /// What else the request changes.
    edit: fn(&mut Value),
    who: Actor,
    /// The hints that are stored then.
    expected: &'static [&'static str],
    is_written: bool,
}

/// A write that changes what is stored: by the built-in controller, to a marked slice.
const CASE: Case = Case {
    name: "",
    annotation: Some("a=a;b=b;c=c,a"),
    manager: CONTROLLER,
    stored: &[],
    put: &[],
    edit: |_| {},
    who: Actor::ControllerManager,
    expected: &[],
    is_written: true,
};

/// Hints that are in force.
const KEPT: &[Case] = &[
    Case {
        name: "zones",
        stored: &["p1 a n1 a,b", "p2 b n2 b"],
        put: &["p1 a n1 a", "p2 b n2 b,c"],
        expected: &["a,b", "b"],
        is_written: false,
        ..CASE
    },
    Case {
        name: "nodes",
        stored: &["p1 a n1 a/n1", "p2 b n2 /n2", "p3 c n3 c"],
        put: &["p1 a n1 a", "p2 b n2 b", "p3 c n3 c/n3"],
        expected: &["a/n1", "/n2", "c"],
        is_written: false,
        ..CASE
    },
    Case {
        name: "eight zones and a node",
        stored: &["p1 a n1 a,b,c,d,e,f,g,h/n1"],
        put: &["p1 a n1 a"],
        expected: &["a,b,c,d,e,f,g,h/n1"],
        is_written: false,
        ..CASE
    },
    Case {
        name: "no hints",
        stored: &["p1 a n1 -", "p2 b n2 -"],
        put: &["p1 a n1 a", "p2 b n2 -"],
        expected: &["-", "-"],
        is_written: false,
        ..CASE
    },
    Case {
        name: "hints without names",
        stored: &["p1 a n1 "],
        put: &["p1 a n1 a"],
        expected: &[""],
        is_written: false,
        ..CASE
    },
    Case {
        name: "hints that the request removes",
        stored: &["p1 a n1 a,b", "p2 b n2 b", "p3 c n3 c"],
        put: &["p1 a n1 -", "p2 b n2 null", "p3 c n3 "],
        expected: &["a,b", "b", "c"],
        is_written: false,
        ..CASE
    },
    Case {
        name: "hints whose lists are null",
        stored: &["p1 a n1 a,b"],
        put: &["p1 a n1 a"],
        edit: |slice| slice["endpoints"][0]["hints"] = json!({"forZones": null, "forNodes": null}),
        expected: &["a,b"],
        is_written: false,
        ..CASE
    },
    Case {
        name: "a request without a change",
        stored: &["p1 a n1 a,b", "p2 b n2 -"],
        put: &["p1 a n1 a,b", "p2 b n2 -"],
        expected: &["a,b", "-"],
        is_written: false,
        ..CASE
    },
    Case {
        name: "a change of readiness",
        stored: &["p1 a n1 a,b", "p2 b n2 b,c"],
        put: &["p1 a n1 a", "p2 b n2 b"],
        edit: |slice| slice["endpoints"][1]["conditions"]["ready"] = json!(false),
        expected: &["a,b", "b,c"],
        ..CASE
    },
    Case {
        name: "a change of readiness with the hints in force",
        stored: &["p1 a n1 a,b", "p2 b n2 b,c"],
        put: &["p1 a n1 a,b", "p2 b n2 b,c"],
        edit: |slice| slice["endpoints"][1]["conditions"]["ready"] = json!(false),
        expected: &["a,b", "b,c"],
        ..CASE
    },
    Case {
        name: "another order",
        stored: &["p1 a n1 a,b", "p2 b n2 b", "p3 c n3 -"],
        put: &["p3 c n3 c", "p1 a n1 a", "p2 b n2 b"],
        expected: &["-", "a,b", "b"],
        ..CASE
    },
    Case {
        name: "the first endpoint is gone",
        stored: &["p1 a n1 a,b", "p2 b n2 b,c", "p3 c n3 c/n3"],
        put: &["p2 b n2 b", "p3 c n3 c"],
        expected: &["b,c", "c/n3"],
        ..CASE
    },
    Case {
        name: "the last endpoint is gone",
        stored: &["p1 a n1 a,b", "p2 b n2 b,c"],
        put: &["p1 a n1 a"],
        expected: &["a,b"],
        ..CASE
    },
    Case {
        name: "all endpoints are gone",
        stored: &["p1 a n1 a,b"],
        put: &[],
        expected: &[],
        ..CASE
    },
    Case {
        name: "no list of endpoints",
        stored: &["p1 a n1 a,b"],
        put: &[],
        edit: |slice| slice["endpoints"] = Value::Null,
        expected: &[],
        ..CASE
    },
    Case {
        name: "one pod twice",
        stored: &["p1 a n1 a", "p1 a n1 b"],
        put: &["p1 a n1 c", "p1 a n1 c"],
        expected: &["a", "b"],
        is_written: false,
        ..CASE
    },
    Case {
        name: "an endpoint without a pod, left as it is in the request",
        stored: &["- a n1 a,b", "p2 b n2 b,c"],
        put: &["- a n1 a", "p2 b n2 b"],
        expected: &["a", "b,c"],
        ..CASE
    },
];

/// Endpoints whose pods are new.
const NEWCOMERS: &[Case] = &[
    Case {
        name: "a newcomer beside another pod",
        stored: &["p1 a n1 a,b"],
        put: &["p1 a n1 a", "p2 c n2 c"],
        expected: &["a,b", "c,a"],
        ..CASE
    },
    Case {
        name: "a newcomer in place of another pod",
        stored: &["p1 a n1 a,b", "p2 b n2 b,c"],
        put: &["p2 b n2 b", "p3 c n3 c"],
        expected: &["b,c", "c,a"],
        ..CASE
    },
    Case {
        name: "newcomers in a slice without endpoints",
        stored: &[],
        put: &["p1 a n1 -", "p2 b n2 c"],
        expected: &["a", "b"],
        ..CASE
    },
    Case {
        name: "its own node",
        annotation: Some("c=c;c/node=own"),
        put: &["p1 c n1 c", "p2 c - c"],
        expected: &["c/n1", "c"],
        ..CASE
    },
    Case {
        name: "an evacuated zone",
        annotation: Some(
            "=a,b;/node=own;c=evacuated.closehaul.io;c/node=evacuated.closehaul.io;d=evacuated.closehaul.io",
        ),
        put: &["p1 c n1 c/n1", "p2 d n2 d", "p3 a n3 a"],
        expected: &[
            "evacuated.closehaul.io/evacuated.closehaul.io",
            "evacuated.closehaul.io",
            "a,b/n3",
        ],
        ..CASE
    },
    Case {
        name: "elsewhere",
        annotation: Some("=a,b;a=a"),
        put: &["p1 c n1 c", "p2 - n2 -", "p3 a n3 b"],
        expected: &["a,b", "a,b", "a"],
        ..CASE
    },
    Case {
        name: "no hints in one zone",
        annotation: Some("=a,b;c="),
        put: &["p1 c n1 c", "p2 a n2 a"],
        expected: &["-", "a,b"],
        ..CASE
    },
    Case {
        name: "no hints elsewhere",
        annotation: Some("a=a"),
        put: &["p1 c n1 c", "p2 - n2 c", "p3 b n3 -"],
        expected: &["-", "-", "-"],
        ..CASE
    },
    Case {
        name: "no hints anywhere",
        annotation: Some(""),
        put: &["p1 c n1 c", "p2 a n2 -"],
        expected: &["-", "-"],
        ..CASE
    },
    Case {
        name: "eight zones",
        annotation: Some("a=a,b,c,d,e,f,g,h"),
        put: &["p1 a n1 a"],
        expected: &["a,b,c,d,e,f,g,h"],
        ..CASE
    },
    // A request must not be rejected because of what the annotation says.
    Case {
        name: "entries that are no names of zones",
        annotation: Some("a=\u{e4};b=-b;c=c/own;d=a,b,c,d,e,f,g,h,i;e=a,a;f;=z"),
        put: &["p1 a n1 -", "p2 b n2 -", "p3 c n3 -", "p4 d n4 -", "p5 e n5 -", "p6 f n6 -"],
        expected: &["z", "z", "z", "z", "z", "z"],
        ..CASE
    },
    Case {
        name: "two entries of one zone",
        annotation: Some("a=a;a=b;;a/node=own;a/node=evacuated.closehaul.io"),
        put: &["p1 a n1 -"],
        expected: &["a/n1"],
        ..CASE
    },
    Case {
        name: "an entry for nodes that names one",
        annotation: Some("a=a;a/node=n7"),
        put: &["p1 a n1 -"],
        expected: &["a"],
        ..CASE
    },
];

/// Writes that the policy leaves alone.
const OTHERS: &[Case] = &[
    Case {
        name: "a slice without the annotation",
        annotation: None,
        stored: &["p1 a n1 a,b"],
        put: &["p1 a n1 a", "p2 b n2 b"],
        expected: &["a", "b"],
        ..CASE
    },
    Case {
        name: "a slice of another controller",
        manager: "mesh.example.com",
        stored: &["p1 a n1 a,b"],
        put: &["p1 a n1 a"],
        expected: &["a"],
        ..CASE
    },
    Case {
        name: "closehaul",
        stored: &["p1 a n1 a,b", "p2 b n2 b"],
        put: &["p1 a n1 a", "p2 b n2 -"],
        who: Actor::Closehaul,
        expected: &["a", "-"],
        ..CASE
    },
    Case {
        name: "the annotation is removed",
        stored: &["p1 a n1 a,b"],
        put: &["p1 a n1 a"],
        edit: |slice| slice["metadata"]["annotations"] = Value::Null,
        expected: &["a"],
        ..CASE
    },
    Case {
        name: "the annotation is added",
        annotation: None,
        stored: &["p1 a n1 a,b"],
        put: &["p1 a n1 a"],
        edit: |slice| slice["metadata"]["annotations"] = json!({"closehaul.io/hints": "a=b"}),
        expected: &["a"],
        ..CASE
    },
    Case {
        name: "the annotation is changed: the stored one counts",
        annotation: Some("a=a,b"),
        stored: &["p1 a n1 a,b"],
        put: &["p1 a n1 a", "p2 a n2 a"],
        edit: |slice| slice["metadata"]["annotations"] = json!({"closehaul.io/hints": "a=c"}),
        expected: &["a,b", "a,b"],
        ..CASE
    },
    Case {
        name: "any other client",
        stored: &["p1 a n1 a,b"],
        put: &["p1 a n1 a"],
        who: Actor::Admin,
        expected: &["a,b"],
        is_written: false,
        ..CASE
    },
];

impl Case {
    /// Makes the write; returns what differs from what is expected.
    async fn run(&self, stage: &Stage, name: &str) -> Result<(), String> {
        let of = |endpoints: &[&str]| endpoints.iter().map(|text| endpoint(text)).collect();
        let managed = |endpoints| {
            let mut slice = slice(name, self.annotation, of(endpoints));
            slice["metadata"]["labels"][MANAGED_BY] = json!(self.manager);
            slice
        };
        let stored = stage.create(&managed(self.stored)).await?;
        let mut put = managed(self.put);
        (self.edit)(&mut put);
        stage.put(self.who, &put).await?;
        let now = stage.get(name).await;
        let hints: Vec<String> =
            now["endpoints"].as_array().into_iter().flatten().map(written).collect();
        let version = |slice: &Value| slice["metadata"]["resourceVersion"].clone();
        let is_written = version(&now) != version(&stored);
        if hints != self.expected || is_written != self.is_written {
            return Err(format!("{hints:?}, written: {is_written}\n{stored:#}\n{now:#}"));
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_in_force_are_kept_and_newcomers_hinted() {
    tokio::time::timeout(LIMIT, table()).await.expect("the time limit");
}

async fn table() {
    let stage = Stage::start().await;
    let mut wrong = Vec::new();
    let cases = KEPT.iter().chain(NEWCOMERS).chain(OTHERS);
    for (number, case) in cases.enumerate() {
        if let Err(difference) = case.run(&stage, &format!("case-{number}")).await {
            wrong.push(format!("{}: {difference}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let failures = stage.failures().await;
    assert!(failures.values().all(|count| *count == 0.0), "{failures:?}");

    // The index of pods cannot be built, and the policy does nothing.
    let of = |endpoints: &[&str]| endpoints.iter().map(|text| endpoint(text)).collect();
    let twice = ["p1 a n1 a,b", "p2 a n1 b", "p2 a n1 c"];
    stage.create(&slice("twice", Some("a=a"), of(&twice))).await.unwrap();
    let put = slice("twice", Some("a=a"), of(&["p2 a n1 a", "p2 a n1 a"]));
    stage.put(Actor::ControllerManager, &put).await.unwrap();
    let now = stage.get("twice").await;
    assert_eq!(
        now["endpoints"].as_array().unwrap().iter().map(written).collect::<Vec<_>>(),
        ["a", "a"]
    );
    assert!(stage.failures().await.values().sum::<f64>() > 0.0, "the count of failures says so");
    stage.cluster.stop().await.unwrap();
}
