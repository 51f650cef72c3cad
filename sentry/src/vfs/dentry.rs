//! The dentry cache: names, the inodes behind them, and names known not to exist.
//!
//! A directory's dentry holds its cached children, a child holds its parent: names in use stay reachable for path
//! reconstruction, and the cycle is cut by [`Dentry::prune`], which drops what nobody else holds. A directory's children lock
//! is held over the file system's own operation, so that cache and file system change together.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};

use parking_lot::{Mutex, RwLock, RwLockWriteGuard};

use super::{FileType, Inode, NewNode};
use crate::Errno;

/// When more dentries than this exist, unused ones are dropped.
pub const CACHE_LIMIT: usize = 50_000;

/// `RENAME_NOREPLACE`
pub const RENAME_NOREPLACE: u32 = 1;
/// `RENAME_EXCHANGE`
pub const RENAME_EXCHANGE: u32 = 2;
/// `RENAME_WHITEOUT`
pub const RENAME_WHITEOUT: u32 = 4;

/// All dentries and cached negative names of the process.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Serializes renames: whoever holds it may rely on no dentry changing its parent.
static RENAME: Mutex<()> = Mutex::new(());

/// A name in a directory, and the inode behind it.
pub struct Dentry {
    inode: Arc<dyn Inode>,
    file_type: FileType,
    place: RwLock<Place>,
    children: RwLock<Children>,
    mounts: AtomicU32,
    removed: AtomicBool,
}

struct Place {
    parent: Option<Arc<Dentry>>,
    name: Arc<[u8]>,
}

/// `None` is a name known not to exist.
type Children = HashMap<Box<[u8]>, Option<Arc<Dentry>>>;

impl Dentry {
    /// The root of a file system, or a name outside of any directory (`memfd:x`).
    pub fn new_root(inode: Arc<dyn Inode>, name: &[u8]) -> Arc<Dentry> {
        Dentry::new(inode, None, name)
    }

    /// A file that has no name any more or never had one (`O_TMPFILE`), shown as deleted in `parent`.
    pub fn new_unnamed(inode: Arc<dyn Inode>, parent: &Arc<Dentry>, name: &[u8]) -> Arc<Dentry> {
        let dentry = Dentry::new(inode, Some(parent.clone()), name);
        dentry.removed.store(true, Ordering::Release);
        dentry
    }

    fn new(inode: Arc<dyn Inode>, parent: Option<Arc<Dentry>>, name: &[u8]) -> Arc<Dentry> {
        COUNT.fetch_add(1, Ordering::Relaxed);
        let file_type = inode.file_type();
        Arc::new(Dentry {
            inode,
            file_type,
            place: RwLock::new(Place { parent, name: name.into() }),
            children: RwLock::default(),
            mounts: AtomicU32::new(0),
            removed: AtomicBool::new(false),
        })
    }

    /// The inode behind the name.
    pub fn inode(&self) -> &Arc<dyn Inode> {
        &self.inode
    }

    /// The inode's type.
    pub fn file_type(&self) -> FileType {
        self.file_type
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.file_type == FileType::Directory
    }

    /// The directory it lies in; `None` for a root.
    pub fn parent(&self) -> Option<Arc<Dentry>> {
        self.place.read().parent.clone()
    }

    /// Its name in the parent.
    pub fn name(&self) -> Arc<[u8]> {
        self.place.read().name.clone()
    }

    /// Parent and name at one moment.
    pub fn place(&self) -> (Option<Arc<Dentry>>, Arc<[u8]>) {
        let place = self.place.read();
        (place.parent.clone(), place.name.clone())
    }

    /// Whether its name was removed.
    pub fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// Whether something is mounted over it, in some mount.
    pub fn is_mountpoint(&self) -> bool {
        self.mounts.load(Ordering::Acquire) > 0
    }

    /// Counts a mount over it.
    pub(super) fn add_mount(&self) {
        self.mounts.fetch_add(1, Ordering::AcqRel);
    }

