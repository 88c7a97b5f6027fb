"""Which part of what a search finds is wanted, and how much it finds. Imports nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """Which part of what is found, and in which order: a name of the orders, and rows from `first` on, from 0."""

    order: str = "obsid"
    descending: bool = False
    first: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Counts:
    """Numbers of exposures and of their observations."""

    exposures: int
    observations: int
