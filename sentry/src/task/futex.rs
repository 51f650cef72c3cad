//! Futexes (`man 2 futex`).
