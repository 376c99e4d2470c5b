//! Kubernetes' label selectors, as text.
//!
//! The grammar is that of `k8s.io/apimachinery/pkg/labels` (`selector.go`), so that what works with
//! `kubectl get nodes --selector` works here and nothing else does. Spaces mean nothing.

use std::collections::BTreeSet;

use crate::decide::selector::{LabelSelector, Requirement};

/// The longest label value, and the longest name of a key (`apimachinery/pkg/util/validation`).
const NAME_MAX: usize = 63;
/// The longest prefix of a key, which is a DNS subdomain.
const PREFIX_MAX: usize = 253;

/// Reads a selector; an empty one matches everything.
///
/// # Errors
/// What is wrong and at which character, for people.
pub(super) fn parse(text: &str) -> Result<LabelSelector, String> {
    let mut parser = Parser { tokens: tokens(text), next: 0 };
    let mut requirements = Vec::new();
    while parser.peek().is_some() {
        requirements.push(parser.requirement()?);
        match parser.take() {
            None => break,
            Some(Token { kind: Kind::Comma, .. }) if parser.peek().is_some() => {}
            Some(Token { kind: Kind::Comma, .. }) => return Err(parser.expected("a label key after the last ','")),
            Some(_) => return Err(parser.unexpected("',' or the end")),
        }
    }
    Ok(LabelSelector(requirements))
}

/// Whether this can be the key of a label or of a taint: a name, perhaps behind a DNS subdomain and `/`.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn check_key(key: &str) -> Result<(), String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let is_label = |label: &str| {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let bytes = label.as_bytes();
        bytes.first().copied().is_some_and(inner)
            && bytes.last().copied().is_some_and(inner)
            && bytes.iter().all(|b| inner(*b) || *b == b'-')
    };
    if prefix.is_some_and(|prefix| prefix.len() > PREFIX_MAX || !prefix.split('.').all(is_label)) {
        return Err(format!("{key:?} is not a key: what stands before '/' must be a lower-case DNS name"));
    }
    if name.is_empty() || !is_name(name) {
        return Err(format!(
            "{key:?} is not a key: the name must be letters, digits, '-', '_' and '.', begin and end with a letter or \
             digit, and be at most {NAME_MAX} long"
        ));
    }
    Ok(())
}

/// A label's value, or the name of its key: may be empty.
fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()].into_iter().flatten().all(u8::is_ascii_alphanumeric);
    ends && text.len() <= NAME_MAX && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

/// A piece of the text, with its first character's number, from 1.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Token<'a> {
    kind: Kind<'a>,
    at: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind<'a> {
    /// A key, a value, `in` or `notin`.
    Word(&'a str),
    Not,
    /// `=` or `==`.
    Equals,
    NotEquals,
    Greater,
    Less,
    Open,
    Close,
    Comma,
}

