// Keys for the rows of the log. Only letters alone, never while something is typed; the help lists
// them and turns them off (WCAG 2.1.4).

import { current, rows, toggle } from "./log_rows.js";

const help = document.getElementById("keys-help");
const choice = help.querySelector("input");
const STORED = "log-keys";

function move(step) {
  const all = rows();
  const at = all.indexOf(current());
  const next = all[at < 0 ? 0 : Math.min(Math.max(at + step, 0), all.length - 1)];
  next?.querySelector("a.headline").focus();
}

const actions = {
  "/": () => {
    const box = document.getElementById("q");
    box?.focus();
    box?.select();
  },
  j: () => move(1),
  k: () => move(-1),
  o: () => current() && toggle(current()),
  c: () => current()?.querySelector("a.row-context")?.click(),
  t: () => document.querySelector("button[data-live]")?.click(),
  "?": () => help.showModal(),
};

// Who may keep nothing in this browser has the keys.
function isOff() {
  try {
    return window.localStorage.getItem(STORED) === "off";
  } catch {
    return false;
  }
}

choice.checked = !isOff();
choice.addEventListener("change", () => {
  try {
    window.localStorage.setItem(STORED, choice.checked ? "on" : "off");
  } catch {
    // It holds for this page.
  }
});
for (const button of document.querySelectorAll("button[data-keys]")) {
  button.hidden = false;
  button.addEventListener("click", () => help.showModal());
}
document.addEventListener("keydown", (event) => {
  const more = event.ctrlKey || event.altKey || event.metaKey || event.isComposing;
  const action = Object.hasOwn(actions, event.key) && actions[event.key];
  if (!action || more || event.defaultPrevented || !choice.checked || help.open) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
  event.preventDefault();
  action();
});
