// Small comforts of the log pages. Every page works without this file.
"use strict";

// Entering a time chooses "From … to …"; choosing that shows where to enter it.
const filters = document.querySelector("form[data-filters]");
if (filters) {
  const range = filters.elements.namedItem("range");
  const times = filters.querySelectorAll("[data-custom-time]");
  for (const time of times) {
    time.addEventListener("input", () => {
      range.value = "custom";
    });
  }
  range.addEventListener("change", () => {
    if (range.value !== "custom") return;
    times[0].closest("details").open = true;
    times[0].focus();
  });
  // The address carries only what was asked.
  filters.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) {
      if (!value) event.formData.delete(name);
    }
  });
}
