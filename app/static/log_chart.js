// The chart of the log page is zoomed by dragging over it, and what takes a look at many records
// comes after the page. The page works without this file: each bar is a link.

const NEAREST = 6; // Pixels: less is a click, which follows the bar's link.
const SVG = "http://www.w3.org/2000/svg";

function zoomable(figure) {
  const svg = figure.querySelector("svg.chart-bars");
  const since = Date.parse(figure.dataset.since);
  const until = Date.parse(figure.dataset.until);
  const step = Number(figure.dataset.step) * 1000;
  const { width, height } = svg.viewBox.baseVal;
  const chosen = document.createElementNS(SVG, "rect");
  chosen.setAttribute("class", "chart-chosen");
  chosen.setAttribute("height", height);
  let from = null;

  const share = (event) => {
    const place = svg.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - place.left) / place.width));
  };
  const stop = () => {
    from = null;
    chosen.remove();
  };

  svg.addEventListener("pointerdown", (event) => {
    if (event.button === 0) from = { x: event.clientX, share: share(event) };
  });
  svg.addEventListener("dragstart", (event) => event.preventDefault());
  svg.addEventListener("pointermove", (event) => {
    if (from === null || (!chosen.isConnected && Math.abs(event.clientX - from.x) < NEAREST)) return;
    if (!chosen.isConnected) {
      svg.setPointerCapture(event.pointerId);
      svg.append(chosen);
    }
    const [low, high] = [from.share, share(event)].sort((a, b) => a - b);
    chosen.setAttribute("x", low * width);
    chosen.setAttribute("width", (high - low) * width);
  });
  svg.addEventListener("pointercancel", stop);
  svg.addEventListener("pointerup", (event) => {
    const dragged = from !== null && chosen.isConnected;
    const ends = dragged ? [from.share, share(event)].sort((a, b) => a - b) : [];
    stop();
    if (!dragged) return;
    // Whole bars, outward.
    const moment = (part, round) => since + round((part * (until - since)) / step) * step;
    const address = new URL(figure.dataset.address, window.location.href);
    const spelt = (time) => new Date(time).toISOString().slice(0, 19);
    address.searchParams.set("from", spelt(moment(ends[0], Math.floor)));
    address.searchParams.set("to", spelt(moment(ends[1], Math.ceil)));
    window.addEventListener("click", (click) => click.preventDefault(), { capture: true, once: true });
    window.location.assign(address);
  });
}

async function fetchFigures(place) {
  const said = place.querySelector("span");
  said.hidden = false;
  const answer = await fetch(place.dataset.figures);
  if (!answer.ok) {
    said.hidden = true;
    return;
  }
  const found = new DOMParser().parseFromString(await answer.text(), "text/html");
  const chart = found.querySelector("[data-log-chart]");
  const empty = document.querySelector("[data-chart-place]");
  if (chart && empty) {
    empty.replaceChildren(chart);
    zoomable(chart);
  }
  place.replaceChildren(...found.querySelector("[data-facets]").childNodes);
}

for (const figure of document.querySelectorAll("[data-log-chart]")) zoomable(figure);
for (const place of document.querySelectorAll("[data-figures]")) fetchFigures(place);
