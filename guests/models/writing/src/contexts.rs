//! What may tell which byte comes next: a hash for each context.

/// How many contexts are looked at.
pub(crate) const CONTEXTS: usize = 17;

/// How many of them are the last bytes and nothing else: of one byte, of two, and so on. They come first.
pub(crate) const ORDERS: usize = 6;

/// The context of the last six bytes.
pub(crate) const SIX_BYTES: usize = 5;

/// That of what there is of a word and the word before it.
pub(crate) const TWO_WORDS: usize = 7;

/// That of what there is of a word and the two words before it.
pub(crate) const THREE_WORDS: usize = 8;

/// Contexts whose histories are also looked at two by two: what both say together is more than what each says.
pub(crate) const PAIRS: [(usize, usize); 11] =
    [(1, 2), (2, 3), (3, 4), (4, 5), (6, 7), (7, 3), (15, 6), (14, 6), (8, 9), (7, 10), (11, 7)];

/// How many kinds of bytes are told apart.
pub(crate) const KINDS: usize = 12;

/// What there is to know of the bytes before the next one.
#[derive(Debug, Clone)]
pub(crate) struct Past {
    /// The last eight bytes, the youngest lowest. Where a line ends within a paragraph there is a space, because it says
    /// more of the paper than of the words.
    pub(crate) recent: u64,
    /// The last byte, as it was.
    last: u8,
    /// Of the word under way: a hash, 0 between words, and its length in bytes.
    word: u64,
    pub(crate) letters: u32,
    /// Hashes of the words before it, the youngest first.
    words: [u64; 3],
    /// Bytes since the line began.
    column: u32,
    /// What kinds of bytes came last, four bits each.
    kinds: u64,
    /// What followed each byte the last two times.
    after: [u16; 256],
    /// The last sign that was neither a letter nor a space, and how many words came since the sentence began.
    mark: u8,
    words_since: u32,
    /// Within quotation marks.
    quoted: bool,
}

fn hash(a: u64, b: u64) -> u64 {
    let mixed = (a ^ b.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    mixed ^ (mixed >> 29)
}

/// The hash of the slot of a byte's second half: of its context, and a one with the first half behind it.
pub(crate) fn second(context: u64, first: u32) -> u64 {
    hash(context, u64::from(first) + 256)
}

/// Bytes of letters beyond ASCII count as letters.
pub(crate) fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 128
}

fn kind(byte: u8) -> u64 {
    match byte {
        b'a'..=b'z' | 128.. => 1,
        b'A'..=b'Z' => 2,
        b' ' => 3,
        b'\n' => 4,
        b'.' | b'!' | b'?' => 5,
        b',' | b';' | b':' => 6,
        b'"' => 7,
        b'\'' => 8,
        b'0'..=b'9' => 9,
        b'-' => 10,
        _ => 11,
    }
}

impl Past {
    pub(crate) fn new() -> Self {
        Self {
            recent: 0,
            last: 0,
            word: 0,
            letters: 0,
            words: [0; 3],
            column: 0,
            kinds: 0,
            after: [0; 256],
            mark: 0,
            words_since: 0,
            quoted: false,
        }
    }

    /// Goes on by one byte.
    pub(crate) fn push(&mut self, byte: u8) {
        let paragraph = byte == b'\n' && self.last == b'\n';
        let shown = if byte == b'\n' && !paragraph { b' ' } else { byte };
        let after = &mut self.after[(self.recent & 0xff) as usize];
        *after = *after << 8 | u16::from(byte);
        self.recent = self.recent << 8 | u64::from(shown);
        self.kinds = self.kinds << 4 | kind(byte);
        self.column = if byte == b'\n' { 0 } else { self.column + 1 };
        self.quoted = !paragraph && (self.quoted != (byte == b'"'));
        self.last = byte;
        if is_letter(byte) {
            self.word = hash(self.word, u64::from(byte.to_ascii_lowercase()));
            self.letters += 1;
            return;
        }
        if self.word != 0 {
            self.words = [self.word, self.words[0], self.words[1]];
            self.words_since += 1;
            (self.word, self.letters) = (0, 0);
        }
        match byte {
            b'.' | b'!' | b'?' => (self.words_since, self.mark) = (0, byte),
            b' ' | b'\n' => {}
            _ => self.mark = byte,
        }
    }

    /// The hashes of all contexts of the next byte.
    pub(crate) fn hashes(&self) -> [u64; CONTEXTS] {
        let order = |bytes: u32| self.recent & ((1 << (8 * bytes)) - 1);
        let [w1, w2, w3] = self.words;
        let part = if self.word == 0 { hash(1, order(1)) } else { self.word };
        let column = u64::from(self.column.min(255));
        let contexts = [
            order(1),
            order(2),
            order(3),
            order(4),
            order(5),
            order(6),
            part,
            hash(part, w1),
            hash(hash(part, w1), w2),
            hash(part, w2),
            hash(hash(part, w2), w3),
            hash(part, u64::from(self.quoted) + 2),
            order(2) << 16 | u64::from(self.after[order(1) as usize]),
            hash(column, self.kinds & 0xff),
            column << 8 | u64::from(self.letters.min(15)),
            hash(self.kinds & 0xffff_ffff, order(1)),
            hash(hash(self.mark.into(), part), u64::from(self.words_since.min(3))),
        ];
        let mut numbered = [0; CONTEXTS];
        for (number, (to, from)) in (1..).zip(numbered.iter_mut().zip(contexts)) {
            *to = hash(hash(from, number), 0x5bd1);
        }
        numbered
    }

    /// A number below [`KINDS`] for what kind of byte came, `back` bytes before the last.
    pub(crate) fn kind(&self, back: u32) -> usize {
        (self.kinds >> (4 * back) & 15) as usize
    }
}
