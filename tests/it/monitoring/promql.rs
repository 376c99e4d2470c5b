//! As much of PromQL as it takes to see which metrics and labels an expression names. Whether it is
//! PromQL at all, promtool says.

/// One metric with the labels that are asked of it: label, values (alternatives of a regular expression).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) metric: String,
    pub(super) matchers: Vec<(String, Vec<String>)>,
}

/// What an expression names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) selectors: Vec<Selector>,
    /// Of `by`, `without`, `on`, `ignoring`, `group_left` and `group_right`.
    pub(super) labels: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

/// The names in an expression.
pub(super) fn names(expression: &str) -> Names {
    let tokens = tokens(expression);
    let mut names = Names::default();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let Token::Word(word) = token else { continue };
        let opens = |sign| tokens.get(at) == Some(&Token::Sign(sign));
        match word.as_str() {
            "by" | "without" | "on" | "ignoring" | "group_left" | "group_right" if opens('(') => {
                let list = until(&tokens[at + 1..], ')');
                at += list.len() + 2;
                names.labels.extend(list.iter().filter_map(|token| match token {
                    Token::Word(label) => Some(label.clone()),
                    Token::Text(_) | Token::Sign(_) => None,
                }));
            }
            "and" | "or" | "unless" | "bool" | "offset" => {}
            // A function, an aggregation, a number or a duration.
            _ if opens('(') || tokens.get(at) == Some(&Token::Word("by".to_owned())) => {}
            _ if tokens.get(at) == Some(&Token::Word("without".to_owned())) => {}
            _ if !word.starts_with(|c: char| c.is_ascii_alphabetic()) => {}
            _ => {
                let list = if opens('{') { until(&tokens[at + 1..], '}') } else { &[] };
                at += if opens('{') { list.len() + 2 } else { 0 };
                names.selectors.push(Selector { metric: word.clone(), matchers: matchers(list) });
            }
        }
    }
    names
}

fn matchers(list: &[Token]) -> Vec<(String, Vec<String>)> {
    let parts = list.split(|token| *token == Token::Sign(','));
    parts
        .filter_map(|part| match (part.first(), part.last()) {
            (Some(Token::Word(label)), Some(Token::Text(value))) => {
                Some((label.clone(), value.split('|').map(str::to_owned).collect()))
            }
            _ => None,
        })
        .collect()
}

fn until(tokens: &[Token], end: char) -> &[Token] {
    let end = tokens.iter().position(|token| *token == Token::Sign(end)).expect("it is closed");
    &tokens[..end]
}

fn tokens(expression: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let length = rest[1..].find('"').expect("the text is closed") + 2;
                tokens.push(Token::Text(rest[1..length - 1].to_owned()));
                length
            }
            // A range is a duration and no name.
            '[' => rest.find(']').expect("the range is closed") + 1,
            c if is_of_a_word(c) => {
                let length = rest.find(|c| !is_of_a_word(c)).unwrap_or(rest.len());
                tokens.push(Token::Word(rest[..length].to_owned()));
                length
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token::Sign(c));
                }
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    tokens
}

fn is_of_a_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.')
}

#[test]
fn an_expression_is_taken_apart() {
    let found = names(
        "sum by (le, node) (rate(a_bucket[$__rate_interval]) * on (job) group_left (node) b{c=~\"x|y\", d!=\"\"})\n\
         and max without (kind) (e{}) > bool 0.5 unless absent(f) or time() - g:h offset 5m < 1",
    );
    let metrics: Vec<_> = found.selectors.iter().map(|selector| selector.metric.as_str()).collect();
    assert_eq!(metrics, ["a_bucket", "b", "e", "f", "g:h"]);
    let matchers = [("c", vec!["x", "y"]), ("d", vec![""])];
    let matchers: Vec<_> =
        matchers.map(|(label, values)| (label.to_owned(), values.into_iter().map(str::to_owned).collect())).into();
    assert_eq!(found.selectors[1].matchers, matchers);
    assert_eq!(found.labels, ["le", "node", "job", "node", "kind"]);
}
