"""The components of models: spectra that are added, factors that are multiplied, with XSPEC's names, units and norms.

A component is made ready for a grid of energies once (logarithms, cross-sections); what comes back is evaluated at each
step of a fit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from reduction.fitting.parameters import Parameter
from reduction.responses.grid import Floats

Evaluate = Callable[[Sequence[float]], Floats]
"""Values of the parameters of a component, in their order, to photons/cm2/s in each bin, or to a factor."""


@dataclass(frozen=True)
class Tables:
    """Where the tables of models lie.

    `absorption` is a folder of cross-sections (``xsect_tbabs_wilm.fits``), `abundances` which of them are taken (wilm,
    angr, aspl); `apec` is a folder with the two files of an APEC version. None for none.
    """

    absorption: Path | None = None
    abundances: str = "wilm"
    apec: Path | None = None


NO_TABLES = Tables()


class Kind(Enum):
    """Whether a component is a spectrum, or a factor of one."""

    ADDITIVE = "a spectrum"
    MULTIPLICATIVE = "a factor"


@dataclass(frozen=True)
class Component:
    """A component of models.

    Attributes
    ----------
    name
        As XSPEC writes it, in small letters.
    kind
        Spectrum or factor.
    parameters
        Its parameters, named without the component, in XSPEC's order.
    prepare
        Makes it ready for the edges of bins in keV, ascending, shape (bins + 1,), with the tables.
    description
        What it is, with the source of its formula.
    aliases
        Other names that are understood.
    """

    name: str
    kind: Kind
    parameters: tuple[Parameter, ...]
    prepare: Callable[[Floats, Tables], Evaluate]
    description: str
    aliases: tuple[str, ...] = ()

    @property
    def is_additive(self) -> bool:
        """Whether it is a spectrum."""
        return self.kind is Kind.ADDITIVE


@dataclass(frozen=True)
class Registry:
    """The components by name."""

    components: Mapping[str, Component] = field(default_factory=dict)

    def find(self, name: str) -> Component | None:
        """Return the component of a name, an alias, or the one name that begins so (of two letters or more)."""
        low = name.lower()
        exact = self.components.get(low) or next((c for c in self.components.values() if low in c.aliases), None)
        if exact is not None or len(low) < 2:
            return exact
        begun = [component for known, component in self.components.items() if known.startswith(low)]
        return begun[0] if len(begun) == 1 else None

    @property
    def names(self) -> list[str]:
        """All names."""
        return list(self.components)


def norm(unit: str, description: str, value: float = 1.0) -> Parameter:
    """Return the norm of a spectrum.

    Parameters
    ----------
    unit
        Its unit, in XSPEC's convention for the component.
    description
        What it is of, in words.
    value
        Where it begins.

    Returns
    -------
    A parameter that is never below 0.
    """
    return Parameter("norm", value, 0.0, 1e20, unit, description=description)
