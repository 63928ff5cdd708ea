//! Text of an expression to tokens.

use serde_json::Value;

use crate::ast::Comparator;
use crate::error::CompileError;

/// A token; names borrow from the expression.
#[derive(PartialEq)]
pub(crate) enum Token<'e> {
    /// `name`
    Name(&'e str),
    /// `"name"`
    Quoted(String),
    /// `'text'` or `` `json` ``
    Literal(Value),
    /// `12`, `-12`
    Number(i64),
    Compare(Comparator),
    Dot,
    Star,
    Comma,
    Colon,
    Current,
    Not,
    And,
    Or,
    Pipe,
    Reference,
    OpenBracket,
    CloseBracket,
    /// `[]`, without a space in it
    Flatten,
    /// `[?`, without a space in it
    Filter,
    OpenParenthesis,
    CloseParenthesis,
    OpenBrace,
    CloseBrace,
}

/// A token and the byte it begins at.
pub(crate) struct Lexeme<'e> {
    pub(crate) token: Token<'e>,
    pub(crate) position: usize,
}

/// Splits `text` into tokens.
pub(crate) fn tokens(text: &str) -> Result<Vec<Lexeme<'_>>, CompileError> {
    let mut lexer = Lexer { text, position: 0 };
    let mut found = Vec::new();
    loop {
        lexer.take_while(|c| matches!(c, ' ' | '\t' | '\r' | '\n'));
        let position = lexer.position;
        let Some(first) = lexer.next() else {
            return Ok(found);
        };
        let token = lexer.token(first, position)?;
        found.push(Lexeme { token, position });
    }
}

struct Lexer<'e> {
    text: &'e str,
    position: usize,
}

impl<'e> Lexer<'e> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.position..)?.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.position = self.position.saturating_add(c.len_utf8());
        Some(c)
    }

    /// Takes the next character if it is `wanted`.
    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.next();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.next();
        }
    }

    /// What has been read from `start` on.
    fn since(&self, start: usize) -> &'e str {
        self.text.get(start..self.position).unwrap_or_default()
    }

    fn token(&mut self, first: char, start: usize) -> Result<Token<'e>, CompileError> {
        Ok(match first {
            '.' => Token::Dot,
            '*' => Token::Star,
            ',' => Token::Comma,
            ':' => Token::Colon,
            '@' => Token::Current,
            ']' => Token::CloseBracket,
            '(' => Token::OpenParenthesis,
            ')' => Token::CloseParenthesis,
            '{' => Token::OpenBrace,
            '}' => Token::CloseBrace,
            '[' => self.bracket(),
            '&' => self.either('&', Token::And, Token::Reference),
            '|' => self.either('|', Token::Or, Token::Pipe),
            '!' => self.either('=', Token::Compare(Comparator::NotEqual), Token::Not),
            '<' => Token::Compare(self.order(Comparator::LessOrEqual, Comparator::Less)),
            '>' => Token::Compare(self.order(Comparator::GreaterOrEqual, Comparator::Greater)),
            '=' if self.eat('=') => Token::Compare(Comparator::Equal),
            '=' => return Err(syntax(start, "a comparison is written ==")),
            '"' => self.quoted(start)?,
            '\'' => self.raw(start)?,
            '`' => self.literal(start)?,
            '-' | '0'..='9' => self.number(first, start)?,
            'a'..='z' | 'A'..='Z' | '_' => {
                self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
                Token::Name(self.since(start))
            }
            _ => {
                return Err(syntax(
                    start,
                    "unexpected character; a name with other characters than A-Z, a-z, 0-9 and _ is written in double quotes",
                ));
            }
        })
    }

    fn either(&mut self, second: char, both: Token<'e>, one: Token<'e>) -> Token<'e> {
        if self.eat(second) { both } else { one }
    }

    fn order(&mut self, with_equal: Comparator, without: Comparator) -> Comparator {
        if self.eat('=') { with_equal } else { without }
    }

    fn bracket(&mut self) -> Token<'e> {
        if self.eat(']') {
            Token::Flatten
        } else if self.eat('?') {
            Token::Filter
        } else {
            Token::OpenBracket
        }
    }

    /// A number beyond 64 bits is the largest or smallest: no array is that long either way.
    fn number(&mut self, first: char, start: usize) -> Result<Token<'e>, CompileError> {
        self.take_while(|c| c.is_ascii_digit());
        let digits = self.since(start);
        if digits == "-" {
            return Err(syntax(start, "expected digits after -"));
        }
        let beyond = if first == '-' { i64::MIN } else { i64::MAX };
        Ok(Token::Number(digits.parse().unwrap_or(beyond)))
    }

    /// Reads to the next `end` that no backslash stands before; gives what is between.
    fn until(&mut self, end: char, start: usize) -> Result<&'e str, CompileError> {
        let inside = self.position;
        loop {
            let before = self.position;
            match self.next() {
                Some(c) if c == end => {
                    return Ok(self.text.get(inside..before).unwrap_or_default());
                }
                Some('\\') => {
                    self.next();
                }
                Some(_) => {}
                None => return Err(syntax(start, "the quote that begins here is not closed")),
            }
        }
    }

    fn quoted(&mut self, start: usize) -> Result<Token<'e>, CompileError> {
        self.until('"', start)?;
        match serde_json::from_str(self.since(start)) {
            Ok(name) => Ok(Token::Quoted(name)),
            Err(_unreadable) => Err(syntax(start, "a quoted name must be a JSON string")),
        }
    }

    fn raw(&mut self, start: usize) -> Result<Token<'e>, CompileError> {
        let text = unescape(self.until('\'', start)?, '\'');
        Ok(Token::Literal(Value::String(text)))
    }

    /// The parser of JSON refuses more than 127 levels, so a literal is no deeper.
    fn literal(&mut self, start: usize) -> Result<Token<'e>, CompileError> {
        let text = unescape(self.until('`', start)?, '`');
        match serde_json::from_str(&text) {
            Ok(value) => Ok(Token::Literal(value)),
            Err(_unreadable) => Err(syntax(
                start,
                "a literal between backticks must be JSON; plain text is written 'in single quotes'",
            )),
        }
    }
}

