//! What the chart reports for invalid values.

use e2e::chart::{Error, Tools};

/// Values, and what the message must contain: the location, and what would be correct.
const WRONG: [(&str, &[&str]); 21] = [
    // Rejected by the schema.
    ("replicaCount=two", &["/replicaCount", "got string, want integer"]),
    ("mode=webhook", &["/mode", "'replace', 'assist', 'advise'"]),
    ("replicas=3", &["additional properties 'replicas' not allowed"]),
    ("image.digest=abc", &["/image/digest", "'abc' does not match pattern '^(sha256:"]),
    ("leaderElection.leaseDuration=15", &["/leaderElection/leaseDuration", "want string"]),
    (
        "controller.maxEndpointsPerSlice=2000",
        &["maxEndpointsPerSlice", "maximum: got 2,000, want 1,000"],
    ),
    ("logFormat=xml", &["/logFormat", "'json', 'text'"]),
    ("apiServer.host=https://192.0.2.1", &["/apiServer/host", "does not match pattern"]),
    ("podDisruptionBudget.minAvailable=half", &["/podDisruptionBudget/minAvailable", "pattern"]),
    (
        "prometheusRule.overrides.Other.for=1m",
        &["/prometheusRule/overrides", "additional properties 'Other' not allowed"],
    ),
    // Rejected because they do not fit together.
    ("prometheusRule.enabled=true", &["prometheusRule.enabled: metrics are served on 127.0.0.1"]),
    (
        "serviceMonitor.enabled=true,metrics.enabled=false",
        &["serviceMonitor.enabled: metrics are switched off", "set metrics.enabled=true"],
    ),
    ("hostUsers=false", &["hostUsers: a user namespace needs a network of its own"]),
    ("dnsPolicy=None", &["dnsPolicy: with None", "set dnsConfig.nameservers"]),
    ("enabled=false", &["enabled: false has an effect only in a parent chart"]),
    ("serviceMonitor.enabled=true", &["127.0.0.1 only", "metrics.address=0.0.0.0"]),
    ("podMonitor.enabled=true", &["podMonitor.enabled: metrics are served on 127.0.0.1 only"]),
    ("networkPolicy.enabled=true", &["hostNetwork=false"]),
    ("metrics.port=10282", &["metrics.port and health.port are both 10282"]),
    ("serviceAccount.create=false", &["serviceAccount.name: name the account that exists"]),
    ("dnsPolicy=ClusterFirst", &["ClusterFirst has no effect with hostNetwork"]),
];

#[test]
fn wrong_values_are_refused_by_name() {
    let tools = Tools::ensure().unwrap();
    for (value, named) in WRONG {
        let Err(Error::Refused(said)) = tools.render("kube-system", &["--set", value]) else {
            panic!("{value} was taken");
        };
        eprintln!("--set {value}\n{said}");
        for words in named {
            assert!(said.contains(words), "{value}: no `{words}` in\n{said}");
        }
    }
}
