"""How sphinx builds the pages of the API: modules by discovery, docstrings in numpydoc's form, read by napoleon."""

from __future__ import annotations

import gc
import re
from typing import Any

from prov.model import ProvDocument
from sphinx.application import Sphinx

from provenance.graph import export
from uws_server.version import VERSION

gc.set_threshold(200_000, 50, 100)  # else a quarter of the time goes into looking through pages that are kept

ARRAY = re.compile(r"~?(?:numpy\.)?ndarray\[[^]]*\]?, ~?(?:numpy\.)?dtype\[([^]]*)\]\]")
CALL = re.compile(r"^(``.*``) {2,}(?=\S)((?!``).*)$")

vars(export)["ProvDocument"] = ProvDocument  # loaded when it is needed, but its signatures name it

project = "uws-server"
author = copyright = "The uws-server developers"
version = release = VERSION

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
templates_path = ["_templates"]
exclude_patterns = ["_templates"]

autosummary_generate = True
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False

default_role = "py:obj"  # a link where the name is one of ours, else code
nitpicky = False
add_module_names = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 90

html_theme = "furo"
html_title = f"uws-server {VERSION}"
html_copy_source = False


def setup(app: Sphinx) -> None:
    """Have arrays named in signatures as the sources name them, and a package's calls set out as a list."""
    app.connect("autodoc-process-signature", shorten_arrays)
    app.connect("autodoc-process-docstring", list_calls)


def shorten_arrays(*event: Any) -> tuple[str, str] | None:
    """Return arguments and result with `NDArray[dtype]` for what it stands for; None if there is no array."""
    texts = [text or "" for text in event[-2:]]
    short = [ARRAY.sub(r"NDArray[\1]", text) for text in texts]
    return (short[0], short[1]) if short != texts else None


def list_calls(*event: Any) -> None:
    """Turn lines of two columns, a call and what it does, into a list of definitions."""
    lines: list[str] = event[-1]
    lines[:] = [part for line in lines for part in (CALL.sub(r"\1\n    \2", line).split("\n"))]