impl Kind<'_> {
    fn text(self) -> String {
        match self {
            Kind::Word(word) => word.to_owned(),
            Kind::Not => "!".to_owned(),
            Kind::Equals => "=".to_owned(),
            Kind::NotEquals => "!=".to_owned(),
            Kind::Greater => ">".to_owned(),
            Kind::Less => "<".to_owned(),
            Kind::Open => "(".to_owned(),
            Kind::Close => ")".to_owned(),
            Kind::Comma => ",".to_owned(),
        }
    }
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let is_special = |c: char| "=!(),<>".contains(c);
    let is_space = |c: char| " \t\r\n".contains(c);
    let (mut tokens, mut rest) = (Vec::new(), text);
    loop {
        rest = rest.trim_start_matches(is_space);
        let Some(first) = rest.chars().next() else { return tokens };
        let (kind, length) = match first {
            '(' => (Kind::Open, 1),
            ')' => (Kind::Close, 1),
            ',' => (Kind::Comma, 1),
            '<' => (Kind::Less, 1),
            '>' => (Kind::Greater, 1),
            '=' if rest.starts_with("==") => (Kind::Equals, 2),
            '=' => (Kind::Equals, 1),
            '!' if rest.starts_with("!=") => (Kind::NotEquals, 2),
            '!' => (Kind::Not, 1),
            _ => {
                let end = rest.find(|c| is_special(c) || is_space(c)).unwrap_or(rest.len());
                (Kind::Word(&rest[..end]), end)
            }
        };
        tokens.push(Token { kind, at: text[..text.len() - rest.len()].chars().count() + 1 });
        rest = &rest[length..];
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self) -> Option<Token<'a>> {
        let token = self.peek();
        self.next += usize::from(token.is_some());
        token
    }

    /// What is wrong with the token last taken.
    fn unexpected(&self, wanted: &str) -> String {
        match self.next.checked_sub(1).and_then(|last| self.tokens.get(last)) {
            Some(token) => {
                format!("at character {}: '{}' where {wanted} was expected", token.at, token.kind.text())
            }
            None => self.expected(wanted),
        }
    }

    /// What is wrong with an end.
    fn expected(&self, wanted: &str) -> String {
        format!("ends where {wanted} was expected")
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let negated = matches!(self.peek(), Some(Token { kind: Kind::Not, .. }));
        self.next += usize::from(negated);
        let (key, at) = self.word("a label key")?;
        check_key(key).map_err(|why| format!("at character {at}: {why}"))?;
        let key = key.to_owned();
        if negated {
            return Ok(Requirement::DoesNotExist(key));
        }
        if matches!(self.peek(), None | Some(Token { kind: Kind::Comma, .. })) {
            return Ok(Requirement::Exists(key));
        }
        let one = |value: String| BTreeSet::from([value]);
        match self.take().map(|token| token.kind) {
            Some(Kind::Equals) => Ok(Requirement::In(key, one(self.value()?))),
            Some(Kind::NotEquals) => Ok(Requirement::NotIn(key, one(self.value()?))),
            Some(Kind::Greater) => Ok(Requirement::GreaterThan(key, self.number()?)),
            Some(Kind::Less) => Ok(Requirement::LessThan(key, self.number()?)),
            Some(Kind::Word("in")) => Ok(Requirement::In(key, self.values()?)),
            Some(Kind::Word("notin")) => Ok(Requirement::NotIn(key, self.values()?)),
            _ => Err(self.unexpected("'=', '==', '!=', 'in', 'notin', '>', '<', ',' or the end")),
        }
    }

    fn word(&mut self, wanted: &str) -> Result<(&'a str, usize), String> {
        match self.take() {
            Some(Token { kind: Kind::Word(word), at }) => Ok((word, at)),
            Some(_) => Err(self.unexpected(wanted)),
            None => Err(self.expected(wanted)),
        }
    }

    /// One value, which may be empty.
    fn value(&mut self) -> Result<String, String> {
        match self.peek() {
            None | Some(Token { kind: Kind::Comma, .. }) => Ok(String::new()),
            Some(_) => self.word("a value").and_then(checked),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let (word, at) = self.word("a whole number")?;
        word.parse().map_err(|_| format!("at character {at}: {word:?} is not a whole number"))
    }

    /// Values in parentheses; between two commas, or a comma and a parenthesis, stands the empty one.
    fn values(&mut self) -> Result<BTreeSet<String>, String> {
        match self.take() {
            Some(Token { kind: Kind::Open, .. }) => {}
            Some(_) => return Err(self.unexpected("'('")),
            None => return Err(self.expected("'('")),
        }
        let mut values = BTreeSet::new();
        loop {
            values.insert(match self.peek() {
                Some(Token { kind: Kind::Comma | Kind::Close, .. }) => String::new(),
                _ => self.word("a value or ')'").and_then(checked)?,
            });
            match self.take().map(|token| token.kind) {
                Some(Kind::Close) => return Ok(values),
                Some(Kind::Comma) => {}
                Some(_) => return Err(self.unexpected("',' or ')'")),
                None => return Err(self.expected("')'")),
            }
        }
    }
}

