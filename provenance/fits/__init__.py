"""The one reader of FITS files: HDUs, headers, tables, images; gzip, hashes, whole-file writes."""

from __future__ import annotations

from provenance.text.errors import FitsError as FitsError  # what it raises; described with the other errors
