//! Sequences that differed once, shrunk: one file each, run before any new ones.

use crate::batch::Item;
use crate::error::{Context, Result};
use std::fs;
use std::path::Path;

/// All kept sequences, by file name.
pub fn load(dir: &Path) -> Result<Vec<Item>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut items = Vec::new();
    for entry in fs::read_dir(dir).at("read the corpus", dir)? {
        let path = entry.at("read the corpus", dir)?.path();
        if path.extension().is_none_or(|e| e != "seq") {
            continue;
        }
        let text = fs::read_to_string(&path).at("read", &path)?;
        let steps: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        items.push(Item { name, program: Some(steps.join(";")) });
    }
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(items)
}

/// Keeps a sequence, unless it is there already.
pub fn keep(dir: &Path, name: &str, target: &str, program: &str) -> Result<()> {
    if load(dir)?.iter().any(|item| item.program.as_deref() == Some(program)) {
        return Ok(());
    }
    fs::create_dir_all(dir).at("create", dir)?;
    let path = dir.join(format!("{name}.seq"));
    fs::write(&path, format!("# differed from Linux on {target}\n{}\n", program.replace(';', "\n"))).at("write", &path)
}
