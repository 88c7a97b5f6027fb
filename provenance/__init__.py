"""What a FITS product is and how it was made, kept in the product itself.

A library of its own (standard library, numpy, astropy): `steps` is the list of tasks that made a file, `obscore` its
ObsCore 1.1 row, `votags` the FITS extension VO-TAGS that carries both, `errors` what goes wrong.

>>> import tempfile
>>> from pathlib import Path
>>> from astropy.io import fits
>>> from provenance import hdus, obscore, steps, votags
>>> spectrum = Path(tempfile.mkdtemp()) / "spectrum.fits"
>>> header = fits.Header({"TELESCOP": "XMM", "INSTRUME": "EPN", "OBS_ID": "0693760101", "HDUCLAS1": "SPECTRUM"})
>>> fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(header=header)]).writeto(spectrum)
>>> step = steps.Step(
...     (steps.InputData(0, "event list", True, "/data", "PN.fits"), steps.Parameter(1, "radius, arcsec", True, 40)),
...     {"task": "spectrum", "version": "1.0"},
... )
>>> row = obscore.from_science(hdus.headers(spectrum), obs_publisher_did="ivo://example/spectrum?1")
>>> votags.write(spectrum, row, [step])
>>> tags = votags.read(spectrum)
>>> tags.row["dataproduct_type"], tags.row["instrument_name"], tags.steps[0].args[1].value
('spectrum', 'EPN', 40)
>>> votags.check(spectrum)
()
"""
