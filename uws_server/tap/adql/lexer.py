"""Cuts a query into tokens for sqlglot's parser: only those that ADQL has, within bounds, each with its place.

sqlglot's own tokenizer takes the words and signs of thirty dialects (semicolons, hints, templates, parameters); this
one knows none of them, so that no query can contain them outside of quotes.
"""

from __future__ import annotations

import re
from typing import Final

from sqlglot import Token, TokenType

from uws_server.tap.adql.errors import AdqlError, near, place_of
from uws_server.tap.adql.words import KEYWORDS, OPERATORS, TYPES

MAX_CHARACTERS: Final = 200_000
MAX_TOKENS: Final = 20_000
MAX_DEPTH: Final = 24
"""How deep parentheses and CASE may stand in one another."""

_MAX_NAME: Final = 200
_SHOWN: Final = 60
_TOKEN: Final = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
  | (?P<hex>0[xX][0-9a-fA-F]+(?![\w.]))
  | (?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
  | (?P<string>'(?:[^']|'')*'(?!'))
  | (?P<quoted>"(?:[^"]|"")+"(?!"))
  | (?P<two>(?:GROUP|ORDER)\s+BY\b|DOUBLE\s+PRECISION\b)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<operator><=|>=|<>|!=|\|\||/(?!\*)|[(),.*+\-=<>&|^~])
    """,
    re.VERBOSE | re.DOTALL | re.ASCII | re.IGNORECASE,
)
_KEYWORDS: Final = {word: TokenType[kind] for word, kind in KEYWORDS.items()}
_TYPES: Final = {word: TokenType[kind] for word, kind in TYPES.items()}
_OPERATORS: Final = {sign: TokenType[kind] for sign, kind in OPERATORS.items()}
_LITERALS: Final = {
    "hex": TokenType.HEX_STRING,
    "number": TokenType.NUMBER,
    "string": TokenType.STRING,
    "quoted": TokenType.IDENTIFIER,
}
_DEEPER: Final = {TokenType.L_PAREN: 1, TokenType.CASE: 1, TokenType.R_PAREN: -1, TokenType.END: -1}
_BEGINNINGS: Final = (TokenType.SELECT, TokenType.WITH, TokenType.L_PAREN)
_BEFORE_TOP: Final = (TokenType.SELECT, TokenType.DISTINCT, TokenType.ALL)
_LEADING: Final = (TokenType.COMMA, TokenType.SELECT, TokenType.DISTINCT, TokenType.GROUP_BY, TokenType.ORDER_BY)
_TRAILING: Final = (
    TokenType.COMMA, TokenType.R_PAREN, TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING,
    TokenType.ORDER_BY, TokenType.OFFSET, TokenType.UNION, TokenType.INTERSECT, TokenType.EXCEPT,
)  # fmt: skip
_NAMED: Final = (
    TokenType.VAR, TokenType.IDENTIFIER, TokenType.R_PAREN, TokenType.NUMBER, TokenType.HEX_STRING, TokenType.STRING,
    TokenType.ALIAS, TokenType.END, TokenType.STAR,
)  # fmt: skip
_APART: Final = frozenset(
    {(first, second) for first in (*_LEADING, TokenType.L_PAREN) for second in _TRAILING}
    - {(TokenType.L_PAREN, TokenType.R_PAREN)}
    | {(first, TokenType.STRING) for first in _NAMED}
)
"""What never stands one behind the other, and sqlglot's parser lets pass: commas before nothing, strings as names."""


def tokens_of(query: str) -> list[Token]:
    """Return the tokens of a query; raise AdqlError at the first sign that ADQL does not have, or past the bounds."""
    if len(query) > MAX_CHARACTERS:
        raise AdqlError(
            f"the query has {len(query)} characters; allowed are {MAX_CHARACTERS}: upload long lists as a table"
        )
    found: list[Token] = []
    offset = depth = 0
    while offset < len(query):
        match = _TOKEN.match(query, offset)
        if match is None:
            raise AdqlError(_why_none(query, offset), *place_of(query, offset))
        kind, offset = match.lastgroup, match.end()
        if kind == "space":
            continue
        if kind in ("word", "quoted") and len(match[0]) > _MAX_NAME:
            raise AdqlError(f"a name has no more than {_MAX_NAME} characters", *place_of(query, match.start()))
        token = _token(match, kind or "", found[-1].token_type if found else None)
        if wrong := _why_not_here(found, token):
            raise AdqlError(wrong, *place_of(query, token.start))
        found.append(token)
        depth += _DEEPER.get(token.token_type, 0)
        if depth > MAX_DEPTH or len(found) > MAX_TOKENS:
            raise AdqlError(_too_much(depth), *place_of(query, match.start()))
    if not found:
        raise AdqlError("the query is empty; write SELECT ... FROM ...")
    if found[-1].token_type in _LEADING:
        raise AdqlError(f"the query ends behind {shown(found[-1])}", *place_of(query, found[-1].start))
    return found


