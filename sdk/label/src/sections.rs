//! The frames of a component: sections with a length each, and the custom ones among them.

/// What begins a component, of the version that tools make.
pub(crate) const COMPONENT: [u8; 8] = [0, b'a', b's', b'm', 0x0d, 0, 1, 0];

/// The bytes are no component, or end in the midst of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl std::fmt::Display for Malformed {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("it is no WebAssembly component, or is cut off")
    }
}

impl std::error::Error for Malformed {}

/// A section at the outside of a component, with its frame and without.
#[derive(Debug, Clone, Copy)]
pub struct Section<'a> {
    /// All of it, from its number on.
    pub whole: &'a [u8],
    /// Of a custom section: its name, and what it holds.
    pub custom: Option<(&'a str, &'a [u8])>,
}

/// The sections at the outside of a component, in their order. What is in them is not read.
///
/// # Errors
/// Where the bytes are no component; and in place of a section, where they end in the midst of it.
pub fn sections(component: &[u8]) -> Result<impl Iterator<Item = Result<Section<'_>, Malformed>>, Malformed> {
    let mut reader = Reader(component.strip_prefix(&COMPONENT).ok_or(Malformed)?);
    Ok(std::iter::from_fn(move || reader.section().transpose()))
}

/// Reads bytes from the front.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next section; none at the end.
    fn section(&mut self) -> Result<Option<Section<'a>>, Malformed> {
        let before = self.0;
        let Some(id) = self.byte() else { return Ok(None) };
        let body = self.counted().ok_or(Malformed)?;
        let whole = &before[..before.len() - self.0.len()];
        let mut inside = Self(body);
        let custom = match id {
            0 => {
                let name = inside.text().and_then(|name| std::str::from_utf8(name).ok()).ok_or(Malformed)?;
                Some((name, inside.0))
            }
            _ => None,
        };
        Ok(Some(Section { whole, custom }))
    }

    /// A text, or what was meant as one.
    pub(crate) fn text(&mut self) -> Option<&'a [u8]> {
        self.counted()
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A length, and so many bytes.
    fn counted(&mut self) -> Option<&'a [u8]> {
        let length = self.number()? as usize;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// An unsigned LEB128 number of 32 bits.
    fn number(&mut self) -> Option<u32> {
        let mut number = 0u64;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(number).ok();
            }
        }
        None
    }
}

/// Hands on each part of a section that consists of numbered parts, whole and without its frame, as far as it can be read.
pub(crate) fn parts<'a>(data: &'a [u8], each: &mut dyn FnMut(u8, &'a [u8], &'a [u8])) {
    let mut reader = Reader(data);
    loop {
        let before = reader.0;
        let Some(id) = reader.byte() else { return };
        let Some(part) = reader.counted() else { return };
        each(id, &before[..before.len() - reader.0.len()], part);
    }
}

/// Hands on each producer: role, name, version; until it is told that this is enough, or as far as they can be read.
pub(crate) fn producers<'a>(data: &'a [u8], each: &mut dyn FnMut(&'a [u8], &'a [u8], &'a [u8]) -> bool) {
    let mut reader = Reader(data);
    let Some(roles) = reader.number() else { return };
    for _ in 0..roles {
        let (Some(role), Some(values)) = (reader.text(), reader.number()) else { return };
        for _ in 0..values {
            let (Some(name), Some(version)) = (reader.text(), reader.text()) else { return };
            if !each(role, name, version) {
                return;
            }
        }
    }
}

/// The section of producers: those of one role together, in the order in which the roles come first.
pub(crate) fn of_producers(all: &[super::Producer]) -> Vec<u8> {
    let mut roles: Vec<&str> = Vec::new();
    for it in all {
        if !roles.contains(&it.role.as_str()) {
            roles.push(&it.role);
        }
    }
    let mut out = Vec::new();
    put_length(&mut out, roles.len());
    for role in roles {
        let values: Vec<_> = all.iter().filter(|it| it.role == role).collect();
        put_text(&mut out, role);
        put_length(&mut out, values.len());
        for it in values {
            put_text(&mut out, &it.name);
            put_text(&mut out, &it.version);
        }
    }
    out
}

/// Adds a custom section.
pub(crate) fn custom(out: &mut Vec<u8>, name: &str, data: &[u8]) {
    let mut body = Vec::with_capacity(name.len() + data.len() + 5);
    put_text(&mut body, name);
    body.extend_from_slice(data);
    out.push(0);
    put_length(out, body.len());
    out.extend(body);
}

/// Adds a text and its length.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_length(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Adds a length, as LEB128.
pub(crate) fn put_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 & 0x7f | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}
