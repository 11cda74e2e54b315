//! The queue's rules one by one, and random histories against a naive model.

use proptest::prelude::*;

use super::*;

mod turns;

impl Keyed for &'static str {
    type Group = &'static str;

    /// What is before the first slash.
    fn group(&self) -> &'static str {
        self.split_once('/').map_or("", |(group, _)| group)
    }
}

impl Keyed for i32 {
    type Group = ();

    fn group(&self) {}
}

impl Keyed for u8 {
    type Group = ();

    fn group(&self) {}
}

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn queue() -> (Queue<&'static str>, Instant) {
    (Queue::new(0.0, 5), Instant::now())
}

/// Everything due at `now`, each taken and finished.
fn drain(queue: &mut Queue<&'static str>, now: Instant) -> Vec<(&'static str, Class)> {
    let mut taken = Vec::new();
    while let Some((key, class)) = queue.take(now) {
        queue.done(&key, now);
        taken.push((key, class));
    }
    taken
}

#[test]
fn keys_come_in_order_of_becoming_due_and_then_of_arrival() {
    let (mut queue, start) = queue();
    queue.add("late", Class::Endpoints, start + 2 * MS);
    queue.add("first", Class::Endpoints, start);
    queue.add("second", Class::Endpoints, start);
    queue.add("future", Class::Endpoints, start + SECOND);
    let keys: Vec<_> = drain(&mut queue, start + 2 * MS).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["first", "second", "late"]);
    assert_eq!(queue.next_due(), Some(start + SECOND));
}

#[test]
fn a_batch_window_counts_from_the_first_event_and_never_slides() {
    let (mut queue, start) = queue();
    for event in 0..10 {
        queue.add("a", Class::Endpoints, start + SECOND + event * 100 * MS);
    }
    assert_eq!(queue.len(), 1);
    assert_eq!(queue.take(start + 999 * MS), None);
    assert_eq!(queue.take(start + SECOND), Some(("a", Class::Endpoints)));
}

#[test]
fn an_earlier_and_more_urgent_wish_wins() {
    let (mut queue, start) = queue();
    queue.add("a", Class::Hints, start + SECOND);
    queue.add("a", Class::Endpoints, start + 2 * SECOND);
    assert_eq!(queue.next_due(), Some(start + SECOND));
    queue.add("a", Class::Hints, start);
    assert_eq!(drain(&mut queue, start), [("a", Class::Endpoints)]);
}

#[test]
fn endpoints_come_before_hints_however_long_those_have_waited() {
    let (mut queue, start) = queue();
    queue.add("hint", Class::Hints, start);
    queue.add("endpoint", Class::Endpoints, start + SECOND);
    let taken = drain(&mut queue, start + SECOND);
    assert_eq!(taken, [("endpoint", Class::Endpoints), ("hint", Class::Hints)]);
}

#[test]
fn a_key_added_while_in_work_runs_once_more_afterwards() {
    let (mut queue, start) = queue();
    queue.add("a", Class::Endpoints, start);
    queue.take(start);
    queue.add("a", Class::Hints, start);
    queue.add("a", Class::Endpoints, start + SECOND);
    assert!(queue.is_in_work(&"a"));
    assert_eq!((queue.take(start), queue.next_due(), queue.len()), (None, None, 0));
    queue.done(&"a", start + MS);
    assert_eq!(drain(&mut queue, start + MS), [("a", Class::Endpoints)]);
    assert_eq!((queue.len(), queue.in_work(), queue.next_due()), (0, 0, None));
}

