//! Base64, in the forms in which it comes to us: either alphabet, with or without padding, wrapped or not.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, STANDARD_NO_PAD_INDIFFERENT};

/// The bytes; `None` if the text is no base64.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let plain = text.trim().trim_end_matches('=').chars().filter(|c| !matches!(c, '\n' | '\r'));
    let standard: String = plain
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            c => c,
        })
        .collect();
    STANDARD_NO_PAD_INDIFFERENT.decode(standard).ok()
}

/// The digits, padded: for HTTP basic authentication.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// The digits of the whole three-byte groups: the last group depends on what follows in a longer text.
#[must_use]
pub fn encode_whole_groups(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(&bytes[..bytes.len() / 3 * 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read() {
        for text in ["c2stYQ==", "c2stYQ", " c2st\nYQ==\n"] {
            assert_eq!(decode(text).as_deref(), Some(b"sk-a".as_slice()), "{text:?}");
        }
        assert_eq!(decode("_-8"), decode("/+8="));
        for text in ["c2st!", "c", "c2stYQ==x"] {
            assert_eq!(decode(text), None, "{text:?}");
        }
    }

    #[test]
    fn only_whole_groups_are_written() {
        for (bytes, text) in [("", ""), ("sk", ""), ("sk-", "c2st"), ("sk-a", "c2st")] {
            assert_eq!(encode_whole_groups(bytes.as_bytes()), text);
        }
    }
}
