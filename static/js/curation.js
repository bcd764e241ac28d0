// Categories edited where they stand: the form opens in the card or the report, and what is saved shows at once.

import { reload } from "./navigation.js";
import { toast } from "./toasts.js";

let isStyled = false;

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const edit = event.target.closest("[data-curate]");
  const close = event.target.closest(".curate-here [data-close]");
  if (edit) {
    event.preventDefault();
    event.stopPropagation();
    edit.closest(".card-menu")?.hidePopover?.();
    open(edit);
  } else if (close) {
    event.preventDefault();
    event.stopPropagation();
    shut();
  }
}, true);

// The styles of what is opened are no part of every page.
async function load(form) {
  if (!isStyled) {
    const styles = Object.assign(document.createElement("link"), { rel: "stylesheet", href: form.dataset.styles });
    const ready = new Promise((resolve) => ["load", "error"].forEach((name) => styles.addEventListener(name, resolve, { once: true })));
    document.head.append(styles);
    await ready;
    isStyled = true;
  }
  await import("./pairs.js");
}

async function open(edit) {
  const here = document.querySelector(".curate-here");
  if (here?.dataset.video === edit.dataset.curate) {
    here.querySelector("input[role=combobox]")?.focus();
    return;
  }
  here?.remove();
  try {
    const answer = await fetch(`${new URL(edit.href).pathname}?part=form`, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.status);
    await show(edit.dataset.curate, await answer.text());
  } catch {
    // A page of its own says what is wrong, or asks to sign in again.
    location.assign(edit.href);
  }
}

async function show(video, html) {
  const section = Object.assign(document.createElement("section"), { className: "curate-here" });
  section.dataset.video = video;
  section.innerHTML = html;
  await load(section.querySelector("form"));
  document.querySelector(".curate-here")?.remove();
  const card = document.querySelector(`.card[data-video="${CSS.escape(video)}"]`);
  if (card) card.querySelector(".actions").before(section);
  else document.querySelector("main h1").after(section);
  section.scrollIntoView({ block: "nearest" });
  section.querySelector("input[role=combobox]").focus();
}

function shut() {
  const here = document.querySelector(".curate-here");
  if (!here) return;
  const { video } = here.dataset;
  here.remove();
  focusOn(video);
}

function focusOn(video) {
  const card = document.querySelector(`.card[data-video="${CSS.escape(video)}"]`);
  (card ? card.querySelector(".menu-button") : document.querySelector("[data-curate]"))?.focus({ preventScroll: true });
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.defaultPrevented || !event.target.closest?.(".curate-here")) return;
  event.preventDefault();
  event.stopPropagation();
  shut();
}, true);

document.addEventListener("submit", async (event) => {
  const form = event.target.closest(".curate-here form");
  if (!form) return;
  event.preventDefault();
  event.stopPropagation();
  const { video } = form.closest(".curate-here").dataset;
  try {
    const answer = await fetch(`${form.getAttribute("action")}?part=form`, { method: "POST", body: new URLSearchParams(new FormData(form, event.submitter)) });
    if (answer.status === 409) {
      await show(video, await answer.text());
      return;
    }
    if (!answer.ok) throw new Error(answer.status);
    const { message, undo } = await answer.json();
    await reload();
    focusOn(video);
    toast(message, undo ? { action: "Undo …", onAction: () => location.assign(undo) } : {});
  } catch (error) {
    const isRefused = ["401", "403"].includes(error.message);
    toast(isRefused ? "Nothing was changed: sign in again, and try once more." : "Nothing was changed: the server did not take it.", { isError: true });
  }
}, true);
