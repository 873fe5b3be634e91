//! Verdicts: from evidence to a conclusion about one field. Pure tables of DESIGN §5.

use super::model::{Cause, Outside, Unproved, Verdict};
use crate::platform::mask::Mask;
use crate::state::{Fingerprint, SecretRecord};

/// What the API showed in place of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown<'o> {
    /// The object was not read; its record is trusted.
    NotRead,
    /// Nothing.
    Nothing,
    /// This text: a mask, the value itself, or something else.
    Text(&'o str),
}

/// The modification stamp now, against the one after our write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp<'o> {
    /// There is none, then or now.
    None,
    /// It has not moved.
    Same,
    /// It has moved to this.
    Moved(&'o str),
}

/// Everything that is known about one secret.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'o> {
    /// The wanted value.
    pub wanted: &'o str,
    /// Its fingerprint.
    pub fingerprint: &'o Fingerprint,
    /// What was recorded.
    pub record: Option<&'o SecretRecord>,
    /// What the API shows now.
    pub shown: Shown<'o>,
    /// The fingerprint of a text shown now, and at which endpoint it was shown.
    pub mask: Option<(&'o Fingerprint, &'o str)>,
    /// The stamp.
    pub stamp: Stamp<'o>,
    /// Does the definition call this field masked? Then a text that is no known mask proves nothing.
    pub masked: bool,
}

/// The verdict on a secret. The cause tells who changed it.
#[must_use]
pub fn secret(e: &Evidence<'_>) -> (Verdict, Cause) {
    let record = e.record.filter(|r| r.fp.key_id() == e.fingerprint.key_id());
    let other_key = e.record.is_some() && record.is_none();
    if record.is_some_and(|r| r.fp != *e.fingerprint) {
        return (Verdict::ChangedHere, Cause::Config);
    }
    if let Shown::Text(text) = e.shown {
        if text == e.wanted {
            return (Verdict::Unchanged, Cause::Unknown);
        }
        // Two endpoints may mask differently, so only masks of one endpoint are compared.
        let recorded = record.filter(|r| !r.assumed).and_then(|r| r.mask.as_ref().zip(r.mask_at.as_deref()));
        let comparable =
            recorded.zip(e.mask).filter(|((then, then_at), (now, now_at))| then_at == now_at && then.key_id() == now.key_id());
        match (comparable, Mask::read(text)) {
            // Whatever it looks like, it is what the API showed right after our own write.
            (Some(((then, _), (now, _))), _) if then == now => {}
            (_, Some(mask)) if !mask.fits(e.wanted) => return outside(Outside::MaskContradicts),
            (_, None) if !e.masked => return outside(Outside::ValueDiffers),
            (Some(_), _) => return outside(Outside::MaskDiffers),
            (None, _) => {}
        }
    }
    let verdict = match (record, e.stamp) {
        _ if other_key => Verdict::CannotVerify(Unproved::OtherKey),
        (None, _) => Verdict::CannotVerify(Unproved::FirstTime),
        (Some(r), _) if r.assumed => Verdict::CannotVerify(Unproved::NeverWritten),
        (Some(_), Stamp::Same) => Verdict::Unchanged,
        (Some(_), Stamp::Moved(at)) => Verdict::CannotVerify(Unproved::ModifiedOutside(at.to_owned())),
        (Some(_), Stamp::None) => Verdict::CannotVerify(Unproved::NoEvidence),
    };
    (verdict, Cause::Unknown)
}

fn outside(how: Outside) -> (Verdict, Cause) {
    (Verdict::ChangedOutside(how), Cause::Drift)
}

/// What was recorded of a readable field: digests of the wanted value and of what the API showed right after.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorded<'r> {
    /// The wanted value's digest.
    pub wanted: Option<&'r str>,
    /// The shown value's digest, where it differs.
    pub shown: Option<&'r str>,
    /// Was it recorded at adoption without being seen?
    pub assumed: bool,
}

/// The verdict on a field whose live value was read: `same` is the field's own equality.
#[must_use]
pub fn readable(same: bool, wanted: &str, live: &str, record: Recorded<'_>) -> (Verdict, Cause) {
    let Some(recorded) = record.wanted else {
        return if same { (Verdict::Unchanged, Cause::Unknown) } else { (Verdict::Changed, Cause::Config) };
    };
    let config = recorded != wanted;
    let drift = record.shown.unwrap_or(recorded) != live;
    if same || (!config && !drift && !record.assumed) {
        // Not equal, but exactly what the API showed after our own write: its normal form of our value.
        return (Verdict::Unchanged, Cause::Unknown);
    }
    let cause = match (config, drift) {
        (true, true) => Cause::Both,
        (true, false) => Cause::Config,
        (false, _) => Cause::Drift,
    };
    (Verdict::Changed, cause)
}

