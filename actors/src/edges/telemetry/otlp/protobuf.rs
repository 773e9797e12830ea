//! As much of protobuf's wire format as OTLP needs of it.

/// The kinds of fields on the wire.
const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED32: u32 = 5;

/// Writes one message.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// A number; zero is what a reader takes for it when it is not there.
    pub(super) fn number(&mut self, field: u32, number: u64) {
        if number != 0 {
            self.varint_field(field, number);
        }
    }

    /// A number, also zero.
    pub(super) fn varint_field(&mut self, field: u32, number: u64) {
        self.tag(field, VARINT);
        self.varint(number);
    }

    pub(super) fn fixed64(&mut self, field: u32, number: u64) {
        self.tag(field, FIXED64);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn fixed32(&mut self, field: u32, number: u32) {
        self.tag(field, FIXED32);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.tag(field, LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    /// A message within this one.
    pub(super) fn message(&mut self, field: u32, write: impl FnOnce(&mut Writer)) {
        let mut inner = Writer::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }

    fn tag(&mut self, field: u32, kind: u32) {
        self.varint(u64::from(field << 3 | kind));
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

/// A field's content, as far as anybody here reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Content<'b> {
    Number(u64),
    Bytes(&'b [u8]),
}

/// The fields of a message; ends where what comes is no protobuf.
pub(super) struct Fields<'b>(pub(super) &'b [u8]);

impl<'b> Fields<'b> {
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn skip(&mut self, length: u64) -> Option<&'b [u8]> {
        let (skipped, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(skipped)
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = (u64, Content<'b>);

    fn next(&mut self) -> Option<Self::Item> {
        let tag = self.varint()?;
        let content = match u32::try_from(tag & 7).ok()? {
            VARINT => Content::Number(self.varint()?),
            LENGTH => {
                let length = self.varint()?;
                Content::Bytes(self.skip(length)?)
            }
            FIXED64 => Content::Bytes(self.skip(8)?),
            FIXED32 => Content::Bytes(self.skip(4)?),
            _ => return None,
        };
        Some((tag >> 3, content))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(number in 1_u64.., text in ".{0,300}", field in 1_u32..2000) {
            let mut writer = Writer::default();
            writer.number(field, number);
            writer.number(field, 0);
            writer.message(field, |inner| inner.text(1, &text));
            let bytes = writer.finish();
            let fields: Vec<_> = Fields(&bytes).collect();
            prop_assert_eq!(fields[0], (u64::from(field), Content::Number(number)));
            let (_, Content::Bytes(inner)) = fields[1] else { panic!("a message") };
            let inner: Vec<_> = Fields(inner).collect();
            prop_assert_eq!(inner, [(1, Content::Bytes(text.as_bytes()))]);
            prop_assert_eq!(fields.len(), 2);
        }

        #[test]
        fn no_bytes_are_too_odd_to_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Fields(&bytes).count() <= bytes.len());
        }
    }
}
