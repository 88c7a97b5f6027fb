"""Spectra of regions: counts, exposure and area of each, grouped for fitting, written as OGIP PHA files."""
