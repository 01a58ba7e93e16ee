// The live tail of the log: asks each second what is new, and less often when nobody looks or the
// server is slow. What is in the document stays bounded, however long it is open.

import { close, isOpen, parse, rows } from "./log_rows.js";

const MOST = 500;
const BEAT = 1000;
const HIDDEN_BEAT = 10_000;
const SLOWEST = 30_000;
const PATIENCE = 20_000;
const SAY_EVERY = 15_000;

const tools = document.querySelector("[data-tail]");
const [live, pause, fresh] = ["live", "pause", "fresh"].map((name) => tools.querySelector(`[data-${name}]`));
const state = tools.querySelector("[data-state]");
const spoken = tools.querySelector("[data-spoken]");
const table = document.querySelector("[data-log-rows]");
const body = table.tBodies[0];

let running = null; // The AbortController of what runs, null while it does not.
let timer = null;
let cursor = "";
let failures = 0;
let paused = false;
let held = []; // Newest first; not in the document yet.
let waiting = 0; // How many of them came; more than are kept.
let emptied = false;
let arrived = 0;
let spokenAt = 0;

// Whoever reads does not want the rows to move.
const isReading = () => paused || isOpen() || body.getBoundingClientRect().top < 0;

function say(text, look = "") {
  if (state.textContent !== text) state.textContent = text;
  tools.dataset.look = look;
}

function speak() {
  if (!arrived || Date.now() - spokenAt < SAY_EVERY) return;
  spoken.textContent = `${arrived} new ${arrived === 1 ? "record" : "records"}${waiting ? ", held back" : ""}`;
  spokenAt = Date.now();
  arrived = 0;
}

function skippedRow(news) {
  const row = document.createElement("tr");
  row.className = "row-skipped";
  row.setAttribute("role", "row");
  const cell = row.insertCell();
  cell.colSpan = 5;
  cell.setAttribute("role", "cell");
  const link = document.createElement("a");
  link.href = tools.dataset.log;
  link.textContent = "Look at the log";
  cell.append(`Skipped ${news.skipped}${news.more ? " or more" : ""} records that came at once. `, link);
  return row;
}

// Older records begin behind the last row; where none was taken away, the page's link knows more.
function trim() {
  const cut = emptied || body.rows.length > MOST;
  while (body.rows.length > MOST) body.rows[body.rows.length - 1].remove();
  emptied = false;
  if (!cut) return;
  const older = document.querySelector("a[rel=next]");
  const last = rows().at(-1);
  if (!older || !last) return;
  const address = new URL(older.href);
  address.searchParams.set("before", last.id);
  older.href = address;
}

function showHeld() {
  if (held.length) {
    document.querySelector(".log-rows .empty")?.remove();
    table.hidden = false;
    body.prepend(...held);
    trim();
  }
  [held, waiting] = [[], 0];
  fresh.hidden = true;
}

function take(news) {
  cursor = news.cursor;
  const seen = new Set(held.map((row) => row.id));
  const found = parse(news.rows);
  const added = found.filter((row) => !document.getElementById(row.id) && !seen.has(row.id));
  if (news.begun && found.length && added.length === found.length) {
    // Nothing that is here is among the newest: between them would be a gap.
    close();
    body.replaceChildren();
    [held, waiting, emptied] = [[], 0, true];
  }
  if (news.skipped) added.push(skippedRow(news));
  held = [...added, ...held].slice(0, MOST);
  const count = added.length + news.skipped - (news.skipped ? 1 : 0);
  waiting += count;
  arrived += news.begun ? 0 : count;
  if (!isReading()) {
    showHeld();
  } else if (waiting) {
    fresh.textContent = `${waiting} new`;
    fresh.hidden = false;
  }
}

async function ask(signal) {
  const address = new URL(tools.dataset.tail, window.location.href);
  if (cursor) address.searchParams.set("cursor", cursor);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE)]);
  const answer = await fetch(address, { headers: { Accept: "application/json" }, signal: limit });
  if (answer.redirected || answer.status === 401 || answer.status === 403) {
    stop("You are no longer logged in. Load the page again.");
  } else if (answer.status !== 204) {
    if (!answer.ok) throw new Error(`${answer.status}`);
    const news = await answer.json();
    if (!signal.aborted) take(news);
  }
}

async function poll() {
  const { signal } = running;
  timer = null;
  const began = performance.now();
  try {
    await ask(signal);
    failures = 0;
  } catch {
    failures += 1;
  }
  if (signal.aborted) return;
  if (waiting && !isReading()) showHeld();
  speak();
  const took = performance.now() - began;
  const usual = document.hidden ? HIDDEN_BEAT : BEAT;
  const wait = Math.min(failures ? BEAT * 2 ** failures : Math.max(usual, 2 * took), SLOWEST);
  const seconds = Math.round(wait / 1000);
  if (failures) say(`The server does not answer. Next try in ${seconds} s`, "failing");
  else if (paused) say("Paused", "paused");
  else if (wait > usual * 3) say(`The server is slow: asking every ${seconds} s`, "failing");
  else say("Live", "live");
  timer = setTimeout(poll, wait);
}

function mark() {
  const address = new URL(window.location.href);
  if (running) address.searchParams.set("live", "1");
  else address.searchParams.delete("live");
  window.history.replaceState(window.history.state, "", address);
  live.setAttribute("aria-pressed", String(running !== null));
  pause.hidden = running === null;
  pause.setAttribute("aria-pressed", String(paused));
}

function start() {
  const { searchParams } = new URL(window.location.href);
  // What comes now is on the first page, and after any end in the past.
  if (searchParams.has("before") || searchParams.has("to")) {
    window.location.assign(tools.dataset.live);
    return;
  }
  running = new AbortController();
  [failures, paused] = [0, false];
  say("Live", "live");
  mark();
  poll();
}

function stop(why = "") {
  clearTimeout(timer);
  running?.abort();
  [running, timer, cursor, paused] = [null, null, "", false];
  showHeld();
  say(why);
  mark();
}

live.hidden = false;
live.addEventListener("click", () => (running ? stop() : start()));
pause.addEventListener("click", () => {
  paused = !paused;
  if (!isReading()) showHeld();
  say(paused ? "Paused" : "Live", paused ? "paused" : "live");
  mark();
});
fresh.addEventListener("click", () => {
  showHeld();
  tools.scrollIntoView({ block: "nearest" });
  rows()[0]?.querySelector("a.headline").focus({ preventScroll: true });
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden || timer === null) return;
  clearTimeout(timer);
  poll();
});
window.addEventListener("scroll", () => waiting && !isReading() && showHeld(), { passive: true });
if (new URL(window.location.href).searchParams.has("live")) start();
