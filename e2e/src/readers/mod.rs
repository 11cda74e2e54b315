//! The readers of slices: real kube-proxies and real requests.
//!
//! - [`matrix`]: upstream's matrix of traffic distributions, with counted requests
//! - [`agreement()`]: the model of kube-proxy, and what `closehaul explain` says, against the rules of
//!   real kube-proxies

mod agreement;
mod cases;
mod change;
mod evidence;
mod explained;
mod family;
mod generate;
mod matrix;
mod rules;
mod site;
mod traffic;

pub use crate::site::Error;
pub use agreement::{Agreement, agreement};
pub use family::Family;
pub use matrix::{Matrix, matrix};
pub use traffic::Count;
