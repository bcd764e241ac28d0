// The filter form submits itself: at once for a tick, after a pause for typing. The address stays clean, and what
// was focused, scrolled to and opened in the form is so again on the page that comes. Below the width of the
// sidebar the form is an overlay with a button, since a new page after each tick would close it.

import { navigate } from "./navigation.js";

const PAUSE = 300;
const wide = matchMedia("(min-width: 64rem)");
let timer;
let memory;

const formOf = () => document.getElementById("filter-form");
const sidebarOf = () => document.getElementById("filters");

function addressOf(form, submitter) {
  const data = new FormData(form, submitter);
  const query = new URLSearchParams([...data].filter(([, value]) => value.trim() !== "")).toString();
  const path = new URL(form.action).pathname;
  return query ? `${path}?${query}` : path;
}

function go(submitter = null, typedInto = "") {
  clearTimeout(timer);
  const form = formOf();
  if (!form) return;
  const address = addressOf(form, submitter);
  if (address === location.pathname + location.search) return;
  // Half a word is no place to go back to.
  navigate(address, { replace: typedInto !== "" && new URLSearchParams(location.search).has(typedInto) });
}

// Before htmx, which would send the empty fields too.
document.addEventListener("submit", (event) => {
  if (event.target !== formOf()) return;
  event.preventDefault();
  event.stopPropagation();
  go(event.submitter);
}, true);

document.addEventListener("change", ({ target }) => {
  if (!formOf()?.contains(target)) return;
  if (target.type === "checkbox") untickOtherLevel(target);
  if (wide.matches && target.type !== "search") go();
});

document.addEventListener("input", ({ target }) => {
  if (target.type === "search" && formOf()?.contains(target)) goSoon(target);
});

function goSoon(box) {
  clearTimeout(timer);
  // One letter finds nothing; an empty box shows all again.
  if (wide.matches && box.value.trim().length !== 1) timer = setTimeout(() => go(null, box.name), PAUSE);
}

// A category and a subcategory of it say two things; the one that was ticked last is meant.
function untickOtherLevel(box) {
  const parent = box.closest(".parent");
  if (!parent) return;
  const own = parent.querySelector("input");
  if (box.checked && box !== own) own.checked = false;
  else if (box.checked) for (const below of parent.querySelectorAll("details input")) below.checked = false;
  own.indeterminate = isPartly(parent);
}

// Something below a category is ticked, and it is not: for screen readers; the stylesheet shows it without script.
function isPartly(parent) {
  return !parent.querySelector("input").checked && parent.querySelector("details :checked") !== null;
}

// From one page to the next: what was focused, typed since, scrolled to and opened

document.addEventListener("page:leaving", () => {
  const form = formOf();
  // Of a report there is nothing to remember; the list that one comes back to is as it was.
  if (!form) {
    if (memory) memory.focus = memory.typed = null;
    return;
  }
  const focused = form.contains(document.activeElement) ? document.activeElement : null;
  const typing = focused?.type === "search";
  memory = {
    scroll: sidebarOf().scrollTop,
    opened: [...form.querySelectorAll("details[open]")].map(nameOf),
    focus: focused && { name: focused.name, value: typing ? null : focused.value },
    typed: typing ? { text: focused.value, caret: focused.selectionStart } : null,
  };
});

function nameOf(details) {
  return details.dataset.name ?? details.closest(".parent").querySelector("input").value;
}

document.addEventListener("page:shown", () => {
  for (const ticked of document.querySelectorAll(".parent details :checked")) {
    const parent = ticked.closest(".parent");
    parent.querySelector("input").indeterminate = isPartly(parent);
  }
});

document.addEventListener("page:shown", () => {
  const form = formOf();
  if (!form || !memory) return;
  // There are hundreds of these, and looking costs time: only where something was opened.
  for (const details of memory.opened.length ? form.querySelectorAll("details:not([open])") : []) {
    if (memory.opened.includes(nameOf(details))) details.open = true;
  }
  if (memory.scroll) sidebarOf().scrollTop = memory.scroll;
  if (!memory.focus || !wide.matches) return;
  const { name, value } = memory.focus;
  const control = [...form.elements].find((each) => each.name === name && (value === null || each.value === value));
  control?.focus({ preventScroll: true });
  if (control && memory.typed) {
    const isNew = control.value.trim() !== memory.typed.text.trim();
    control.value = memory.typed.text;
    control.setSelectionRange(memory.typed.caret, memory.typed.caret);
    if (isNew) goSoon(control);
  }
});

// The overlay: nothing behind it takes part, and it ends where the sidebar begins.

function setBehind(inert) {
  for (const element of document.querySelectorAll("main, header.bar, .skip, #player")) element.inert = inert;
}

// Opened: once the focus is inside. Closed: before the browser gives the focus back to the button.
document.addEventListener("toggle", ({ target, newState }) => {
  if (target === sidebarOf()) setBehind(newState === "open" && !wide.matches);
}, true);
document.addEventListener("beforetoggle", ({ target, newState }) => {
  if (target === sidebarOf() && newState === "closed") setBehind(false);
}, true);
document.addEventListener("page:shown", () => setBehind(false));
wide.addEventListener("change", () => {
  if (sidebarOf()?.matches(":popover-open")) sidebarOf().hidePopover();
});