    /// Takes back [`Dentry::add_mount`].
    pub(super) fn remove_mount(&self) {
        self.mounts.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether it is `other` or lies below it.
    pub fn is_within(self: &Arc<Self>, other: &Arc<Dentry>) -> bool {
        let mut at = self.clone();
        loop {
            if Arc::ptr_eq(&at, other) {
                return true;
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }

    /// The entry `name` of this directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR; what the file system says.
    pub fn lookup(self: &Arc<Self>, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        if let Some(known) = self.cached(name) {
            return known.ok_or(Errno::ENOENT);
        }
        if self.is_removed() {
            return Err(Errno::ENOENT);
        }
        let mut children = self.children.write();
        self.lookup_locked(&mut children, name)
    }

    /// What the cache knows of `name`: nothing, that it does not exist, or its dentry.
    pub fn cached(&self, name: &[u8]) -> Option<Option<Arc<Dentry>>> {
        let known = self.children.read().get(name)?.clone();
        self.inode.revalidate(name, known.as_ref().map(|dentry| &dentry.inode)).then_some(known)
    }

    fn lookup_locked(self: &Arc<Self>, children: &mut Children, name: &[u8]) -> Result<Arc<Dentry>, Errno> {
        let known = children.get(name).cloned();
        if let Some(known) = &known
            && self.inode.revalidate(name, known.as_ref().map(|dentry| &dentry.inode))
        {
            return known.clone().ok_or(Errno::ENOENT);
        }
        match self.inode.lookup(name) {
            Ok(inode) => match known.flatten() {
                Some(old) if Arc::ptr_eq(&old.inode, &inode) => Ok(old),
                old => {
                    if let Some(old) = old {
                        old.removed.store(true, Ordering::Release);
                    }
                    let dentry = Dentry::new(inode, Some(self.clone()), name);
                    if self.inode.may_cache(name) {
                        children.insert(name.into(), Some(dentry.clone()));
                    }
                    Ok(dentry)
                }
            },
            Err(Errno::ENOENT) => {
                self.forget(children, name);
                Err(Errno::ENOENT)
            }
            Err(error) => Err(error),
        }
    }

    /// Notes that `name` does not exist (any more).
    fn forget(&self, children: &mut Children, name: &[u8]) {
        let old = if self.inode.may_cache(name) && !self.is_removed() {
            children.insert(name.into(), None)
        } else {
            children.remove(name)
        };
        if let Some(old) = old.flatten() {
            old.removed.store(true, Ordering::Release);
        }
    }

    fn writable_children(&self) -> Result<RwLockWriteGuard<'_, Children>, Errno> {
        if !self.is_dir() {
            return Err(Errno::ENOTDIR);
        }
        let children = self.children.write();
        if self.is_removed() { Err(Errno::ENOENT) } else { Ok(children) }
    }

    fn expect_missing(self: &Arc<Self>, children: &mut Children, name: &[u8]) -> Result<(), Errno> {
        match self.lookup_locked(children, name) {
            Ok(_) => Err(Errno::EEXIST),
            Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn expect(self: &Arc<Self>, children: &mut Children, name: &[u8], wanted: &Arc<Dentry>) -> Result<(), Errno> {
        let found = self.lookup_locked(children, name)?;
        // A file system that is never cached makes a new dentry each time; then the name alone must do.
        if Arc::ptr_eq(&found, wanted) || !self.inode.may_cache(name) { Ok(()) } else { Err(Errno::ENOENT) }
    }

    /// Makes an entry.
    ///
    /// # Errors
    /// EEXIST; as [`Inode::create`].
    pub fn create(self: &Arc<Self>, name: &[u8], node: &NewNode) -> Result<Arc<Dentry>, Errno> {
        let mut children = self.writable_children()?;
        self.expect_missing(&mut children, name)?;
        let inode = self.inode.create(name, node)?;
        let dentry = Dentry::new(inode, Some(self.clone()), name);
        if self.inode.may_cache(name) {
            children.insert(name.into(), Some(dentry.clone()));
        }
        Ok(dentry)
    }

    /// Adds a name for an existing inode.
    ///
    /// # Errors
    /// EEXIST; as [`Inode::link`].
    pub fn link(self: &Arc<Self>, name: &[u8], target: &Arc<dyn Inode>) -> Result<(), Errno> {
        let mut children = self.writable_children()?;
        self.expect_missing(&mut children, name)?;
        self.inode.link(name, target)?;
        children.remove(name);
        Ok(())
    }

    /// Removes the entry `name`, which is `victim`.
    ///
    /// # Errors
    /// ENOENT when it is another by now; as [`Inode::unlink`].
    pub fn unlink(self: &Arc<Self>, name: &[u8], victim: &Arc<Dentry>) -> Result<(), Errno> {
        let mut children = self.writable_children()?;
        self.expect(&mut children, name, victim)?;
        self.inode.unlink(name)?;
        self.forget(&mut children, name);
        victim.removed.store(true, Ordering::Release);
        Ok(())
    }

    /// Removes the empty directory `name`, which is `victim`.
    ///
    /// # Errors
    /// ENOENT when it is another by now; as [`Inode::rmdir`].
    pub fn rmdir(self: &Arc<Self>, name: &[u8], victim: &Arc<Dentry>) -> Result<(), Errno> {
        let mut children = self.writable_children()?;
        self.expect(&mut children, name, victim)?;
        // Nothing may appear in it between the removal and the mark.
        let mut victims = victim.children.write();
        self.inode.rmdir(name)?;
        victim.removed.store(true, Ordering::Release);
        victims.clear();
        self.forget(&mut children, name);
        Ok(())
    }

    /// Moves `source`, the entry `name` of this directory, to `new_name` in `new_dir`. `replaced` is what the caller found
    /// there and may lose.
    ///
    /// # Errors
    /// EINVAL for a directory moved into itself; ENOTEMPTY when the target is an ancestor; ENOENT or EEXIST when the names
    /// are others by now; as [`Inode::rename`].
    pub fn rename(
        self: &Arc<Self>,
        name: &[u8],
        source: &Arc<Dentry>,
        new_dir: &Arc<Dentry>,
        new_name: &[u8],
        replaced: Option<&Arc<Dentry>>,
        flags: u32,
    ) -> Result<(), Errno> {
        let _serial = RENAME.lock();
        let exchange = flags & RENAME_EXCHANGE != 0;
        if new_dir.is_within(source) {
            return Err(Errno::EINVAL);
        }
        if let Some(target) = replaced
            && self.is_within(target)
        {
            return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        if Arc::ptr_eq(self, new_dir) {
            let mut children = self.writable_children()?;
            self.expect(&mut children, name, source)?;
            match replaced {
                Some(target) => self.expect(&mut children, new_name, target)?,
                None => self.expect_missing(&mut children, new_name)?,
            }
            self.inode.rename(name, &new_dir.inode, new_name, flags)?;
            self.forget_moved(&mut children, name);
            self.forget_moved(&mut children, new_name);
            self.settle(&mut children, name, source, self, new_name, replaced, exchange, None);
            return Ok(());
        }
        // Lock order between two directories: the upper first, as rmdir has it; unrelated ones by address.
        let (mut from, mut to);
        let by_address = || Arc::as_ptr(self) < Arc::as_ptr(new_dir) && !self.is_within(new_dir);
        if new_dir.is_within(self) || by_address() {
            from = self.writable_children()?;
            to = new_dir.writable_children()?;
        } else {
            to = new_dir.writable_children()?;
            from = self.writable_children()?;
        }
        self.expect(&mut from, name, source)?;
        match replaced {
            Some(target) => new_dir.expect(&mut to, new_name, target)?,
            None => new_dir.expect_missing(&mut to, new_name)?,
        }
        self.inode.rename(name, &new_dir.inode, new_name, flags)?;
        self.forget_moved(&mut from, name);
        new_dir.forget_moved(&mut to, new_name);
        self.settle(&mut from, name, source, new_dir, new_name, replaced, exchange, Some(&mut to));
        Ok(())
    }

    fn forget_moved(&self, children: &mut Children, name: &[u8]) {
        children.remove(name);
    }

    /// Enters the names after a rename. `to` is `None` when both directories are this one.
    #[allow(clippy::too_many_arguments, reason = "the two ends of one rename")]
    fn settle(
        self: &Arc<Self>,
        from: &mut Children,
        name: &[u8],
        source: &Arc<Dentry>,
        new_dir: &Arc<Dentry>,
        new_name: &[u8],
        replaced: Option<&Arc<Dentry>>,
        exchange: bool,
        to: Option<&mut Children>,
    ) {
        *source.place.write() = Place { parent: Some(new_dir.clone()), name: new_name.into() };
        if new_dir.inode.may_cache(new_name) {
            to.unwrap_or(from).insert(new_name.into(), Some(source.clone()));
        }
        match replaced {
            Some(other) if exchange => {
                *other.place.write() = Place { parent: Some(self.clone()), name: name.into() };
                if self.inode.may_cache(name) {
                    from.insert(name.into(), Some(other.clone()));
                }
            }
            Some(lost) => lost.removed.store(true, Ordering::Release),
            None => {}
        }
    }

    /// Whether enough dentries exist that unused ones should go.
    pub fn cache_is_full() -> bool {
        COUNT.load(Ordering::Relaxed) > CACHE_LIMIT
    }

    /// Drops cached names below this one: all, when the file system goes (`everything`), else those nobody uses.
    pub fn prune(self: &Arc<Self>, everything: bool) {
        // Parents come before their children in this list, so that walking it backwards empties leaves first.
        let mut order = vec![self.clone()];
        let mut next = 0;
        while let Some(dentry) = order.get(next).cloned() {
            next += 1;
            order.extend(dentry.children.read().values().flatten().filter(|child| child.is_dir()).cloned());
        }
        while let Some(dentry) = order.pop() {
            let mut dropped = Vec::new();
            if everything {
                dropped.extend(dentry.children.write().drain());
            } else if let Some(mut children) = dentry.children.try_write() {
                dropped.extend(children.extract_if(|_, child| match child {
                    // One reference is the cache's own. Whoever takes another needs the lock that is held here.
                    Some(child) => Arc::strong_count(child) == 1 && !child.is_mountpoint(),
                    None => true,
                }));
                children.shrink_to_fit();
            }
            drop(dropped);
        }
    }
}

impl Drop for Dentry {
    fn drop(&mut self) {
        COUNT.fetch_sub(1, Ordering::Relaxed);
        // The guest chooses how deep a tree is: no recursion along the parents.
        let mut parent = self.place.get_mut().parent.take();
        while let Some(mut dentry) = parent.and_then(Arc::into_inner) {
            parent = dentry.place.get_mut().parent.take();
        }
    }
}
