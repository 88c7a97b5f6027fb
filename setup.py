"""What setup.cfg cannot say: packages are discovered, and two folders of data are mapped into uws_server beside them.

Everything else about the project is in setup.cfg.
"""

from __future__ import annotations

from setuptools import find_packages, setup

CODE = ("provenance", "reduction", "uws_server")
DATA = ("uws_server.job_definitions", "uws_server.templates")
"""Top-level folders without Python packages in them; `package_dir` of setup.cfg says where they lie."""

setup(packages=[*find_packages(include=[pattern for name in CODE for pattern in (name, f"{name}.*")]), *DATA])
