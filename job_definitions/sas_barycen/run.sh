# Event list with barycentric times, by barycen: it changes a file in place, so that it gets a copy.
set -euo pipefail
uws-sas check barycen

uws-stage "Copying the event list"
case "$eventlist" in
    *.gz | *.GZ | *.FTZ | *.ftz) gzip -dc < "$eventlist" > results/events.fits ;;
    *) cp "$eventlist" results/events.fits ;;
esac
read -r ra dec <<< "$position"  # in degrees, however it was written
cd results

uws-sas run --stage "Correcting the times" barycen table=events.fits:EVENTS timecolumn=TIME withsrccoordinates=yes \
    srcra="$ra" srcdec="$dec" processgtis=yes ephemeris="$ephemeris"
