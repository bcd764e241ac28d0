// From page to page: htmx fetches the next page and puts its #page in the place of this one, so that what stands
// outside of it, the player above all, lives on. The history is kept here: each entry knows how far it was scrolled,
// and going back fetches the page anew, since a list may have changed meanwhile.

import { toast } from "./toasts.js";

const LIST = "list";
const LEFT = "left";
let shown = here();
// How the page that is being fetched is to be shown.
let pending = {};
// Where the page is to stand until somebody moves it: a report that opens in it comes later.
let restored = null;

history.scrollRestoration = "manual";

// Where we are, without the part behind "#".
function here() {
  return location.pathname + location.search;
}

// Go to an address of this site; `replace` leaves no entry in the history, `scroll` is where the page is to stand.
export function navigate(address, { replace = false, scroll } = {}) {
  pending = { replace, scroll };
  return fetchPage(address);
}

// What fails is said below; a page that another has taken the place of on the way is no failure.
function fetchPage(address) {
  const where = { source: document.body, target: "#page", select: "#page", swap: "outerHTML" };
  return htmx.ajax("GET", address, where).catch(() => {});
}

// Fetch this page again and leave everything where it is.
export function reload() {
  return navigate(here(), { replace: true, scroll: scrollY });
}

// The list that was shown last, as it was.
export function backToList() {
  const { address, scroll } = list();
  return navigate(address, { scroll });
}

// The address of the list that was shown last, with its filters.
export function listAddress() {
  return list().address;
}

function list() {
  try {
    return JSON.parse(sessionStorage.getItem(LIST)) ?? { address: "/", scroll: 0 };
  } catch {
    return { address: "/", scroll: 0 };
  }
}

function rememberScroll() {
  history.replaceState({ ...history.state, scroll: scrollY }, "");
  if (!document.querySelector("#page.dashboard")) return;
  try {
    sessionStorage.setItem(LIST, JSON.stringify({ address: shown, scroll: scrollY }));
  } catch {
    // Storage is forbidden: the way back leads to the start of the list.
  }
}

let scrolled;
addEventListener("scroll", () => {
  clearTimeout(scrolled);
  scrolled = setTimeout(() => shown === here() && rememberScroll(), 200);
}, { passive: true });
// A page that is being left or loaded anew can change its entry in the history no more.
addEventListener("pagehide", () => {
  rememberScroll();
  try {
    sessionStorage.setItem(LEFT, JSON.stringify({ address: location.href, scroll: scrollY }));
  } catch {
    // Storage is forbidden: a reload starts at the top.
  }
});

function scrollBeforeReload() {
  if (performance.getEntriesByType("navigation")[0]?.type !== "reload") return undefined;
  try {
    const left = JSON.parse(sessionStorage.getItem(LEFT));
    return left?.address === location.href ? left.scroll : undefined;
  } catch {
    return undefined;
  }
}

addEventListener("popstate", () => {
  clearTimeout(scrolled);
  if (here() !== shown) {
    pending = { popped: true, scroll: history.state?.scroll ?? 0 };
    fetchPage(here());
    return;
  }
  // The page is the same; the part behind "#" says what is open on it.
  restored = history.state?.scroll ?? 0;
  document.dispatchEvent(new CustomEvent("page:opened", { detail: { scroll: history.state?.scroll ?? 0 } }));
});

// The way back from a report: to the list as it was.
document.addEventListener("click", (event) => {
  const back = event.target.closest("#back");
  if (!back || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  event.stopPropagation();
  backToList();
}, true);

document.addEventListener("htmx:beforeRequest", ({ detail }) => {
  if (detail.boosted) pending = {};
  document.documentElement.classList.add("loading");
});
document.addEventListener("htmx:afterRequest", () => document.documentElement.classList.remove("loading"));

document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, target, pathInfo } = event.detail;
  if (target.id !== "page") return;
  const { pathname, search } = new URL(xhr.responseURL);
  const address = pathname + search;
  const hash = pending.popped ? location.hash : pathInfo.anchor ? `#${pathInfo.anchor}` : "";
  // Not a page of this shape, or one of a newer release: the browser loads it whole. A new release waits for silence.
  if (!xhr.responseText.includes('id="page"') || (isOtherRelease(xhr.responseText) && !isPlaying())) {
    event.preventDefault();
    if (pending.popped || pending.replace) location.replace(address + hash);
    else location.assign(address + hash);
    return;
  }
  clearTimeout(scrolled);
  document.dispatchEvent(new Event("page:leaving"));
  if (!pending.popped) rememberScroll();
  pending.changed = pathname !== new URL(shown, location.origin).pathname;
  if (pending.popped || pending.replace || address + hash === here() + location.hash) {
    history.replaceState(pending.popped ? history.state : { scroll: pending.scroll ?? 0 }, "", address + hash);
  } else {
    history.pushState({ scroll: 0 }, "", address + hash);
  }
  shown = address;
});

document.addEventListener("htmx:afterSwap", ({ target }) => {
  if (target.id !== "page") return;
  if (pending.changed) document.getElementById("main").focus({ preventScroll: true });
  show();
});

function show() {
  // Where one was before counts more than what the part behind "#" names.
  const isFirstTime = location.hash !== "" && !pending.popped && pending.scroll === undefined;
  scrollTo({ top: 0, behavior: "instant" });
  document.dispatchEvent(new CustomEvent("page:shown", { detail: { isFirstTime } }));
  const anchor = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  restored = isFirstTime ? null : (pending.scroll ?? 0);
  if (!isFirstTime) scrollTo({ top: restored, behavior: "instant" });
  else if (anchor) anchor.scrollIntoView({ behavior: "instant" });
  rememberScroll();
  const found = document.querySelector(".found");
  document.getElementById("announcer").textContent = found && !pending.changed ? found.textContent : document.title;
}

// Prevented: the page is placed.
document.addEventListener("page:grown", (event) => {
  if (restored === null) return;
  scrollTo({ top: restored, behavior: "instant" });
  event.preventDefault();
});
for (const name of ["pointerdown", "wheel", "touchmove", "keydown"]) {
  addEventListener(name, () => (restored = null), { capture: true, passive: true });
}

function isOtherRelease(html) {
  return !html.includes(document.querySelector("link[rel=stylesheet]").getAttribute("href"));
}

function isPlaying() {
  return document.getElementById("player")?.dataset.state === "playing";
}

// What goes wrong on the way

for (const name of ["htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, ({ detail }) => {
    const address = detail.pathInfo.finalRequestPath;
    const options = { ...pending };
    const text = navigator.onLine ? "The page could not be loaded." : "You are offline: the page could not be loaded.";
    // Going back has changed the address already; what is shown is still the other page.
    if (pending.popped) history.pushState({ scroll: scrollY }, "", shown);
    toast(text, { isError: true, action: "Try again", onAction: () => navigate(address, options) });
  });
}
addEventListener("offline", () => toast("You are offline. What is on the page can still be read.", { about: "network" }));
addEventListener("online", () => toast("You are online again.", { about: "network" }));

// The first page of this visit: as far scrolled as it was when it was reloaded.
export function start() {
  pending = { scroll: scrollBeforeReload() ?? history.state?.scroll, changed: true };
  show();
  document.getElementById("announcer").textContent = "";
}
