"""The graph of activities and files behind a product: made from step lists, traversed, written as PROV."""

from __future__ import annotations

from provenance.graph.model import (
    FACTS,
    Activity,
    File,
    Link,
    ProvenanceGraph,
    Value,
    key_of_file,
    key_of_step,
    of_steps,
    safe,
)

__all__ = [
    "FACTS",
    "Activity",
    "File",
    "Link",
    "ProvenanceGraph",
    "Value",
    "key_of_file",
    "key_of_step",
    "of_steps",
    "safe",
]
