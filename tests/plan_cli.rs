//! `closehaul plan`, and `closehaul evacuate`, which plans before it writes, run as a user runs them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up fails")]

#[path = "plan_cli/choice.rs"]
mod choice;
#[path = "plan_cli/command.rs"]
mod command;
#[path = "plan_cli/diff.rs"]
mod diff;
#[path = "plan_cli/errors.rs"]
mod errors;
#[path = "plan_cli/evacuate.rs"]
mod evacuate;
#[path = "plan_cli/exit_codes.rs"]
mod exit_codes;
#[path = "plan_cli/field.rs"]
mod field;
#[path = "plan_cli/guard.rs"]
mod guard;
#[path = "plan_cli/hostile.rs"]
mod hostile;
#[path = "plan_cli/html.rs"]
mod html;
#[path = "plan_cli/live.rs"]
mod live;
#[path = "plan_cli/manifests.rs"]
mod manifests;
#[path = "plan_cli/output.rs"]
mod output;
#[path = "plan_cli/policies.rs"]
mod policies;
#[path = "plan_cli/reading.rs"]
mod reading;
#[path = "plan_cli/sources.rs"]
mod sources;
