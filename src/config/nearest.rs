//! The known word that a misspelt one was probably meant to be.

/// The nearest of `known` by edit distance, when it is near enough to have been meant.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    known
        .iter()
        .map(|candidate| (strsim::osa_distance(&word, &candidate.to_lowercase()), *candidate))
        .filter(|(distance, candidate)| {
            *distance <= 1 + candidate.len().min(word.len()) / 4 && *distance < candidate.len().max(word.len())
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_near_is_meant() {
        let known = ["cluster", "node", "ttl", "keep_min", "types", "A"];
        for (word, meant) in [
            ("clutser", Some("cluster")),
            ("Cluster", Some("cluster")),
            ("keep-min", Some("keep_min")),
            ("keepmin", Some("keep_min")),
            ("tll", Some("ttl")),
            ("type", Some("types")),
            ("label_selector", None),
            ("x", None),
            ("a", Some("A")),
        ] {
            assert_eq!(nearest(word, &known), meant, "{word}");
        }
    }
}
