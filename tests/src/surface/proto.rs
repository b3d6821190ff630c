//! What others rely on of Protocol Buffers.

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    ServiceDescriptorProto,
};

use super::Surface;

/// What callers rely on: names too, as code and JSON are made of them.
pub fn of_callers(files: &FileDescriptorSet) -> Surface {
    of(files, true)
}

/// What bytes rely on that nodes of other versions send and keep: numbers and types.
pub fn of_bytes(files: &FileDescriptorSet) -> Surface {
    of(files, false)
}

fn of(files: &FileDescriptorSet, named: bool) -> Surface {
    let mut lines = Lines { named, found: Surface::new() };
    files.file.iter().for_each(|file| lines.file(file));
    lines.found
}

struct Lines {
    named: bool,
    found: Surface,
}

impl Lines {
    fn say(&mut self, line: String) {
        self.found.insert(line);
    }

    fn file(&mut self, file: &FileDescriptorProto) {
        let package = file.package();
        // What stands in files of others is theirs to keep.
        if !package.starts_with("matrix.") {
            return;
        }
        file.message_type.iter().for_each(|message| self.message(package, message));
        file.enum_type.iter().for_each(|choices| self.choices(package, choices));
        file.service.iter().for_each(|service| self.service(package, service));
    }

    fn message(&mut self, outer: &str, message: &DescriptorProto) {
        let name = format!("{outer}.{}", message.name());
        self.say(format!("message {name}"));
        for field in &message.field {
            let line = self.field(message, field);
            self.say(format!("field {name} {}", line));
        }
        message.nested_type.iter().for_each(|nested| self.message(&name, nested));
        message.enum_type.iter().for_each(|choices| self.choices(&name, choices));
    }

    fn field(&self, message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
        let repeated = if field.label() == Label::Repeated { "repeated " } else { "" };
        let optional = if field.proto3_optional() { "optional " } else { "" };
        let of = match field.r#type() {
            Type::Message | Type::Enum => field.type_name().trim_start_matches('.').to_owned(),
            // `TYPE_UINT64` is `uint64`.
            plain => plain.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
        };
        let one = field.oneof_index.filter(|_| !field.proto3_optional());
        let one = one.and_then(|index| message.oneof_decl.get(index as usize)).map(|one| one.name());
        // Whether two fields exclude each other is seen in bytes; what that choice is called is not.
        let one = one.map(|name| if self.named { format!(" in {name}") } else { " in a oneof".to_owned() });
        let name = if self.named { format!(" {}", field.name()) } else { String::new() };
        format!("{}:{name} {repeated}{optional}{of}{}", field.number(), one.unwrap_or_default())
    }

    fn choices(&mut self, outer: &str, choices: &EnumDescriptorProto) {
        let name = format!("{outer}.{}", choices.name());
        for value in &choices.value {
            let called = if self.named { format!(": {}", value.name()) } else { String::new() };
            self.say(format!("value {name} {}{called}", value.number()));
        }
    }

    fn service(&mut self, package: &str, service: &ServiceDescriptorProto) {
        for method in &service.method {
            let type_of = |name: &str, streams: bool| {
                format!("{}{}", if streams { "stream " } else { "" }, name.trim_start_matches('.'))
            };
            let asks = type_of(method.input_type(), method.client_streaming());
            let gives = type_of(method.output_type(), method.server_streaming());
            self.say(format!("rpc {package}.{}/{}: {asks} -> {gives}", service.name(), method.name()));
        }
    }
}
