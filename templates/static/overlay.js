// Several products in one plot: what is zoomed is kept in the address of the page; another choice of products asks for it anew.

import { readFigures } from "./figures.js";

const form = document.getElementById("choice");

readFigures(document);
document.addEventListener("shown", keep);
form.addEventListener("change", (event) => {
  if (event.target.name === "of" || event.target.name === "zero") location.assign(address());
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  location.assign(address());
});

/** The address of the page with what the form says, without what is empty. */
function address() {
  const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  return `${form.getAttribute("action")}?${asked}`;
}

function keep() {
  history.replaceState(null, "", address());
}
