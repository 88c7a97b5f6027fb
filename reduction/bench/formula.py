"""Arithmetic of named quantities, as a recipe writes it: ``+ - * / **``, brackets, a few functions; nothing else."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping

from reduction.errors import ReductionError

_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {
    "sqrt": math.sqrt,
    "log10": math.log10,
    "log": math.log,
    "exp": math.exp,
    "abs": abs,
    "min": min,
    "max": max,
}
_LONGEST = 500


def names_in(text: str) -> set[str]:
    """Return the quantities that a formula names. Raise ReductionError for a text that is no formula."""
    return {node.id for node in ast.walk(_parsed(text)) if isinstance(node, ast.Name)} - set(_FUNCTIONS)


def evaluate(text: str, values: Mapping[str, float]) -> float:
    """Return the value of a formula; NaN where it has none, such as a division by 0.

    Raises ReductionError for a text that is no formula, and for a name that is not among the values.
    """
    try:
        return float(_value(_parsed(text).body, values))
    except (ArithmeticError, ValueError) as error:
        if isinstance(error, ReductionError):
            raise
        return math.nan


def _parsed(text: str) -> ast.Expression:
    if len(text) > _LONGEST:
        raise ReductionError(f"a formula has at most {_LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ReductionError(f"{text[:60]!r} is no formula") from error
    for node in ast.walk(tree):
        _require_known(node, text)
    return tree


def _require_known(node: ast.AST, text: str) -> None:
    """Raise ReductionError for anything but numbers, names, operators and the functions."""
    if isinstance(node, ast.Call):
        known = isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS and not node.keywords
    elif isinstance(node, ast.Constant):
        known = isinstance(node.value, int | float) and not isinstance(node.value, bool)
    else:
        known = isinstance(node, ast.Expression | ast.BinOp | ast.UnaryOp | ast.Name | ast.Load | ast.USub | ast.UAdd)
        known = known or type(node) in _OPERATORS
    if not known:
        raise ReductionError(f"{text[:60]!r} is no formula: numbers, names, + - * / ** and {', '.join(_FUNCTIONS)} are "
                             "allowed")  # fmt: skip


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.Name):
        if node.id not in values:
            raise ReductionError(f"there is no quantity {node.id[:60]!r}")
        return values[node.id]
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left, values), _value(node.right, values))
    if isinstance(node, ast.UnaryOp):
        inner = _value(node.operand, values)
        return -inner if isinstance(node.op, ast.USub) else inner
    assert isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return _FUNCTIONS[node.func.id](*(_value(argument, values) for argument in node.args))
