"""The 60 columns of ObsCore 1.1 as data, each with the FITS keyword VO-TAGS gives it.

Source: IVOA Recommendation ObsCore 1.1 (2017-05-09), and the keywords of the SVOM VO-TAGS listing where it has one; the
others follow its grammar of suffixes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the ObsCore table: its names, type and meaning.

    `keyword` is the FITS synonym (8 characters at most), `mandatory` whether a table must have the column (its values
    may be absent, except for those of `NOT_NULL`), `type` the Python type (`str`, `int`, `float`), `adql` that of the
    database.
    """

    keyword: str
    name: str
    mandatory: bool
    type: str
    adql: str
    unit: str | None
    ucd: str
    utype: str
    description: str


MUST: Final = True
MAY: Final = False

# keyword, name, mandatory, type, ADQL type, unit, UCD; utype without its prefix, description
_ROWS: Final[tuple[tuple[str, str, bool, str, str, str | None, str, str, str], ...]] = (
    ("DP_TYPE", "dataproduct_type", MUST, "str", "VARCHAR", None, "meta.code.class",
     "ObsDataset.dataProductType",
     "What the file holds: image, cube, spectrum, sed, timeseries, visibility, event or measurements"),
    ("DP_STYPE", "dataproduct_subtype", MAY, "str", "VARCHAR", None, "meta.code.class",
     "ObsDataset.dataProductSubtype", "A finer type, in the words of the data's own field"),
    ("CAL_LV", "calib_level", MUST, "int", "INTEGER", None, "meta.code;obs.calib",
     "ObsDataset.calibLevel",
     "0 raw, 1 instrumental in a standard format, 2 calibrated, 3 enhanced, 4 result of an analysis"),
    ("TARG_NM", "target_name", MUST, "str", "VARCHAR", None, "meta.id;src",
     "Target.name", "The astronomical object that was looked at"),
    ("TARG_CLA", "target_class", MAY, "str", "VARCHAR", None, "src.class",
     "Target.class", "Class of that object (star, galaxy, AGN ...)"),
    ("OBS_ID", "obs_id", MUST, "str", "VARCHAR", None, "meta.id",
     "DataID.observationID", "Identifier shared by all products of one observation"),
    ("OBS_TITL", "obs_title", MAY, "str", "VARCHAR", None, "meta.title;obs",
     "DataID.title", "One line that tells a reader what this is"),
    ("COLL_NM", "obs_collection", MUST, "str", "VARCHAR", None, "meta.id",
     "DataID.collection", "The data collection this product belongs to"),
    ("CREA_DAT", "obs_creation_date", MAY, "str", "TIMESTAMP", None, "time;meta.dataset",
     "DataID.date", "When this file was made, UTC, YYYY-MM-DDThh:mm:ss"),
    ("CREA_NM", "obs_creator_name", MAY, "str", "VARCHAR", None, "meta.id",
     "DataID.creator", "Who or what made it"),
    ("CREA_DID", "obs_creator_did", MAY, "str", "VARCHAR", None, "meta.id",
     "DataID.creatorDID", "Identifier its creator gave it"),
    ("RLEA_DAT", "obs_release_date", MAY, "str", "TIMESTAMP", None, "time.release",
     "Curation.releaseDate", "When it becomes public, UTC, YYYY-MM-DDThh:mm:ss"),
    ("PUB_DID", "obs_publisher_did", MUST, "str", "VARCHAR", None, "meta.ref.ivoid",
     "Curation.publisherDID", "Identifier its publisher gave it, different for every product"),
    ("PUB_ID", "publisher_id", MAY, "str", "VARCHAR", None, "meta.ref.ivoid",
     "Curation.publisherID", "IVOA identifier of the publisher"),
    ("BIB_REF", "bib_reference", MAY, "str", "VARCHAR", None, "meta.bib",
     "Curation.reference", "Article or bibcode to cite"),
    ("RIGHTS", "data_rights", MAY, "str", "VARCHAR", None, "meta.code",
     "Curation.rights", "Who may have it: public, secure or proprietary"),
    ("URL", "access_url", MUST, "str", "CLOB", None, "meta.ref.url",
     "Access.reference", "Where it can be fetched"),
    ("FORMAT", "access_format", MUST, "str", "VARCHAR", None, "meta.code.mime",
     "Access.format", "Its media type"),
    ("EST_SIZE", "access_estsize", MUST, "int", "BIGINT", "kbyte", "phys.size;meta.file",
     "Access.size", "Its size, about"),
    ("S_RA", "s_ra", MUST, "float", "DOUBLE", "deg", "pos.eq.ra",
     "Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C1", "Right ascension of the centre, ICRS"),
    ("S_DEC", "s_dec", MUST, "float", "DOUBLE", "deg", "pos.eq.dec",
     "Char.SpatialAxis.Coverage.Location.Coord.Position2D.Value2.C2", "Declination of the centre, ICRS"),
    ("S_FOV", "s_fov", MUST, "float", "DOUBLE", "deg", "phys.angSize;instr.fov",
     "Char.SpatialAxis.Coverage.Bounds.Extent.diameter", "Diameter of a circle that contains the covered sky"),
    ("S_REGION", "s_region", MUST, "str", "REGION", None, "pos.outline;obs.field",
     "Char.SpatialAxis.Coverage.Support.Area", "The covered sky, ICRS, as STC-S or DALI text"),
    ("S_RES", "s_resolution", MUST, "float", "DOUBLE", "arcsec", "pos.angResolution",
     "Char.SpatialAxis.Resolution.Refval.value", "Full width at half maximum of the point spread function"),
    ("S_XEL1", "s_xel1", MUST, "int", "BIGINT", None, "meta.number",
     "Char.SpatialAxis.numBins1", "Pixels along the first axis of the sky"),
    ("S_XEL2", "s_xel2", MUST, "int", "BIGINT", None, "meta.number",
     "Char.SpatialAxis.numBins2", "Pixels along the second axis of the sky"),
    ("S_UCD", "s_ucd", MAY, "str", "VARCHAR", None, "meta.ucd",
     "Char.SpatialAxis.ucd", "UCD of the spatial axis"),
    ("S_UNIT", "s_unit", MAY, "str", "VARCHAR", None, "meta.unit",
     "Char.SpatialAxis.unit", "Unit of the spatial axis"),
    ("S_RESMIN", "s_resolution_min", MAY, "float", "DOUBLE", "arcsec", "pos.angResolution;stat.min",
     "Char.SpatialAxis.Resolution.Bounds.Limits.LoLimit", "The best spatial resolution in the product"),
    ("S_RESMAX", "s_resolution_max", MAY, "float", "DOUBLE", "arcsec", "pos.angResolution;stat.max",
     "Char.SpatialAxis.Resolution.Bounds.Limits.HiLimit", "The worst spatial resolution in the product"),
    ("S_CALST", "s_calib_status", MAY, "str", "VARCHAR", None, "meta.code.qual",
     "Char.SpatialAxis.calibrationStatus", "State of the astrometry: uncalibrated, raw or calibrated"),
    ("S_STERR", "s_stat_error", MAY, "float", "DOUBLE", "arcsec", "stat.error;pos.eq",
     "Char.SpatialAxis.Accuracy.StatError.Refval.value", "Statistical error of a position"),
    ("S_PIXSC", "s_pixel_scale", MAY, "float", "DOUBLE", "arcsec", "phys.angSize;instr.pixel",
     "Char.SpatialAxis.Sampling.RefVal.SamplingPeriod", "Size of a pixel on the sky"),
    ("T_XEL", "t_xel", MUST, "int", "BIGINT", None, "meta.number",
     "Char.TimeAxis.numBins", "Bins along the time axis"),
    ("T_MIN", "t_min", MUST, "float", "DOUBLE", "d", "time.start;obs.exposure",
     "Char.TimeAxis.Coverage.Bounds.Limits.StartTime", "Start, MJD"),
    ("T_MAX", "t_max", MUST, "float", "DOUBLE", "d", "time.end;obs.exposure",
     "Char.TimeAxis.Coverage.Bounds.Limits.StopTime", "End, MJD"),
    ("T_EXPT", "t_exptime", MUST, "float", "DOUBLE", "s", "time.duration;obs.exposure",
     "Char.TimeAxis.Coverage.Support.Extent", "Exposure time in all"),
    ("T_RES", "t_resolution", MUST, "float", "DOUBLE", "s", "time.resolution",
     "Char.TimeAxis.Resolution.Refval.value", "The shortest time that can be told apart"),
    ("T_CALST", "t_calib_status", MAY, "str", "VARCHAR", None, "meta.code.qual",
     "Char.TimeAxis.calibrationStatus", "State of the times: uncalibrated, calibrated, raw or relative"),
    ("T_STERR", "t_stat_error", MAY, "float", "DOUBLE", "s", "stat.error;time",
     "Char.TimeAxis.Accuracy.StatError.Refval.value", "Statistical error of a time"),
    ("EM_XEL", "em_xel", MUST, "int", "BIGINT", None, "meta.number",
     "Char.SpectralAxis.numBins", "Bins along the spectral axis"),
    ("EM_UCD", "em_ucd", MAY, "str", "VARCHAR", None, "meta.ucd",
     "Char.SpectralAxis.ucd", "UCD of the spectral axis"),
    ("EM_UNIT", "em_unit", MAY, "str", "VARCHAR", None, "meta.unit",
     "Char.SpectralAxis.unit", "Unit of the spectral axis"),
    ("EM_CALST", "em_calib_status", MAY, "str", "VARCHAR", None, "meta.code.qual",
     "Char.SpectralAxis.calibrationStatus",
     "State of the spectral axis: uncalibrated, calibrated, relative or absolute"),
    ("EM_MIN", "em_min", MUST, "float", "DOUBLE", "m", "em.wl;stat.min",
     "Char.SpectralAxis.Coverage.Bounds.Limits.LoLimit", "Shortest wavelength (highest energy)"),
    ("EM_MAX", "em_max", MUST, "float", "DOUBLE", "m", "em.wl;stat.max",
     "Char.SpectralAxis.Coverage.Bounds.Limits.HiLimit", "Longest wavelength (lowest energy)"),
    ("EM_RPOW", "em_res_power", MUST, "float", "DOUBLE", None, "spect.resolution",
     "Char.SpectralAxis.Resolution.ResolPower.refVal", "Typical resolving power, wavelength over its resolution"),
    ("EM_RPMIN", "em_res_power_min", MAY, "float", "DOUBLE", None, "spect.resolution;stat.min",
     "Char.SpectralAxis.Resolution.ResolPower.LoLimit", "Lowest resolving power"),
    ("EM_RPMAX", "em_res_power_max", MAY, "float", "DOUBLE", None, "spect.resolution;stat.max",
     "Char.SpectralAxis.Resolution.ResolPower.HiLimit", "Highest resolving power"),
    ("EM_RES", "em_resolution", MAY, "float", "DOUBLE", "m", "spect.resolution;stat.mean",
     "Char.SpectralAxis.Resolution.Refval.value", "Typical resolution along the spectral axis"),
    ("EM_STERR", "em_stat_error", MAY, "float", "DOUBLE", "m", "stat.error;em",
     "Char.SpectralAxis.Accuracy.StatError.Refval.value", "Statistical error along the spectral axis"),
    ("O_UCD", "o_ucd", MUST, "str", "VARCHAR", None, "meta.ucd",
     "Char.ObservableAxis.ucd", "UCD of what was measured"),
    ("O_UNIT", "o_unit", MAY, "str", "VARCHAR", None, "meta.unit",
     "Char.ObservableAxis.unit", "Unit of what was measured"),
    ("O_CALST", "o_calib_status", MAY, "str", "VARCHAR", None, "meta.code.qual",
     "Char.ObservableAxis.calibrationStatus", "State of what was measured: absolute, relative, normalized or any"),
    ("O_STERR", "o_stat_error", MAY, "float", "DOUBLE", "o_unit", "stat.error",
     "Char.ObservableAxis.Accuracy.StatError.Refval.value", "Statistical error of what was measured"),
    ("POL_XEL", "pol_xel", MUST, "int", "BIGINT", None, "meta.number",
     "Char.PolarizationAxis.numBins", "Number of polarization states, 0 for none"),
    ("POL_ST", "pol_states", MUST, "str", "VARCHAR", None, "meta.code;phys.polarization",
     "Char.PolarizationAxis.stateList", "The polarization states, between slashes"),
    ("FACIL_NM", "facility_name", MUST, "str", "VARCHAR", None, "meta.id;instr.tel",
     "Provenance.ObsConfig.Facility.name", "Observatory, telescope or spacecraft"),
    ("INSTR_NM", "instrument_name", MUST, "str", "VARCHAR", None, "meta.id;instr",
     "Provenance.ObsConfig.Instrument.name", "Instrument or camera"),
    ("PROP_ID", "proposal_id", MAY, "str", "VARCHAR", None, "meta.id;obs.proposal",
     "Provenance.Proposal.identifier", "Proposal the observation belongs to"),
)

COLUMNS: Final[tuple[Column, ...]] = tuple(Column(*row[:7], f"obscore:{row[7]}", row[8]) for row in _ROWS)
"""All columns, in the order of the standard."""

NOT_NULL: Final = ("calib_level", "obs_collection", "obs_id", "obs_publisher_did")
"""The columns whose value must never be absent."""

ENUMERATIONS: Final[dict[str, tuple[str, ...]]] = {
    "dataproduct_type": ("image", "cube", "spectrum", "sed", "timeseries", "visibility", "event", "measurements"),
    "s_calib_status": ("uncalibrated", "raw", "calibrated"),
    "t_calib_status": ("uncalibrated", "calibrated", "raw", "relative"),
    "em_calib_status": ("uncalibrated", "calibrated", "relative", "absolute"),
    "o_calib_status": ("absolute", "relative", "normalized", "any"),
    "data_rights": ("public", "secure", "proprietary"),
}
"""The columns whose values come from a closed list, with that list."""
