// Reading in the list: a report opens in its card, one at a time, and the address says which (#report=<video>).
// Esc, Back and Collapse close it. A report that is not on this page opens above the list.

import { hashOf, makeTabs } from "./tabs.js";

// The report that is open: what the address calls it, the element, and the card, if it is on the page.
let open = null;

function asked() {
  const report = new URLSearchParams(location.hash.slice(1));
  return { name: report.get("report") ?? "", variant: report.get("variant") ?? "" };
}

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const link = event.target.closest("[data-read]");
  if (link) {
    event.preventDefault();
    event.stopPropagation();
    toggle(link.dataset.read);
  } else if (event.target.closest("[data-collapse]")) {
    close();
  }
}, true);

document.addEventListener("keydown", (event) => {
  const isElsewhere = document.querySelector("dialog[open], :popover-open") || event.target.matches("input, select, textarea");
  if (event.key === "Escape" && open && !event.defaultPrevented && !isElsewhere) close();
});

export function toggle(name) {
  if (open?.name === name) {
    close();
    return;
  }
  const hash = hashOf(name);
  // One entry for reading in this list, whichever report it is: Back closes it.
  if (open) history.replaceState(history.state, "", hash);
  else history.pushState({ scroll: scrollY, isReading: true }, "", hash);
  sync();
}

export function close() {
  if (!open) return;
  if (history.state?.isReading) {
    history.back();
    return;
  }
  history.replaceState(history.state, "", location.pathname + location.search);
  sync();
}

// Bring what is open to what the address says.
function sync(scroll = null) {
  if (!document.querySelector("#page.dashboard")) {
    open = null;
    return;
  }
  const { name, variant } = asked();
  if (open?.name === name && open.element.isConnected) return;
  const card = name ? cardOf(name) : null;
  const before = card?.getBoundingClientRect().top;
  const was = open?.card;
  open?.element.remove();
  if (was) mark(was, false);
  open = null;
  if (name) show(name, variant, card);
  // A report that closes above must not move the card that was pressed.
  if (card && was && scroll === null) scrollBy({ top: card.getBoundingClientRect().top - before, behavior: "instant" });
  if (scroll !== null) scrollTo({ top: scroll, behavior: "instant" });
  if (!name && was?.isConnected) was.querySelector("[data-read]").focus({ preventScroll: true });
}

function cardOf(name) {
  return document.querySelector(`.card[data-video="${CSS.escape(name)}"]`);
}

function mark(card, isOpen) {
  card.classList.toggle("reading", isOpen);
  const link = card.querySelector("[data-read]");
  link.setAttribute("aria-expanded", isOpen);
}

function show(name, variant, card) {
  const element = document.createElement("section");
  element.className = "reader";
  element.setAttribute("aria-label", "Report");
  place(element, card);
  if (card) mark(card, true);
  open = { name, element, card };
  fill(open, variant);
}

// In the card; among the tiles of the grid below the row that the card stands in, so that no tile moves sideways.
function place(element, card) {
  const list = document.querySelector(".cards");
  if (card && list.classList.contains("list")) {
    card.append(element);
    return;
  }
  if (!card) element.classList.add("glass");
  if (!list) {
    document.querySelector("#main .heading").after(element);
    return;
  }
  const row = document.createElement("li");
  row.className = "reader-row";
  row.append(element);
  element.remove = () => row.remove();
  if (!card) {
    list.prepend(row);
    return;
  }
  const item = card.closest("li");
  let last = item;
  while (last.nextElementSibling?.offsetTop === item.offsetTop) last = last.nextElementSibling;
  last.after(row);
}

async function fill(reading, variant) {
  const { name, element } = reading;
  element.setAttribute("aria-busy", "true");
  element.innerHTML = '<p class="reader-wait">Loading the report …</p>';
  let status = 0;
  try {
    const answer = await fetch(`/read/${encodeURIComponent(name)}/`, { headers: { Accept: "text/html" } });
    status = answer.status;
    const html = await answer.text();
    if (open !== reading) return;
    if (answer.ok || status === 404) element.innerHTML = html;
    else throw new Error(String(status));
    if (answer.ok && !reading.card && settle(reading, variant)) return;
  } catch {
    if (open !== reading) return;
    element.replaceChildren(failure(navigator.onLine, () => fill(reading, variant)));
  }
  element.removeAttribute("aria-busy");
  makeTabs(element, variant);
  const isPlaced = !document.dispatchEvent(new Event("page:grown", { cancelable: true }));
  if (!reading.card && !isPlaced) element.scrollIntoView({ block: "nearest", behavior: "instant" });
}

// The address can name a video by its stem or its old id; the answer knows it by its key, and so does its card.
function settle(reading, variant) {
  const { reader } = reading.element.querySelector("[data-reader]").dataset;
  if (reader === reading.name) return false;
  history.replaceState(history.state, "", hashOf(reader, variant));
  const card = cardOf(reader);
  if (!card) {
    reading.name = reader;
    return false;
  }
  sync();
  card.scrollIntoView({ block: "start", behavior: "instant" });
  return true;
}

function failure(isOnline, again) {
  const words = document.createElement("p");
  words.className = "reader-wait";
  words.textContent = isOnline ? "The report could not be loaded. " : "You are offline: the report could not be loaded. ";
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button";
  button.textContent = "Try again";
  button.addEventListener("click", again);
  words.append(button);
  return words;
}

document.addEventListener("page:shown", ({ detail }) => {
  const card = asked().name && cardOf(asked().name);
  sync();
  if (card && detail.isFirstTime) card.scrollIntoView({ block: "start", behavior: "instant" });
});
// Back and forward on the same page, or a link to another part of it.
document.addEventListener("page:opened", ({ detail }) => sync(detail.scroll));
