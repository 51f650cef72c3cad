//! The systematic cases: each call as it should be, then with one argument after the other made wrong.
//!
//! A [`recipes`] line is a call that works. The call table says what each argument is, and so what can be wrong with it:
//! a pointer to nothing or across the end of a mapping, a descriptor of another kind, an unknown flag, a name that is too long.

mod recipes;
pub mod values;
mod wrong;

use crate::harness::memory::bytes_at;
use crate::harness::process::handle;
use crate::harness::{Cases, T, raw};
use abi::table::{Call, Returns, by_name};
use values::World;

/// Adds the cases of every recipe.
pub fn add(c: &mut Cases) {
    c.family("matrix");
    let mut seen: Vec<&str> = Vec::new();
    for line in recipes::RECIPES.lines() {
        let mut words = line.split_whitespace();
        let Some(head) = words.next() else { continue };
        let recipe = Recipe::new(head, words.map(str::to_owned).collect());
        let name = recipe.call.name;
        let label = if recipe.variant.is_empty() { "good".to_owned() } else { recipe.variant.clone() };
        if !seen.contains(&name) {
            for (i, kind) in recipe.call.args.iter().enumerate() {
                let Some(token) = recipe.args.get(i) else { break };
                for (what, wrong) in wrong::values(*kind, token, name) {
                    let mut bad = recipe.clone();
                    bad.args[i] = wrong;
                    c.add(format!("{name}/arg{i}_{what}"), move |t| bad.run(t));
                }
            }
        }
        seen.push(name);
        c.add(format!("{name}/{label}"), move |t| recipe.run(t));
    }
    absent(c);
}

/// Numbers that Linux answers with ENOSYS, whatever their arguments.
fn absent(c: &mut Cases) {
    c.family("absent");
    for name in recipes::ABSENT.split_whitespace() {
        let number = by_name(name).map_or(u32::MAX, |call| call.number);
        c.add(format!("{name}/is_absent"), move |t| t.ret("call", raw(number, &[0; 6])));
    }
    for number in [337, 400, 423, 470, 511, 512, 547, 1000, 0xffff, 0x7fff_ffff, 0xffff_ffff, 0x4000_0001, 0x4000_0200]
    {
        c.add(format!("number_{number:#x}/is_absent"), move |t| t.ret("call", raw(number, &[0; 6])));
    }
}

#[derive(Clone)]
struct Recipe {
    call: &'static Call,
    variant: String,
    /// Whether the return value is the same in every run.
    stable: bool,
    args: Vec<String>,
}

impl Recipe {
    fn new(head: &str, args: Vec<String>) -> Recipe {
        let stable = !head.starts_with('~');
        let (name, variant) =
            head.trim_start_matches('~').split_once(':').unwrap_or((head.trim_start_matches('~'), ""));
        let Some(call) = by_name(name) else { panic!("a recipe for an unknown call") };
        let stable = stable && !matches!(call.returns, Returns::Addr | Returns::Pid);
        Recipe { call, variant: variant.to_owned(), stable, args }
    }

    fn run(&self, t: &T) {
        if matches!(self.call.name, "shmget" | "semget" | "msgget") {
            values::own_ipc();
        }
        let mut world = World::default();
        let values: Vec<usize> = self.args.iter().map(|token| world.value(t, token)).collect();
        let shown: Vec<&str> = self.args.iter().map(|a| if a.len() > 60 { &a[..60] } else { a }).collect();
        let text = format!("{}({})", self.call.name, shown.join(", "));
        // A wrong timeout can mean "for ever": then the alarm is what ends the call, with EINTR.
        if !matches!(self.call.name, "alarm" | "setitimer" | "getitimer" | "rt_sigaction" | "execve" | "execveat") {
            handle(libc::SIGALRM, 0);
            sys!(setitimer(libc::ITIMER_REAL, &[1u64, 0, 1, 0], 0));
        }
        let r = raw(self.call.number, &values);
        if self.stable {
            t.ret(&text, r)
        } else {
            t.done(&text, r)
        }
        for (addr, len) in &world.shown {
            t.bytes("written", &bytes_at(*addr, *len));
        }
    }
}
