//! What `/proc/cpuinfo` tells of a processor, asked of the processor itself (`CPUID`).

use core::arch::x86_64::{__cpuid_count, CpuidResult};

/// A processor. All of a machine are taken to be the same.
#[derive(Clone, Debug)]
pub struct Identity {
    /// `GenuineIntel`, `AuthenticAMD` …
    pub vendor: String,
    /// Its name for people.
    pub name: String,
    /// Family, the extended part added.
    pub family: u32,
    /// Model, the extended part added.
    pub model: u32,
    /// Stepping.
    pub stepping: u32,
    /// Highest basic leaf.
    pub highest_leaf: u32,
    /// Bytes of a cache line.
    pub cache_line: u32,
    /// Bits of a physical address.
    pub physical_bits: u32,
    /// Bits of a virtual address.
    pub virtual_bits: u32,
    /// Features by the kernel's names, as far as programs can use them.
    pub flags: Vec<&'static str>,
}

#[derive(Clone, Copy)]
enum Register {
    Ebx,
    Ecx,
    Edx,
    Eax,
}

use Register::{Eax, Ebx, Ecx, Edx};

/// Feature bits: leaf, sub-leaf, register, and names by rising bit number; an empty name is a bit that programs have no use
/// for or that the kernel does not show.
const FEATURES: &[(u32, u32, Register, [&str; 32])] = &[
    (
        1,
        0,
        Edx,
        [
            "fpu", "vme", "de", "pse", "tsc", "msr", "pae", "mce", "cx8", "apic", "", "sep", "mtrr", "pge", "mca",
            "cmov", "pat", "pse36", "pn", "clflush", "", "dts", "acpi", "mmx", "fxsr", "sse", "sse2", "ss", "ht", "tm",
            "ia64", "pbe",
        ],
    ),
    (
        0x8000_0001,
        0,
        Edx,
        [
            "", "", "", "", "", "", "", "", "", "", "", "syscall", "", "", "", "", "", "", "", "mp", "nx", "",
            "mmxext", "", "", "fxsr_opt", "pdpe1gb", "rdtscp", "", "lm", "3dnowext", "3dnow",
        ],
    ),
    (
        1,
        0,
        Ecx,
        [
            "pni",
            "pclmulqdq",
            "dtes64",
            "",
            "",
            "",
            "",
            "",
            "",
            "ssse3",
            "cid",
            "sdbg",
            "fma",
            "cx16",
            "xtpr",
            "pdcm",
            "",
            "pcid",
            "dca",
            "sse4_1",
            "sse4_2",
            "x2apic",
            "movbe",
            "popcnt",
            "tsc_deadline_timer",
            "aes",
            "xsave",
            "",
            "avx",
            "f16c",
            "rdrand",
            "hypervisor",
        ],
    ),
    (
        0x8000_0001,
        0,
        Ecx,
        [
            "lahf_lm",
            "cmp_legacy",
            "",
            "extapic",
            "cr8_legacy",
            "abm",
            "sse4a",
            "misalignsse",
            "3dnowprefetch",
            "osvw",
            "ibs",
            "xop",
            "skinit",
            "wdt",
            "",
            "lwp",
            "fma4",
            "tce",
            "",
            "nodeid_msr",
            "",
            "tbm",
            "topoext",
            "perfctr_core",
            "perfctr_nb",
            "",
            "bpext",
            "ptsc",
            "perfctr_llc",
            "mwaitx",
            "",
            "",
        ],
    ),
    (
        7,
        0,
        Ebx,
        [
            "fsgsbase",
            "tsc_adjust",
            "",
            "bmi1",
            "hle",
            "avx2",
            "",
            "smep",
            "bmi2",
            "erms",
            "invpcid",
            "rtm",
            "cqm",
            "",
            "mpx",
            "rdt_a",
            "avx512f",
            "avx512dq",
            "rdseed",
            "adx",
            "smap",
            "avx512ifma",
            "",
            "clflushopt",
            "clwb",
            "intel_pt",
            "avx512pf",
            "avx512er",
            "avx512cd",
            "sha_ni",
            "avx512bw",
            "avx512vl",
        ],
    ),
    (
        0xd,
        1,
        Eax,
        [
            "xsaveopt", "xsavec", "xgetbv1", "xsaves", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "", "",
            "", "", "", "", "", "", "", "", "", "", "", "",
        ],
    ),
    (
        7,
        1,
        Eax,
        [
            "",
            "",
            "",
            "",
            "avx_vnni",
            "avx512_bf16",
            "",
            "",
            "",
            "",
            "fzrm",
            "fsrs",
            "fsrc",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "amx_fp16",
            "",
            "avx_ifma",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
        ],
    ),
    (
        7,
        0,
        Ecx,
        [
            "",
            "avx512vbmi",
            "umip",
            "pku",
            "ospke",
            "waitpkg",
            "avx512_vbmi2",
            "",
            "gfni",
            "vaes",
            "vpclmulqdq",
            "avx512_vnni",
            "avx512_bitalg",
            "tme",
            "avx512_vpopcntdq",
            "",
            "la57",
            "",
            "",
            "",
            "",
            "",
            "rdpid",
            "",
            "bus_lock_detect",
            "cldemote",
            "",
            "movdiri",
            "movdir64b",
            "",
            "",
            "",
        ],
    ),
    (
        7,
        0,
        Edx,
        [
            "",
            "",
            "avx512_4vnniw",
            "avx512_4fmaps",
            "fsrm",
            "",
            "",
            "",
            "avx512_vp2intersect",
            "",
            "md_clear",
            "",
            "",
            "",
            "serialize",
            "",
            "tsxldtrk",
            "",
            "pconfig",
            "arch_lbr",
            "",
            "",
            "amx_bf16",
            "avx512_fp16",
            "amx_tile",
            "amx_int8",
            "",
            "",
            "flush_l1d",
            "arch_capabilities",
            "",
            "",
        ],
    ),
];

