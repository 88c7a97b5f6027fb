// What is wrong with the layout: lines of text too long to be read, and controls or texts that lie beside the window.
() => {
  const MOST = 130, wrong = [], width = document.documentElement.clientWidth;
  const seen = (node) => node.checkVisibility({ visibilityProperty: true });
  const scrolled = (node) => {  // the keyboard reaches what lies in it: audit.js looks at that
    for (let box = node.parentElement; box; box = box.parentElement)
      if (/auto|scroll/.test(getComputedStyle(box).overflowX) && box.scrollWidth > box.clientWidth) return true;
    return false;
  };
  if (document.documentElement.scrollWidth > width) wrong.push(`${document.documentElement.scrollWidth} px wide in ${width}`);
  for (const node of document.querySelectorAll("p, li, dd, figcaption")) {
    if (!seen(node) || node.closest("pre, code, table, .hidden")) continue;
    const range = document.createRange(), lines = new Map();
    for (const text of [...node.childNodes].filter((child) => child.nodeType === 3 && child.data.trim())) {
      range.selectNodeContents(text);
      const boxes = range.getClientRects(), letters = text.data.trim().replace(/\s+/g, " ").length;
      const all = [...boxes].reduce((sum, box) => sum + box.width, 0);
      for (const box of boxes) {
        const top = Math.round(box.top);
        lines.set(top, (lines.get(top) ?? 0) + letters * box.width / all);
      }
    }
    const most = Math.max(0, ...lines.values());
    if (most > MOST) wrong.push(`a line of ${Math.round(most)} letters: ${node.outerHTML.slice(0, 100)}`);
  }
  for (const node of document.querySelectorAll("main a[href], main button, main input:not([type=hidden]), main h1, main h2")) {
    const box = node.getBoundingClientRect();
    if (seen(node) && box.width && !node.closest(".hidden, svg") && !scrolled(node) && (box.left < -1 || box.left > width))
      wrong.push(`beside the window (${Math.round(box.left)}): ${node.outerHTML.slice(0, 100)}`);
  }
  return wrong;
}
