//! Runs many cases in one sandbox, and finds the culprit when the sandbox dies or hangs.
//!
//! The guest frames the record of each case (see `syscall-guest`'s `batch.rs`). A case that was begun and not ended when the
//! sandbox went away is run alone; what follows it goes on in a new sandbox.

use crate::error::{Context, Error, Result};
use crate::target::Target;
use crate::workdir::WorkDir;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// One thing to run: a case of the guest, or a generated sequence with its program.
#[derive(Clone, Debug)]
pub struct Item {
    /// The case's name.
    pub name: String,
    /// The sequence, in the guest's notation.
    pub program: Option<String>,
}

/// How a run of a case ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// With `exit N` or `signal N`.
    Ended(String),
    /// Not in time.
    TimedOut,
    /// With the whole sandbox; what the sandbox said last.
    Crashed(String),
}

/// What one run of a case gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The record.
    pub text: String,
    /// The end.
    pub end: End,
    /// How long it took.
    pub took: Duration,
}

/// Runs cases at a target.
pub struct Runner<'a> {
    /// The guest program, inside the work directory.
    pub guest: PathBuf,
    /// Where lists and the cases' directories go.
    pub work: &'a WorkDir,
    /// Most sandboxes at once.
    pub jobs: usize,
    /// Seconds a case.
    pub seconds: u64,
}

/// How many cases one sandbox runs; small enough that jobs share the work evenly.
const CHUNK: usize = 100;

