// The search box of the log page completes keys and values (the combobox pattern of the ARIA
// Authoring Practices Guide, with a list). The page works without this file.

const form = document.querySelector("form[data-log-search]");
const box = form.elements.namedItem("q");
const list = document.getElementById("q-list");
const MOST = 10;

let keys = [];
let asked = null;
let active = -1;

box.setAttribute("role", "combobox");
box.setAttribute("aria-autocomplete", "list");
box.setAttribute("aria-controls", list.id);
box.setAttribute("aria-expanded", "false");

async function fetchKeys() {
  const answer = await fetch(form.dataset.terms, { headers: { Accept: "application/json" } });
  if (answer.ok) keys = await answer.json();
}

// Asked for once; whoever types meanwhile waits for the same answer.
function known() {
  asked ??= fetchKeys();
  return asked;
}

// The term that the caret stands in: where it starts, and what of it is before the caret.
function termAtCaret() {
  const before = box.value.slice(0, box.selectionStart);
  let quoted = false;
  let start = 0;
  for (let at = 0; at < before.length; at += 1) {
    if (before[at] === "\\" && quoted) at += 1;
    else if (before[at] === '"') quoted = !quoted;
    else if (/\s/.test(before[at]) && !quoted) start = at + 1;
  }
  return { start, typed: before.slice(start) };
}

function suggestions(typed) {
  const [, minus, key, rest] = /^(-?)(?:([A-Za-z_]+):)?(.*)$/s.exec(typed);
  const wanted = rest.replace(/^"/, "").toLowerCase();
  if (key === undefined) {
    return keys
      .filter((one) => one.key.startsWith(wanted))
      .map((one) => ({ text: `${minus}${one.key}:`, shown: `${one.key}:`, help: one.help }));
  }
  const found = keys.find((one) => one.key === key.toLowerCase());
  const values = found ? found.values : [];
  const fitting = [
    ...values.filter((value) => value.toLowerCase().startsWith(wanted)),
    ...values.filter((value) => value.toLowerCase().indexOf(wanted) > 0),
  ].filter((value) => value.toLowerCase() !== wanted);
  return fitting.map((value) => {
    const written = /[\s"]/.test(value) ? JSON.stringify(value) : value;
    return { text: `${minus}${key}:${written} `, shown: value, help: "" };
  });
}

function close() {
  list.hidden = true;
  active = -1;
  box.setAttribute("aria-expanded", "false");
  box.removeAttribute("aria-activedescendant");
}

async function show() {
  await known();
  if (document.activeElement !== box) return;
  const found = suggestions(termAtCaret().typed).slice(0, MOST);
  close();
  list.replaceChildren(...found.map((one, number) => {
    const option = document.createElement("li");
    option.id = `q-option-${number}`;
    option.role = "option";
    option.ariaSelected = "false";
    option.dataset.text = one.text;
    const shown = document.createElement("code");
    shown.textContent = one.shown;
    const help = document.createElement("span");
    help.className = "quiet";
    help.textContent = one.help;
    option.append(shown, " ", help);
    return option;
  }));
  list.hidden = found.length === 0;
  box.setAttribute("aria-expanded", String(found.length > 0));
}

function mark(number) {
  const options = list.children;
  if (active >= 0) options[active].ariaSelected = "false";
  active = (number + options.length) % options.length;
  options[active].ariaSelected = "true";
  options[active].scrollIntoView({ block: "nearest" });
  box.setAttribute("aria-activedescendant", options[active].id);
}

function accept(option) {
  const { start } = termAtCaret();
  const rest = box.value.slice(box.selectionStart).replace(/^\S+/, "").replace(/^ /, "");
  const text = option.dataset.text;
  box.setRangeText(text + rest, start, box.value.length, "end");
  box.setSelectionRange(start + text.length, start + text.length);
  box.focus();
  show();
}

box.addEventListener("input", show);
box.addEventListener("focus", known);
box.addEventListener("click", show);
box.addEventListener("blur", close);
box.addEventListener("keydown", (event) => {
  const down = event.key === "ArrowDown";
  if (event.key === "Escape" && !list.hidden) {
    event.preventDefault();
    close();
  } else if (down || event.key === "ArrowUp") {
    event.preventDefault();
    if (list.hidden) show();
    else mark(active < 0 && !down ? -1 : active + (down ? 1 : -1));
  } else if (event.key === "Enter" && active >= 0) {
    event.preventDefault();
    accept(list.children[active]);
  }
});
// Not "click": that would come after the box has lost the focus.
list.addEventListener("mousedown", (event) => {
  event.preventDefault();
  const option = event.target.closest("[role=option]");
  if (option) accept(option);
});

// A choice of time is applied at once; "From … to …" first asks for its ends.
const range = form.elements.namedItem("range");
const ends = form.querySelectorAll("[data-custom-time]");
range.addEventListener("change", () => {
  if (range.value === "custom") {
    form.querySelector("[data-custom]").open = true;
    ends[0].focus();
  } else {
    form.requestSubmit();
  }
});
for (const end of ends) {
  end.addEventListener("input", () => {
    range.value = "custom";
  });
}

// The address carries only what was asked.
form.addEventListener("formdata", ({ formData }) => {
  const custom = formData.get("range") === "custom";
  for (const [name, value] of [...formData]) {
    const unused = name === "range" ? custom : name !== "q" && !custom;
    if (!value || unused) formData.delete(name);
  }
});
