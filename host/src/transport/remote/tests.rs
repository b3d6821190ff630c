use bytes::Bytes;

use super::super::envelope::Content;
use super::super::router::TransportConfig;
use super::*;
use crate::telemetry::{Telemetry, TelemetryConfig};

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

fn envelope(sender: &str, recipient: &str) -> Envelope {
    let content = Content { content_type: "text/plain".into(), body: Bytes::from_static(b"hi") };
    Envelope::plain(MessageId(1), address(sender), address(recipient), content)
}

#[tokio::test]
async fn what_was_found_of_a_pair_holds_until_somebody_comes_or_goes() {
    let telemetry = Telemetry::new(TelemetryConfig::default(), "test").expect("the default works");
    let config = TransportConfig::default();
    let router = Router::new(&config, 1, Roster::default(), telemetry.metrics().transport.clone());
    let inbound = router.inbound(Tasks::new());
    let (directory, said) = (router.directory(), envelope("soul:neo", "soul:smith"));
    let pair = |node| inbound.pair(node, &said).map(|pair| pair.is_some());
    assert_eq!(pair(Some(2)), Ok(false), "nobody has this address");
    directory.insert(address("soul:smith"), Mailbox::new(8).0);
    assert!(pair(None).is_err(), "a client speaks for itself alone");
    let found = inbound.pair(Some(2), &said).ok().flatten().expect("it is here");
    assert!(found.is_of(&router, &said));
    for (sender, recipient) in [("soul:trinity", "soul:smith"), ("soul:neo", "matrix:smith")] {
        assert!(!found.is_of(&router, &envelope(sender, recipient)), "{sender} {recipient}");
    }
    // The sender has come to live here: nobody else speaks for it any more.
    directory.insert(address("soul:neo"), Mailbox::new(8).0);
    assert!(!found.is_of(&router, &said));
    assert!(matches!(pair(Some(2)), Err(SendError::Denied(_))));
    directory.remove(&address("soul:neo"));
    assert_eq!(pair(Some(2)), Ok(true));
    directory.remove(&address("soul:smith"));
    assert_eq!(pair(Some(2)), Ok(false));
}
