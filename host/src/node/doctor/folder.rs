//! The data folder: who may look into it, its secrets, and the room on its disk.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::super::place::KEY_FILE;
use super::Findings;
use crate::admin;
use crate::config::Config;
use crate::p2p::Key;

/// So many times the reserve is little room.
const ROOM: u64 = 4;

pub(super) fn look(config: &Config, found: &mut Findings) {
    let data = &config.data_dir;
    let Ok(metadata) = fs::metadata(data) else {
        found.ok("folder", format!("{} is not there yet: a start makes it", data.display()));
        return;
    };
    if !metadata.is_dir() {
        let text = format!("{} is no folder", data.display());
        return found.error("folder", text, "name another one by --data-dir");
    }
    let mode = metadata.permissions().mode() & 0o777;
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        let text = format!("{} belongs to user {}, and not to this one", data.display(), metadata.uid());
        found.error("folder", text, "run matrixd, and this, as the user whose folder it is");
    } else if mode & 0o077 != 0 {
        found.warn("folder", format!("others may look into it (mode {mode:o})"), "a start sets it to 700");
    } else {
        found.ok("folder", format!("{} is its owner's alone", data.display()));
    }
    match admin::check_token(data) {
        Ok(true) => found.ok("token", "nobody but its owner may read it"),
        Ok(false) => found.ok("token", "it is not there yet: a start makes it"),
        Err(error) => found.refused("token", &error),
    }
    let key = data.join(KEY_FILE);
    if key.exists() {
        match Key::load_or_create(&key) {
            Ok(key) => found.ok("key", format!("this node is the peer {}", key.peer())),
            Err(error) => found.refused("key", &error),
        }
    }
    room(data, config.kv.disk_reserve_bytes, found);
}

/// Whether the disk has room: below the reserve the KV takes no writes.
fn room(data: &Path, reserve: u64, found: &mut Findings) {
    let free = match rustix::fs::statvfs(data) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => return found.error("disk", format!("its room is not known: {error}"), ""),
    };
    let text = format!("{} MiB are free, {} MiB are to stay free", free >> 20, reserve >> 20);
    let change = "make room, or lower `kv.disk_reserve_bytes`";
    match free {
        free if free < reserve => found.error("disk", text, change),
        free if free < reserve.saturating_mul(ROOM) => found.warn("disk", text, change),
        _ => found.ok("disk", text),
    }
}
