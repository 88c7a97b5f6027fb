"""This tree beside another checkout, measured in turns (A B B A), so that other work of the machine hits both alike."""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

ALLOWED = 1.05
"""Ours may take at most this many times what theirs takes."""


@dataclass(frozen=True)
class Tree:
    """A checkout of the project, run by an interpreter that finds its packages before any installed ones."""

    name: str
    root: Path
    python: Path = Path(sys.executable)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the interpreter, its stdin and stdout as pipes."""
        return subprocess.Popen(
            [str(self.python), *arguments],
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def environment(self) -> dict[str, str]:
        """Return the environment of the interpreter: both trees keep compiled modules, in a folder of the benches."""
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        cache = Path(tempfile.gettempdir()) / "uws-server-bench-bytecode"
        return kept | {"PYTHONPATH": str(self.root), "PYTHONPYCACHEPREFIX": str(cache)}

    def run(self, *arguments: str) -> str:
        """Return what the interpreter prints. Exit if it fails."""
        with self.start(*arguments) as process:
            printed, _ = process.communicate()
        if process.returncode:
            sys.exit(f"{self.name} ({self.root}) failed: {' '.join(arguments)[:200]}")
        return printed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --against and --python, which `trees` reads."""
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout, measured in turns with this")
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), help="interpreter of that checkout (default: this one)"
    )


def trees(options: argparse.Namespace) -> list[Tree]:
    """Return the other checkout, if there is one, and this one. Exit if the folder is no checkout."""
    ours = Tree("ours", ROOT)
    if options.against is None:
        return [ours]
    root = options.against.resolve()
    if not (root / "uws_server" / "server.py").is_file():
        sys.exit(f"--against {options.against} is no checkout of this project: it has no uws_server/server.py")
    return [Tree("theirs", root, options.python), ours]


def in_turns(measures: dict[str, Callable[[], Mapping[str, float]]], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Measure each in turn, every second round in the opposite order, so that none is always the first.

    Parameters
    ----------
    measures
        Name of a tree -> function that takes one measurement and returns its figures by name.
    rounds
        How often each is measured. A first round, which fills caches, is not kept.

    Returns
    -------
    dict
        Figure -> tree -> its values, in the order of the rounds.
    """
    figures: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds + 1):
        for tree in list(measures) if number % 2 else reversed(measures):
            for figure, value in measures[tree]().items():
                if number:
                    figures.setdefault(figure, {}).setdefault(tree, []).append(value)
    return figures


def report(figures: Mapping[str, Mapping[str, list[float]]]) -> None:
    """Print least and median of every figure, their ratio, and the median of the ratios of each round's pair."""
    for figure, by_tree in figures.items():
        for what, pick in (("least", min), ("median", statistics.median)):
            values = {tree: pick(measured) for tree, measured in by_tree.items()}
            line = "   ".join(f"{tree} {value:10.3f}" for tree, value in values.items())
            ratio = f"   ours / theirs {values['ours'] / values['theirs']:6.3f}" if "theirs" in values else ""
            print(f"  {figure:28} {what:7} {line}{ratio}", flush=True)
        if "theirs" in by_tree:
            pairs = zip(by_tree["ours"], by_tree["theirs"], strict=True)
            ratio_of_pairs = statistics.median(ours / theirs for ours, theirs in pairs)
            print(f"  {'':28} {'pairs':7} {ratio_of_pairs:>48.3f}, allowed {ALLOWED}", flush=True)
