//! The environment that the program gets.

use std::path::Path;

use crate::Error;

/// Puts the environment together: the caller's (unless cleared), then files, then single settings; later ones win.
///
/// # Errors
/// A file that cannot be read, or a line or setting without a name.
pub fn assemble(
    inherited: Option<Vec<(Vec<u8>, Vec<u8>)>>,
    files: &[impl AsRef<Path>],
    settings: &[String],
) -> Result<Vec<Vec<u8>>, Error> {
    let mut variables: Vec<(Vec<u8>, Vec<u8>)> = inherited.unwrap_or_default();
    for file in files {
        let file = file.as_ref();
        let text = std::fs::read_to_string(file)
            .map_err(|error| Error::new(format!("cannot read --env-file {file:?}: {error}")))?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            set(&mut variables, line)?;
        }
    }
    for setting in settings {
        set(&mut variables, setting)?;
    }
    Ok(variables.into_iter().map(|(name, value)| [name, value].join(&b'=')).collect())
}

/// `K=V` sets; `K` alone copies the caller's value, as docker does.
fn set(variables: &mut Vec<(Vec<u8>, Vec<u8>)>, setting: &str) -> Result<(), Error> {
    let (name, value) = match setting.split_once('=') {
        Some((name, value)) => (name, value.as_bytes().to_vec()),
        None => match std::env::var_os(setting) {
            Some(value) => (setting, std::os::unix::ffi::OsStringExt::into_vec(value)),
            None => return Ok(()),
        },
    };
    if name.is_empty() {
        return Err(Error::new(format!("\"{setting}\" is not an environment setting: write NAME=VALUE")));
    }
    variables.retain(|(known, _)| known != name.as_bytes());
    variables.push((name.as_bytes().to_vec(), value));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_settings_win_and_order_is_kept() {
        let inherited = vec![(b"A".to_vec(), b"1".to_vec()), (b"B".to_vec(), b"2".to_vec())];
        let none: [&Path; 0] = [];
        let result = assemble(Some(inherited), &none, &["A=3".into(), "C=a=b".into()]).unwrap();
        assert_eq!(result, [b"B=2".to_vec(), b"A=3".to_vec(), b"C=a=b".to_vec()]);
    }

    #[test]
    fn a_setting_without_a_name_is_refused() {
        let none: [&Path; 0] = [];
        assert!(assemble(None, &none, &["=x".into()]).is_err());
    }
}
