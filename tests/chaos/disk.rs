//! A disk of a few MiB, to be filled.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use tachograph_tests::Directory;

/// A file system in memory of a given size; unmounted when it is dropped.
pub(crate) struct SmallDisk(Directory);

impl SmallDisk {
    /// Mounts one, or says in one line that this user may not (a failure under `CI=true`).
    pub(crate) fn mount(size: &str) -> Option<Self> {
        let directory = Directory::default();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(directory.path());
        let mounted = mount.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
        if !mounted {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "a small disk must be mountable under CI=true");
            std::io::stderr().write_all(b"skipped: this user may not mount a small disk\n").unwrap();
            return None;
        }
        Some(Self(directory))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// How many bytes it still has.
    pub(crate) fn free(&self) -> u64 {
        let told = Command::new("df").args(["--output=avail", "-B1"]).arg(self.path()).output().unwrap().stdout;
        String::from_utf8(told).unwrap().lines().last().unwrap().trim().parse().unwrap()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there keeps it until it ends.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
