//! Guests that know how the platform works and try to misuse it.
//!
//! What they may achieve is their own end. They may not make a host call of their choice, touch another process, or stop the
//! sentry.

mod calls;
mod guest;
mod posture;
mod scribble;
mod wild;

use platform::Platform;
use std::time::Instant;

type Case = (&'static str, fn(&dyn Platform));

fn main() {
    let deadline = std::time::Duration::from_secs(1);
    let config = systrap::Config { deadline, ..systrap::Config::default() };
    let platform = systrap::Systrap::new(config).expect("start systrap");
    let filters: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let cases = [posture::CASES, calls::CASES, scribble::CASES, wild::CASES].concat();
    let mut run = 0;
    for (name, case) in cases {
        if filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str())) {
            let start = Instant::now();
            print!("attack: {name} ... ");
            case(&*platform);
            guest::platform_serves(&*platform);
            println!("ok ({:.1} ms)", start.elapsed().as_secs_f64() * 1e3);
            run += 1;
        }
    }
    println!("{run} attacks withstood");
}
