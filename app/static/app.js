// Small comforts. Every page works without this file.
"use strict";

// Times arrive in UTC; show them in the reader's own zone.
const localTime = new Intl.DateTimeFormat(undefined, {
  dateStyle: "medium",
  timeStyle: "short",
});
for (const element of document.querySelectorAll("time[data-local]")) {
  const moment = new Date(element.dateTime);
  if (!Number.isNaN(moment.getTime())) {
    element.title = element.textContent.trim();
    element.textContent = localTime.format(moment);
  }
}

// An open menu closes when the reader goes elsewhere.
const menus = document.querySelectorAll("details[data-menu]");
document.addEventListener("click", (event) => {
  for (const menu of menus) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus) {
    if (menu.open) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
});

// A choice that changes the list is applied at once; without this file its button does it.
for (const select of document.querySelectorAll("select[data-autosubmit]")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

// A picture that is too large is refused before it travels, and the rest of the form is kept.
for (const input of document.querySelectorAll("input[type=file][data-max-bytes]")) {
  input.addEventListener("change", () => {
    const file = input.files[0];
    const tooLarge = file && file.size > Number(input.dataset.maxBytes);
    input.setCustomValidity(tooLarge ? input.dataset.tooLarge : "");
    input.reportValidity();
  });
}

// Where the reader is stands in sight, also when not all of the bar fits.
const here = document.querySelector(".admin-nav [aria-current]");
if (here) {
  const bar = here.closest(".admin-nav");
  bar.scrollLeft = here.offsetLeft - bar.offsetLeft - (bar.clientWidth - here.offsetWidth) / 2;
}

// The clipboard is there only on secure pages; elsewhere the button stays hidden.
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    button.textContent = "Copied";
    setTimeout(() => {
      button.textContent = "Copy";
    }, 2000);
  });
}

// A form is sent once, however often its button is pressed. After some seconds it may be sent
// again: the first time was stopped, or failed on its way.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    const refused = form.querySelector("input[type=file]:invalid");
    if (refused) refused.reportValidity();
    if (refused || form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    setTimeout(() => delete form.dataset.sent, 5000);
  });
}
// Coming back with the browser's back button finds the form usable at once.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// After a refused form, the first field to mend has the focus.
document.querySelector("[aria-invalid=true]")?.focus();