/// The verdict on a readable field whose live value did not come: not read, or not returned.
#[must_use]
pub fn unread(wanted: &str, record: Recorded<'_>, stamp: Stamp<'_>) -> (Verdict, Cause) {
    let verdict = match (record.wanted, stamp) {
        (None, _) => Verdict::CannotVerify(Unproved::FirstTime),
        (Some(recorded), _) if recorded != wanted => return (Verdict::Changed, Cause::Config),
        (Some(_), _) if record.assumed => Verdict::CannotVerify(Unproved::NeverWritten),
        (Some(_), Stamp::Same) => Verdict::Unchanged,
        (Some(_), Stamp::Moved(at)) => Verdict::CannotVerify(Unproved::ModifiedOutside(at.to_owned())),
        (Some(_), Stamp::None) => Verdict::CannotVerify(Unproved::NoEvidence),
    };
    (verdict, Cause::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Fingerprinter, Key};

    const WANTED: &str = "sk-live-abcdMQAA";

    fn printer(seed: u8) -> Fingerprinter {
        Fingerprinter::new(&Key::new([seed; 32]), "lineage")
    }

    fn address() -> crate::address::Address {
        "t/k".parse().unwrap()
    }

    /// A record of `value`, with this mask seen at `read`.
    fn record(seed: u8, value: &str, mask: Option<&str>, assumed: bool) -> SecretRecord {
        let printer = printer(seed);
        SecretRecord {
            fp: printer.secret(&address(), "f", value),
            assumed,
            mask: mask.map(|m| printer.mask(&address(), "f", m)),
            mask_at: mask.map(|_| "read".to_owned()),
        }
    }

    fn judge(record: Option<&SecretRecord>, shown: Shown<'_>, at: &str, stamp: Stamp<'_>, masked: bool) -> Verdict {
        let printer = printer(1);
        let fingerprint = printer.secret(&address(), "f", WANTED);
        let mask = match shown {
            Shown::Text(text) => Some(printer.mask(&address(), "f", text)),
            _ => None,
        };
        let mask = mask.as_ref().map(|m| (m, at));
        secret(&Evidence { wanted: WANTED, fingerprint: &fingerprint, record, shown, mask, stamp, masked }).0
    }

    #[test]
    fn every_row_of_the_table() {
        use Outside as O;
        use Unproved as U;
        use Verdict as V;
        let ours = record(1, WANTED, Some("sk-***"), false);
        let before = record(1, "sk-old-value0000", Some("sk-***"), false);
        let adopted = record(1, WANTED, None, true);
        let odd = record(1, WANTED, Some("gsk-***"), false);
        let foreign = record(2, WANTED, Some("sk-***"), false);
        let read = |text| Shown::Text(text);
        for (name, record, shown, at, stamp, masked, expected) in [
            ("wanted is another value", Some(&before), read("sk-***"), "read", Stamp::Same, true, V::ChangedHere),
            ("wanted is another value, not read", Some(&before), Shown::NotRead, "", Stamp::Same, true, V::ChangedHere),
            (
                "no record, mask contradicts",
                None,
                read("gsk_***"),
                "read",
                Stamp::None,
                true,
                V::ChangedOutside(O::MaskContradicts),
            ),
            ("no record, mask agrees", None, read("sk-***"), "read", Stamp::None, true, V::CannotVerify(U::FirstTime)),
            ("no record, nothing shown", None, Shown::Nothing, "", Stamp::None, true, V::CannotVerify(U::FirstTime)),
            (
                "ours, mask contradicts",
                Some(&ours),
                read("sk-***ZZZZ"),
                "read",
                Stamp::Moved("9"),
                true,
                V::ChangedOutside(O::MaskContradicts),
            ),
            (
                "ours, another mask at one endpoint",
                Some(&ours),
                read("sk-l***MQAA"),
                "read",
                Stamp::Moved("9"),
                true,
                V::ChangedOutside(O::MaskDiffers),
            ),
            (
                "ours, another mask at another endpoint",
                Some(&ours),
                read("sk***MQAA"),
                "write",
                Stamp::Moved("9"),
                true,
                V::CannotVerify(U::ModifiedOutside("9".into())),
            ),
            (
                "ours, the mask never fitted",
                Some(&odd),
                read("gsk-***"),
                "read",
                Stamp::Moved("9"),
                true,
                V::CannotVerify(U::ModifiedOutside("9".into())),
            ),
            ("ours, stamp as after our write", Some(&ours), Shown::NotRead, "", Stamp::Same, true, V::Unchanged),
            ("ours, stamp as after our write, read", Some(&ours), read("sk-***"), "read", Stamp::Same, true, V::Unchanged),
            (
                "ours, stamp moved, mask agrees",
                Some(&ours),
                read("sk-***"),
                "read",
                Stamp::Moved("9"),
                true,
                V::CannotVerify(U::ModifiedOutside("9".into())),
            ),
            (
                "ours, stamp moved, nothing shown",
                Some(&ours),
                Shown::Nothing,
                "",
                Stamp::Moved("9"),
                true,
                V::CannotVerify(U::ModifiedOutside("9".into())),
            ),
            ("ours, no stamp, nothing shown", Some(&ours), Shown::Nothing, "", Stamp::None, true, V::CannotVerify(U::NoEvidence)),
            (
                "ours, unknown shape of mask",
                Some(&adopted),
                read("[hidden]"),
                "read",
                Stamp::Same,
                true,
                V::CannotVerify(U::NeverWritten),
            ),
            (
                "no record, unknown shape of mask",
                None,
                read("[hidden]"),
                "read",
                Stamp::None,
                true,
                V::CannotVerify(U::FirstTime),
            ),
            ("the value itself comes back", None, read(WANTED), "read", Stamp::None, true, V::Unchanged),
            (
                "another value comes back in the clear",
                None,
                read("other"),
                "read",
                Stamp::None,
                false,
                V::ChangedOutside(O::ValueDiffers),
            ),
            (
                "taken over, never written",
                Some(&adopted),
                read("sk-***"),
                "read",
                Stamp::Same,
                true,
                V::CannotVerify(U::NeverWritten),
            ),
            (
                "fingerprinted with another key",
                Some(&foreign),
                read("sk-***"),
                "read",
                Stamp::Same,
                true,
                V::CannotVerify(U::OtherKey),
            ),
            (
                "another key, mask contradicts",
                Some(&foreign),
                read("x***"),
                "read",
                Stamp::Same,
                true,
                V::ChangedOutside(O::MaskContradicts),
            ),
        ] {
            assert_eq!(judge(record, shown, at, stamp, masked), expected, "{name}");
        }
    }

    #[test]
    fn readable_fields_tell_config_from_drift() {
        let rec = |wanted, shown| Recorded { wanted, shown, assumed: false };
        for (name, same, wanted, live, record, expected) in [
            ("equal", true, "d", "d", rec(Some("d"), None), (Verdict::Unchanged, Cause::Unknown)),
            ("equal, never recorded", true, "d", "d", rec(None, None), (Verdict::Unchanged, Cause::Unknown)),
            ("never recorded", false, "d", "o", rec(None, None), (Verdict::Changed, Cause::Config)),
            ("files changed", false, "d2", "d", rec(Some("d"), None), (Verdict::Changed, Cause::Config)),
            ("API changed", false, "d", "o", rec(Some("d"), None), (Verdict::Changed, Cause::Drift)),
            ("both changed", false, "d2", "o", rec(Some("d"), None), (Verdict::Changed, Cause::Both)),
            ("the API's normal form of ours", false, "d", "n", rec(Some("d"), Some("n")), (Verdict::Unchanged, Cause::Unknown)),
            ("normal form, API changed", false, "d", "o", rec(Some("d"), Some("n")), (Verdict::Changed, Cause::Drift)),
            ("normal form, files changed", false, "d2", "n", rec(Some("d"), Some("n")), (Verdict::Changed, Cause::Config)),
        ] {
            assert_eq!(readable(same, wanted, live, record), expected, "{name}");
        }
    }

    #[test]
    fn fields_that_do_not_come_back_are_judged_by_record_and_stamp() {
        use Unproved as U;
        let rec = |wanted, assumed| Recorded { wanted, shown: None, assumed };
        for (name, wanted, record, stamp, expected) in [
            ("first time", "d", rec(None, false), Stamp::None, Verdict::CannotVerify(U::FirstTime)),
            ("files changed", "d2", rec(Some("d"), false), Stamp::Same, Verdict::Changed),
            ("files changed after adoption", "d2", rec(Some("d"), true), Stamp::Same, Verdict::Changed),
            ("proved by the stamp", "d", rec(Some("d"), false), Stamp::Same, Verdict::Unchanged),
            ("adopted", "d", rec(Some("d"), true), Stamp::Same, Verdict::CannotVerify(U::NeverWritten)),
            (
                "modified outside",
                "d",
                rec(Some("d"), false),
                Stamp::Moved("9"),
                Verdict::CannotVerify(U::ModifiedOutside("9".into())),
            ),
            ("no stamp", "d", rec(Some("d"), false), Stamp::None, Verdict::CannotVerify(U::NoEvidence)),
        ] {
            assert_eq!(unread(wanted, record, stamp).0, expected, "{name}");
        }
    }
}
