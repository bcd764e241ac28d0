// The filter form submits itself: at once for a tick, after a pause for typing. The address stays clean, and what
// was focused, scrolled to and opened in the form is so again on the page that comes. Below the width of the
// sidebar the form is an overlay with a button, since a new page after each tick would close it.

const PAUSE = 450;
const MEMORY = "filters";
const form = document.getElementById("filter-form");
const sidebar = document.getElementById("filters");
const wide = matchMedia("(min-width: 64rem)");
let timer;
let leaving = false;

function addressOf(submitter) {
  const data = new FormData(form, submitter);
  const query = new URLSearchParams([...data].filter(([, value]) => value.trim() !== "")).toString();
  const path = new URL(form.action).pathname;
  return query ? `${path}?${query}` : path;
}

function go(submitter = null, typedInto = "") {
  clearTimeout(timer);
  const address = addressOf(submitter);
  if (address === location.pathname + location.search) return;
  leaving = true;
  // Half a word is no place to go back to.
  if (typedInto && new URLSearchParams(location.search).has(typedInto)) location.replace(address);
  else location.assign(address);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  go(event.submitter);
});

form.addEventListener("change", ({ target }) => {
  if (target.type === "checkbox") untickOtherLevel(target);
  if (wide.matches && target.type !== "search") go();
});

form.addEventListener("input", ({ target }) => {
  if (target.type === "search") goSoon(target);
});

function goSoon(box) {
  clearTimeout(timer);
  // One letter finds nothing; an empty box shows all again.
  if (wide.matches && box.value.trim().length !== 1) timer = setTimeout(() => go(null, box.name), PAUSE);
}

// A category and a subcategory of it say two things; the one that was ticked last is meant.
function untickOtherLevel(box) {
  const parent = box.closest(".parent");
  if (!box.checked || !parent) return;
  const own = parent.querySelector("input");
  if (box !== own) own.checked = false;
  else for (const below of parent.querySelectorAll("details input")) below.checked = false;
}

// From one page to the next: what was focused, typed since, scrolled to and opened

addEventListener("pagehide", () => {
  if (!leaving) return;
  const focused = form.contains(document.activeElement) ? document.activeElement : null;
  const typing = focused?.type === "search";
  const memory = {
    at: Date.now(),
    scroll: sidebar.scrollTop,
    opened: [...form.querySelectorAll("details[open]")].map(nameOf),
    focus: focused && { name: focused.name, value: typing ? null : focused.value },
    typed: typing ? { text: focused.value, caret: focused.selectionStart } : null,
  };
  try {
    sessionStorage.setItem(MEMORY, JSON.stringify(memory));
  } catch {
    // Storage is forbidden: the form starts at its top.
  }
});

function nameOf(details) {
  return details.dataset.name ?? details.closest(".parent").querySelector("input").value;
}

function recalled() {
  try {
    const memory = JSON.parse(sessionStorage.getItem(MEMORY));
    sessionStorage.removeItem(MEMORY);
    return memory && Date.now() - memory.at < 10_000 ? memory : null;
  } catch {
    return null;
  }
}

const memory = recalled();
if (memory) {
  for (const details of form.querySelectorAll("details")) {
    if (memory.opened.includes(nameOf(details))) details.open = true;
  }
  sidebar.scrollTop = memory.scroll;
}
if (memory?.focus && wide.matches) {
  const { name, value } = memory.focus;
  const control = [...form.elements].find((each) => each.name === name && (value === null || each.value === value));
  control?.focus({ preventScroll: true });
  if (control && memory.typed) {
    const isNew = control.value.trim() !== memory.typed.text.trim();
    control.value = memory.typed.text;
    control.setSelectionRange(memory.typed.caret, memory.typed.caret);
    if (isNew) goSoon(control);
  }
}

// The overlay: nothing behind it takes part, and it ends where the sidebar begins.

function setBehind(inert) {
  for (const element of document.querySelectorAll("main, header.bar, .skip")) element.inert = inert;
}

// Opened: once the focus is inside. Closed: before the browser gives the focus back to the button.
sidebar.addEventListener("toggle", ({ newState }) => setBehind(newState === "open" && !wide.matches));
sidebar.addEventListener("beforetoggle", ({ newState }) => {
  if (newState === "closed") setBehind(false);
});
wide.addEventListener("change", () => {
  if (sidebar.matches(":popover-open")) sidebar.hidePopover();
});

// A page from the browser's memory comes with boxes as they were when it was left.
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  form.reset();
  leaving = false;
});
