"""Step lists: the steps of a job as values, their JSON, which step made the inputs of another, plans of reruns."""

from __future__ import annotations

from provenance.steps.document import digest, dump, merge, parse, read
from provenance.steps.model import Arg, InputData, OutputData, Parameter, Scalar, Step

__all__ = ["Arg", "InputData", "OutputData", "Parameter", "Scalar", "Step", "digest", "dump", "merge", "parse", "read"]
