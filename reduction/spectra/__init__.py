"""Spectra of regions: counts, exposure and area, grouping for fitting, and OGIP PHA files."""
