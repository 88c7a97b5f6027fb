// What is wrong with a page: controls and links without a name, gaps between headings, ids, pale text, its width.
() => {
  const wrong = [], seen = (node) => node.checkVisibility({ visibilityProperty: true });
  const tell = (what, node) => wrong.push(`${what}: ${node.outerHTML.slice(0, 100)}`);
  const wide = document.documentElement;
  if (wide.scrollWidth > wide.clientWidth) wrong.push(`${wide.scrollWidth} px wide in ${wide.clientWidth}`);
  for (const node of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
    if (seen(node) && !node.labels?.length && !node.ariaLabel && !node.hasAttribute("aria-labelledby")) tell("no label", node);
  for (const node of document.querySelectorAll("a[href], button, summary"))
    if (seen(node) && !(node.ariaLabel || node.textContent.trim() || node.querySelector("img[alt]")?.alt)) tell("no name", node);
  let level = 0;
  for (const node of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
    if (!node.checkVisibility()) continue;
    if (Number(node.tagName[1]) > level + 1) tell("heading after a gap", node);
    level = Number(node.tagName[1]);
  }
  if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  ids.forEach((id, i) => { if (ids.indexOf(id) !== i) wrong.push(`the id ${id} twice`); });
  for (const name of ["for", "aria-describedby", "aria-labelledby", "list"])
    for (const node of document.querySelectorAll(`[${name}]`))
      for (const id of node.getAttribute(name).split(" ")) if (id && !ids.includes(id)) tell(`${name} of nothing`, node);
  const inside = ".CodeMirror *, textarea, select, .panel, :root, body";  // they have a keyboard of their own
  for (const node of document.querySelectorAll("body *")) {
    const style = getComputedStyle(node);
    if (!/auto|scroll/.test(style.overflowX + style.overflowY) || node.matches(inside) || !seen(node)) continue;
    if (node.tabIndex !== 0 || !node.hasAttribute("tabindex")) tell("scrolls, and the keyboard does not reach it", node);
    if (!node.hasAttribute("role") && !node.matches("aside, section")) tell("scrolls, and has no role", node);
    if (!node.ariaLabel && !node.hasAttribute("aria-labelledby")) tell("scrolls, and has no name", node);
  }
  const parts = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return text.startsWith("color") ? [255 * r, 255 * g, 255 * b, a] : [r, g, b, a];
  };
  const over = (above, below) => [0, 1, 2].map((i) => above[i] * above[3] + below[i] * (1 - above[3]));
  const ground = (node) => {
    const layers = [];
    for (let box = node; box; box = box.parentElement) layers.unshift(parts(getComputedStyle(box).backgroundColor));
    return layers.reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !seen(node) || node.closest("svg, option, noscript, [aria-disabled=true], :disabled")) continue;
    const below = ground(node), pair = [light(below), light(over(parts(getComputedStyle(node).color), below))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) tell(`contrast ${ratio.toFixed(2)}`, node);
  }
  return [...new Set(wrong)];
}
