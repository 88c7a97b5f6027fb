"""ADQL as a dialect of sqlglot: the text of a query becomes a tree in which every function is still only a name.

Imports sqlglot, which takes 60 ms: this module is imported when the first query comes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from sqlglot import Token, TokenType, exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.parser import Parser as BaseParser

from uws_server.tap.adql.errors import AdqlError, like, place_of
from uws_server.tap.adql.lexer import shown, tokens_of
from uws_server.tap.adql.words import KEYWORDS

_MODIFIERS: Final = (TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING, TokenType.ORDER_BY, TokenType.OFFSET)


class Adql(Dialect):
    """What sqlglot must know of ADQL besides its tokens: which binds tighter, and that functions are only names."""

    INTERSECT_BINDS_TIGHTER_THAN_UNION_AND_EXCEPT = True

    class Parser(BaseParser):
        """The parser without the functions and the clauses of other dialects."""

        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar = {"CAST": BaseParser.FUNCTION_PARSERS["CAST"]}
        NO_PAREN_FUNCTIONS: ClassVar[dict[str, Any]] = {}
        NO_PAREN_FUNCTION_PARSERS: ClassVar = {"CASE": BaseParser.NO_PAREN_FUNCTION_PARSERS["CASE"]}
        QUERY_MODIFIER_PARSERS: ClassVar = {kind: BaseParser.QUERY_MODIFIER_PARSERS[kind] for kind in _MODIFIERS}

        def _parse_ordered(self, parse_method: Callable[[], exp.Expr | None] | None = None) -> exp.Ordered | None:
            """Return an item of ORDER BY; the parser would not tell whether NULLS FIRST was asked for."""
            item = super()._parse_ordered(parse_method)
            if self._prev.token_type is TokenType.VAR and self._prev.text.upper() in ("FIRST", "LAST"):
                self.raise_error("NULLS FIRST and NULLS LAST are not ADQL", self._prev)
            return item


def parse(query: str) -> exp.Query:
    """Return the tree of a query, which is one SELECT or several joined by UNION, INTERSECT or EXCEPT.

    Raise AdqlError, with the place, if it is anything else.
    """
    tokens = tokens_of(query)
    try:
        trees = Adql.Parser(dialect=Adql, error_level=ErrorLevel.IMMEDIATE).parse(tokens, query)
    except (SqlglotError, RecursionError, AttributeError, TypeError, ValueError, IndexError, AssertionError) as error:
        raise _refusal(query, tokens, error) from error
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise AdqlError("a query is one SELECT, with FROM")
    _require_all_read(query, tokens, trees[0])
    return trees[0]


def _require_all_read(query: str, tokens: list[Token], tree: exp.Expr) -> None:
    """Check that each word that is no word of ADQL became a name: the parser drops some that other dialects know."""
    names = {part.meta.get("start") for part in tree.walk() if isinstance(part, exp.Identifier | exp.Anonymous)}
    for token in tokens:
        if token.token_type is TokenType.VAR and token.start not in names and token.text.upper() != "CAST":
            raise AdqlError(f"{shown(token)} is not expected here", *place_of(query, token.start))


def _refusal(query: str, tokens: list[Token], error: Exception) -> AdqlError:
    """Return what the parser says, at the word where it stopped."""
    if isinstance(error, RecursionError):
        return AdqlError("the query is nested too deeply; write it flatter")
    details = getattr(error, "errors", None)
    if not details:
        return AdqlError("the query is not ADQL; it could not be read", 1, 1)
    detail = details[0]
    start = len(detail["start_context"] or "")
    alike = [number for number, token in enumerate(tokens) if token.text == detail["highlight"]] or [len(tokens) - 1]
    number = min(alike, key=lambda number: abs(tokens[number].start - start))
    return AdqlError(_sentence(detail["description"], tokens, number), *place_of(query, tokens[number].start))


def _sentence(description: str, tokens: list[Token], number: int) -> str:
    """Return the words for a place where the parser did not come on."""
    here = tokens[number]
    if description.startswith("Required keyword"):
        return f"something is missing before or behind {shown(here)}"
    if description.startswith("Invalid expression"):
        names = [token.text for token in tokens[max(0, number - 1) : number + 1] if token.token_type is TokenType.VAR]
        hints = [f"; {name!r} may stand for {found}" for name in names if (found := like(name, KEYWORDS))]
        return f"{shown(here)} is not expected here{''.join(hints)}"
    return f"near {shown(here)}: {description}"
