# Sources in images of several bands, as the thread of the SAS for source detection has it.
set -euo pipefail
uws-sas check evselect edetect_chain

list=$(realpath "$eventlist") attitude=$(realpath "$attitude")
cd results
images=() lowest=() highest=()
while read -r low high; do
    band=$(uws-sas expression "$list" --energy "$low $high" --pattern "$pattern" --flag "$flag")
    images+=("image_$((${#images[@]} + 1)).fits")
    lowest+=("$(awk "BEGIN {printf \"%.0f\", 1000 * $low}")") highest+=("$(awk "BEGIN {printf \"%.0f\", 1000 * $high}")")
    uws-sas run --stage "Making the image of $low to $high keV" evselect table="$list" expression="$band" \
        withimageset=yes imageset="${images[-1]}" xcolumn=X ycolumn=Y imagebinning=binSize ximagebinsize=80 \
        yimagebinsize=80
done <<< "$bands"
factors=()
if [ -n "${ecf:-}" ]; then factors=(ecf="$(echo $ecf)"); fi
uws-sas run --stage "Finding sources" edetect_chain imagesets="${images[*]}" eventsets="$list" attitudeset="$attitude" \
    pimin="${lowest[*]}" pimax="${highest[*]}" likemin="$likelihood" "${factors[@]}" eboxl_list=boxes_local.fits \
    eboxm_list=boxes_map.fits eml_list=sources.fits
