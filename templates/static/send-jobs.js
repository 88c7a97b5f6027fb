// Sends a table of the results of jobs in the list to TOPCAT and others by SAMP: of those that are ticked, else of all on
// the page. The server names the results; the table's own address needs no account.

import { sendToAll } from "./samp-hub.js";

const NOBODY = "No connected application takes a table: start TOPCAT.";

/** For a button with the address that names the results, and those of sampjs and our icon; `boxes` gives the check boxes. */
export function offerJobs(button, boxes, say) {
  button.hidden = !button.dataset.library;
  button.addEventListener("click", async () => {
    const ticked = boxes().filter((box) => box.checked), address = new URL(button.dataset.results, location.href);
    for (const { value } of ticked.length ? ticked : boxes()) address.searchParams.append("job", value);
    try {
      const response = await fetch(address, { cache: "no-store" }), found = await response.json();
      if (!found.url) say("These jobs have no results yet.");
      else await sendToAll({ url: found.url, name: found.name, mtypes: ["table.load.votable"] }, button, say, NOBODY);
    } catch (error) {
      say(`The results could not be listed (${error.message}).`);
    }
  });
}
