"""Models fitted to spectra: data with their responses, models as expressions, statistics, fits with errors."""
