// What the live pages share: asking the server again and again, times that tick, pieces of a page put in place.

/** Ask for JSON each second, slower while nothing changes or the server is away, not at all while nobody looks.
 *  `ask` returns the address; `update` gets each answer and returns "changed", "same" or "stop"; `away` is called on
 *  failures: (seconds until the next try), or (0) when the server is back. Where there is `happens`, the server is asked
 *  when the promise that it returns is settled, such as that of a request which the server holds back. */
export function poll(ask, update, away, happens = null) {
  let pause = 1, failures = 0, timer = 0, stopped = false, asking = false, turn = 0;

  async function once() {
    clearTimeout(timer);
    if (stopped || asking || document.hidden) return;
    asking = true;
    turn += 1;
    try {
      const response = await fetch(ask(), { headers: { Accept: "application/json" }, cache: "no-store" });
      if (response.status === 404) { stopped = true; away(-1); return; }
      if (!response.ok) throw new Error(`HTTP ${response.status}`);
      const state = await response.json();
      if (failures) { failures = 0; away(0); }
      const outcome = await update(state);
      if (outcome === "stop") { stopped = true; return; }
      pause = happens ? (outcome === "changed" ? 0.2 : 1) : outcome === "changed" ? 1 : Math.min(pause * 1.25, 5);
    } catch {
      failures += 1;
      pause = Math.min(2 ** failures, 30);
      if (failures > 1) away(pause);
    } finally {
      asking = false;
    }
    timer = setTimeout(next, 1000 * pause);
  }

  async function next() {
    const mine = turn;
    if (happens && failures === 0 && !document.hidden) {
      try { await happens(); } catch { /* the next answer, or none, says what it is */ }
    }
    if (mine === turn) once(); // else somebody came back to this page meanwhile, and it was asked
  }

  document.addEventListener("visibilitychange", () => { if (!document.hidden) { pause = 1; once(); } });
  timer = setTimeout(once, 1000);
}

export function span(seconds) {
  const whole = Math.floor(seconds), two = (n) => String(n).padStart(2, "0");
  return `${two(Math.floor(whole / 3600))}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
}

/** Lets the times below a node run on from what the server reported, until `hold` gives them another value. */
export class Clock {
  #since = new Map();

  constructor() { setInterval(() => this.#tick(), 250); }

  run(node, seconds) { this.#since.set(node, performance.now() - 1000 * seconds); this.#tick(); }

  hold(node, seconds) { this.#since.delete(node); if (seconds !== null) node.textContent = span(seconds); }

  #tick() {
    for (const [node, since] of this.#since) {
      if (!node.isConnected) { this.#since.delete(node); continue; }
      const text = span((performance.now() - since) / 1000);
      if (node.textContent !== text) node.textContent = text;
    }
  }
}

/** Fetch this page again and put its parts of these ids in the place of ours; the focus stays where it was. */
export async function refreshParts(ids, address = location.href) {
  const response = await fetch(address, { headers: { Accept: "text/html" }, cache: "no-store" });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const focused = document.activeElement?.id;
  for (const id of ids) {
    const fresh = page.getElementById(id), old = document.getElementById(id);
    if (fresh && old) old.replaceWith(document.adoptNode(fresh));
  }
  document.title = page.title;
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
}