/// Takes away the backslash before `quote`; any other backslash stays, with what follows it.
fn unescape(text: &str, quote: char) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            plain.push(c);
            continue;
        }
        let next = characters.next();
        if next != Some(quote) {
            plain.push('\\');
        }
        plain.extend(next);
    }
    plain
}

pub(crate) const fn syntax(position: usize, message: &'static str) -> CompileError {
    CompileError::Syntax { position, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(text: &str) -> Token<'_> {
        let mut found = tokens(text).expect("tokens");
        assert_eq!(found.len(), 1, "{text}");
        found.remove(0).token
    }

    fn refused_at(text: &str) -> usize {
        match tokens(text) {
            Err(CompileError::Syntax { position, .. }) => position,
            Err(other) => panic!("{text}: {other}"),
            Ok(_) => panic!("{text} was accepted"),
        }
    }

    #[test]
    fn a_backslash_is_kept_except_before_the_quote() {
        assert!(one(r"'a\'b\\c\z'") == Token::Literal(json!(r"a'b\\c\z")));
        assert!(one(r#"`"a\`b\\"`"#) == Token::Literal(json!(r"a`b\")));
        assert!(one(r#""a\"bé""#) == Token::Quoted("a\"bé".to_owned()));
    }

    #[test]
    fn positions_count_bytes() {
        let found = tokens("'é' . b").expect("tokens");
        let positions: Vec<usize> = found.iter().map(|lexeme| lexeme.position).collect();
        assert_eq!(positions, [0, 5, 7]);
    }

    #[test]
    fn a_number_beyond_the_range_is_the_end_of_the_range() {
        assert!(one("99999999999999999999") == Token::Number(i64::MAX));
        assert!(one("-99999999999999999999") == Token::Number(i64::MIN));
        assert!(one("-0") == Token::Number(0));
    }

    #[test]
    fn brackets_with_a_space_inside_are_two_tokens() {
        assert!(one("[]") == Token::Flatten);
        assert!(one("[?") == Token::Filter);
        assert_eq!(tokens("[ ]").expect("tokens").len(), 2);
    }

    #[test]
    fn what_is_no_token_is_refused_where_it_stands() {
        assert_eq!(refused_at("a ^ b"), 2);
        assert_eq!(refused_at("a = b"), 2);
        assert_eq!(refused_at("a - b"), 2);
        assert_eq!(refused_at("a.'b"), 2);
        assert_eq!(refused_at("\"\\u\""), 0);
        assert_eq!(refused_at("\"a\nb\""), 0);
        assert_eq!(refused_at("`foo`"), 0);
        assert_eq!(refused_at("``"), 0);
        assert_eq!(refused_at("'abc\\'"), 0);
    }

    #[test]
    fn a_literal_deeper_than_the_json_parser_allows_is_refused() {
        let deep = |levels| format!("`{}{}`", "[".repeat(levels), "]".repeat(levels));
        assert!(tokens(&deep(127)).is_ok());
        assert_eq!(refused_at(&deep(128)), 0);
    }
}
