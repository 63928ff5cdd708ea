//! Tokens to a compiled expression.
//!
//! Precedence, from loose to tight: `|`, `||`, `&&`, comparisons, `!`, then the steps of a chain
//! (`.` and brackets): `!a.b` is `!(a.b)`. Only brackets recurse, and those are counted; all
//! chains are loops. Source of the grammar: jmespath.org, Specification, "Grammar".

use std::vec::IntoIter;

use serde_json::Value;

use crate::DEPTH_MAX;
use crate::ast::{Chain, Comparator, Expr, Slice, Start, Step};
use crate::error::CompileError;
use crate::functions::{Argument, Call};
use crate::lexer::{Lexeme, Token, syntax, tokens};

/// Parses a whole expression.
pub(crate) fn parse(text: &str) -> Result<Expr, CompileError> {
    let mut parser = Parser {
        tokens: tokens(text)?.into_iter(),
        end: text.len(),
        depth: 0,
    };
    let expression = parser.expression()?;
    match parser.peek() {
        None => Ok(expression),
        Some(_) => Err(parser.refuse("expected an operator or the end of the expression")),
    }
}

struct Parser<'e> {
    tokens: IntoIter<Lexeme<'e>>,
    end: usize,
    depth: usize,
}

/// Operators between operands.
enum Operator {
    Pipe,
    Or,
    And,
    Compare(Comparator),
}

impl<'e> Parser<'e> {
    fn peek(&self) -> Option<&Token<'e>> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<&Token<'e>> {
        self.tokens
            .as_slice()
            .get(ahead)
            .map(|lexeme| &lexeme.token)
    }

