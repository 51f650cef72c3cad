//! Hidden paths of an attach point, and the exceptions among them, as a tree of names.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// A place in a [`Mask`].
pub(crate) type MaskId = u32;

/// How a path is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum View {
    /// As it is.
    Real,
    /// As an empty directory of root's, or with nothing but the way to what is visible inside.
    Masked,
}

/// What a directory says of one of its names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seen {
    /// How it is seen, if it is a directory. A masked file is absent.
    pub view: View,
    /// Its own place in the mask, where there is one.
    pub mask: Option<MaskId>,
}

#[derive(Default, Debug)]
struct Rule {
    children: BTreeMap<Vec<u8>, MaskId>,
    view: Option<View>,
    /// Something at or below is to be shown.
    leads_to_visible: bool,
}

/// The hidden paths of one attach point.
#[derive(Debug)]
pub(crate) struct Mask(Vec<Rule>);

impl Mask {
    /// The root's place.
    pub(crate) const ROOT: MaskId = 0;

    pub(crate) fn new(hidden: &[PathBuf], visible: &[PathBuf]) -> Mask {
        let mut mask = Mask(vec![Rule::default()]);
        for path in hidden {
            mask.insert(path, View::Masked);
        }
        for path in visible {
            mask.insert(path, View::Real);
        }
        mask
    }

    fn insert(&mut self, path: &Path, view: View) {
        let mut at = Mask::ROOT as usize;
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            if view == View::Real {
                self.0[at].leads_to_visible = true;
            }
            let fresh = self.0.len() as MaskId;
            let child = *self.0[at].children.entry(name.as_bytes().to_vec()).or_insert(fresh);
            if child == fresh {
                self.0.push(Rule::default());
            }
            at = child as usize;
        }
        self.0[at].view = Some(view);
        self.0[at].leads_to_visible |= view == View::Real;
    }

    /// How the root is seen.
    pub(crate) fn root(&self) -> Seen {
        Seen { view: self.0[Mask::ROOT as usize].view.unwrap_or(View::Real), mask: Some(Mask::ROOT) }
    }

    /// What a directory (itself seen as `dir`) shows of `name`; `None`: nothing.
    pub(crate) fn child(&self, dir: Seen, name: &CStr) -> Option<Seen> {
        let rule = dir.mask.and_then(|at| self.0.get(at as usize));
        let mask = rule.and_then(|rule| rule.children.get(name.to_bytes()).copied());
        let own = mask.and_then(|at| self.0.get(at as usize));
        match (dir.view, own) {
            (View::Real, None) => Some(Seen { view: View::Real, mask: None }),
            (View::Real, Some(own)) => Some(Seen { view: own.view.unwrap_or(View::Real), mask }),
            (View::Masked, Some(own)) if own.leads_to_visible => {
                Some(Seen { view: own.view.unwrap_or(View::Masked), mask })
            }
            (View::Masked, _) => None,
        }
    }

    /// Whether `name` in `dir` is, or leads to, a place with a rule: such a name cannot be changed.
    pub(crate) fn guards(&self, dir: Seen, name: &CStr) -> bool {
        let rule = dir.mask.and_then(|at| self.0.get(at as usize));
        rule.is_some_and(|rule| rule.children.contains_key(name.to_bytes()))
    }

    /// The names that a masked directory shows.
    pub(crate) fn visible_names(&self, dir: Seen) -> Vec<Vec<u8>> {
        let rule = dir.mask.and_then(|at| self.0.get(at as usize));
        let children = rule.into_iter().flat_map(|rule| &rule.children);
        children.filter(|(_, at)| self.0[**at as usize].leads_to_visible).map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(mask: &Mask, path: &[&CStr]) -> Option<View> {
        path.iter().try_fold(mask.root(), |dir, name| mask.child(dir, name)).map(|seen| seen.view)
    }

    #[test]
    fn a_hidden_directory_shows_only_the_way_to_its_exceptions() {
        let mask = Mask::new(&["/root".into(), "/home".into()], &["/root/a/project".into()]);
        assert_eq!(seen(&mask, &[c"etc"]), Some(View::Real));
        assert_eq!(seen(&mask, &[c"root"]), Some(View::Masked));
        assert_eq!(seen(&mask, &[c"root", c"a"]), Some(View::Masked));
        assert_eq!(seen(&mask, &[c"root", c"b"]), None);
        assert_eq!(seen(&mask, &[c"root", c"a", c"project"]), Some(View::Real));
        assert_eq!(seen(&mask, &[c"root", c"a", c"project", c"src"]), Some(View::Real));
        assert_eq!(seen(&mask, &[c"home", c"user"]), None);
    }

    #[test]
    fn a_path_hidden_inside_an_exception_stays_hidden() {
        let mask = Mask::new(&["/root".into(), "/root/p/.secret".into()], &["/root/p".into()]);
        assert_eq!(seen(&mask, &[c"root", c"p", c"file"]), Some(View::Real));
        assert_eq!(seen(&mask, &[c"root", c"p", c".secret"]), Some(View::Masked));
        assert_eq!(seen(&mask, &[c"root", c"p", c".secret", c"key"]), None);
    }
}
