//! Reading single fields of a request without knowing its type: the interface says where they are.

use std::collections::HashMap;

use matrix_proto::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::Type;

use crate::telemetry::logs::sanitize;

/// The most bytes of a field that are written down.
const TEXT_BYTES_MAX: usize = 256;
/// The field that names a mutation, where a request has it: by itself, or in the header of what follows.
const REQUEST_IDS: [&str; 2] = ["request_id", "header.request_id"];

/// The interface `matrix.v1`, as the build described it.
pub(super) struct Interface {
    /// By `Service/Method`.
    methods: HashMap<String, Described>,
    /// The fields of each message: name, number, and, of a message, its type.
    messages: HashMap<String, HashMap<String, (u32, Option<String>)>>,
}

/// What the interface says of a method.
pub(super) struct Described {
    /// The type of its requests.
    pub(super) input: String,
    /// Whether it answers with a stream.
    pub(super) streams: bool,
}

impl Interface {
    /// Reads the description.
    pub(super) fn read() -> Self {
        let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("the build encoded it");
        let (mut methods, mut messages) = (HashMap::new(), HashMap::new());
        for file in set.file {
            let package = format!(".{}", file.package());
            for service in &file.service {
                for method in &service.method {
                    let described = Described {
                        input: method.input_type().to_owned(),
                        streams: method.server_streaming(),
                    };
                    methods.insert(format!("{}/{}", service.name(), method.name()), described);
                }
            }
            for message in &file.message_type {
                let fields = message.field.iter().map(|field| {
                    let inner = (field.r#type() == Type::Message).then(|| field.type_name().to_owned());
                    (field.name().to_owned(), (field.number().unsigned_abs(), inner))
                });
                messages.insert(format!("{package}.{}", message.name()), fields.collect());
            }
        }
        Self { methods, messages }
    }

    /// The names of all methods.
    #[cfg(test)]
    pub(super) fn methods(&self) -> impl Iterator<Item = String> + '_ {
        self.methods.keys().cloned()
    }

    /// A method, by `Service/Method`.
    pub(super) fn method(&self, name: &str) -> Option<&Described> {
        self.methods.get(name)
    }

    /// The field numbers that lead to a field of a message, such as `manifest.name`.
    pub(super) fn field(&self, message: &str, path: &str) -> Option<Vec<u32>> {
        let (mut numbers, mut within) = (Vec::new(), Some(message.to_owned()));
        for name in path.split('.') {
            let (number, inner) = self.messages.get(&within?)?.get(name)?.clone();
            numbers.push(number);
            within = inner;
        }
        Some(numbers)
    }

    /// Where the requests of type `message` have their target and their request id.
    pub(super) fn fields(&self, message: &str, target: &[&str]) -> Fields {
        Fields {
            target: target.iter().filter_map(|path| self.field(message, path)).collect(),
            request_id: REQUEST_IDS.iter().find_map(|path| self.field(message, path)),
        }
    }
}

/// Where the requests of a method say what they are about.
#[derive(Debug)]
pub(super) struct Fields {
    target: Vec<Vec<u32>>,
    request_id: Option<Vec<u32>>,
}

impl Fields {
    /// What an encoded request is about, and its request id; empty where it does not say.
    pub(super) fn read(&self, message: &[u8]) -> (String, String) {
        let target: Vec<_> = self.target.iter().filter_map(|path| find(message, path)).collect();
        let request_id = self.request_id.as_ref().and_then(|path| find(message, path));
        (target.join("/"), request_id.unwrap_or_default())
    }
}

/// A value of the wire format (protobuf.dev/programming-guides/encoding).
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a fixed length: no field that is looked for is one.
    Fixed,
}

/// The last value at `path`, as text; none where there is none, or the message is malformed before it.
fn find(message: &[u8], path: &[u32]) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let (mut left, mut found) = (message, None);
    while let Some((number, value)) = next(&mut left) {
        if number != u64::from(*first) {
            continue;
        }
        found = match value {
            Value::Bytes(inner) if !rest.is_empty() => find(inner, rest),
            Value::Bytes(text) => Some(shown(text)),
            Value::Number(number) => Some(number.to_string()),
            Value::Fixed => None,
        };
    }
    found.filter(|text| !text.is_empty())
}

/// Takes the next field off a message; none at its end, or where it is malformed.
fn next<'a>(left: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let tag = varint(left)?;
    let value = match tag & 7 {
        0 => Value::Number(varint(left)?),
        1 => left.split_off(..8).map(|_| Value::Fixed)?,
        2 => {
            let length = usize::try_from(varint(left)?).ok()?;
            Value::Bytes(left.split_off(..length)?)
        }
        5 => left.split_off(..4).map(|_| Value::Fixed)?,
        _ => return None,
    };
    Some((tag >> 3, value))
}

fn varint(left: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let byte = left.split_off_first()?;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// What a caller wrote, on one short line.
pub(super) fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(TEXT_BYTES_MAX)]);
    sanitize(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use matrix_proto::v1;
    use proptest::prelude::*;

    use super::*;

    fn read(input: &str, target: &[&str], message: &impl prost::Message) -> (String, String) {
        Interface::read().fields(&format!(".matrix.v1.{input}"), target).read(&message.encode_to_vec())
    }

    #[test]
    fn what_a_request_is_about_is_found_wherever_it_stands() {
        let put = v1::KvPutRequest {
            bucket: "notes".into(),
            key: "a\nb".into(),
            value: vec![7; 300].into(),
            lease: 0,
            request_id: "r1".into(),
        };
        assert_eq!(read("KvPutRequest", &["bucket", "key"], &put), ("notes/a\\nb".into(), "r1".into()));
        let manifest = Some(v1::SoulManifest { name: "neo".into(), ..Default::default() });
        let spawn = v1::SpawnRequest { manifest, request_id: String::new() };
        assert_eq!(read("SpawnRequest", &["manifest.name"], &spawn), ("neo".into(), String::new()));
        let header = v1::UploadHeader { name: "echo".into(), request_id: "r2".into(), ..Default::default() };
        let part = Some(v1::upload_request::Part::Header(header));
        let upload = v1::UploadRequest { part };
        assert_eq!(read("UploadRequest", &["header.name"], &upload), ("echo".into(), "r2".into()));
        let remove = v1::RemoveRequest { node: 300, force: true };
        assert_eq!(read("RemoveRequest", &["node"], &remove), ("300".into(), String::new()));
    }

    proptest! {
        #[test]
        fn whatever_bytes_come_it_ends(message in proptest::collection::vec(any::<u8>(), 0..64)) {
            let fields = Interface::read().fields(".matrix.v1.SpawnRequest", &["manifest.name"]);
            let (target, id) = fields.read(&message);
            prop_assert!(!target.contains('\n') && !id.contains('\n'));
        }
    }
}
