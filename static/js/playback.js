// The one audio element and what it plays. It is part of no page, so it plays on while pages change.
// It tells the document: "player:changed" when anything but the time is another, "player:time" as it plays.

import { listAddress } from "./navigation.js";
import { memory, positionOf, remember, rememberPosition } from "./player-memory.js";
import { quoted, toast } from "./toasts.js";

export const STEP = 15;
export const SPEEDS = [0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3];
const MOST_FAILURES = 3;
const SECONDS_BETWEEN_SAVES = 5;
// Parameters of the dashboard that say how it looks, and not what is in it.
const LOOKS = /^(page|size|view|find_.*)$/;

const audio = new Audio();
audio.preload = "none";

let track = null;
// The list that plays, as the query of the dashboard it was started from.
let query = "";
// What is before and after the track: the answer once it is there, and the promise of it.
let place = null;
let placeAsked = null;
// Whether it is to play, while it loads too.
let isWanted = false;
// The files that failed, one after the other: title and reason.
let failures = [];
// Where to begin as soon as the file is known.
let start = 0;
let saved = 0;

// What others see and do

export const current = () => track?.video_id ?? null;
export const isPlaying = () => isWanted;
// A file that has just come is at 0 for a moment, before it is where it is to begin.
export const position = () => start || (audio.readyState ? audio.currentTime : 0);
export const duration = () => (Number.isFinite(audio.duration) ? audio.duration : (track?.audio_duration_seconds ?? 0));

export function status() {
  return {
    track,
    isPlaying: isWanted,
    isBusy: isWanted && audio.readyState < HTMLMediaElement.HAVE_FUTURE_DATA,
    isMuted: audio.muted,
    speed: audio.defaultPlaybackRate,
    // Not known yet is not the end.
    isFirst: place !== null && place.previous === null,
    isLast: place !== null && place.next === null,
  };
}

// Play a video as part of the list that is on the page; at once, or the browser holds that nobody asked for sound.
export function play(videoId) {
  if (videoId === current()) {
    if (!isWanted) resume();
    return;
  }
  query = queryHere();
  failures = [];
  begin(itemOnPage(videoId));
}

export function toggle() {
  if (!track) playList();
  else if (isWanted) audio.pause();
  else resume();
}

export const next = () => go("next");
export const previous = () => go("previous");
export const skip = (seconds) => seek(position() + seconds);

export function seek(seconds) {
  if (!track) return;
  const target = Math.max(0, Math.min(seconds, duration() || seconds));
  if (audio.readyState) {
    audio.currentTime = target;
    start = 0;
  } else start = target;
  save();
  told("player:time");
}

export function toggleMute() {
  audio.muted = !audio.muted;
  remember({ isMuted: audio.muted });
}

export function setSpeed(speed) {
  // The default is what a new file begins with.
  audio.defaultPlaybackRate = audio.playbackRate = speed;
  remember({ speed });
}

// The list

function queryHere() {
  const address = document.querySelector("#page.dashboard") ? location.href : listAddress();
  const parameters = new URL(address, location.origin).searchParams;
  for (const name of [...parameters.keys()]) if (LOOKS.test(name)) parameters.delete(name);
  return parameters.toString();
}

// What the page knows of a video; the rest follows with its place in the list.
function itemOnPage(videoId) {
  const card = document.querySelector(`.card[data-video="${CSS.escape(videoId)}"]`);
  const report = document.querySelector(`[data-player-for="${CSS.escape(videoId)}"]`);
  const source = card ?? (report && document.getElementById("main"));
  return {
    video_id: videoId,
    title: source?.querySelector(".card-title, h1")?.textContent.trim() ?? "",
    channel: card?.querySelector(".channel-name")?.textContent ?? "",
    thumbnail: source?.querySelector(".thumbnail img")?.getAttribute("src") ?? "",
    url: card?.querySelector(".card-title a")?.getAttribute("href") ?? location.pathname,
    audio: `/exports/by_video/${encodeURIComponent(videoId)}`,
    audio_duration_seconds: 0,
  };
}

async function ask(around) {
  const parameters = new URLSearchParams(query);
  if (around) parameters.set("around", around);
  const answer = await fetch(`/playlist/?${parameters}`, { headers: { Accept: "application/json" } });
  if (answer.status === 404) return { current: null, previous: null, next: null };
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.json();
}

function findPlace() {
  const asked = ask(track.video_id);
  placeAsked = asked;
  asked.then((found) => {
    if (placeAsked !== asked) return;
    place = found;
    if (found.current) track = found.current;
    rememberTrack();
    describe();
    told("player:changed");
  }, () => {
    if (placeAsked === asked) placeAsked = null;
  });
  return asked;
}

async function playList() {
  // The first of the list, if it is on this page; else the server says which it is.
  const isStart = !new URLSearchParams(location.search).has("page");
  const first = isStart && document.querySelector(".card [data-listen]");
  if (first) {
    play(first.dataset.listen);
    return;
  }
  query = queryHere();
  try {
    const found = await ask();
    if (track) return;
    if (found.current) begin(found.current);
    else toast("Nothing in this list can be listened to.");
  } catch {
    toast("The playlist could not be loaded.", { isError: true, action: "Try again", onAction: toggle });
  }
}

async function go(direction) {
  if (!track) return;
  const from = current();
  try {
    const found = place ?? (await (placeAsked ?? findPlace()));
    if (current() !== from) return;
    if (found[direction]) {
      begin(found[direction]);
      return;
    }
    toast(direction === "next" ? "This is the last one of the list." : "This is the first one of the list.");
  } catch {
    if (current() !== from) return;
    toast("The playlist could not be loaded.", { isError: true, action: "Try again", onAction: () => go(direction) });
  }
  if (audio.ended || audio.error) rest();
}

