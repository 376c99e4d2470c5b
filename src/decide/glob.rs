//! Globs over the names of interfaces and nodes.

/// Some globs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Globs(pub Vec<String>);

impl Globs {
    /// Whether one of them matches the name.
    pub fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|glob| matches(glob, name))
    }
}

/// Whether `name` matches `pattern`, where `*` stands for any characters and `?` for exactly one.
/// Everything else stands for itself; there is no escape, as nothing is named `*` or `?`.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut p, mut n) = (0, 0);
    // Where to resume when the literal after the last star turns out not to fit: that star takes
    // one character more. Earlier stars never need to be tried again, so this is not exponential.
    let mut resume: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                resume = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match resume {
                Some((star, taken)) => {
                    resume = Some((star, taken + 1));
                    p = star + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Whether the pattern has no character of its own, so that it names nothing in particular.
pub fn is_catch_all(pattern: &str) -> bool {
    pattern.chars().all(|c| matches!(c, '*' | '?'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, name, expected) in [
            ("eth0", "eth0", true),
            ("eth0", "eth00", false),
            ("eth0", "eth", false),
            ("eth*", "eth", true),
            ("eth*", "eth0", true),
            ("eth*", "veth0", false),
            ("*", "", true),
            ("*", "anything", true),
            ("", "", true),
            ("", "x", false),
            ("?", "", false),
            ("eth?", "eth1", true),
            ("eth?", "eth10", false),
            ("e*p?s*", "enp3s0", true),
            ("e*p?s*", "enp33s0", false),
            ("*.cali", "wireguard.cali", true),
            ("*.cali", "wireguard.cali2", false),
            // The first place where the literal fits is not the right one.
            ("*ab", "aab", true),
            ("a*bc*d", "abbcbcd", true),
            ("a*bc*d", "abbcbc", false),
            ("*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("eth.0", "ethx0", false),
            ("net-?", "net-ä", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} against {name}");
        }
    }

    #[test]
    fn catch_alls() {
        for (pattern, expected) in [("*", true), ("**", true), ("?*", true), ("", true), ("eth*", false), ("*0", false)]
        {
            assert_eq!(is_catch_all(pattern), expected, "{pattern}");
        }
    }
}