def _why_not_here(before: list[Token], token: Token) -> str | None:
    """Return the sentence on a token that cannot follow those before, or None."""
    if not before and token.token_type not in _BEGINNINGS:
        hint = near(token.text[:20], ("SELECT", "WITH"))
        return f"a query begins with SELECT or WITH, not with {shown(token)}{hint}"
    if before and before[-1].token_type is TokenType.WITH and token.text.upper() == "RECURSIVE":
        return "WITH RECURSIVE is not read: a SELECT of WITH sees the tables and those SELECTs that stand before it"
    if before and before[-1].token_type is TokenType.TOP and token.token_type in (TokenType.DASH, TokenType.PLUS):
        return f"behind TOP stands a whole number without a sign, not {shown(token)}"
    if _is_top(before) and token.token_type not in (TokenType.NUMBER, TokenType.L_PAREN):
        return f"TOP needs a whole number behind it, such as TOP 10; {shown(token)} came"
    if before and (before[-1].token_type, token.token_type) in _APART:
        return f"{shown(token)} is not expected behind {shown(before[-1])}"
    return None


def _is_top(before: list[Token]) -> bool:
    """Check whether the last token is the TOP of a SELECT, and no name that was meant."""
    return len(before) > 1 and before[-1].token_type is TokenType.TOP and before[-2].token_type in _BEFORE_TOP


def shown(token: Token) -> str:
    """Return the text of a token in quotes, its beginning if it is long."""
    return repr(token.text if len(token.text) <= _SHOWN else f"{token.text[:_SHOWN]}...")


def _token(match: re.Match[str], kind: str, before: TokenType | None) -> Token:
    """Return the token of a match; a type is known as such only behind AS, a word behind a dot is a name."""
    text, token_type = match[0], _LITERALS.get(kind)
    if kind == "operator":
        token_type = _OPERATORS[text]
    elif kind in ("word", "two"):
        word = " ".join(text.upper().split())
        token_type = _TYPES.get(word) if before is TokenType.ALIAS else None
        token_type = token_type or (_KEYWORDS.get(word) if before is not TokenType.DOT else None) or TokenType.VAR
    elif kind == "string":
        text = text[1:-1].replace("''", "'")
    elif kind == "quoted":
        text = text[1:-1].replace('""', '"')
    elif kind == "hex":
        text = text[2:]
    assert token_type is not None
    return Token(token_type, text=text, start=match.start(), end=match.end() - 1)


def _why_none(query: str, offset: int) -> str:
    """Return the sentence on what stands at a place where no token of ADQL begins."""
    rest = query[offset : offset + 20]
    if rest[0] == "'":
        return "a string begins here and is not closed by a quote; a quote within a string is written twice"
    if rest[0] == '"':
        return "a quoted name begins here and is not closed, or is empty"
    if rest.startswith("/*"):
        return "a comment begins here and is not closed by */"
    if rest[0] == ";":
        return "';' is no sign of ADQL: a query is one SELECT, and nothing stands behind it"
    if rest[0] in ".0123456789":
        return f"{rest.split()[0]!r} begins like a number and is none"
    return f"{rest[0]!r} is no sign of ADQL; outside of quotes stand letters, digits, _ ( ) , . * + - / = < > & | ^ ~"


def _too_much(depth: int) -> str:
    if depth > MAX_DEPTH:
        return f"parentheses and CASE stand more than {MAX_DEPTH} deep in one another here; write the query flatter"
    return f"the query has more than {MAX_TOKENS} words and signs; upload long lists as a table"
