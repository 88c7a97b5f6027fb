"""Models as expressions: ``tbabs*(powerlaw + gaussian)``, read, checked with the place of a mistake, and evaluated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from reduction.errors import ReductionError
from reduction.fitting.absorption import ABSORPTION
from reduction.fitting.apec import APEC
from reduction.fitting.bremsstrahlung import BREMSSTRAHLUNG
from reduction.fitting.components import NO_TABLES, Component, Evaluate, Registry, Tables
from reduction.fitting.parameters import Parameter, Setting, apply, did_you_mean
from reduction.fitting.spectra import LEAST_KEV, SPECTRA
from reduction.responses.grid import Floats

REGISTRY = Registry({component.name: component for component in (*SPECTRA, BREMSSTRAHLUNG, APEC, *ABSORPTION)})
"""All components."""

WIDE = 1.05
"""Upper over lower edge above which a bin is divided, since factors are taken at the middle of bins."""

DEEPEST = 30
"""Most brackets that may be open."""

LONGEST = 500
"""Most characters of an expression."""

_TOKEN = re.compile(r"\s*(?:(?P<name>[A-Za-z_]\w*)|(?P<sign>[*+()])|(?P<other>\S))")


class ModelError(ReductionError):
    """Raised for an expression that is no model; `column` is the place of the mistake, from 1."""

    def __init__(self, message: str, column: int, parameter: str = "model") -> None:
        super().__init__(f"column {column}: {message}", parameter)
        self.column = column


@dataclass(frozen=True)
class Leaf:
    """One component in an expression: its name there (``powerlaw2`` for the second one), and its first parameter."""

    name: str
    component: Component
    first: int

    @property
    def is_additive(self) -> bool:
        """Whether it is a spectrum."""
        return self.component.is_additive


@dataclass(frozen=True)
class Branch:
    """A sum or product of two parts of an expression."""

    sign: str
    left: Node
    right: Node

    @property
    def is_additive(self) -> bool:
        """Whether it is a spectrum."""
        return self.left.is_additive or self.right.is_additive


Node = Leaf | Branch


@dataclass(frozen=True)
class Model:
    """A model: its expression, the tree of its parts, its parameters in the order in which they are written."""

    expression: str
    tree: Node
    parameters: tuple[Parameter, ...]
    tables: Tables = NO_TABLES

    @property
    def values(self) -> Floats:
        """Values of all parameters."""
        return np.array([each.value for each in self.parameters])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters."""
        return tuple(each.name for each in self.parameters)

    @property
    def components(self) -> tuple[Leaf, ...]:
        """The components in the order in which they are written."""
        return tuple(_leaves(self.tree))

    @property
    def spectra(self) -> tuple[Leaf, ...]:
        """The components that are spectra, to be drawn each for itself."""
        return tuple(leaf for leaf in self.components if leaf.is_additive)

    def with_settings(self, settings: Mapping[str, Setting], parameter: str = "parameters") -> Model:
        """Return the model with its parameters as asked for. Raise ReductionError for what cannot be."""
        return replace(self, parameters=apply(self.parameters, settings, parameter))

    def on(self, edges_kev: Floats) -> Evaluate:
        """Return the model made ready for bins of energy.

        Parameters
        ----------
        edges_kev
            Edges in keV, ascending, shape (bins + 1,).

        Returns
        -------
        Evaluate
            The values of all parameters to photons/cm2/s in each bin.
        """
        edges = np.asarray(edges_kev, dtype=np.float64)
        fine, first = _without_wide_bins(edges)
        evaluate = _prepared(self.tree, fine, self.tables)
        if fine.size == edges.size:
            return evaluate
        return lambda values: np.add.reduceat(evaluate(values), first)

    def flux_in_bins(self, edges_kev: Floats, values: Sequence[float] | Floats | None = None) -> Floats:
        """Return photons/cm2/s in bins of energy.

        Parameters
        ----------
        edges_kev
            Edges in keV, ascending, shape (bins + 1,).
        values
            Values of all parameters in their order; None for those that they have.

        Returns
        -------
        ndarray
            Photons/cm2/s, shape (bins,).
        """
        return self.on(edges_kev)(_plain(self.values if values is None else values))

    def part(self, wanted: Leaf) -> Model:
        """Return the model with one of its spectra alone, under the factors that it has there."""
        tree = _without(self.tree, wanted)
        return replace(self, tree=self.tree if tree is None else tree, expression=f"{wanted.name} of {self.expression}")

    def unabsorbed(self, factors: Sequence[str] = ("tbabs", "phabs", "wabs")) -> Model:
        """Return the model without its absorption; the parameters stay, so that their order does."""
        tree = _unabsorbed(self.tree, factors)
        return self if tree is None else replace(self, tree=tree, expression=f"{self.expression} without absorption")


def parse_model(text: str, tables: Tables = NO_TABLES, parameter: str = "model") -> Model:
    """Read an expression of components.

    Parameters
    ----------
    text
        Components with ``+``, ``*`` and brackets. A factor may stand before a bracket without ``*``, as in XSPEC.
    tables
        Where the tables of cross-sections and emissivities lie.
    parameter
        Job parameter named in errors.

    Returns
    -------
    Model
        The model; of several components of a kind, the second is called ``powerlaw2`` and so on.

    Raises
    ------
    ModelError
        It is no expression, a component is not known, or spectra are multiplied; with the column.
    """
    if len(text) > LONGEST:
        raise ModelError(f"the expression is longer than {LONGEST} characters", LONGEST + 1, parameter)
    parser = _Parser(text, parameter)
    tree = parser.whole()
    if not tree.is_additive:
        raise ModelError("the model has factors only; multiply them with a spectrum such as powerlaw", 1, parameter)
    parameters = tuple(replace(each, name=f"{leaf.name}.{each.name}") for leaf in _leaves(tree)
                       for each in leaf.component.parameters)  # fmt: skip
    return Model(text.strip(), tree, parameters, tables)


