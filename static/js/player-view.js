// What shows and controls the playback: #player (card, bar or sheet, as player.css has it) and the card of a report.

import { navigate } from "./navigation.js";
import * as playback from "./playback.js";
import { positionOf, rememberPosition } from "./player-memory.js";

const KEY_STEP = 5;
const player = document.getElementById("player");
const part = (name) => player.querySelector(`.player-${name}`);
// The slider under a finger or the mouse: it shows where it would go, not where the sound is.
let held = null;

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

function secondsOf(text) {
  return text.trim().split(":").reduce((sum, figure) => 60 * sum + (Number(figure) || 0), 0);
}

// Everything but the time

function show() {
  const { track, isPlaying, isBusy, isMuted, speed, isFirst, isLast } = playback.status();
  player.dataset.state = !track ? "idle" : isPlaying ? "playing" : "paused";
  document.documentElement.classList.toggle("player-loaded", track !== null);
  if (track) {
    const link = part("title").querySelector("a");
    const title = track.title || "Untitled";
    // The same text again would be read out again.
    if (link.textContent !== title) link.textContent = title;
    link.href = track.url;
    part("line").textContent = track.channel || "Audio summary";
    showPicture(track.thumbnail);
  }
  for (const [action, isEnd] of [["previous", isFirst], ["next", isLast]]) {
    const button = player.querySelector(`[data-player="${action}"]`);
    button.setAttribute("aria-disabled", !track || isEnd);
  }
  for (const action of ["back", "forward"]) {
    player.querySelector(`[data-player="${action}"]`).setAttribute("aria-disabled", !track);
  }
  showToggle(player.querySelector('[data-player="toggle"]'), isPlaying, isBusy);
  const mute = player.querySelector('[data-player="mute"]');
  mute.setAttribute("aria-pressed", isMuted);
  setIcon(mute, isMuted ? "muted" : "sound");
  for (const select of document.querySelectorAll("select[data-speed]")) select.value = String(speed);

  const card = audioCard();
  if (card) {
    const isHere = card.dataset.playerFor === track?.video_id;
    showToggle(card.querySelector("[data-listen]"), isHere && isPlaying, isHere && isBusy);
  }
  showTime();
}

function showToggle(button, isPlaying, isBusy) {
  const label = isPlaying ? "Pause" : "Play";
  button.setAttribute("aria-label", label);
  button.title = label;
  button.classList.toggle("busy", isBusy);
  setIcon(button, isPlaying ? "pause" : "play");
}

