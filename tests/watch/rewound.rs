//! A history that went back, and the lists and probes that the controller orders.

use super::*;

/// As after a restore from a backup: the connection breaks, and comes back to an earlier state.
async fn restored(api: &FakeApi, view: &mut View, version: u64) {
    api.disconnect();
    view.pass(3 * SECOND).await;
    api.restore(version);
    api.connect();
}

#[tokio::test(start_paused = true)]
async fn a_history_that_went_back_shows_before_the_watch_is_resumed() {
    for streaming in [true, false] {
        let (api, mut view) = listed(&["a"], streaming).await;
        let backup = api.version();
        api.put(PODS, pod("b"));
        view.until_pods(&["a", "b"]).await;
        view.pass(60 * SECOND).await;
        restored(&api, &mut view, backup).await;
        view.until("seen", |view| !view.rewinds.is_empty()).await;
        api.remove(PODS, "ns", "a");
        view.pass(300 * SECOND).await;
        assert_eq!(view.names(), ["a", "b"], "a resumed watch is blind, as upstream's");
        view.orders.send_modify(|orders| orders.relist = Some(Instant::now()));
        view.until_pods(&[]).await;
        view.pass(300 * SECOND).await;
        let signs: Vec<_> = view.rewinds.iter().map(|rewind| rewind.sign.as_str()).collect();
        assert_eq!((signs, view.lists), (vec!["list"], 2), "streaming: {streaming}");
    }
}

/// The list is requested by a 410, and not by an order.
#[tokio::test(start_paused = true)]
async fn a_list_that_shows_the_new_history_is_not_repeated_for_it() {
    let (api, mut view) = listed(&["a"], true).await;
    let backup = api.version();
    api.put(PODS, pod("b"));
    view.until_pods(&["a", "b"]).await;
    view.pass(60 * SECOND).await;
    api.restore(backup);
    api.expire_watches(PODS);
    view.until_listed(2).await;
    let [rewind] = view.rewinds[..] else { panic!("{:?}", view.rewinds) };
    view.orders.send_modify(|orders| orders.relist = Some(rewind.at));
    view.pass(300 * SECOND).await;
    assert_eq!((view.names(), view.lists), (vec!["a"], 2));
}

#[tokio::test(start_paused = true)]
async fn lists_are_ordered_at_most_every_30_seconds() {
    for streaming in [true, false] {
        let (_, mut view) = listed(&["a"], streaming).await;
        for _ in 0..300 {
            view.orders.send_modify(|orders| orders.relist = Some(Instant::now()));
            view.pass(SECOND).await;
        }
        assert!((9..=11).contains(&view.lists), "{} lists in five minutes", view.lists);
    }
}

/// An order that comes while the answer to the request for a list is still to come.
#[tokio::test(start_paused = true)]
async fn a_list_that_was_requested_before_an_order_does_not_answer_to_it() {
    let api = FakeApi::new();
    api.put(PODS, pod("a"));
    api.fault(on_streaming("/pods").times(1), Effect::Delay(20 * SECOND));
    let mut view = View::new(&api);
    let began = Instant::now();
    view.pass(10 * SECOND).await;
    view.orders.send_modify(|orders| orders.relist = Some(Instant::now()));
    view.until_listed(1).await;
    assert_eq!(view.asked, Some(began));
    view.pass(60 * SECOND).await;
    assert_eq!(view.lists, 2);
}

#[tokio::test(start_paused = true)]
async fn a_probe_is_made_on_demand_and_costs_no_list() {
    let (api, mut view) = listed(&["a"], true).await;
    let is_probe = |seen: &Seen| seen.query.contains("limit=1");
    view.orders.send_modify(|orders| orders.probes += 1);
    view.pass(SECOND).await;
    api.put(PODS, pod("b"));
    view.until_pods(&["a", "b"]).await;
    assert_eq!((api.count(is_probe), view.lists, view.rewinds.len()), (1, 1, 0));
}

/// Of two API servers one lags behind: a watch may show old events, and lists are quorum reads.
#[tokio::test(start_paused = true)]
async fn an_api_server_that_lags_is_no_sign() {
    let (api, mut view) = listed(&["a"], true).await;
    for round in 0..20 {
        api.hold(PODS);
        api.edit(PODS, "ns", "a", |pod| pod["spec"]["nodeName"] = json!(format!("n{round}")));
        api.end_watches();
        view.pass(10 * SECOND).await;
        api.release(PODS);
        api.end_watches();
        view.pass(10 * SECOND).await;
    }
    assert_eq!((&*view.pods["a"], view.lists, view.rewinds.len()), ("n19", 1, 0));
}