impl Runner<'_> {
    /// Runs all `items` and gives each one's outcome by name; `progress` is told each time that a case has ended.
    pub fn run(
        &self,
        target: &Target,
        items: &[Item],
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<HashMap<String, Outcome>> {
        let chunk = CHUNK.min(items.len().div_ceil(self.jobs.max(1))).max(1);
        let queue: Mutex<Vec<&[Item]>> = Mutex::new(items.chunks(chunk).rev().collect());
        let outcomes = Mutex::new(HashMap::new());
        let failure = Mutex::new(None);
        thread::scope(|scope| {
            for _ in 0..self.jobs.max(1) {
                scope.spawn(|| {
                    loop {
                        let Some(chunk) = lock(&queue).pop() else { return };
                        if let Err(e) = self.chunk(target, chunk, &outcomes, progress) {
                            *lock(&failure) = Some(e);
                            lock(&queue).clear();
                        }
                    }
                });
            }
        });
        match failure.into_inner() {
            Ok(Some(e)) => Err(e),
            _ => Ok(outcomes.into_inner().unwrap_or_default()),
        }
    }

    fn chunk(
        &self,
        target: &Target,
        chunk: &[Item],
        outcomes: &Mutex<HashMap<String, Outcome>>,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<()> {
        let mut rest = chunk.to_vec();
        while !rest.is_empty() {
            let mut ended = 0;
            let culprit = self.sandbox(target, &rest, &mut |name, outcome| {
                ended += 1;
                progress(&name);
                lock(outcomes).insert(name, outcome);
            })?;
            rest.drain(..ended);
            if let Some(mut outcome) = culprit {
                if rest.is_empty() {
                    break;
                }
                let item = rest.remove(0);
                // Alone, to tell a case that kills the sandbox from one that only came after the cause.
                if ended > 0 {
                    let alone = self.sandbox(target, std::slice::from_ref(&item), &mut |_, o| outcome = o)?;
                    outcome = alone.unwrap_or(outcome);
                }
                progress(&item.name);
                lock(outcomes).insert(item.name, outcome);
            }
        }
        Ok(())
    }

    /// Runs one sandbox; the outcome that comes back is that of the case which was running when the sandbox ended early.
    fn sandbox(
        &self,
        target: &Target,
        items: &[Item],
        done: &mut dyn FnMut(String, Outcome),
    ) -> Result<Option<Outcome>> {
        let dir = self.work.fresh("cases")?;
        let list = dir.join("list");
        let lines: String = items
            .iter()
            .map(|item| match &item.program {
                Some(program) => format!("{}\t{program}\n", item.name),
                None => format!("{}\n", item.name),
            })
            .collect();
        fs::write(&list, lines).at("write", &list)?;
        let mut argv = vec![
            self.guest.display().to_string(),
            "--batch".into(),
            list.display().to_string(),
            dir.display().to_string(),
        ];
        argv.push(self.seconds.to_string());
        if target.is_native() {
            argv.push("private".into());
        }
        let mut command = target.command(&argv, &dir, &[self.work.path()], self.work)?;
        let running = Running::start(&mut command)?;
        // A case has its own limit inside; a sandbox that is silent for longer than that is stuck as a whole.
        let patience = Duration::from_secs(self.seconds + 10);
        let (mut name, mut text, mut ended) = (None::<String>, String::new(), 0);
        let mut began = Instant::now();
        let silent = loop {
            match running.lines.recv_timeout(patience) {
                Ok(line) => {
                    if let Some(case) = line.strip_prefix("@case ") {
                        (name, began) = (Some(case.to_owned()), Instant::now());
                        text.clear();
                    } else if let Some(how) = line.strip_prefix("@end ") {
                        let end = if how == "timeout" { End::TimedOut } else { End::Ended(how.to_owned()) };
                        if let Some(name) = name.take() {
                            ended += 1;
                            done(name, Outcome { text: std::mem::take(&mut text), end, took: began.elapsed() });
                        }
                    } else {
                        text.push_str(line.strip_prefix('\t').unwrap_or(&line));
                        text.push('\n');
                    }
                }
                Err(RecvTimeoutError::Timeout) => break true,
                Err(RecvTimeoutError::Disconnected) => break false,
            }
        };
        let said = running.finish();
        if ended == items.len() {
            return Ok(None);
        }
        let end = if silent { End::TimedOut } else { End::Crashed(said) };
        Ok(Some(Outcome { text, end, took: began.elapsed() }))
    }
}

/// A started command whose standard output is read line by line, in a process group of its own.
struct Running {
    child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    errors: Arc<Mutex<Vec<u8>>>,
}

impl Running {
    fn start(command: &mut Command) -> Result<Running> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|e| Error(format!("cannot start {}: {e}", command.get_program().display())))?;
        let (send, lines) = channel();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        thread::spawn(move || {
            let mut reader = BufReader::new(stdout.into_iter().next().expect("standard output was asked for"));
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
                line.clear();
                if send.send(text).is_err() {
                    return;
                }
            }
        });
        let errors = Arc::new(Mutex::new(Vec::new()));
        let kept = errors.clone();
        thread::spawn(move || {
            let (mut stderr, mut part) = (stderr.expect("standard error was asked for"), [0; 4096]);
            while let Ok(n @ 1..) = stderr.read(&mut part) {
                let mut kept = lock(&kept);
                kept.extend_from_slice(&part[..n]);
                let surplus = kept.len().saturating_sub(4096);
                kept.drain(..surplus);
            }
        });
        Ok(Running { child, lines, errors })
    }

    /// Ends what still runs and says how it ended, with its last words.
    fn finish(mut self) -> String {
        let deadline = Instant::now() + Duration::from_secs(2);
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status.to_string(),
                _ if Instant::now() > deadline => {
                    let _ = Command::new("kill")
                        .args(["-KILL", "--", &format!("-{}", self.child.id())])
                        .stderr(Stdio::null())
                        .status();
                    let _ = self.child.kill();
                    let _ = self.child.wait();
                    break "killed: it did not end".to_owned();
                }
                _ => thread::sleep(Duration::from_millis(2)),
            }
        };
        let errors = String::from_utf8_lossy(&lock(&self.errors)).trim().to_owned();
        if errors.is_empty() { status } else { format!("{status}\n{errors}") }
    }
}

/// Locks; a panic of another thread changes nothing about the data here.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
