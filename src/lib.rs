//! closehaul: an EndpointSlice controller that keeps Kubernetes Service traffic near.
//!
//! The map, from the top down. Each module imports only from those below it, which
//! `tests/modules` checks.
//!
//! - [`cli`]: what a user types, one file for each command; `cli/plan/` renders the table and the
//!   other outputs of `closehaul plan`
//! - [`control`]: the running controller. `watch` follows a kind whatever the API server answers,
//!   `queue` says which Service is next, `controller` syncs it, `write` sends its slices, and
//!   `lease` acquires, renews and loses the lease
//! - [`observe`]: what a running controller reports: metrics, health and Events
//! - [`admission`]: what closehaul asks of the API server where another controller writes the slices:
//!   the text of admission policies, and the annotation that they read
//! - [`report`]: what a plan of a Service amounts to, for all that show it
//! - [`pulse`]: whether the main loop makes progress, as other threads see it
//! - [`cluster`]: what is known of the cluster now, and which Services a change affects; `kinds`
//!   registers what is watched, with one file for each kind
//! - [`client`]: requests to the API server: connection, list and watch
//! - [`api`]: Kubernetes objects, decoded and encoded
//! - [`assess`]: what a plan amounts to: state, reasons and share of the traffic
//! - [`consumers`]: how kube-proxy, Cilium and Linkerd read slices, as pure models
//! - [`plan`]: what to write, as pure functions: `endpoint` lists the endpoints, `pack` puts them
//!   into slices, `hints` chooses hints (one file for each mechanism), `changes` are the writes
//! - [`model`]: what Services, pods, nodes and slices are: plain types, shared by all
//! - [`pace`]: how often something may happen
//! - [`clock`]: the clock that decides when leadership ends, and the time of one iteration
//! - [`random`]: random numbers, from one source
//! - [`causes`]: an error with all its causes, as one text
//! - [`tls_error`]: what is wrong with a certificate, in plain words
//! - [`web_page`]: a web page where the API server's answer was expected
//! - [`plain`]: text that others have written, made fit to be shown
//!
//! Data goes one way: `watch -> index -> queue -> plan -> write`; what the API server answers comes
//! in again by the watch.

// Both macros panic if the output is closed or full.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod admission;
pub mod api;
pub mod assess;
pub mod causes;
pub mod cli;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod consumers;
pub mod control;
pub mod model;
pub mod observe;
pub mod pace;
pub mod plain;
pub mod plan;
pub mod pulse;
pub mod random;
pub mod report;
pub mod tls_error;
pub mod web_page;
