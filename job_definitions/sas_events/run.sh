# Event lists of an observation from its data files, as the threads of the SAS make them.
set -euo pipefail
uws-sas check cifbuild odfingest epproc emproc

uws-stage "Unpacking the observation data files"
mkdir odf work
tar -xf "$odf" -C odf || { echo "[ERROR] odf: it is no tar archive of observation data files" >&2; exit 1; }
for inner in odf/*.TAR; do  # the archive packs them twice
    if [ -e "$inner" ]; then tar -xf "$inner" -C odf && rm "$inner"; fi
done
rm -f odf/*.SAS  # of another installation
export SAS_ODF=$PWD/odf SAS_CCF=$PWD/results/ccf.cif
cd work

uws-sas run --stage "Finding the calibration files" cifbuild calindexset="$SAS_CCF" withccfpath=no \
    analysisdate=now category=XMMCCF fullpath=yes
uws-sas run --stage "Reading the housekeeping" --made '*SUM.SAS' odfingest odfdir="$SAS_ODF" withodfdir=yes \
    outdir="$PWD" writepath=yes
SAS_ODF=$(realpath ./*SUM.SAS)
if [ "$cameras" != mos ]; then
    uws-sas run --stage "Calibrating the events of pn" --made '*_EPN_*Evts.ds' epproc
fi
if [ "$cameras" != pn ]; then
    uws-sas run --stage "Calibrating the events of MOS" --made '*_EMOS?_*Evts.ds' emproc
fi
for list in *Evts.ds; do mv "$list" "../results/${list%.ds}.fits"; done
cd ..
rm -r odf work
