//! Two nodes: this process is the one, and a `matrixd` of its own the other.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use matrix_tests::node::{PATIENCE, TestNode, built};
use matrixd::config::Config;
use tempfile::TempDir;

/// Both of them.
pub(crate) struct Two {
    pub(crate) here: TestNode,
    there: There,
    _folder: TempDir,
}

/// The other node; killed when this is dropped.
struct There(Child);

impl Drop for There {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Two {
    /// Starts them; `change` is for this one's configuration, `settings` for the other's.
    pub(crate) async fn start(change: impl FnOnce(&mut Config), settings: &str) -> Self {
        let here = TestNode::start_with(change).await;
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let settings = format!("[admin]\nlisten = \"off\"\nhttp = \"off\"\n{settings}");
        std::fs::write(folder.path().join("matrixd.toml"), settings).expect("our own folder");
        let token = here.node().realm().invite(Duration::from_secs(60)).await.expect("it listens");
        let mut command = Command::new(built("matrixd"));
        command.arg("--data-dir").arg(folder.path()).arg("--join").arg(token.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let there = There(command.spawn().expect("matrixd is built beside this program"));
        let mut nodes = here.node().realm().nodes();
        let joined = nodes.wait_for(|nodes| nodes.nodes.get(&2).is_some_and(|node| node.is_alive));
        tokio::time::timeout(PATIENCE, joined).await.expect("it joins in time").expect("the realm lives");
        Self { here, there, _folder: folder }
    }

    /// Ends the other node as a power cut would.
    pub(crate) fn kill_there(&mut self) {
        self.there.0.kill().and_then(|()| self.there.0.wait()).expect("our own child");
    }

    /// Ends both.
    pub(crate) async fn stop(self) {
        drop(self.there);
        self.here.stop().await;
    }
}