export function setIcon(element, name) {
  const use = element.querySelector("use");
  const address = use.getAttribute("href").replace(/#.*/, `#${name}`);
  if (use.getAttribute("href") !== address) use.setAttribute("href", address);
}

function showPicture(address) {
  const picture = part("picture");
  if ((picture.querySelector("img")?.getAttribute("src") ?? "") === address) return;
  picture.replaceChildren();
  if (address) picture.append(Object.assign(new Image(), { src: address, alt: "" }));
}

// The time

function showTime() {
  const length = playback.duration();
  const at = playback.position();
  showSlider(part("seek"), at, length, playback.current() !== null);
  player.style.setProperty("--played", length ? Math.min(1, at / length) : 0);

  const card = audioCard();
  if (!card) return;
  const { playerFor } = card.dataset;
  const stated = secondsOf(card.querySelector(".audio-duration").dataset.stated ?? "");
  if (playerFor === playback.current()) showSlider(card.querySelector(".audio-seek"), at, length || stated, true);
  else showSlider(card.querySelector(".audio-seek"), positionOf(playerFor), stated, stated > 0);
}

function showSlider(slider, at, length, isUsable) {
  if (slider === held) return;
  slider.disabled = !isUsable || !length;
  slider.max = Math.max(1, Math.floor(length));
  slider.value = length ? Math.floor(at) : 0;
  tell(slider, length, at);
}

// What stands at and in a slider follows its value; without a length the slider has none.
function tell(slider, length = slider.max, at = 0) {
  const elapsed = clock(length ? slider.value : at);
  const total = clock(length);
  slider.style.setProperty("--at", slider.value / slider.max);
  slider.setAttribute("aria-valuetext", `${elapsed} of ${total}`);
  const box = slider.closest("#player, [data-player-for]");
  box.querySelector(".player-elapsed, .audio-elapsed").textContent = elapsed;
  if (length > 0) box.querySelector(".player-duration, .audio-duration").textContent = total;
}

function audioCard() {
  const card = document.querySelector("[data-player-for]");
  return card?.querySelector(".audio-seek") ? card : null;
}

function seekBy(slider, seconds) {
  const videoId = slider.closest("[data-player-for]")?.dataset.playerFor ?? playback.current();
  if (videoId === playback.current()) playback.seek(seconds);
  else rememberPosition(videoId, seconds);
  held = null;
  showTime();
}

document.addEventListener("input", ({ target }) => {
  if (!target.matches(".player-seek, .audio-seek")) return;
  held = target;
  tell(target);
});
document.addEventListener("change", ({ target }) => {
  if (target.matches(".player-seek, .audio-seek")) seekBy(target, Number(target.value));
  if (target.matches("select[data-speed]")) playback.setSpeed(Number(target.value));
});
// Let go where it was taken: there is no change then.
for (const name of ["pointerup", "pointercancel"]) {
  document.addEventListener(name, () => held && setTimeout(() => {
    held = null;
    showTime();
  }));
}
document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (!target.matches?.(".player-seek, .audio-seek") || event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowRight: KEY_STEP, ArrowUp: KEY_STEP, ArrowLeft: -KEY_STEP, ArrowDown: -KEY_STEP }[key];
  if (!step) return;
  event.preventDefault();
  const isCurrent = target === part("seek") || target.closest("[data-player-for]").dataset.playerFor === playback.current();
  seekBy(target, (isCurrent ? playback.position() : Number(target.value)) + step);
});

// The buttons

const ACTIONS = {
  toggle: playback.toggle,
  previous: playback.previous,
  next: playback.next,
  back: () => playback.skip(-playback.STEP),
  forward: () => playback.skip(playback.STEP),
  mute: playback.toggleMute,
};
player.addEventListener("click", (event) => {
  const button = event.target.closest("[data-player]");
  if (button) ACTIONS[button.dataset.player]();
  const link = event.target.closest(".player-title a");
  if (link && !(event.ctrlKey || event.metaKey || event.shiftKey || event.button)) {
    event.preventDefault();
    closeSheet();
    navigate(link.getAttribute("href"));
  }
});

// The sheet: the bar of a small screen opened to the whole player. Nothing behind it takes part.

const opener = part("opener");
const wide = matchMedia("(min-width: 64rem)");
let touch = null;

function setSheet(isOpen) {
  player.classList.toggle("open", isOpen);
  opener.setAttribute("aria-expanded", isOpen);
  opener.setAttribute("aria-label", isOpen ? "Close the player" : "Open the player");
  for (const element of document.querySelectorAll("#page")) element.inert = isOpen;
  document.documentElement.classList.toggle("sheet-open", isOpen);
}

const isSheet = () => player.classList.contains("open");

function closeSheet() {
  if (!isSheet()) return;
  const hadFocus = player.contains(document.activeElement);
  setSheet(false);
  if (hadFocus) opener.focus({ preventScroll: true });
}

opener.addEventListener("click", () => setSheet(!isSheet()));
document.getElementById("player-backdrop").addEventListener("click", closeSheet);
// Before whatever else Esc closes.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !isSheet()) return;
  event.preventDefault();
  event.stopPropagation();
  closeSheet();
}, true);
player.addEventListener("touchstart", (event) => {
  const isFree = isSheet() && event.touches.length === 1 && !event.target.closest("input, select");
  touch = isFree ? event.touches[0] : null;
}, { passive: true });
player.addEventListener("touchend", ({ changedTouches }) => {
  if (!touch) return;
  const down = changedTouches[0].clientY - touch.clientY;
  if (down > 60 && down > 2 * Math.abs(changedTouches[0].clientX - touch.clientX)) closeSheet();
});
wide.addEventListener("change", closeSheet);

document.addEventListener("page:shown", () => {
  closeSheet();
  show();
});
document.addEventListener("player:changed", show);
document.addEventListener("player:time", showTime);
