// Listening in the list: the links that start the player, and how the card shows that it is the one that plays.

import * as playback from "./playback.js";
import { setIcon } from "./player-view.js";

const WORD = "Listen";
// Whether the strip is under a finger or the mouse.
let isHeld = false;

document.addEventListener("click", (event) => {
  if (event.target.closest?.(".strip")) {
    // The strip lies on a link.
    event.preventDefault();
    event.stopPropagation();
    return;
  }
  const listen = event.target.closest?.("[data-listen]");
  if (!listen || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button) return;
  event.preventDefault();
  event.stopPropagation();
  if (listen.dataset.listen === playback.current()) playback.toggle();
  else playback.play(listen.dataset.listen);
}, true);

function mark() {
  const current = playback.current();
  for (const card of document.querySelectorAll(".card.playing")) {
    if (card.dataset.video !== current) unmark(card);
  }
  if (current === null) return;
  for (const card of document.querySelectorAll(`.card[data-video="${CSS.escape(current)}"]`)) {
    card.classList.add("playing");
    say(card, playback.isPlaying() ? "Pause" : "Play");
    addStrip(card);
  }
  showProgress();
}

function unmark(card) {
  card.classList.remove("playing");
  card.querySelector(".strip")?.remove();
  say(card, WORD);
}

// The word in the link, in the room that "Listen" took.
function say(card, word) {
  const link = card.querySelector("[data-listen]");
  if (!link) return;
  const said = link.querySelector(".listen-word");
  const plain = [...link.childNodes].find((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() === WORD);
  if (word === WORD) said?.replaceWith(WORD);
  else if (said) said.firstChild.textContent = word;
  else if (plain) {
    const room = document.createElement("b");
    room.className = "listen-word";
    room.append(Object.assign(document.createElement("i"), { textContent: word }));
    plain.replaceWith(room);
  }
  const label = link.getAttribute("aria-label");
  if (label) link.setAttribute("aria-label", label.replace(/^\w+/, word));
  setIcon(link, { Pause: "pause", Play: "play", Listen: "headphones" }[word]);
}

// The strip at the lower edge of the picture shows how far it is, and seeks: for mouse and touch; keys have the slider.

function addStrip(card) {
  const picture = card.querySelector(".thumbnail");
  if (!picture || picture.querySelector(".strip")) return;
  picture.append(Object.assign(document.createElement("span"), { className: "strip" }));
}

function showProgress() {
  if (isHeld) return;
  const length = playback.duration();
  for (const strip of document.querySelectorAll(".strip")) {
    strip.style.setProperty("--at", length ? Math.min(1, playback.position() / length) : 0);
  }
}

function at(strip, event) {
  const { left, width } = strip.getBoundingClientRect();
  return Math.min(1, Math.max(0, (event.clientX - left) / width));
}

document.addEventListener("pointerdown", (event) => {
  const strip = event.target.closest?.(".strip");
  if (!strip || event.button || !playback.duration()) return;
  isHeld = true;
  strip.setPointerCapture(event.pointerId);
  strip.style.setProperty("--at", at(strip, event));
});
document.addEventListener("pointermove", (event) => {
  if (isHeld && event.target.matches?.(".strip")) event.target.style.setProperty("--at", at(event.target, event));
});
for (const name of ["pointerup", "pointercancel"]) {
  document.addEventListener(name, (event) => {
    if (!isHeld) return;
    isHeld = false;
    if (name === "pointerup" && event.target.matches?.(".strip")) {
      playback.seek(at(event.target, event) * playback.duration());
    }
    showProgress();
  });
}
// A link would be dragged away instead.
document.addEventListener("dragstart", (event) => event.target.querySelector?.(".strip") && isHeld && event.preventDefault());

document.addEventListener("page:shown", mark);
document.addEventListener("player:changed", mark);
document.addEventListener("player:time", showProgress);
