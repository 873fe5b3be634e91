//! Did-you-mean: the nearest accepted word, or nothing. False advice is worse than none.

/// Below this likeness nothing is suggested. Measured on the vendors' own names: every misspelling of one of them lies
/// above it, every other vendor's name below.
const LIKENESS: f64 = 0.80;

/// Words that people use for a thing that the API calls something else.
const MEANINGS: &[(&str, &str)] =
    &[("claude", "Anthropic"), ("gpt", "Open AI"), ("chatgpt", "Open AI"), ("bedrock", "AWS"), ("gemini", "GOOGLE")];

/// The candidate that the writer most likely meant.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted = normal(word);
    if wanted.is_empty() {
        return None;
    }
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let best = candidates
        .iter()
        .map(|c| (likeness(word, c), *c))
        .filter(|(likeness, _)| *likeness >= LIKENESS)
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(a.1)))
        .map(|(_, candidate)| candidate);
    best.or_else(|| {
        let (_, meant) = MEANINGS.iter().find(|(said, _)| wanted.starts_with(said))?;
        candidates.into_iter().find(|c| normal(c) == normal(meant))
    })
}

/// Help that names the nearest word and the accepted ones, at most twelve.
#[must_use]
pub fn help(word: &str, accepted: &[&str]) -> Option<String> {
    if accepted.is_empty() {
        return None;
    }
    let listed: Vec<String> = accepted.iter().take(12).map(|a| format!("`{a}`")).collect();
    let more = if accepted.len() > 12 { format!(" and {} more", accepted.len() - 12) } else { String::new() };
    let accepted_text = format!("accepted: {}{more}", listed.join(", "));
    Some(match nearest(word, accepted.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`? {accepted_text}"),
        None => accepted_text,
    })
}

/// Of addresses, the part that is least alike decides: a shared target makes no two connections alike.
fn likeness(word: &str, candidate: &str) -> f64 {
    let (mut words, mut candidates) = (word.split('/'), candidate.split('/'));
    let mut least = 1.0_f64;
    loop {
        match (words.next(), candidates.next()) {
            (None, None) => return least,
            (Some(a), Some(b)) => least = least.min(strsim::jaro_winkler(&normal(a), &normal(b))),
            _ => return 0.0,
        }
    }
}

/// Lower case, letters and digits only: `OPEN_AI`, `openai` and `Open AI` are one word.
fn normal(word: &str) -> String {
    word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KORE: [&str; 4] = ["API", "Open AI", "Azure Open AI", "Anthropic"];

    #[test]
    fn misspellings_find_their_word() {
        for (said, meant) in [
            ("Opne AI", "Open AI"),
            ("openai", "Open AI"),
            ("OPEN_AI", "Open AI"),
            ("Azure", "Azure Open AI"),
            ("azure-openai", "Azure Open AI"),
            ("antropic", "Anthropic"),
            ("Claude", "Anthropic"),
            ("gpt-4", "Open AI"),
        ] {
            assert_eq!(nearest(said, KORE), Some(meant), "{said}");
        }
    }

    #[test]
    fn addresses_are_compared_part_by_part() {
        let known = ["kore", "kore/support", "kore/support-gpt4o", "gateway/support"];
        for (said, meant) in [
            ("kore/suport", Some("kore/support")),
            ("kor/support", Some("kore/support")),
            ("kore/nope", None),
            ("kore/x", None),
            ("kroe", Some("kore")),
            ("nope/support", None),
        ] {
            assert_eq!(nearest(said, known), meant, "{said}");
        }
    }

    #[test]
    fn strangers_get_no_advice() {
        for said in ["Bedrock", "xyz", "", "!!"] {
            assert_eq!(nearest(said, KORE), None, "{said}");
        }
    }

    #[test]
    fn help_names_the_accepted_words() {
        assert_eq!(help("opnai", &["openai", "custom"]).as_deref(), Some("did you mean `openai`? accepted: `openai`, `custom`"));
        assert_eq!(help("zzz", &["openai"]).as_deref(), Some("accepted: `openai`"));
        assert_eq!(help("zzz", &[]), None);
    }
}