fn checked((value, at): (&str, usize)) -> Result<String, String> {
    if is_name(value) {
        return Ok(value.to_owned());
    }
    Err(format!(
        "at character {at}: {value:?} is not a label's value: letters, digits, '-', '_' and '.', with a letter or digit \
         at both ends, and at most {NAME_MAX} long"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        parse(selector).unwrap_or_else(|why| panic!("{selector}: {why}")).matches(&labels)
    }

    /// The cases of apimachinery's own test of `Matches` and `Parse`.
    #[test]
    fn what_kubectl_takes_means_the_same_here() {
        for (selector, labels, expected) in [
            ("", &[("x", "y")][..], true),
            (" \t\n", &[], true),
            ("x=y", &[("x", "y")], true),
            ("x==y", &[("x", "y")], true),
            ("x = y , z = w", &[("x", "y"), ("z", "w")], true),
            ("x=y,z=w", &[("x", "y"), ("z", "v")], false),
            ("x!=y,z!=w", &[("x", "z"), ("z", "a")], true),
            ("x!=y", &[], true),
            ("x!=y", &[("x", "y")], false),
            ("x=", &[("x", "")], true),
            ("x=", &[("x", "z")], false),
            ("x= ,z= ", &[("x", ""), ("z", "")], true),
            ("x!=", &[("x", "z")], true),
            ("x>1", &[("x", "2")], true),
            ("x>1", &[("x", "0")], false),
            ("x>1", &[("x", "two")], false),
            ("x>1", &[], false),
            ("x<7", &[("x", "4")], true),
            ("x<7", &[("x", "11")], false),
            ("x", &[("x", "")], true),
            ("x", &[("y", "")], false),
            ("!x", &[("y", "z")], true),
            ("!x", &[("x", "z")], false),
            ("!x,y", &[("y", "z")], true),
            ("x in (y, z)", &[("x", "z")], true),
            ("x in (y)", &[("x", "z")], false),
            ("x in (y)", &[], false),
            ("x in ()", &[("x", "")], true),
            ("x in (,a)", &[("x", "")], true),
            ("x in (a,)", &[("x", "")], true),
            ("x in (a,,b)", &[("x", "")], true),
            ("x notin (y,z)", &[("x", "a")], true),
            ("x notin (y,z)", &[("x", "z")], false),
            ("x notin (y)", &[], true),
            ("notin in (in,notin)", &[("notin", "in")], true),
            ("a.b/c-d_e.f=1", &[("a.b/c-d_e.f", "1")], true),
            (
                "node-role.kubernetes.io/edge,region in (eu,us)",
                &[("node-role.kubernetes.io/edge", ""), ("region", "eu")],
                true,
            ),
        ] {
            assert_eq!(matches(selector, labels), expected, "{selector:?} on {labels:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_pointed_at() {
        for (selector, said) in [
            (",", "at character 1: ',' where a label key was expected"),
            ("x=a,", "ends where a label key after the last ',' was expected"),
            ("x=a,,y=b", "at character 5: ',' where a label key was expected"),
            ("x=a||y=b", "at character 3: \"a||y\" is not a label's value"),
            ("x a", "at character 3: 'a' where '=', '=="),
            ("x==a==b", "at character 5: '=' where ',' or the end was expected"),
            ("!x=a", "at character 3: '=' where ',' or the end was expected"),
            ("!", "ends where a label key was expected"),
            ("!!x", "at character 2: '!' where a label key was expected"),
            ("x in a", "at character 6: 'a' where '(' was expected"),
            ("x in", "ends where '(' was expected"),
            ("x in (a", "ends where ')' was expected"),
            ("x in (a,", "ends where a value or ')' was expected"),
            ("x in (a b)", "at character 9: 'b' where ',' or ')' was expected"),
            ("x in (a))", "at character 9: ')' where ',' or the end was expected"),
            ("x notin ((a)", "at character 10: '(' where a value or ')' was expected"),
            ("x in (\u{fc}, b c)", "at character 7: \"\u{fc}\" is not a label's value"),
            ("x=!y", "at character 3: '!' where a value was expected"),
            ("x>y", "at character 3: \"y\" is not a whole number"),
            ("x<", "ends where a whole number was expected"),
            ("/x=a", "at character 1: \"/x\" is not a key: what stands before '/'"),
            ("A.b/x=a", "at character 1: \"A.b/x\" is not a key: what stands before '/'"),
            ("a/b/c", "at character 1: \"a/b/c\" is not a key: the name must be"),
            ("x/ = a", "at character 1: \"x/\" is not a key: the name must be"),
            ("-x", "at character 1: \"-x\" is not a key: the name must be"),
            ("x=-a", "at character 3: \"-a\" is not a label's value"),
        ] {
            let why = parse(selector).expect_err(selector);
            assert!(why.starts_with(said), "{selector}: {why}");
        }
        let long = "a".repeat(64);
        assert!(parse(&format!("x={long}")).is_err() && parse(&format!("x={}", &long[1..])).is_ok());
        assert!(parse(&long).is_err() && parse(&long[1..]).is_ok());
    }
}
