"""Calibration: which file holds for an observation, and the response of a region from it or from published curves."""
