//! What the outside can see of the kernel: strace, counters of unknown calls, denials, metrics.
