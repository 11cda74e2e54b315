//! What is told of a running controller. It is given to those who have something to tell and never
//! asked back: nothing that decides may read it.

pub mod announce;