class _Parser:
    """Reads an expression from left to right: sums of products of components and brackets."""

    def __init__(self, text: str, parameter: str) -> None:
        self.text, self.parameter = text, parameter
        self.tokens = [(found[0].strip(), found.start(found.lastgroup or 0) + 1, found.lastgroup)
                       for found in _TOKEN.finditer(text)]  # fmt: skip
        self.at, self.first, self.open = 0, 0, 0
        self.seen: dict[str, int] = {}

    def fault(self, message: str, column: int | None = None) -> ModelError:
        place = self.tokens[self.at][1] if self.at < len(self.tokens) else len(self.text.rstrip()) + 1
        return ModelError(message, place if column is None else column, self.parameter)

    @property
    def next(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def whole(self) -> Node:
        if not self.tokens:
            raise self.fault("the expression is empty; write a model such as tbabs*powerlaw")
        tree = self.sum()
        if self.next == ")":
            raise self.fault("this bracket was never opened")
        if self.next:
            raise self.fault(f"{self.next[:20]!r} stands where + or * is allowed")
        return tree

    def sum(self) -> Node:
        tree = self.product()
        while self.next == "+":
            column = self.tokens[self.at][1]
            self.at += 1
            right = self.product()
            if tree.is_additive != right.is_additive:
                raise self.fault("a spectrum and a factor cannot be added; multiply them with *", column)
            tree = Branch("+", tree, right)
        return tree

    def product(self) -> Node:
        tree = self.factor()
        while self.next == "*" or (self.next == "(" and not tree.is_additive):
            column = self.tokens[self.at][1]
            if self.next == "*":
                self.at += 1
            right = self.factor()
            if tree.is_additive and right.is_additive:
                raise self.fault("two spectra cannot be multiplied; add them with +", column)
            tree = Branch("*", tree, right)
        return tree

    def factor(self) -> Node:
        if self.next == "(":
            opened = self.tokens[self.at][1]
            if self.open == DEEPEST:
                raise self.fault(f"more than {DEEPEST} brackets are open")
            self.at, self.open = self.at + 1, self.open + 1
            tree = self.sum()
            if self.next != ")":
                raise self.fault(f"the bracket of column {opened} is not closed")
            self.at, self.open = self.at + 1, self.open - 1
            return tree
        if not self.next or self.tokens[self.at][2] != "name":
            came = f"{self.next[:20]!r} stands" if self.next else "the expression ends"
            raise self.fault(f"{came} where a component or a bracket is needed")
        return self.component()

    def component(self) -> Leaf:
        name = self.next
        found = REGISTRY.find(name)
        if found is None:
            raise self.fault(f"{name[:40]!r} is no component{did_you_mean(name, REGISTRY.names)}; there are "
                             f"{', '.join(sorted(REGISTRY.names))}")  # fmt: skip
        self.at += 1
        number = self.seen[found.name] = self.seen.get(found.name, 0) + 1
        leaf = Leaf(found.name if number == 1 else f"{found.name}{number}", found, self.first)
        self.first += len(found.parameters)
        return leaf


def _leaves(tree: Node) -> Iterator[Leaf]:
    if isinstance(tree, Leaf):
        yield tree
    else:
        yield from _leaves(tree.left)
        yield from _leaves(tree.right)


def _prepared(tree: Node, edges: Floats, tables: Tables) -> Evaluate:
    """Return a part of an expression made ready for bins, as a function of the values of all parameters."""
    if isinstance(tree, Leaf):
        first, last = tree.first, tree.first + len(tree.component.parameters)
        own = tree.component.prepare(edges, tables)
        return lambda values: own(values[first:last])
    left, right = _prepared(tree.left, edges, tables), _prepared(tree.right, edges, tables)
    if tree.sign == "+":
        return lambda values: left(values) + right(values)
    return lambda values: left(values) * right(values)


def _without(tree: Node, wanted: Leaf) -> Node | None:
    """Return a part of an expression without spectra other than one; None where nothing is left."""
    if isinstance(tree, Leaf):
        return tree if tree == wanted or not tree.is_additive else None
    left, right = _without(tree.left, wanted), _without(tree.right, wanted)
    if left is None or right is None:
        return None if tree.sign == "*" else left or right
    return Branch(tree.sign, left, right)


def _unabsorbed(tree: Node, factors: Sequence[str]) -> Node | None:
    """Return a part of an expression without some factors; None where nothing is left."""
    if isinstance(tree, Leaf):
        return None if tree.component.name in factors else tree
    left, right = _unabsorbed(tree.left, factors), _unabsorbed(tree.right, factors)
    return (left or right) if left is None or right is None else Branch(tree.sign, left, right)


def _without_wide_bins(edges: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return edges between which no bin is wide, and the index there of the first bin of each of the former ones."""
    logs = np.log(np.maximum(edges, LEAST_KEV))
    parts = np.maximum(np.ceil(np.diff(logs) / np.log(WIDE)), 1).astype(np.int64)
    first = np.cumsum(parts) - parts
    place = np.repeat(np.arange(parts.size), parts)
    part = (np.arange(place.size) - first[place]) / parts[place]
    fine = np.exp(logs[place] + part * np.diff(logs)[place])
    whole = part == 0
    fine[whole] = edges[place[whole]]
    return np.append(fine, edges[-1]), first


def _plain(values: Sequence[float] | Floats) -> list[float]:
    """Return values as numbers of Python, with which small sums are quicker than with numpy's."""
    return [float(value) for value in values]
