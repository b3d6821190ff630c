//! A stage of the transport that wants to read the KV, for which it would have to wait.

use matrix_sdk::keyvalue::Bucket;
use matrix_sdk::prelude::*;

/// It keeps nothing.
#[derive(Default)]
struct Reader;

impl Interceptor for Reader {
    fn outbound(&mut self, _message: OwnedMessage) -> Verdict {
        match Bucket::open("notes").and_then(|bucket| bucket.get("key")) {
            Ok(_) => Verdict::Pass,
            Err(error) => Verdict::Reject(format!("{error:?}")),
        }
    }
}

matrix_sdk::interceptor!(Reader);
