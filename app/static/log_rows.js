// A row of the log opens in place: what its page tells comes below it. Without this file the row's
// link leads to that page.

const table = document.querySelector("[data-log-rows]");
const body = table.tBodies[0];
const ID = /^#([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;
const known = new WeakMap();

let opened = null;

const headline = (row) => row.querySelector("a.headline");
const address = (hash) => window.location.pathname + window.location.search + hash;

export const rows = () => [...body.querySelectorAll(":scope > tr[id]:not(.row-open)")];
export const isOpen = () => opened !== null;

// The row that has the focus, itself or in its details.
export function current() {
  const row = document.activeElement?.closest("[data-log-rows] > tbody > tr");
  return row?.classList.contains("row-open") ? opened : row?.id ? row : null;
}

export function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const found = [...template.content.querySelectorAll("tr[id]")].filter((row) => row.parentNode === template.content);
  for (const row of found) headline(row)?.setAttribute("aria-expanded", "false");
  return found;
}

export function close() {
  if (!opened) return;
  const details = known.get(opened);
  const link = headline(opened);
  if (details.contains(document.activeElement)) link.focus();
  details.remove();
  link.setAttribute("aria-expanded", "false");
  link.removeAttribute("aria-controls");
  opened = null;
  window.history.replaceState(window.history.state, "", address(""));
}

function show(row) {
  close();
  const details = known.get(row);
  const link = headline(row);
  row.after(details);
  link.setAttribute("aria-expanded", "true");
  link.setAttribute("aria-controls", details.id);
  opened = row;
  window.history.replaceState(window.history.state, "", address(`#${row.id}`));
}

async function fetched(href) {
  const answer = await fetch(`${href}/inline`);
  if (!answer.ok || answer.redirected) throw new Error(`${answer.status}`);
  return parse(await answer.text());
}

export async function toggle(row) {
  if (row === opened) {
    close();
    return;
  }
  const { href } = headline(row);
  try {
    if (!known.has(row)) {
      row.setAttribute("aria-busy", "true");
      known.set(row, (await fetched(href))[1]);
    }
    // Meanwhile another one may have gone.
    if (row.isConnected) show(row);
  } catch {
    // The record's page says what is wrong.
    window.location.assign(href);
  } finally {
    row.removeAttribute("aria-busy");
  }
}

// A shared address opens its record, also one that is no longer on the page.
async function openNamed() {
  const id = ID.exec(window.location.hash)?.[1];
  if (!id || opened?.id === id) return;
  let row = document.getElementById(id);
  try {
    if (!row) {
      const [first, details] = await fetched(`${table.dataset.logRows}/${id}`);
      known.set(first, details);
      first.classList.add("row-named");
      body.prepend(first);
      table.hidden = false;
      row = first;
    }
    await toggle(row);
    row.scrollIntoView({ block: "nearest" });
  } catch {
    // It is gone by now: the page shows the others.
  }
}

for (const row of rows()) headline(row)?.setAttribute("aria-expanded", "false");

body.addEventListener("click", (event) => {
  const plain = event.button === 0 && !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  const row = event.target.closest("tr[id]");
  if (!plain || !row || event.target.closest(".row-open")) return;
  const control = event.target.closest("a, button");
  if (control ? !control.matches(".headline") : String(window.getSelection())) return;
  event.preventDefault();
  headline(row).focus();
  toggle(row);
});
document.addEventListener("keydown", (event) => {
  const elsewhere = event.defaultPrevented || document.querySelector("dialog[open]");
  if (event.key === "Escape" && opened && !elsewhere) close();
});
window.addEventListener("hashchange", openNamed);
openNamed();
