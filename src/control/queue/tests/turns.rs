//! Turns of namespaces and Services.

use super::*;

/// Namespaces take turns by the time spent on them, whoever was due first.
#[test]
fn a_namespace_on_which_much_time_is_spent_delays_no_other() {
    let (mut queue, start) = queue();
    let busy = ["busy/1", "busy/2", "busy/3", "busy/4"];
    for key in busy {
        queue.add(key, Class::Endpoints, start);
    }
    let first = queue.take(start).unwrap().0;
    assert_eq!(first, "busy/1");
    queue.charge(&first, 10 * MS);
    queue.add("calm/1", Class::Endpoints, start + MS);
    assert_eq!(queue.take(start + MS).unwrap().0, "calm/1");
    queue.charge(&"calm/1", MS);
    queue.done(&"calm/1", start + MS);
    queue.add("calm/1", Class::Endpoints, start + 2 * MS);
    let rest: Vec<_> = drain(&mut queue, start + 2 * MS).into_iter().map(|(key, _)| key).collect();
    assert_eq!(rest, ["calm/1", "busy/2", "busy/3", "busy/4"]);
}

/// Within a namespace, Services do.
#[test]
fn a_service_on_which_much_time_is_spent_delays_no_other() {
    let (mut queue, start) = queue();
    for key in ["a/1", "a/2", "a/3"] {
        queue.add(key, Class::Endpoints, start);
    }
    for key in ["a/1", "a/2"] {
        assert_eq!(queue.take(start).unwrap().0, key);
        queue.charge(&key, 10 * MS);
        queue.done(&key, start);
        queue.add(key, Class::Endpoints, start);
    }
    queue.add("a/4", Class::Endpoints, start + MS);
    let rest: Vec<_> = drain(&mut queue, start + MS).into_iter().map(|(key, _)| key).collect();
    assert_eq!(rest, ["a/3", "a/4", "a/1", "a/2"]);
}

/// One that comes back goes before those that have been served since.
#[test]
fn a_service_that_comes_back_goes_first() {
    let (mut queue, start) = queue();
    for key in ["a/1", "a/2", "a/3"] {
        queue.add(key, Class::Endpoints, start);
    }
    for _ in 0..3 {
        for key in ["a/1", "a/2", "a/3"] {
            assert_eq!(queue.take(start).unwrap().0, key);
            queue.charge(&key, 10 * MS);
            queue.done(&key, start);
            queue.add(key, Class::Endpoints, start);
        }
    }
    queue.add("a/4", Class::Endpoints, start + MS);
    assert_eq!(queue.take(start + MS).unwrap().0, "a/4");
}

/// What was spent while nobody waited counts for nothing.
#[test]
fn time_is_forgotten_when_no_key_is_due() {
    let (mut queue, start) = queue();
    queue.add("a/1", Class::Endpoints, start);
    assert_eq!(queue.take(start).unwrap().0, "a/1");
    queue.charge(&"a/1", 10 * SECOND);
    queue.done(&"a/1", start);
    queue.add("a/1", Class::Endpoints, start + MS);
    queue.add("b/1", Class::Endpoints, start + 2 * MS);
    let rest: Vec<_> = drain(&mut queue, start + 2 * MS).into_iter().map(|(key, _)| key).collect();
    assert_eq!(rest, ["a/1", "b/1"]);
}
