//! Exit code 3: what the user asks about is so.

use super::{
    command::{fixture, plan, plan_text},
    output::settled,
};

#[test]
fn something_would_be_written() {
    let file = fixture("shop.yaml");
    let code = |args: &[&str]| plan(&[&["-f", &file], args].concat()).code;
    assert_eq!(code(&[]), Some(0));
    assert_eq!(code(&["--exit-code"]), Some(3));
    assert_eq!(code(&["--exit-code", "-o", "diff"]), Some(3));
    // Of what is shown.
    assert_eq!(code(&["--exit-code", "bank"]), Some(0));
    assert_eq!(plan_text(&settled(|_| ()), &["--exit-code"]).code, Some(0));
}

#[test]
fn a_service_is_in_a_state() {
    let file = fixture("shop.yaml");
    let run = |args: &[&str]| plan(&[&["-f", &file], args].concat());
    let done = run(&["--fail-on", "Ineffective,partial"]);
    assert_eq!(done.code, Some(3), "{done:?}");
    let said =
        "--fail-on: shop/desk is Ineffective, shop/peers is Ineffective, shop/search is Partial\n";
    assert!(done.err.contains(said), "{}", done.err);
    assert!(done.err.lines().last().unwrap().starts_with("to write: "), "{}", done.err);
    assert!(done.out.contains("search"), "the plan is printed all the same");
    assert_eq!(run(&["--fail-on=Empty"]).code, Some(0));
    assert_eq!(run(&["--fail-on=Ineffective", "cart"]).code, Some(0));
    assert_eq!(run(&["--fail-on=Empty", "--exit-code"]).code, Some(3));
    let unknown = run(&["--fail-on=Broken"]);
    assert_eq!((unknown.code, unknown.out.as_str()), (Some(2), ""));
    assert!(unknown.err.contains("write one of Ineffective, Empty, Partial"), "{}", unknown.err);
}

/// An error comes before the condition.
#[test]
fn what_cannot_be_read_is_not_3() {
    assert_eq!(plan(&["-f", "/nonexistent", "--exit-code"]).code, Some(2));
    assert_eq!(plan_text("kind: [", &["--fail-on=None"]).code, Some(2));
    assert_eq!(plan(&["--exit-code"]).code, Some(1), "no cluster");
}
