# Spectrum of a region with its responses, as the threads of the SAS make it.
set -euo pipefail
uws-sas check evselect backscale rmfgen arfgen specgroup

list=$(realpath "$eventlist")
channels=$(uws-sas channels "$list")
select=(uws-sas expression "$list" --pattern "$pattern" --flag "$flag")
source=$("${select[@]}" --region "$source_region" --parameter source_region)
detmap=psf
if [ "$extended" = true ]; then detmap=flat; fi
cd results  # so that the files name each other without a folder

uws-sas run --stage "Extracting the source spectrum" evselect table="$list" energycolumn=PI expression="$source" \
    withspectrumset=yes spectrumset=source_spectrum.fits $channels
uws-sas run --stage "Measuring the source region" backscale spectrumset=source_spectrum.fits badpixlocation="$list"
background=()
if [ -n "${background_region:-}" ]; then
    outside=$("${select[@]}" --region "$background_region" --parameter background_region)
    uws-sas run --stage "Extracting the background spectrum" evselect table="$list" energycolumn=PI \
        expression="$outside" withspectrumset=yes spectrumset=background_spectrum.fits $channels
    uws-sas run --stage "Measuring the background region" backscale spectrumset=background_spectrum.fits \
        badpixlocation="$list"
    background=(backgndset=background_spectrum.fits)
fi
uws-sas run rmfgen spectrumset=source_spectrum.fits rmfset=response.rmf
uws-sas run arfgen spectrumset=source_spectrum.fits arfset=effective_area.arf withrmfset=yes rmfset=response.rmf \
    badpixlocation="$list" detmaptype="$detmap" extendedsource="$extended"
uws-sas run specgroup spectrumset=source_spectrum.fits groupedset=grouped_spectrum.fits mincounts="$min_counts" \
    oversample="$oversample" rmfset=response.rmf arfset=effective_area.arf "${background[@]}"
