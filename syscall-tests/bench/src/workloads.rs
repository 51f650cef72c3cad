//! What is measured.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use crate::runners::{Runner, Scratch};

/// The unit of a figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Nanoseconds of one operation.
    Ns,
    /// Milliseconds of a whole command, its start included.
    Ms,
    /// Kilobytes.
    Kb,
}

/// Something that gives one figure in every runner.
pub struct Workload {
    /// As in the table.
    pub name: String,
    /// Of its figure.
    pub unit: Unit,
    command: Vec<OsString>,
}

/// Operations that the guest binary measures by itself.
const OPERATIONS: &[&str] = &[
    "getppid",
    "getppid-trap",
    "clock",
    "write-null",
    "read-zero",
    "pread-4k",
    "stat",
    "open-close",
    "pipe-pingpong",
    "futex-pingpong",
    "mmap-touch-munmap",
    "page-fault",
    "fork",
    "fork-100mb",
    "vfork-exec",
    "cpu",
];

/// Everything.
pub fn all(guest: &Path, scratch: &Scratch) -> Vec<Workload> {
    let guest_command = |name: &str| vec![guest.as_os_str().to_owned(), name.into()];
    let mut workloads: Vec<Workload> = OPERATIONS
        .iter()
        .map(|name| Workload { name: (*name).to_owned(), unit: Unit::Ns, command: guest_command(name) })
        .collect();
    let shell = |script: &str| vec!["/bin/sh".into(), "-c".into(), script.into()];
    let script = scratch.path().join("script.sh");
    let project = scratch.path().join("project");
    write_script(&script);
    write_project(&project);
    let compile = format!(
        "cp -r {} /tmp/build-$$ && cd /tmp/build-$$ && make -s && ./hello >/dev/null && rm -r /tmp/build-$$",
        project.display()
    );
    let whole = [
        ("start /bin/true", vec![OsString::from("/bin/true")]),
        ("200-line shell script", vec!["/bin/sh".into(), script.into_os_string()]),
        ("python3 -c pass", vec!["python3".into(), "-c".into(), "pass".into()]),
        ("compile a C project", shell(&compile)),
    ];
    workloads.extend(whole.into_iter().map(|(name, command)| Workload {
        name: name.to_owned(),
        unit: Unit::Ms,
        command,
    }));
    workloads.push(Workload { name: "idle memory (PSS)".into(), unit: Unit::Kb, command: guest_command("idle") });
    workloads
}

impl Workload {
    /// One figure.
    ///
    /// # Errors
    /// Why there is none.
    pub fn measure(&self, runner: &Runner) -> Result<f64, String> {
        match self.unit {
            Unit::Ns => self.self_measured(runner),
            Unit::Ms => self.wall_time(runner),
            Unit::Kb => self.idle_memory(runner),
        }
    }

    fn self_measured(&self, runner: &Runner) -> Result<f64, String> {
        let output = runner.command(&self.command).output().map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim()
            .parse()
            .map_err(|_| format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
    }

    fn wall_time(&self, runner: &Runner) -> Result<f64, String> {
        let mut command = runner.command(&self.command);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let start = Instant::now();
        let output = command.output().map_err(|error| error.to_string())?;
        let ms = start.elapsed().as_secs_f64() * 1000.0;
        match output.status.success() {
            true => Ok(ms),
            false => Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())),
        }
    }

    /// The proportional set size of all processes below the command, once the guest says that it is up. The guest's own
    /// memory is part of it everywhere, so subtract the native figure.
    fn idle_memory(&self, runner: &Runner) -> Result<f64, String> {
        let mut child = runner
            .command(&self.command)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|e| e.to_string())?;
        let mut line = String::new();
        let told = BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut line);
        std::thread::sleep(std::time::Duration::from_millis(300));
        let kilobytes: u64 = with_descendants(child.id()).into_iter().filter_map(pss_kilobytes).sum();
        let descendants = with_descendants(child.id());
        let _ = child.kill();
        let _ = child.wait();
        // Runners that do not die with their command leave their processes to us.
        for pid in descendants {
            let _ = std::process::Command::new("kill").args(["-9", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        match told {
            Ok(n) if n > 0 => Ok(kilobytes as f64),
            _ => Err("the guest did not come up".into()),
        }
    }
}

fn with_descendants(root: u32) -> Vec<u32> {
    let mut pids = vec![root];
    let mut next = 0;
    while let Some(&pid) = pids.get(next) {
        let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
            next += 1;
            continue;
        };
        for task in tasks.flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            pids.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        next += 1;
    }
    pids
}

fn pss_kilobytes(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// 200 lines with what shell scripts do: variables, tests, pipes, subshells, small programs.
fn write_script(path: &Path) {
    let block = "x=$((x + 1))\n[ $x -gt 0 ] && y=$(echo $x)\necho $y | grep -q $x\n(cd /; true)\ncat /etc/hostname >/dev/null\n\
                 for i in 1 2 3; do z=$i; done\ncase $x in 1) ;; *) ;; esac\n/bin/true\n";
    let _ = std::fs::write(path, format!("x=0\n{}", block.repeat(25)));
}

/// A program of twelve C files and a Makefile.
fn write_project(directory: &Path) {
    const FILES: usize = 12;
    let _ = std::fs::create_dir(directory);
    let mut main = String::from("#include <stdio.h>\n");
    let mut sum = String::new();
    for n in 0..FILES {
        let source = format!(
            "#include <stdlib.h>\n#include <string.h>\nint part{n}(int x) {{ char b[64]; memset(b, x, sizeof b); return b[{n}] * {n} + abs(x); }}\n"
        );
        let _ = std::fs::write(directory.join(format!("part{n}.c")), source);
        main.push_str(&format!("int part{n}(int);\n"));
        sum.push_str(&format!(" + part{n}(3)"));
    }
    main.push_str(&format!("int main(void) {{ printf(\"%d\\n\", 0{sum}); return 0; }}\n"));
    let _ = std::fs::write(directory.join("main.c"), main);
    let makefile = "OBJECTS = $(patsubst %.c,%.o,$(wildcard *.c))\nhello: $(OBJECTS)\n\t$(CC) -o $@ $^\n%.o: %.c\n\t$(CC) -O1 -c -o $@ $<\n";
    let _ = std::fs::write(directory.join("Makefile"), makefile);
}
