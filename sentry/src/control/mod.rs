//! Control of a running sandbox over its control socket: exec, ps, kill, pause.
