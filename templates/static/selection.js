// The selection of exposures as words, in the address and, where it is too long for that, in this tab.

const MOST_IN_ADDRESS = 100;
const KEPT = "sky-exposures";

/** How many exposures are chosen, in words: 3 of 40 selected: 2 pn, 1 MOS1; 31.0 ks. */
export function counted(parts, all) {
  const number = parts.reduce((sum, part) => sum + part.number, 0);
  const whole = (count) => count.toLocaleString("en");
  if (!all) return "";
  if (!number) return `None of ${whole(all)} selected`;
  const byName = new Map();
  for (const part of parts) byName.set(part.short, (byName.get(part.short) ?? 0) + part.number);
  const words = [...byName].filter(([, count]) => count).map(([name, count]) => `${whole(count)} ${name}`).join(", ");
  const kiloseconds = parts.reduce((sum, part) => sum + part.seconds, 0) / 1000;
  return `${whole(number)} of ${whole(all)} selected: ${words}; ${kiloseconds.toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 })} ks`;
}

/** Put the selection into the address; return a sentence where it is kept elsewhere, "" where it is there. */
export function keep(exposures) {
  const address = new URL(location.href);
  address.searchParams.delete("exposure");
  address.searchParams.delete("kept");
  const long = exposures.length > MOST_IN_ADDRESS;
  if (long) address.searchParams.set("kept", String(exposures.length));
  else for (const source of exposures) address.searchParams.append("exposure", source);
  try {
    if (long) sessionStorage.setItem(KEPT, JSON.stringify(exposures)); else sessionStorage.removeItem(KEPT);
  } catch { /* a browser that keeps nothing: the sentence says what the address has */ }
  if (address.href !== location.href) history.replaceState(history.state, "", address);
  if (!long) return "";
  return `${exposures.length.toLocaleString("en")} exposures are too many for an address: this tab remembers them, and a session keeps them; a link to this page does not.`;
}

/** The selection that this tab remembers, where the address says that it does. */
export function kept() {
  if (!new URLSearchParams(location.search).has("kept")) return [];
  try { return JSON.parse(sessionStorage.getItem(KEPT) ?? "[]"); } catch { return []; }
}

/** Run a task again and again, each time ending the one before: `task` gets the signal that ends it. */
export function onceWaiting(task) {
  let running = null;
  return () => {
    running?.abort();
    running = new AbortController();
    return task(running.signal);
  };
}
