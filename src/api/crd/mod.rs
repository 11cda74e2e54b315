//! The kinds of closehaul's own API group as the API server knows them. What is in force of them is
//! read in [`policy`](super::policy), which accepts and rejects the same.

pub mod status;