// Playing

// With the length of its file, as soon as that is known: what is stated may be missing.
function rememberTrack() {
  if (Number.isFinite(audio.duration)) track = { ...track, audio_duration_seconds: Math.round(audio.duration) };
  remember({ track });
}

function load(item) {
  save();
  track = item;
  place = placeAsked = null;
  saved = start = positionOf(item.video_id);
  audio.src = item.audio;
  remember({ track, query });
  describe();
}

function begin(item) {
  load(item);
  resume();
}

function resume() {
  if (audio.error) {
    start = positionOf(track.video_id);
    audio.src = track.audio;
  }
  isWanted = true;
  audio.play().catch((error) => {
    // Other errors come as events. This one: the browser wants to be asked by a click.
    if (error.name === "NotAllowedError") rest();
  });
  if (!placeAsked) findPlace().catch(() => {});
  told("player:changed");
}

function rest() {
  isWanted = false;
  audio.pause();
  told("player:changed");
}

function save() {
  if (!track || (!audio.readyState && !start)) return;
  saved = position();
  rememberPosition(track.video_id, saved, duration() || Infinity);
}

async function failed() {
  if (!isWanted) return;
  const from = current();
  const reason = await whatIsWrong(track.audio);
  if (current() !== from) return;
  const message = { about: "playing", isError: true };
  if (!navigator.onLine) {
    rest();
    toast(said([{ title: track.title, reason }]), { ...message, action: "Try again", onAction: () => current() === from && resume() });
    return;
  }
  failures.push({ title: track.title, reason });
  if (failures.length >= MOST_FAILURES) {
    rest();
    toast(`${said(failures)} These were ${failures.length} in a row, so the player has stopped.`, message);
    failures = [];
  } else {
    toast(said(failures), message);
    go("next");
  }
}

// "“A” and “B” cannot be played: the file is missing." – one sentence for each reason.
function said(failed) {
  const reasons = [...new Set(failed.map(({ reason }) => reason))];
  const names = new Intl.ListFormat("en");
  return reasons.map((reason) => {
    const titles = failed.filter((each) => each.reason === reason).map(({ title }) => quoted(title));
    return `${names.format(titles)} cannot be played: ${reason}`;
  }).join(" ");
}

async function whatIsWrong(address) {
  if (!navigator.onLine) return "you are offline.";
  try {
    const { ok, status } = await fetch(address, { method: "HEAD" });
    if (ok) return "the file is damaged, or of a kind that this browser does not know.";
    return status === 404 ? "the file is missing." : "the server cannot give the file just now.";
  } catch {
    return "the server was not reached.";
  }
}

function told(name) {
  document.dispatchEvent(new Event(name));
}

audio.addEventListener("loadedmetadata", () => {
  if (start > 0 && start < audio.duration - 1) audio.currentTime = start;
  start = 0;
  rememberTrack();
});
audio.addEventListener("playing", () => (failures = []));
audio.addEventListener("pause", () => {
  // Headphones that were pulled out, or the system: whoever it was, it is meant. The end of a file is not.
  if (audio.paused && !audio.ended) isWanted = false;
  save();
});
audio.addEventListener("ended", () => {
  rememberPosition(track.video_id, 0);
  go("next");
});
audio.addEventListener("error", failed);
audio.addEventListener("timeupdate", () => {
  if (Math.abs(audio.currentTime - saved) >= SECONDS_BETWEEN_SAVES) save();
  told("player:time");
});
for (const name of ["play", "playing", "pause", "waiting", "canplay", "durationchange", "ratechange", "volumechange", "seeked"]) {
  audio.addEventListener(name, () => {
    describePosition();
    told("player:changed");
  });
}
addEventListener("pagehide", save);
// The list may have changed, by a deletion for one.
document.addEventListener("page:shown", () => placeAsked && findPlace().catch(() => {}));

// The lock screen, and the keys of keyboards and headphones

const session = navigator.mediaSession;

function describe() {
  if (!session) return;
  const artwork = track.thumbnail ? [{ src: new URL(track.thumbnail, location.origin).href }] : [];
  session.metadata = new MediaMetadata({ title: track.title, artist: track.channel, album: "YTV2 Audio", artwork });
}

function describePosition() {
  if (!session) return;
  session.playbackState = track ? (isWanted ? "playing" : "paused") : "none";
  if (!(audio.duration > 0) || !Number.isFinite(audio.duration)) return;
  session.setPositionState?.({
    duration: audio.duration,
    playbackRate: audio.playbackRate,
    position: Math.min(audio.currentTime, audio.duration),
  });
}

const ACTIONS = {
  play: () => track && resume(),
  pause: () => audio.pause(),
  previoustrack: previous,
  nexttrack: next,
  seekbackward: ({ seekOffset }) => skip(-(seekOffset || STEP)),
  seekforward: ({ seekOffset }) => skip(seekOffset || STEP),
  seekto: ({ seekTime }) => seek(seekTime),
};
for (const [action, handler] of Object.entries(session ? ACTIONS : {})) {
  try {
    session.setActionHandler(action, handler);
  } catch {
    // An action that this browser does not know.
  }
}

// As it was left: the last track, paused.

export function restore() {
  const { track: last, query: list, speed, isMuted } = memory();
  audio.muted = isMuted === true;
  audio.defaultPlaybackRate = audio.playbackRate = SPEEDS.includes(speed) ? speed : 1;
  if (typeof last?.video_id !== "string" || !String(last.audio).startsWith("/exports/")) return;
  query = String(list);
  load(last);
  told("player:changed");
}
