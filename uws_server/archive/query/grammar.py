"""The grammar of the search bar, and what its parser finds wrong. Imports lark, when the first search comes.

The parser is LALR: its stack is no deeper than Python's, however many parentheses come.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

from uws_server.archive.query.errors import QueryError

if TYPE_CHECKING:
    from lark import Lark
    from lark.exceptions import UnexpectedInput

_GRAMMAR: Final = r"""
?start: any_of | nothing
nothing:
any_of: all_of (OR all_of)*
all_of: _negated (AND _negated)*
_negated: negation | _primary
negation: NOT _negated
_primary: "(" any_of ")" | compared | one_of | like | between | function | alone
compared: WORD SIGN value
one_of: WORD [NOT] IN _values
like: WORD [NOT] LIKE value
between: WORD [NOT] BETWEEN value AND value
function: WORD "(" [value ("," value)*] ")"
_values: "{" value ("," value)* "}" | "(" value ("," value)* ")"
alone: STRING | WORD+ ["," WORD+]
value: STRING | WORD+

AND.2: /(AND|&&)(?![^\s'"(){},=<>!≤≥≠])/i
OR.2: /(OR|\|\|)(?![^\s'"(){},=<>!≤≥≠])/i
NOT.2: /NOT(?![^\s'"(){},=<>!≤≥≠])/i
IN.2: /IN(?![^\s'"(){},=<>!≤≥≠])/i
LIKE.2: /LIKE(?![^\s'"(){},=<>!≤≥≠])/i
BETWEEN.2: /BETWEEN(?![^\s'"(){},=<>!≤≥≠])/i
SIGN: /==|!=|<>|<=|>=|[=<>≤≥≠]/
STRING: /'(?:[^']|'')*'|"(?:[^"]|"")*"/
WORD: /[^\s'"(){},=<>!≤≥≠]+/
%ignore /\s+/
"""

_WORDS: Final = {"LPAR": "(", "RPAR": ")", "LBRACE": "{", "RBRACE": "}", "COMMA": ","}
_QUOTES: Final = "'\""


@functools.cache
def parser() -> Lark:
    """Return the parser of searches."""
    from lark import Lark  # here: a server at rest does without

    return Lark(_GRAMMAR, parser="lalr", lexer="basic", maybe_placeholders=True)


def parsed(text: str) -> Any:
    """Return the tree of a search. Raise QueryError if it is none."""
    from lark.exceptions import UnexpectedInput

    try:
        return parser().parse(text)
    except UnexpectedInput as error:
        raise _refusal(error, text) from error


def _refusal(error: UnexpectedInput, text: str) -> QueryError:
    """Return what is wrong where the parser cannot go on."""
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    if isinstance(error, UnexpectedCharacters):
        begin, char = error.pos_in_stream or 0, error.char
        if char in _QUOTES:
            return QueryError(f"the quote {char} that is opened here is not closed", text, begin, begin + 1)
        return QueryError(f"{char!r} is not understood here", text, begin, begin + 1)
    assert isinstance(error, UnexpectedToken)
    wanted = _wanted({str(name) for name in error.accepts or error.expected})
    token = error.token
    if token.type == "$END":
        end = len(text.rstrip())
        return QueryError(f"the search ends where {wanted} is expected", text, end)
    begin, end = int(token.start_pos or 0), int(token.end_pos or 0)
    return QueryError(f"{_came(str(token))} came where {wanted} is expected", text, begin, end)


def _came(token: str) -> str:
    return token if token in "(){},&|" else repr(token if len(token) <= 40 else f"{token[:37]}...")


def _wanted(names: set[str]) -> str:
    """Return in words what the parser could go on with."""
    if names == {"$END"}:
        return "AND, OR or the end"
    if "IN" in names and "WORD" not in names and "SIGN" not in names:
        return "IN, LIKE or BETWEEN"
    parts = []
    if "SIGN" in names:
        parts.append("a comparison such as = or >")
    elif "WORD" in names and "NOT" in names:
        return "a condition, a name or a position"
    elif "STRING" in names or ("WORD" in names and "OR" not in names):
        parts.append("a value")
    elif "LBRACE" in names:
        parts.append("a list such as {'a', 'b'}")
        names = names - {"LPAR"}
    parts += [name for name in ("AND", "OR") if name in names and "SIGN" not in names]
    parts += [_WORDS[name] for name in ("COMMA", "RPAR", "RBRACE") if name in names and "SIGN" not in names]
    if "$END" in names and "SIGN" not in names:
        parts.append("the end")
    return f"{', '.join(parts[:-1])} or {parts[-1]}" if len(parts) > 1 else "".join(parts) or "something else"