/// Features that exist only when the system has switched them on; without the `xsave` state they need they are not shown.
const NEEDS_AVX: &[&str] = &["avx", "avx2", "fma", "f16c", "fma4", "xop", "vaes", "vpclmulqdq", "avx_vnni", "avx_ifma"];

#[allow(unused_unsafe, reason = "CPUID is safe to ask for in newer versions of the language")]
fn leaf(number: u32, sub: u32) -> CpuidResult {
    // SAFETY: every x86-64 processor has CPUID; a leaf it does not know gives numbers without meaning to us.
    unsafe { __cpuid_count(number, sub) }
}

/// Asks the processor.
pub fn identity() -> Identity {
    let base = leaf(0, 0);
    let mut vendor = Vec::new();
    [base.ebx, base.edx, base.ecx].iter().for_each(|word| vendor.extend(word.to_le_bytes()));
    let signature = leaf(1, 0);
    let (mut family, mut model) = (signature.eax >> 8 & 0xf, signature.eax >> 4 & 0xf);
    if matches!(family, 6 | 15) {
        model |= signature.eax >> 12 & 0xf0;
    }
    if family == 15 {
        family += signature.eax >> 20 & 0xff;
    }
    let highest_extended = leaf(0x8000_0000, 0).eax;
    let sizes = if highest_extended >= 0x8000_0008 { leaf(0x8000_0008, 0).eax } else { 36 | 48 << 8 };
    Identity {
        vendor: String::from_utf8_lossy(&vendor).into_owned(),
        name: name(highest_extended),
        family,
        model,
        stepping: signature.eax & 0xf,
        highest_leaf: base.eax,
        cache_line: (signature.ebx >> 8 & 0xff) * 8,
        physical_bits: sizes & 0xff,
        virtual_bits: sizes >> 8 & 0xff,
        flags: flags(base.eax, highest_extended),
    }
}

fn name(highest_extended: u32) -> String {
    if highest_extended < 0x8000_0004 {
        return "unknown".into();
    }
    let mut name = Vec::new();
    for number in 0x8000_0002..=0x8000_0004 {
        let part = leaf(number, 0);
        [part.eax, part.ebx, part.ecx, part.edx].iter().for_each(|word| name.extend(word.to_le_bytes()));
    }
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).trim().to_owned()
}

fn flags(highest: u32, highest_extended: u32) -> Vec<&'static str> {
    let enabled = super::cpu::extended_state().features;
    let (has_avx, has_avx512) = (enabled & 4 != 0, enabled & 0xe0 == 0xe0);
    let mut flags = Vec::new();
    for (number, sub, register, names) in FEATURES {
        if *number > if *number >= 0x8000_0000 { highest_extended } else { highest } {
            continue;
        }
        let answer = leaf(*number, *sub);
        let bits = match register {
            Eax => answer.eax,
            Ebx => answer.ebx,
            Ecx => answer.ecx,
            Edx => answer.edx,
        };
        for (bit, &name) in names.iter().enumerate() {
            let usable = match name {
                "" => false,
                _ if NEEDS_AVX.contains(&name) => has_avx,
                _ if name.starts_with("avx512") => has_avx512,
                _ if name.starts_with("amx") => false,
                _ => true,
            };
            if bits >> bit & 1 != 0 && usable {
                flags.push(name);
            }
        }
    }
    flags
}
