// A search that ran out of time goes on by itself until it has a page of rows or has seen all.
// Without this file the link "Go on from there" does the same, a part at a time.

import { parse, rows } from "./log_rows.js";

const ENOUGH = 50;

const table = document.querySelector("[data-log-rows]");
const said = document.querySelector("[data-looked-back]");
let stopped = false;

function stopButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn btn-outline-secondary btn-sm";
  button.textContent = "Stop";
  button.addEventListener("click", () => {
    stopped = true;
    button.remove();
  });
  return button;
}

// Takes over what a later part of the search found, and where it stands now.
function take(found) {
  const fresh = parse(found.querySelector("[data-log-rows] tbody").innerHTML);
  table.tBodies[0].append(...fresh);
  if (fresh.length) table.hidden = false;
  const [time, moved] = ["time", "a"].map((name) => found.querySelector(`[data-looked-back] ${name}`));
  if (time) said.querySelector("time").replaceWith(time);
  const link = said.querySelector("a");
  if (moved) link.href = moved.getAttribute("href");
  const [older, next] = [document, found].map((one) => one.querySelector(".pager a[rel=next]"));
  if (older && next) older.href = next.getAttribute("href");
  return Boolean(moved);
}

function finish(found) {
  const empty = found.querySelector(".log-rows .empty");
  if (empty && !rows().length) said.before(empty);
  document.querySelector(".pager a[rel=next]")?.remove();
  if (!found.querySelector("[data-looked-back]")) said.remove();
}

async function goOn() {
  const button = stopButton();
  said.append(" ", button);
  while (!stopped && rows().length < ENOUGH) {
    const answer = await fetch(said.querySelector("a").href);
    if (!answer.ok || answer.redirected) break;
    const found = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!stopped && !take(found)) {
      finish(found);
      break;
    }
  }
  button.remove();
}

if (said?.querySelector("a")) goOn().catch(() => said.querySelector("button")?.remove());
