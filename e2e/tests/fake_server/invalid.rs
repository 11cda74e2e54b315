//! Invalid: calls that are rejected for what they contain, and their neighbours that are not.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::{answer::Answer, script::Session};

/// A namespace that is being deleted.
const ENDING: &str = "ending";
impl Session<'_> {
    /// Slices that a server accepts or rejects, by address, hint, size and change.
    pub async fn invalid_slices(&mut self) {
        let addresses = [
            "0.0.0.0",
            "127.0.0.1",
            "169.254.1.1",
            "224.0.0.1",
            "225.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "ff05::1",
            "::ffff:10.0.0.1",
            "fd00::1",
            "10.0.0.01",
            "ten",
            "",
        ];
        for address in addresses {
            let what = format!("create with address {address:?}");
            let endpoints = json!([{ "addresses": ["10.1.2.3"] }, { "addresses": [address] }]);
            let mut slice = self.object("invalid");
            slice["endpoints"] = endpoints;
            slice["addressType"] = json!(if address.contains(':') { "IPv6" } else { "IPv4" });
            if address.contains(':') {
                slice["endpoints"][0]["addresses"][0] = json!("fd00::5");
            }
            self.create(&what, &slice).await;
            self.delete("remove it", "invalid", &json!({})).await;
        }
        let zones = ["zone-a", "", "zone a", "-a", &"z".repeat(63), &"z".repeat(64), "a/b"];
        for zone in zones {
            let what = format!("create with a hint for zone {zone:?}");
            let mut slice = self.object("invalid");
            slice["endpoints"][0]["hints"] = json!({ "forZones": [{ "name": zone }] });
            self.create(&what, &slice).await;
            self.delete("remove it", "invalid", &json!({})).await;
        }
        for (count, hints) in [(8, "forZones"), (9, "forZones"), (8, "forNodes"), (9, "forNodes")] {
            let names: Vec<_> = (0..count).map(|at| json!({ "name": format!("n{at}") })).collect();
            let mut slice = self.object("invalid");
            slice["endpoints"][0]["hints"] = json!({ hints: names });
            self.create(&format!("create with {count} hints {hints}"), &slice).await;
            self.delete("remove it", "invalid", &json!({})).await;
        }
        for count in [1000, 1001] {
            let address = |at: usize| format!("10.2.{}.{}", at / 250, at % 250 + 1);
            let endpoints: Vec<_> =
                (0..count).map(|at| json!({ "addresses": [address(at)] })).collect();
            let mut slice = self.object("invalid");
            slice["endpoints"] = json!(endpoints);
            let what = format!("create with {count} endpoints");
            self.answers.push(Answer::code_only(&what, self.ask("POST", "", &slice).await));
            self.ask("DELETE", "invalid", &json!({})).await;
        }
        let mut slice = self.create("create", &self.object("valid")).await;
        slice["addressType"] = json!("IPv6");
        self.put("change the address type", "valid", &slice).await;
        slice["addressType"] = json!("IPv4");
        slice["endpoints"][0]["addresses"][0] = json!("127.0.0.1");
        self.put("put an invalid address", "valid", &slice).await;
        let patch = json!({ "endpoints": [{ "addresses": ["127.0.0.1"] }] });
        self.patch("patch in an invalid address", "valid", &patch).await;
        let mut large = self.object("large");
        large["metadata"]["annotations"] = json!({ "long": "x".repeat(4 << 20) });
        let answer = self.ask("POST", "", &large).await;
        self.answers.push(Answer::code_only("create an object of 4 MiB", answer));
    }

    /// No controller removes the namespace here, so it stays as it is.
    pub async fn terminating_namespace(&mut self) {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": ENDING },
        });
        self.send("POST", "/api/v1/namespaces", &namespace).await;
        self.send("DELETE", &format!("/api/v1/namespaces/{ENDING}"), &json!({})).await;
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{ENDING}/endpointslices");
        let mut slice = self.object("late");
        slice["metadata"]["namespace"] = json!(ENDING);
        // The admission reads namespaces through a watch.
        sleep(Duration::from_secs(1)).await;
        self.call("create in a terminating namespace", "POST", &path, slice).await;
    }
}
