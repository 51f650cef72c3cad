//! The stub: the code that shares a process with the guest.
//!
//! It runs with the guest's rights and in the guest's memory, so nothing here protects anything; protection is the
//! filter's and the sentry's. What it must do is keep the guest's state intact: it is compiled without SSE, leaves the
//! live extended state in the registers, and never touches the guest's stack.
#![no_std]
#![no_main]

mod entry;
mod layout;
mod prefetch;
mod serve;
mod setup;
mod signal;
mod sys;
mod window;
