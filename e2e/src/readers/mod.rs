//! Those who read the slices: real kube-proxies, real requests (proof section 3).
//!
//! - [`matrix`]: upstream's matrix of traffic distributions, by requests that are counted

mod cases;
mod change;
mod error;
mod matrix;
mod site;
mod traffic;

pub use error::Error;
pub use matrix::{Matrix, matrix};
pub use traffic::{Count, Family};
