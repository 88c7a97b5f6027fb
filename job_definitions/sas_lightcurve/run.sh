# Light curve of a region, corrected by epiclccorr, as the threads of the SAS make it.
set -euo pipefail
uws-sas check evselect epiclccorr

list=$(realpath "$eventlist")
select=(uws-sas expression "$list" --energy "$energy" --pattern "$pattern" --flag "$flag")
source=$("${select[@]}" --region "$source_region" --parameter source_region)
rate=(energycolumn=PI withrateset=yes timebinsize="$bin" maketimecolumn=yes makeratecolumn=yes)
cd results  # so that the files name each other without a folder

uws-sas run --stage "Counting the source" evselect table="$list" expression="$source" \
    rateset=source_counts.fits "${rate[@]}"
background=(withbkgset=no)
if [ -n "${background_region:-}" ]; then
    outside=$("${select[@]}" --region "$background_region" --parameter background_region)
    uws-sas run --stage "Counting the background" evselect table="$list" expression="$outside" \
        rateset=background_counts.fits "${rate[@]}"
    background=(withbkgset=yes bkgtslist=background_counts.fits)
fi
uws-sas run --stage "Correcting the light curve" epiclccorr srctslist=source_counts.fits eventset="$list" \
    outset=lightcurve.fits applyabsolutecorrections="$absolute" "${background[@]}"
