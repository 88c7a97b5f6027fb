// Sends the MOC of a region, or of exposures, to Aladin and TOPCAT by SAMP. For a page with a button that has `data-url`
// (of MOC FITS, readable without a cookie) or `data-from` (what the link with that address matches), `data-name`, and the
// addresses of sampjs and of our icon, and a line that says what became of it:
//
//   <button type="button" id="send-moc" data-url="..." data-name="region.moc.fits" data-library="..." data-icon="..." hidden>
//   offerMoc(document.getElementById("send-moc"), document.getElementById("moc-status"));
//
// The address is read at each press: it may change while the page is shown.

import { sendToAll } from "./samp-hub.js";

const NOBODY = "No connected application takes a coverage map (MOC): start Aladin or TOPCAT.";

export function offerMoc(button, status) {
  const say = (text) => { status.textContent = text; };
  button.hidden = !button.dataset.library;
  button.addEventListener("click", () => {
    const { from, name } = button.dataset, url = from ? document.querySelector(from)?.getAttribute("href") : button.dataset.url;
    if (!url) { say("There is no region yet whose coverage could be sent."); return; }
    sendToAll({ url, name, mtypes: ["coverage.load.moc.fits"] }, button, say, NOBODY);
  });
}
