// Keys for the player, the list and the card that one is on; "?" lists those that work here.

import { askAndDelete } from "./cards.js";
import { current, next, previous, toggle as togglePlaying, toggleMute } from "./player.js";
import { toggle as toggleReading } from "./reader.js";

const PLAYER = [
  { keys: ["Space"], does: "Play or pause", run: togglePlaying, works: () => current() !== null },
  { keys: ["J", "P"], does: "Previous in the playlist", run: previous, works: () => current() !== null },
  { keys: ["K", "N"], does: "Next in the playlist", run: next, works: () => current() !== null },
  { keys: ["M"], does: "Sound off and on", run: toggleMute, works: () => true },
];
const LIST = [
  { keys: ["/"], does: "Search", run: search, works: () => document.getElementById("q") !== null },
  { keys: ["C"], does: "Edit categories, of the card that you are on or of the report", run: curate, works: () => document.querySelector("[data-curate]") !== null },
];
const CARD = [
  { keys: ["L"], does: "Listen to the card that you are on", run: (card) => card.querySelector("[data-listen]")?.click() },
  { keys: ["R"], does: "Read it here", run: (card) => toggleReading(card.dataset.video) },
  { keys: ["W"], does: "Watch it, in a new tab", run: (card) => card.querySelector(".action[target=_blank]")?.click() },
  { keys: ["Enter"], does: "Open its report", run: (card) => card.querySelector(".card-title a").click() },
  { keys: ["D"], does: "Delete it", run: erase },
];
const HELP = { keys: ["?"], does: "Show these keys", run: help, works: () => true };
const CLOSE = { keys: ["Esc"], does: "Close what is open" };

const onCards = () => document.querySelector(".card[data-video]") !== null;

// The card with the focus, or the one below the mouse: whichever moved last.
function cardHere() {
  const focused = document.activeElement.closest(".card[data-video]");
  const pointed = document.querySelector(".card[data-video]:hover");
  return isMouseLast ? (pointed ?? focused) : (focused ?? pointed);
}

let isMouseLast = false;
document.addEventListener("pointermove", () => (isMouseLast = true), { passive: true });
document.addEventListener("focusin", () => (isMouseLast = false));

function search() {
  const box = document.getElementById("q");
  const sidebar = document.getElementById("filters");
  if (sidebar && !sidebar.checkVisibility()) sidebar.showPopover();
  box.focus();
  box.select();
}

// On a report there is no card, and one link.
function curate() {
  const here = onCards() ? cardHere() : document;
  here?.querySelector("[data-curate]")?.click();
}

function erase(card) {
  const link = card.querySelector("[data-delete]");
  if (link) askAndDelete(link.dataset.delete, link.dataset.title);
  else card.querySelector(".menu-button")?.click();
}

function help() {
  const dialog = document.getElementById("keys");
  const here = [...PLAYER, ...LIST].filter(({ works }) => works());
  const listed = [...here, ...(onCards() ? CARD : []), CLOSE, HELP];
  dialog.querySelector("dl").replaceChildren(...listed.flatMap(({ keys, does }) => {
    const term = document.createElement("dt");
    term.append(...keys.map((key) => Object.assign(document.createElement("kbd"), { textContent: key })));
    return [term, Object.assign(document.createElement("dd"), { textContent: does })];
  }));
  dialog.showModal();
}

document.getElementById("show-keys").addEventListener("click", () => {
  document.getElementById("settings").hidePopover();
  help();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || event.isComposing) return;
  const { target } = event;
  if (target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable], audio")) return;
  if (document.querySelector("dialog[open], :popover-open")) return;
  const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toUpperCase() : event.key;
  // These keys have a meaning of their own on what has the focus.
  if (key === "Space" && target.closest("button, summary, input, [role=tab]")) return;
  if (key === "Enter" && target.closest("a, button, summary, input, [role=tab]")) return;

  const common = [...PLAYER, ...LIST, HELP].find(({ keys, works }) => keys.includes(key) && works());
  const onCard = CARD.find(({ keys }) => keys.includes(key));
  const card = onCard && cardHere();
  if (!common && !card) return;
  event.preventDefault();
  if (common) common.run();
  else onCard.run(card);
});