    fn next(&mut self) -> Option<Token<'e>> {
        self.tokens.next().map(|lexeme| lexeme.token)
    }

    /// Where the next token begins.
    fn position(&self) -> usize {
        self.tokens
            .as_slice()
            .first()
            .map_or(self.end, |lexeme| lexeme.position)
    }

    fn refuse(&self, message: &'static str) -> CompileError {
        syntax(self.position(), message)
    }

    /// Takes the next token if it is `wanted`.
    fn eat(&mut self, wanted: &Token<'_>) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.tokens.next();
        }
        found
    }

    fn expect(&mut self, wanted: &Token<'_>, message: &'static str) -> Result<(), CompileError> {
        if self.eat(wanted) {
            return Ok(());
        }
        Err(self.refuse(message))
    }

    /// An expression inside brackets.
    fn nested(&mut self) -> Result<Expr, CompileError> {
        if self.depth >= DEPTH_MAX {
            return Err(CompileError::TooDeep {
                position: self.position(),
            });
        }
        self.depth = self.depth.saturating_add(1);
        let expression = self.expression();
        self.depth = self.depth.saturating_sub(1);
        expression
    }

    /// Operands and the operators between them.
    fn expression(&mut self) -> Result<Expr, CompileError> {
        let mut levels = Levels::default();
        loop {
            let operand = self.operand()?;
            levels.operand(operand);
            let operator = match self.peek() {
                Some(Token::Pipe) => Operator::Pipe,
                Some(Token::Or) => Operator::Or,
                Some(Token::And) => Operator::And,
                Some(Token::Compare(comparator)) => Operator::Compare(*comparator),
                Some(_) | None => return Ok(levels.finish()),
            };
            self.tokens.next();
            levels.operator(&operator);
        }
    }

    /// `!` any number of times, and a chain.
    fn operand(&mut self) -> Result<Expr, CompileError> {
        let mut any = false;
        let mut negate = false;
        while self.eat(&Token::Not) {
            any = true;
            negate = !negate;
        }
        let chain = self.chain()?;
        if !any {
            return Ok(chain);
        }
        Ok(Expr::Not {
            inner: Box::new(chain),
            negate,
        })
    }

    fn chain(&mut self) -> Result<Expr, CompileError> {
        let mut steps = Vec::new();
        let start = match self.peek() {
            Some(Token::Literal(_)) => Start::Literal(Box::new(self.literal())),
            Some(Token::OpenParenthesis) => {
                self.tokens.next();
                let inner = self.nested()?;
                self.expect(&Token::CloseParenthesis, "expected )")?;
                Start::Group(Box::new(inner))
            }
            Some(Token::Current) => {
                self.tokens.next();
                Start::Current
            }
            Some(_) | None => {
                steps.push(self.first_step()?);
                Start::Current
            }
        };
        while let Some(step) = self.further_step()? {
            steps.push(step);
        }
        match start {
            Start::Group(inner) if steps.is_empty() => Ok(*inner),
            Start::Group(_) | Start::Current | Start::Literal(_) => {
                Ok(Expr::Chain(Chain { start, steps }))
            }
        }
    }

    fn literal(&mut self) -> Value {
        match self.next() {
            Some(Token::Literal(value)) => value,
            Some(_) | None => Value::Null,
        }
    }

    /// The step a chain begins with, when it does not begin with a value.
    fn first_step(&mut self) -> Result<Step, CompileError> {
        match self.peek() {
            Some(Token::OpenBracket) => match (self.peek_at(1), self.peek_at(2)) {
                (Some(Token::Number(_) | Token::Colon), _)
                | (Some(Token::Star), Some(Token::CloseBracket)) => self.bracket(),
                (Some(_) | None, _) => self.list(),
            },
            Some(Token::Flatten | Token::Filter) => self.bracket(),
            Some(Token::Reference) => Err(self.refuse("& may only stand before an argument")),
            Some(_) | None => self.member("expected an expression"),
        }
    }

    /// A step after the first; none if something else follows.
    fn further_step(&mut self) -> Result<Option<Step>, CompileError> {
        match self.peek() {
            Some(Token::Dot) => {
                self.tokens.next();
                if self.peek() == Some(&Token::OpenBracket) {
                    return self.list().map(Some);
                }
                self.member("expected a name, a function, *, [ or { after .")
                    .map(Some)
            }
            Some(Token::OpenBracket | Token::Flatten | Token::Filter) => self.bracket().map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// A name, a call, `*` or `{ … }`.
    fn member(&mut self, message: &'static str) -> Result<Step, CompileError> {
        let position = self.position();
        let follows_call = self.peek_at(1) == Some(&Token::OpenParenthesis);
        match self.next() {
            Some(Token::Name(name)) if follows_call => {
                self.tokens.next();
                Ok(Step::Call(Box::new(self.call(name, position)?)))
            }
            Some(Token::Quoted(_)) if follows_call => Err(syntax(
                position,
                "the name of a function is written without quotes",
            )),
            Some(Token::Name(name)) => Ok(Step::Field(name.to_owned())),
            Some(Token::Quoted(name)) => Ok(Step::Field(name)),
            Some(Token::Star) => Ok(Step::Members),
            Some(Token::OpenBrace) => self.record(),
            Some(_) | None => Err(syntax(position, message)),
        }
    }

    /// `[0]`, `[1:2]`, `[*]`, `[]` or `[? … ]`.
    fn bracket(&mut self) -> Result<Step, CompileError> {
        match self.next() {
            Some(Token::Flatten) => return Ok(Step::Flatten),
            Some(Token::Filter) => {
                let condition = self.nested()?;
                self.expect(&Token::CloseBracket, "expected ] after the filter")?;
                return Ok(Step::Filter(Box::new(condition)));
            }
            Some(_) | None => {}
        }
        if self.eat(&Token::Star) {
            self.expect(&Token::CloseBracket, "expected ] after *")?;
            return Ok(Step::Elements);
        }
        self.index()
    }

    /// What is between `[` and `]` in an index or a slice.
    fn index(&mut self) -> Result<Step, CompileError> {
        let begin = self.position();
        let mut bounds = Vec::new();
        let mut number = None;
        loop {
            let position = self.position();
            match self.next() {
                Some(Token::Number(found)) if number.is_none() => number = Some(found),
                Some(Token::Colon) if bounds.len() < 2 => bounds.push(number.take()),
                Some(Token::CloseBracket) if number.is_some() || !bounds.is_empty() => break,
                Some(_) | None => {
                    return Err(syntax(
                        position,
                        "expected an index, a slice or * in brackets; several values are selected with .[a, b]",
                    ));
                }
            }
        }
        let mut bounds = bounds.into_iter().chain([number]);
        let (start, stop, step) = (bounds.next().flatten(), bounds.next(), bounds.next());
        match (start, stop, step.flatten()) {
            (Some(index), None, _) => Ok(Step::Index(index)),
            (_, _, Some(0)) => Err(CompileError::InvalidValue { position: begin }),
            (start, stop, step) => Ok(Step::Slice(Slice {
                start,
                stop: stop.flatten(),
                step: step.unwrap_or(1),
            })),
        }
    }

    /// `[a, b]`; the next token is `[`.
    fn list(&mut self) -> Result<Step, CompileError> {
        self.tokens.next();
        let mut items = Vec::new();
        loop {
            items.push(self.nested()?);
            if !self.eat(&Token::Comma) {
                break;
            }
        }
        self.expect(&Token::CloseBracket, "expected , or ]")?;
        Ok(Step::List(items))
    }

    /// `{a: b}`; `{` has been taken.
    fn record(&mut self) -> Result<Step, CompileError> {
        let mut members = Vec::new();
        loop {
            let position = self.position();
            let key = match self.next() {
                Some(Token::Name(name)) => name.to_owned(),
                Some(Token::Quoted(name)) => name,
                Some(_) | None => return Err(syntax(position, "expected a key")),
            };
            self.expect(&Token::Colon, "expected : after the key")?;
            members.push((key, self.nested()?));
            if !self.eat(&Token::Comma) {
                break;
            }
        }
        self.expect(&Token::CloseBrace, "expected , or }")?;
        Ok(Step::Record(members))
    }

    /// Arguments of the function `name`; `(` has been taken.
    fn call(&mut self, name: &str, position: usize) -> Result<Call, CompileError> {
        let mut arguments = Vec::new();
        while self.peek() != Some(&Token::CloseParenthesis) || !arguments.is_empty() {
            arguments.push(if self.eat(&Token::Reference) {
                Argument::Reference(self.nested()?)
            } else {
                Argument::Value(self.nested()?)
            });
            if !self.eat(&Token::Comma) {
                break;
            }
        }
        self.expect(&Token::CloseParenthesis, "expected , or )")?;
        Call::bind(name, arguments, position)
    }
}

/// Operands read so far, by the operator that binds them; each level is a part of the one above.
#[derive(Default)]
struct Levels {
    pipe: Vec<Expr>,
    or: Vec<Expr>,
    and: Vec<Expr>,
    first: Option<Expr>,
    compared: Vec<(Comparator, Expr)>,
    pending: Option<Comparator>,
}

impl Levels {
    fn operand(&mut self, operand: Expr) {
        match self.pending.take() {
            Some(comparator) => self.compared.push((comparator, operand)),
            None => self.first = Some(operand),
        }
    }

    fn operator(&mut self, operator: &Operator) {
        match operator {
            Operator::Compare(comparator) => self.pending = Some(*comparator),
            Operator::And => self.close_comparison(),
            Operator::Or => self.close_and(),
            Operator::Pipe => self.close_or(),
        }
    }

    fn close_comparison(&mut self) {
        let compared = std::mem::take(&mut self.compared);
        let Some(first) = self.first.take() else {
            return;
        };
        self.and.push(if compared.is_empty() {
            first
        } else {
            Expr::Compare(Box::new(first), compared)
        });
    }

    fn close_and(&mut self) {
        self.close_comparison();
        let parts = std::mem::take(&mut self.and);
        self.or.push(one_or(parts, Expr::And));
    }

    fn close_or(&mut self) {
        self.close_and();
        let parts = std::mem::take(&mut self.or);
        self.pipe.push(one_or(parts, Expr::Or));
    }

    fn finish(mut self) -> Expr {
        self.close_or();
        one_or(self.pipe, Expr::Pipe)
    }
}

/// The only part, or all of them bound by `several`.
fn one_or(mut parts: Vec<Expr>, several: fn(Vec<Expr>) -> Expr) -> Expr {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            several(parts)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> CompileError {
        match parse(text) {
            Err(error) => error,
            Ok(_) => panic!("{text} was accepted"),
        }
    }

    #[test]
    fn a_syntax_error_is_placed_at_the_token_that_is_wrong() {
        for (text, position) in [
            ("", 0),
            ("a.", 2),
            ("a b", 2),
            ("a[0", 3),
            ("a[0, 1]", 3),
            ("a[b]", 2),
            ("[:::]", 3),
            ("[1 2]", 3),
            ("a.{b}", 4),
            ("a.{b: c, }", 9),
            ("[a, ]", 4),
            ("abs(a,)", 6),
            ("abs(,a)", 4),
            ("(a", 2),
            ("a || ", 5),
            ("!", 1),
            ("a[?b", 4),
            ("\"abs\"(a)", 0),
            ("&a", 0),
            ("@(a)", 1),
            ("a.[0]", 3),
            ("a.`1`", 2),
        ] {
            let CompileError::Syntax { position: at, .. } = error(text) else {
                panic!("{text}: {}", error(text));
            };
            assert_eq!(at, position, "{text}");
        }
    }

    #[test]
    fn a_call_is_checked_when_it_is_compiled() {
        assert_eq!(
            error("a.nope(b)").to_string(),
            "unknown function nope at byte 2"
        );
        assert_eq!(
            error("abs()").to_string(),
            "abs at byte 0 takes 1 argument(s), found 0"
        );
        assert_eq!(
            error("not_null()").to_string(),
            "not_null at byte 0 takes at least 1 argument(s), found 0"
        );
        assert_eq!(
            error("sort_by(a, b)").to_string(),
            "argument 2 of sort_by at byte 0 must be an expression reference, such as &name"
        );
        assert_eq!(
            error("length(&a)").to_string(),
            "argument 1 of length at byte 0 must be a value, not an expression reference (&)"
        );
    }

    #[test]
    fn a_step_of_zero_is_refused() {
        assert_eq!(
            error("a[1:2:0]").to_string(),
            "the step of the slice at byte 2 must not be zero"
        );
    }

    #[test]
    fn brackets_nest_to_the_limit_and_no_further() {
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("{a:", "}"),
            ("@[?", "]"),
            ("abs(", ")"),
        ] {
            let nest = |depth| format!("{}a{}", open.repeat(depth), close.repeat(depth));
            assert!(parse(&nest(DEPTH_MAX)).is_ok(), "{open}");
            assert!(
                matches!(
                    error(&nest(DEPTH_MAX + 1)),
                    CompileError::TooDeep { position } if position == open.len() * (DEPTH_MAX + 1)
                ),
                "{open}"
            );
        }
    }
}
