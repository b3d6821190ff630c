//! That nothing is left behind when all guests have ended.

use std::path::Path;

use crate::node::TestNode;

/// More Souls and Matrices than a test has.
const MANY: usize = 10_000;

impl TestNode {
    /// Takes the interceptors away, stops every Matrix and every Soul, checks that no memory, message or file of theirs is left, and stops
    /// the node, which checks its tasks.
    ///
    /// # Panics
    /// Where something is left.
    pub async fn end(self) {
        let (souls, matrices) = (self.node().souls(), self.node().matrices());
        let cleared = self.node().interceptors().set(Vec::new()).await;
        cleared.expect("an empty chain is always one");
        // One that failed has ended; one whose state cannot be saved ends all the same.
        for matrix in matrices.list(None, MANY) {
            let _ = matrices.stop(&matrix.manifest.name, None).await;
        }
        for soul in souls.list(None, "", MANY) {
            let _ = souls.stop(&soul.manifest.name, None).await;
        }
        for soul in souls.list(None, "", MANY) {
            let held = (soul.memory_bytes, soul.mailbox_depth);
            assert_eq!(held, (0, 0), "{} left memory or messages behind", soul.manifest.name);
        }
        let memory = self.node().catalog().memory();
        assert_eq!(memory.used(), 0, "instances are left, or their memory was miscounted");
        let (open, unfinished) = (self.open_files(), self.unfinished());
        assert!(open.is_empty() && unfinished.is_empty(), "open: {open:?}; unfinished: {unfinished:?}");
        self.stop().await;
    }

    /// Files of the data folder that this process has open, those left out that are the node's own as long as it runs: the
    /// KV's and the audit log's.
    fn open_files(&self) -> Vec<String> {
        let files = std::fs::read_dir("/proc/self/fd").expect("the system tells of open files");
        let paths = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
        let owned = |path: &Path| ["kv", "audit"].iter().any(|it| path.starts_with(self.data().join(it)));
        let ours = paths.filter(|path| path.starts_with(self.data()) && !owned(path));
        ours.map(|path| path.display().to_string()).collect()
    }

    /// Files that were begun and not finished.
    fn unfinished(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in ["components", "compiled"] {
            let files = std::fs::read_dir(self.data().join(folder)).expect("the node made it");
            let names = files.map(|file| file.expect("it can be listed").file_name());
            let names = names.map(|name| name.to_string_lossy().into_owned());
            found.extend(names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "part")));
        }
        found
    }
}
