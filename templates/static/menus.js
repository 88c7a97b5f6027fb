// Menus and confirmations of every page: they close with Escape, with a press elsewhere, and when the focus leaves a menu.

const open = () => document.querySelectorAll("details.confirm[open]");

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const details of open()) { details.open = false; details.querySelector("summary").focus(); }
});
document.addEventListener("click", (event) => {
  for (const details of open()) if (!details.contains(event.target)) details.open = false;
});
document.addEventListener("focusin", (event) => {
  for (const details of open()) if (details.matches(".menu") && !details.contains(event.target)) details.open = false;
});
