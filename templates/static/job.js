// The page of a job: follows it to its end, then shows its results in place. Figures and SAMP are modules of their own.

import { offerCopies } from "./copying.js";
import { readFigures } from "./figures.js";
import { Clock, poll, refreshParts } from "./live.js";
import { offerSamp } from "./samp-send.js";

const MOST_LINES = 5000;
const LONGEST_WAIT_S = 5; // what the job uses is looked at as often
const PARTS_S = 2, UNCHANGED_S = 5;

const article = document.getElementById("job");
// another page that shows a job has some parts of the page of the job, which come from there
const PARTS = (article.dataset.parts ?? "head error progress limits parts-place outcome").split(" ");
const page = article.dataset.page ?? location.href;
const log = document.getElementById("log");
const away = document.getElementById("away");
const announce = document.getElementById("announce");
const clock = new Clock();
let offset = Number(log.dataset.offset);
let listed = performance.now(), outdated = false;
let phase = document.querySelector("#phase .phase").textContent.trim();

log.scrollTop = log.scrollHeight;
offerCopies();
dress();
if (article.dataset.ended === "no") follow();
else if (article.dataset.page) refreshParts(["outcome"], page).then(dress);

function dress() {
  const elapsed = document.getElementById("elapsed");
  if (phase === "Executing" && elapsed.dataset.seconds) clock.run(elapsed, Number(elapsed.dataset.seconds));
  readFigures(document);
  offerSamp(document);
}

function follow() {
  poll(() => asking(article.dataset.state, { log: offset }), update, (seconds) => {
    away.hidden = seconds === 0;
    if (seconds > 0) away.textContent = `The server does not answer; trying again in ${seconds} s. The job goes on.`;
    if (seconds < 0) away.textContent = "This job is no longer there: it was deleted.";
  }, change);
}

/** Settled when the log has grown, or the phase changed before there is one; after some seconds in any case. */
async function change() {
  const place = phase === "Executing"
    ? asking(`${article.dataset.uws}/log`, { OFFSET: offset, WAIT: LONGEST_WAIT_S })
    : asking(article.dataset.uws, { PHASE: phase.toUpperCase(), WAIT: LONGEST_WAIT_S });
  await (await fetch(place, { cache: "no-store" })).text(); // the connection is free when all of it is read
}

/** An address of this server with further parameters, and with the share link that this page was opened by. */
function asking(address, parameters) {
  const asked = new URL(address, location.href);
  const share = new URLSearchParams(location.search).get("share");
  for (const [name, value] of Object.entries(share ? { share, ...parameters } : parameters)) asked.searchParams.set(name, value);
  return asked;
}

async function update(state) {
  const grown = state.log.offset !== offset;
  append(state.log.lines);
  offset = state.log.offset;
  const name = state.phase.charAt(0) + state.phase.slice(1).toLowerCase();
  if (name !== phase) {
    const typing = document.querySelector("#limits[open]");
    await refreshParts(typing ? PARTS.filter((id) => id !== "limits") : PARTS, page);
    phase = name;
    announce.textContent = `The job is ${name.toLowerCase()}.${state.error ? ` ${state.error}` : ""}`;
    dress();
    return "changed";
  }
  if (state.ended) {
    if (grown) return "changed"; // the end of a long log comes in pieces
    article.dataset.ended = "yes";
    log.dataset.empty = "The script printed nothing.";
    return "stop";
  }
  const changed = showStage(state);
  outdated ||= changed;
  if (name === "Executing" && state.array) {
    document.getElementById("bar").dataset.whole = ""; // its parts may not have been there when the page was made
    await showParts();
  }
  return grown || changed ? "changed" : "same";
}

function showStage(state) {
  const turn = document.getElementById("turn");
  if (turn) turn.textContent = state.queue ? `: ${state.queue}` : "";
  if (state.phase !== "EXECUTING" && !(state.phase === "QUEUED" && state.stage)) return false;
  const stage = document.getElementById("stage"), count = document.getElementById("count");
  const text = state.stage || "Running", counted = state.total ? `${state.number}/${state.total}` : "";
  clock.run(document.getElementById("elapsed"), state.elapsed);
  for (const name of ["cpu", "memory", "expected"]) {
    const fact = document.getElementById(name);
    if (fact && state[name] && fact.textContent !== state[name]) fact.textContent = state[name];
  }
  if (stage.textContent.trim() === text && count.textContent.trim() === counted) return false;
  stage.textContent = text;
  count.textContent = counted;
  announce.textContent = counted ? `${text}, ${counted}` : text;
  const bar = document.getElementById("bar");
  bar.max = state.total || 1;
  bar.value = state.total ? Math.max(0, state.number - (bar.dataset.whole === undefined ? 0.5 : 0)) : 0;
  return true;
}

/** The table of the parts of a job as it is now, not more often than somebody could read it: parts end, and begin. */
async function showParts() {
  if (performance.now() - listed < 1000 * (outdated ? PARTS_S : UNCHANGED_S)) return;
  listed = performance.now();
  outdated = false;
  await refreshParts(["parts-place"], page);
}

function append(lines) {
  if (!lines.length) return;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  for (const [kind, text] of lines) {
    const line = document.createElement("span");
    if (kind) line.className = kind;
    line.textContent = `${text}\n`;
    log.append(line);
  }
  while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}
