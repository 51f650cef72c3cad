# a Rust program with threads, channels and processes (rust.rs, compiled by the harness)
./t
