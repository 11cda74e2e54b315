//! Those who read the slices: real kube-proxies, real requests.
//!
//! - [`matrix`]: upstream's matrix of traffic distributions, by requests that are counted
//! - [`agreement()`]: the model of kube-proxy against the rules that real ones have programmed

mod agreement;
mod cases;
mod change;
mod evidence;
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
