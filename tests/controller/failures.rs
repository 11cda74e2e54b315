//! Failures of writes: refused, busy, lost, hung.

use fake_api::{
    collections::{PODS, SERVICES, SLICES},
    faults::{Effect, on},
    rig::*,
};
use serde_json::json;
use tokio::time::Instant;

const SHOP: &str = "/namespaces/shop/endpointslices";

/// Two namespaces; writes to the first fail.
async fn failing(effect: Effect) -> Rig {
    let rig = Rig::settled(cluster(&["shop/web-1", "bank/web-1"])).await;
    rig.api.fault(on("PUT", SHOP), effect);
    rig
}

#[tokio::test(start_paused = true)]
async fn a_failing_service_is_tried_for_ever_and_the_others_go_on() {
    for effect in [Effect::Answer(503), Effect::Answer(422), Effect::Refuse] {
        let mut rig = failing(effect.clone()).await;
        set_ready(&rig.api, "shop/web-1", false);
        let start = Instant::now();
        for hour in 0..3 {
            set_ready(&rig.api, "bank/web-1", hour % 2 == 1);
            let expected = if hour % 2 == 1 { "web-1" } else { "web-1!" };
            assert!(rig.until_endpoints("bank/web", &[expected]).await < SECOND);
            rig.pass(60 * MINUTE).await;
        }
        let tries: Vec<_> =
            rig.look().into_iter().filter(|seen| seen.path.contains(SHOP)).collect();
        let waits: Vec<_> =
            tries.windows(2).map(|two| (two[1].at - two[0].at).as_millis()).collect();
        for (wait, least) in waits.iter().zip([100, 200, 400, 800, 1600, 3200, 6400]) {
            assert!((least..=least + 100).contains(wait), "{effect:?}: {waits:?}");
        }
        assert!(waits[12..].iter().all(|wait| wait / 1000 == 60), "{waits:?}");
        assert!(tries.last().unwrap().at - start > 179 * MINUTE);
        rig.api.clear_faults();
        let took = rig.until_endpoints("shop/web", &["web-1!"]).await;
        assert!(took <= 61 * SECOND, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_brings_the_next_try_forward_to_one_a_second() {
    let mut rig = failing(Effect::Answer(500)).await;
    set_ready(&rig.api, "shop/web-1", false);
    rig.pass(10 * MINUTE).await;
    rig.look();
    for round in 0..600 {
        set_ready(&rig.api, "shop/web-1", round % 2 == 0);
        rig.pass(100 * MS).await;
    }
    let tries = rig.look().len();
    assert!((30..=65).contains(&tries), "{tries} tries in a minute with 600 events");
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_given_the_time_it_asks_for() {
    for effect in [Effect::TooMany(25), Effect::Shed(25)] {
        let mut rig = Rig::settled(cluster(&["web-1"])).await;
        rig.api.fault(on("PUT", SHOP).times(3), effect.clone());
        set_ready(&rig.api, "web-1", false);
        // Events do not bring the next attempt forward.
        for round in 0..800 {
            rig.pass(100 * MS).await;
            edit(&rig.api, SERVICES, "web", |service| {
                service["metadata"]["labels"] = json!({ "round": round.to_string() });
            });
        }
        let tries = rig.look();
        for two in tries[..4].windows(2) {
            let wait = two[1].at - two[0].at;
            assert!((25 * SECOND..=26 * SECOND).contains(&wait), "{effect:?}: {wait:?}");
        }
        assert_eq!(rig.endpoints("web"), ["web-1!"]);
    }
}

/// The create was applied, and the answer says that it may have been.
#[tokio::test(start_paused = true)]
async fn a_create_that_was_applied_unknown_to_us_leaves_no_duplicate() {
    for effect in [Effect::DoAndAnswer(504), Effect::DoAndAnswer(500), Effect::DoAndHang] {
        for is_late in [false, true] {
            let api = cluster(&["web-1", "web-2"]);
            api.fault(on("POST", SHOP).times(1), effect.clone());
            let rig = Rig::start(api);
            rig.until("listed", |rig| !rig.writes().is_empty()).await;
            if is_late {
                rig.api.hold(SLICES);
            }
            let start = Instant::now();
            while start.elapsed() < 30 * SECOND {
                // Never missing, but twice for a while if nothing is known of the first create.
                let mut endpoints = rig.endpoints("web");
                endpoints.dedup();
                assert_eq!(endpoints, ["web-1", "web-2"], "{effect:?} {:?}", start.elapsed());
                rig.pass(20 * MS).await;
                if start.elapsed() > 20 * SECOND {
                    rig.api.release(SLICES);
                }
            }
            assert_eq!(rig.endpoints("web"), ["web-1", "web-2"], "{effect:?}");
            let creates = rig.api.count(|seen| seen.method == "POST");
            assert!(creates <= if is_late { 2 } else { 1 }, "{effect:?}: {creates} creates");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_update_or_delete_that_was_applied_unknown_to_us_is_seen() {
    for effect in [Effect::DoAndAnswer(504), Effect::DoAndHang] {
        let options = Options { settings: settings_of(1), ..Options::default() };
        let mut rig = Rig::settled_with(cluster(&["web-1", "web-2"]), options).await;
        rig.api.fault(on("PUT", SHOP).times(1), effect.clone());
        rig.api.fault(on("DELETE", SHOP).times(1), effect.clone());
        set_ready(&rig.api, "web-1", false);
        remove(&rig.api, PODS, "web-2");
        rig.pass(5 * MINUTE).await;
        assert_eq!(rig.methods(), ["PUT", "DELETE"], "{effect:?}");
        assert_eq!(rig.endpoints("web"), ["web-1!"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_write_times_out_and_does_not_hold_up_others() {
    let mut rig = failing(Effect::Answer(500)).await;
    rig.api.clear_faults();
    rig.api.fault(on("PUT", SHOP).times(1), Effect::Hang);
    set_ready(&rig.api, "shop/web-1", false);
    rig.pass(SECOND).await;
    set_ready(&rig.api, "bank/web-1", false);
    assert!(rig.until_endpoints("bank/web", &["web-1!"]).await < SECOND);
    let took = rig.until_endpoints("shop/web", &["web-1!"]).await;
    assert!((8 * SECOND..10 * SECOND).contains(&took), "{took:?} after the first second");
    assert_eq!(rig.methods(), ["PUT", "PUT", "PUT"]);
}

#[tokio::test(start_paused = true)]
async fn one_address_type_that_is_refused_does_not_stop_the_other() {
    let api = cluster(&["web-1"]);
    edit(&api, SERVICES, "web", |service| {
        service["spec"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
    });
    api.fault(on("POST", SHOP).times(1), Effect::Answer(422));
    api.fault(on("POST", SHOP).times(1), Effect::DoAndDelay(MS));
    api.fault(on("POST", SHOP), Effect::Answer(422));
    let rig = Rig::start(api);
    rig.pass(60 * MINUTE).await;
    assert_eq!(rig.slice("web")["addressType"], "IPv6");
    rig.api.clear_faults();
    rig.until("both", |rig| rig.slices("web").len() == 2).await;
}

#[tokio::test(start_paused = true)]
async fn the_longest_wait_that_is_asked_for_holds_for_all_address_types() {
    for effects in [
        [Effect::TooMany(25), Effect::Answer(500)],
        [Effect::Answer(500), Effect::TooMany(25)],
        [Effect::TooMany(25), Effect::TooMany(1)],
    ] {
        let api = cluster(&["web-1"]);
        edit(&api, SERVICES, "web", |service| {
            service["spec"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
        });
        for effect in &effects {
            api.fault(on("POST", SHOP).times(1), effect.clone());
        }
        let rig = Rig::start(api);
        let took = rig.until("both", |rig| rig.slices("web").len() == 2).await;
        assert!((25 * SECOND..26 * SECOND).contains(&took), "{effects:?}: {took:?}");
    }
}

/// The built-in controller forgets it (docs/semantics.md 4.6).
#[tokio::test(start_paused = true)]
async fn the_next_try_still_says_what_it_answers_to() {
    let time = "2026-11-23T10:00:00Z";
    let rig = Rig::settled(cluster(&["web-1"])).await;
    rig.api.fault(on("PUT", SHOP).times(2), Effect::Answer(500));
    edit(&rig.api, PODS, "web-1", |pod| {
        let unready = json!({ "type": "Ready", "status": "False", "lastTransitionTime": time });
        pod["status"]["conditions"][0] = unready;
    });
    rig.until_endpoints("web", &["web-1!"]).await;
    let annotations = rig.slice("web")["metadata"]["annotations"].clone();
    assert_eq!(annotations["endpoints.kubernetes.io/last-change-trigger-time"], time);
}
