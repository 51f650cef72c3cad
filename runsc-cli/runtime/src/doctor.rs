//! Looks what the host offers: what a sandbox needs, and what makes it better.

use std::fs;
use std::path::Path;

use host::launch::{self, Namespaces};
use host::probe;

use crate::limits;

/// What a finding means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is there.
    Works,
    /// It is not there; the sandbox works without.
    Optional,
    /// It is not there, and no sandbox can start.
    Needed,
}

/// One line of the report.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was looked at.
    pub subject: &'static str,
    /// What was found and, when something is amiss, how to mend it.
    pub detail: String,
    /// What it means.
    pub verdict: Verdict,
}

/// The oldest kernel with all that systrap uses: `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` came with it.
const OLDEST_KERNEL: (u32, u32) = (5, 19);

/// Looks at everything.
pub fn examine() -> Vec<Finding> {
    vec![kernel(), fsgsbase(), seccomp(), user_namespaces(), ptrace(), landlock(), memory_cgroup(), cpu_cgroup(), kvm()]
}

fn finding(subject: &'static str, result: Result<String, String>, otherwise: Verdict) -> Finding {
    match result {
        Ok(detail) => Finding { subject, detail, verdict: Verdict::Works },
        Err(detail) => Finding { subject, detail, verdict: otherwise },
    }
}

fn kernel() -> Finding {
    kernel_of(fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim())
}

fn kernel_of(release: &str) -> Finding {
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let result = match version >= OLDEST_KERNEL {
        true => Ok(format!("{release} is new enough")),
        false => Err(format!("{release} is older than {}.{}: update the kernel", OLDEST_KERNEL.0, OLDEST_KERNEL.1)),
    };
    finding("kernel", result, Verdict::Needed)
}

fn fsgsbase() -> Finding {
    let result = match probe::has_fsgsbase() {
        true => Ok("user code may set its FS and GS base".into()),
        false => {
            Err("the kernel or CPU has no FSGSBASE; systrap needs it (boot without nofsgsbase, CPU of 2012 or later)"
                .into())
        }
    };
    finding("fsgsbase", result, Verdict::Needed)
}

fn seccomp() -> Finding {
    let missing: Vec<&str> =
        ["trap", "user_notif", "errno", "allow"].into_iter().filter(|action| !probe::seccomp_action(action)).collect();
    let result = match missing.is_empty() {
        true => Ok("trap and user notification work".into()),
        false => Err(format!("the kernel lacks seccomp {}: it needs CONFIG_SECCOMP_FILTER", missing.join(", "))),
    };
    finding("seccomp", result, Verdict::Needed)
}

fn user_namespaces() -> Finding {
    let all =
        Namespaces::MOUNT | Namespaces::UTS | Namespaces::IPC | Namespaces::USER | Namespaces::PID | Namespaces::NET;
    let result = match launch::spawn(all, || 0).map(|child| child.wait()) {
        Ok(0) => Ok("a process can be put in namespaces of its own".into()),
        Ok(status) => Err(format!("a process in new namespaces ended with status {status}")),
        Err(errno) => Err(format!(
            "{errno}: set sysctl kernel.unprivileged_userns_clone=1 and user.max_user_namespaces, or run as root"
        )),
    };
    finding("namespaces", result, Verdict::Needed)
}

fn ptrace() -> Finding {
    let scope = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let result = match scope.trim() {
        "3" => Err("switched off by kernel.yama.ptrace_scope=3: --platform ptrace cannot run, systrap can".into()),
        _ => Ok("children may be traced (--platform ptrace)".into()),
    };
    finding("ptrace", result, Verdict::Optional)
}

fn landlock() -> Finding {
    let result = match probe::landlock_abi() {
        Some(version) => Ok(format!("ABI {version}: the gofer gets a second wall")),
        None => Err("not in this kernel (CONFIG_SECURITY_LANDLOCK, lsm=landlock): the gofer has one wall only".into()),
    };
    finding("landlock", result, Verdict::Optional)
}

fn memory_cgroup() -> Finding {
    cgroup("memory cgroup", "memory", "--memory")
}

fn cpu_cgroup() -> Finding {
    cgroup("cpu cgroup", "cpu", "--cpus")
}

fn cgroup(subject: &'static str, controller: &str, option: &str) -> Finding {
    let result = match limits::parent_of(controller) {
        Some(directory) if probe::is_writable(&directory) => Ok(format!("{option} can be enforced in {directory:?}")),
        Some(directory) => Err(format!("{directory:?} is not writable: {option} needs root or a delegated cgroup")),
        None => Err(format!("no {controller} controller is mounted under /sys/fs/cgroup: {option} cannot be enforced")),
    };
    finding(subject, result, Verdict::Optional)
}

fn kvm() -> Finding {
    let device = Path::new("/dev/kvm");
    let result = match (device.exists(), probe::is_writable(device)) {
        (true, true) => Ok("/dev/kvm is there; this version has no KVM platform and does not use it".into()),
        (true, false) => Err("/dev/kvm is there but not writable for this user (not used by this version)".into()),
        (false, _) => Err("no /dev/kvm (not used by this version)".into()),
    };
    finding("kvm", result, Verdict::Optional)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_is_told_from_a_new_one() {
        for old in ["5.18.19", "5.10.0-28-amd64", "4.19", "nonsense", ""] {
            let finding = kernel_of(old);
            assert_eq!(finding.verdict, Verdict::Needed, "{old}");
            assert!(finding.detail.contains("update the kernel"), "{}", finding.detail);
        }
        for new in ["5.19.0", "6.1.0-18-amd64", "6.18", "10.0-rc1"] {
            assert_eq!(kernel_of(new).verdict, Verdict::Works, "{new}");
        }
    }
}
