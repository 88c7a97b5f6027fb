"""What a FITS product is and how it was made, kept in the product itself.

A library of its own (standard library, numpy, astropy, isal): `steps` is the list of tasks that made a file, `obscore`
its ObsCore 1.1 row and the columns of the draft high-energy extension, `votags` the FITS extension VO-TAGS that carries
both, `tagging` writes it on the product of a job. `obscore.table` writes many rows as VOTable or ECSV, `graph` holds
the activities and files behind a product and exports them as PROV; `fits` and `text` read and write files. Whatever a
file holds, only a `ProvenanceError` of `text.errors` is raised (or OSError, where it cannot be opened).

``obscore.from_file(path, **known)``      a row from a file's own headers, good time intervals and region
``obscore.problems(row)``                 what is wrong with a row, in words
``votags.read(path)``                     the `Tags` (row, steps) of a file, None where it has none
``votags.read_row(path)``                 the row only
``votags.write(path, row, steps)``        append them, or replace those that it has
``votags.check(path)``, ``strip(path)``   what is wrong with them; remove them
``tagging.tag(path, job, known, steps)``  write those of a job's product, with the row that job and headers give
``steps.parse(json)``, ``dump(steps)``    a step list from its JSON, and to it
``steps.read(path)``                      the step list of a JSON file
``obscore.table.votable``, ``ecsv``       a table of rows, piece by piece
``graph.export.prov_json(steps)``         a step list as a PROV document

>>> import tempfile
>>> from pathlib import Path
>>> from astropy.io import fits
>>> from provenance import obscore, steps, votags
>>> from provenance.obscore import table
>>> spectrum = Path(tempfile.mkdtemp()) / "spectrum.fits"
>>> header = fits.Header({"TELESCOP": "XMM", "INSTRUME": "EPN", "OBS_ID": "0693760101", "HDUCLAS1": "SPECTRUM"})
>>> fits.HDUList([fits.PrimaryHDU(), fits.BinTableHDU(header=header)]).writeto(spectrum)
>>> step = steps.Step(
...     (steps.InputData(0, "event list", True, "/data", "PN.fits"), steps.Parameter(1, "radius, arcsec", True, 40)),
...     {"task": "spectrum", "version": "1.0"},
... )
>>> row = obscore.from_file(spectrum, obs_publisher_did="ivo://example/spectrum?1")
>>> votags.write(spectrum, row, [step])
>>> tags = votags.read(spectrum)
>>> tags.row["dataproduct_type"], tags.row["instrument_name"], tags.steps[0].args[1].value
('spectrum', 'EPN', 40)
>>> votags.check(spectrum)
()
>>> b"".join(table.ecsv([tags.row])).decode().splitlines()[-1][:40]
'spectrum,spectrum,2,,,0693760101,,XMM-Ne'
"""

from __future__ import annotations

from provenance.former_names import know_former_names

know_former_names()