/// Whatever puts it back: an event, its success, its failure, a change of class, or a new object of
/// the same name.
#[test]
fn a_key_that_is_held_off_comes_after_the_others() {
    type Add = fn(&mut Queue<&'static str>, Instant);
    let adds: [(&str, Add); 6] = [
        ("an event", |queue, now| {
            queue.done(&"a", now);
            queue.add("a", Class::Endpoints, now);
        }),
        ("an event during the work", |queue, now| {
            queue.add("a", Class::Endpoints, now);
            queue.done(&"a", now);
        }),
        ("an event while it waits", |queue, now| {
            queue.defer(&"a", Class::Hints);
            queue.add("a", Class::Endpoints, now);
        }),
        ("a failure", |queue, now| queue.retry(&"a", now, Class::Endpoints)),
        ("another class", |queue, _| queue.defer(&"a", Class::Hints)),
        ("a new object", |queue, now| {
            queue.forget(&"a");
            queue.done(&"a", now);
            queue.add("a", Class::Endpoints, now);
        }),
    ];
    for (what, add) in adds {
        let (mut queue, start) = queue();
        queue.add("a", Class::Endpoints, start);
        queue.take(start);
        queue.hold_off(&"a", start + 2 * SECOND, start);
        add(&mut queue, start);
        queue.add("b", Class::Endpoints, start + SECOND);
        assert_eq!(queue.take(start + 2 * SECOND - MS).map(|(key, _)| key), Some("b"), "{what}");
        assert_eq!(queue.take(start + 2 * SECOND - MS), None, "{what}");
        assert_eq!(queue.take(start + 2 * SECOND).map(|(key, _)| key), Some("a"), "{what}");
    }
}

#[test]
fn a_key_that_waits_already_is_held_off_too() {
    let (mut queue, start) = queue();
    queue.add("a", Class::Endpoints, start);
    queue.take(start);
    queue.defer(&"a", Class::Hints);
    queue.hold_off(&"a", start + SECOND, start);
    assert_eq!((queue.next_due(), queue.take(start)), (Some(start + SECOND), None));
    queue.add("a", Class::Endpoints, start);
    assert_eq!(queue.next_due(), Some(start + SECOND));
    assert_eq!(queue.take(start + SECOND), Some(("a", Class::Endpoints)));
    queue.done(&"a", start + SECOND);
    queue.add("a", Class::Endpoints, start + 3 * SECOND);
    assert_eq!(
        queue.next_due(),
        Some(start + 3 * SECOND),
        "once the time is over it is as any other"
    );
    queue.hold_off(&"b", start + 9 * SECOND, start + 4 * SECOND);
    assert_eq!(queue.held_off.keys().collect::<Vec<_>>(), [&"b"], "what is over is forgotten");
}

#[test]
fn back_off_doubles_to_a_minute_and_is_forgotten_by_success() {
    let (mut queue, start) = queue();
    let mut now = start;
    queue.add("a", Class::Endpoints, now);
    let mut waits = Vec::new();
    for _ in 0..12 {
        queue.take(now);
        queue.retry(&"a", now, Class::Endpoints);
        let due = queue.next_due().unwrap();
        waits.push((due - now).as_millis());
        now = due;
    }
    let expected = [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000];
    assert_eq!(waits, expected);
    queue.take(now);
    queue.done(&"a", now);
    queue.add("a", Class::Endpoints, now);
    queue.take(now);
    queue.retry(&"a", now, Class::Endpoints);
    assert_eq!(queue.next_due(), Some(now + FIRST_RETRY));
}

#[test]
fn events_bring_a_failing_key_forward_to_once_a_second_at_most() {
    let (mut queue, start) = queue();
    let mut now = start;
    queue.add("a", Class::Endpoints, now);
    let mut tries = 0;
    // An event every 10 ms for a minute, and every attempt fails.
    while now < start + 60 * SECOND {
        queue.add("a", Class::Endpoints, now);
        if queue.take(now).is_some() {
            tries += 1;
            queue.retry(&"a", now, Class::Endpoints);
        }
        now += 10 * MS;
    }
    assert!((58..=65).contains(&tries), "{tries} tries");
    assert_eq!(queue.failures(&"a"), tries, "events leave the count of failures");
}

#[test]
fn an_event_in_a_long_back_off_does_not_wait_it_out() {
    let (mut queue, start) = queue();
    queue.add("a", Class::Endpoints, start);
    let mut now = start;
    for _ in 0..12 {
        queue.take(now);
        queue.retry(&"a", now, Class::Endpoints);
        now = queue.next_due().unwrap();
    }
    let failed = now - LONGEST_RETRY;
    queue.add("a", Class::Endpoints, failed + 10 * SECOND);
    assert_eq!(queue.next_due(), Some(failed + 10 * SECOND));
}

#[test]
fn no_event_comes_before_the_time_the_server_asked_for() {
    let (mut queue, start) = queue();
    queue.add("a", Class::Endpoints, start);
    queue.take(start);
    queue.add("a", Class::Endpoints, start);
    queue.retry_after(&"a", start, Class::Endpoints, 7 * SECOND);
    queue.add("a", Class::Endpoints, start);
    assert_eq!(queue.next_due(), Some(start + 7 * SECOND));
}

#[test]
fn a_wait_that_was_asked_for_has_an_end() {
    let (start, mut queue) = (Instant::now(), Queue::new(0.0, 5));
    queue.add("a", Class::Endpoints, start);
    queue.take(start);
    queue.retry_after(&"a", start, Class::Endpoints, Duration::MAX);
    assert_eq!(queue.next_due(), Some(start + LONGEST_RETRY));
}

#[test]
fn deferring_reclassifies_and_is_no_failure() {
    let (mut queue, start) = queue();
    queue.add("a", Class::Endpoints, start);
    queue.take(start);
    queue.defer(&"a", Class::Hints);
    assert_eq!(queue.failures(&"a"), 0);
    assert_eq!(drain(&mut queue, start), [("a", Class::Hints)]);
}

#[test]
fn what_is_deferred_keeps_its_turn() {
    let (mut queue, start) = queue();
    queue.add("a", Class::Hints, start);
    queue.add("b", Class::Hints, start + MS);
    // A pod changes, and it turns out that this changed only hints.
    queue.add("a", Class::Endpoints, start + 2 * MS);
    assert_eq!(queue.take(start + 2 * MS), Some(("a", Class::Endpoints)));
    queue.defer(&"a", Class::Hints);
    let both = [("a", Class::Hints), ("b", Class::Hints)];
    assert_eq!(drain(&mut queue, start + 2 * MS), both);
}

#[test]
fn forgetting_drops_a_waiting_key_and_the_outcome_of_work() {
    let (mut queue, start) = queue();
    queue.add("waiting", Class::Hints, start);
    queue.forget(&"waiting");
    assert!(queue.is_empty() && queue.next_due().is_none());

    queue.add("working", Class::Endpoints, start);
    queue.take(start);
    queue.forget(&"working");
    queue.retry(&"working", start, Class::Endpoints);
    assert_eq!((queue.len(), queue.in_work()), (0, 0));

    queue.add("recreated", Class::Endpoints, start);
    queue.take(start);
    queue.forget(&"recreated");
    queue.add("recreated", Class::Endpoints, start);
    queue.done(&"recreated", start);
    assert_eq!(drain(&mut queue, start), [("recreated", Class::Endpoints)]);
}

#[test]
fn hints_are_paced_and_endpoints_are_not() {
    let mut queue = Queue::new(2.0, 5);
    let start = Instant::now();
    for key in 0..10 {
        queue.add(key, Class::Hints, start);
        queue.add(100 + key, Class::Endpoints, start);
    }
    let at = |queue: &mut Queue<i32>, now| std::iter::from_fn(|| queue.take(now)).count();
    assert_eq!(at(&mut queue, start), 10 + 2, "a burst of as many as the rate");
    assert_eq!(queue.next_due(), Some(start + SECOND / 2));
    assert_eq!(at(&mut queue, start + SECOND / 2), 1);
    assert_eq!(at(&mut queue, start + 3 * SECOND), 2);
}

#[test]
fn age_counts_from_becoming_due() {
    let (mut queue, start) = queue();
    queue.add("a", Class::Hints, start + SECOND);
    queue.add("b", Class::Endpoints, start + 2 * SECOND);
    assert_eq!(queue.oldest_age(start), Duration::ZERO);
    assert_eq!(queue.oldest_age(start + 3 * SECOND), 2 * SECOND);
}

/// The same rules over an unordered list, without a pace.
#[derive(Default)]
struct Model {
    /// key, class, due, arrival
    waiting: Vec<(u8, Class, Instant, usize)>,
    working: Vec<Work>,
    failed: HashMap<u8, (u32, Option<Instant>)>,
    arrivals: usize,
}

struct Work {
    key: u8,
    due: Instant,
    again: Option<(Class, Instant)>,
    forgotten: bool,
}

impl Model {
    fn push(&mut self, key: u8, class: Class, due: Instant) {
        self.arrivals += 1;
        self.waiting.push((key, class, due, self.arrivals));
    }

    fn add(&mut self, key: u8, class: Class, due: Instant) {
        let floor = self.failed.get(&key).and_then(|failed| failed.1);
        if let Some(work) = self.working.iter_mut().find(|work| work.key == key) {
            let wish = work.again.unwrap_or((class, due));
            work.again = Some((wish.0.min(class), wish.1.min(due)));
            work.forgotten = false;
        } else if let Some(entry) = self.waiting.iter_mut().find(|entry| entry.0 == key) {
            entry.1 = entry.1.min(class);
            entry.2 = entry.2.min(floor.map_or(due, |floor| floor.max(due)));
        } else {
            self.push(key, class, due);
        }
    }

    fn take(&mut self, now: Instant) -> Option<(u8, Class)> {
        let due = self.waiting.iter().filter(|entry| entry.2 <= now);
        let (key, class, due, _) = *due.min_by_key(|entry| (entry.1, entry.2, entry.3))?;
        self.waiting.retain(|entry| entry.0 != key);
        self.working.push(Work { key, due, again: None, forgotten: false });
        Some((key, class))
    }

    fn end(&mut self, key: u8) -> Option<Work> {
        let position = self.working.iter().position(|work| work.key == key)?;
        Some(self.working.remove(position))
    }

    fn done(&mut self, key: u8, now: Instant) {
        let Some(work) = self.end(key) else { return };
        self.failed.remove(&key);
        if let Some((class, due)) = work.again {
            self.push(key, class, due.max(now));
        }
    }

    fn retry(&mut self, key: u8, now: Instant, class: Class, asked: Option<Duration>) {
        let Some(work) = self.end(key) else { return };
        if work.forgotten {
            return;
        }
        let (failures, floor) = self.failed.entry(key).or_default();
        let doubled = (0..*failures).fold(FIRST_RETRY, |wait, _| (2 * wait).min(LONGEST_RETRY));
        let wait = asked.unwrap_or(doubled);
        *failures += 1;
        *floor = Some(now + asked.unwrap_or_else(|| doubled.min(EVENT_RETRY)));
        let (class, due) = match (work.again, *floor) {
            (Some((other, due)), Some(floor)) => (class.min(other), due.max(floor).min(now + wait)),
            _ => (class, now + wait),
        };
        self.push(key, class, due);
    }

    fn defer(&mut self, key: u8, class: Class) {
        let Some(work) = self.end(key) else { return };
        if !work.forgotten {
            let (other, due) = work.again.unwrap_or((class, work.due));
            self.push(key, class.min(other), due.min(work.due));
        }
    }

    fn forget(&mut self, key: u8) {
        self.waiting.retain(|entry| entry.0 != key);
        self.failed.remove(&key);
        if let Some(work) = self.working.iter_mut().find(|work| work.key == key) {
            (work.again, work.forgotten) = (None, true);
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Add(u8, Class, u32),
    Pass(u32),
    Take,
    Done(u8),
    Retry(u8, Class),
    RetryAfter(u8, Class, u32),
    Defer(u8, Class),
    Forget(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..6_u8;
    let class = || prop_oneof![Just(Class::Endpoints), Just(Class::Hints)];
    prop_oneof![
        4 => (key(), class(), 0..3000_u32).prop_map(|(key, class, due)| Step::Add(key, class, due)),
        3 => (0..2000_u32).prop_map(Step::Pass),
        6 => Just(Step::Take),
        2 => key().prop_map(Step::Done),
        3 => (key(), class()).prop_map(|(key, class)| Step::Retry(key, class)),
        1 => (key(), class(), 0..9000_u32)
            .prop_map(|(key, class, wait)| Step::RetryAfter(key, class, wait)),
        1 => (key(), class()).prop_map(|(key, class)| Step::Defer(key, class)),
        1 => key().prop_map(Step::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_as_the_naive_model(steps in prop::collection::vec(step(), 0..200)) {
        let (mut queue, mut model) = (Queue::new(0.0, 5), Model::default());
        let mut now = Instant::now();
        for step in steps {
            match step {
                Step::Add(key, class, due) => {
                    queue.add(key, class, now + due * MS);
                    model.add(key, class, now + due * MS);
                }
                Step::Pass(time) => now += time * MS,
                Step::Take => prop_assert_eq!(queue.take(now), model.take(now)),
                Step::Done(key) => {
                    queue.done(&key, now);
                    model.done(key, now);
                }
                Step::Retry(key, class) => {
                    queue.retry(&key, now, class);
                    model.retry(key, now, class, None);
                }
                Step::RetryAfter(key, class, wait) => {
                    queue.retry_after(&key, now, class, wait * MS);
                    model.retry(key, now, class, Some(wait * MS));
                }
                Step::Defer(key, class) => {
                    queue.defer(&key, class);
                    model.defer(key, class);
                }
                Step::Forget(key) => {
                    queue.forget(&key);
                    model.forget(key);
                }
            }
            let first = model.waiting.iter().map(|entry| entry.2).min();
            prop_assert_eq!(queue.next_due(), first);
            prop_assert_eq!(queue.len(), model.waiting.len());
            prop_assert_eq!(queue.in_work(), model.working.len());
            for key in 0..6 {
                let failures = model.failed.get(&key).map_or(0, |failed| failed.0);
                prop_assert_eq!(queue.failures(&key), failures);
            }
        }
    }
}

/// Of five workers, one at most waits for keys that are not answered, and only when no other key is
/// due.
#[test]
fn keys_that_are_not_answered_do_not_take_all_workers() {
    let (mut queue, start) = queue();
    for key in ["a", "b", "c"] {
        queue.add(key, Class::Endpoints, start);
        queue.take(start);
        queue.retry_unanswered(&key, start, Class::Endpoints);
    }
    let later = start + SECOND;
    queue.add("healthy", Class::Hints, later);
    assert_eq!(queue.take(later), Some(("healthy", Class::Hints)));
    assert_eq!(queue.take(later), Some(("a", Class::Endpoints)));
    assert_eq!((queue.take(later), queue.next_due()), (None, None), "the others wait for it");
    queue.add("b", Class::Endpoints, later);
    assert_eq!(queue.take(later), None, "an event does not change that");
    queue.done(&"a", later);
    assert_eq!(queue.take(later), Some(("b", Class::Endpoints)));
    queue.retry(&"b", later, Class::Endpoints);
    assert_eq!(queue.take(later), Some(("c", Class::Endpoints)));
    assert_eq!(queue.take(later + SECOND), Some(("b", Class::Endpoints)), "it was answered");
    assert_eq!((queue.in_work(), queue.len()), (3, 0));
}

#[test]
fn evacuations_come_before_other_hints_at_twice_their_rate() {
    let start = Instant::now();
    let mut queue = Queue::new(2.0, 5);
    for key in 0..10_i32 {
        let class = if key < 6 { Class::Evacuation } else { Class::Hints };
        queue.add(key, class, start);
    }
    let (mut taken, mut now) = (Vec::new(), start);
    while let Some(due) = queue.next_due() {
        now = due.max(now);
        let (key, class) = queue.take(now).expect("what is due can be taken");
        queue.done(&key, now);
        taken.push((class, (now - start).as_millis()));
    }
    let (evacuation, hints) = (Class::Evacuation, Class::Hints);
    let wanted = [
        (evacuation, 0),
        (evacuation, 0),
        (evacuation, 0),
        (evacuation, 0),
        (evacuation, 250),
        (evacuation, 500),
        (hints, 500),
        (hints, 500),
        (hints, 1000),
        (hints, 1500),
    ];
    assert_eq!(taken, wanted);
}

#[test]
fn one_that_writes_more_makes_the_next_wait_longer() {
    let start = Instant::now();
    let mut queue = Queue::new(1.0, 5);
    queue.add(1, Class::Hints, start);
    queue.add(2, Class::Hints, start);
    assert_eq!(queue.take(start), Some((1, Class::Hints)));
    queue.spend(Class::Hints, 4, start);
    queue.done(&1, start);
    assert_eq!(queue.next_due(), Some(start + 5 * SECOND));
    assert_eq!(queue.take(start + 4 * SECOND), None);
}
