// The ⋯ menu of a card and the tools of a report: copy its link, delete it, and take that back.

import { focusCard } from "./focus.js";
import { backToList, reload } from "./navigation.js";
import { quoted, toast } from "./toasts.js";

document.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  const copy = event.target.closest("[data-copy]");
  const erase = event.target.closest("[data-delete]");
  // First, so that the focus is on its button, where the dialog gives it back to.
  if (copy || erase) event.target.closest(".card-menu")?.hidePopover?.();
  if (copy) copyLink(copy.dataset.copy);
  else if (erase) {
    event.preventDefault();
    event.stopPropagation();
    askAndDelete(erase.dataset.delete, erase.dataset.title);
  }
}, true);

async function copyLink(path) {
  const address = new URL(path, location.origin).href;
  try {
    await navigator.clipboard.writeText(address);
    toast("Link copied.");
  } catch {
    // No permission, or no secure connection: the address is shown, selected, to copy by hand.
    window.prompt("Copy this link:", address);
  }
}

export function askAndDelete(videoId, title) {
  const dialog = document.getElementById("confirm");
  document.getElementById("confirm-title").textContent = `Delete “${title}”?`;
  dialog.returnValue = "";
  dialog.addEventListener("close", () => dialog.returnValue === "delete" && erase(videoId, title), { once: true });
  dialog.showModal();
}

async function erase(videoId, title) {
  const isListed = Boolean(document.querySelector("#page.dashboard"));
  if (!(await post(`/api/delete?id=${encodeURIComponent(videoId)}`, {}))) return;
  await (isListed ? reload() : backToList());
  toast(`${quoted(title)} is deleted.`, { about: videoId, action: "Undo", onAction: () => restore(videoId, title) });
}

async function restore(videoId, title) {
  if (!(await post("/deleted/restore/", { video_id: videoId }))) return;
  if (document.querySelector("#page.dashboard")) {
    await reload();
    focusCard(videoId);
  }
  toast(`${quoted(title)} is back in the library.`, { about: videoId });
}

async function post(address, fields) {
  const token = document.cookie.match(/(?:^|; )csrftoken=([^;]*)/)?.[1] ?? "";
  try {
    const answer = await fetch(address, {
      method: "POST",
      headers: { "X-CSRFToken": token, Accept: "application/json" },
      body: new URLSearchParams(fields),
    });
    if (answer.ok) return true;
    const isForbidden = answer.status === 401 || answer.status === 403;
    toast(isForbidden ? "Nothing was changed: sign in again, and try once more." : "Nothing was changed: the server did not take it.", { isError: true });
  } catch {
    toast("Nothing was changed: the server was not reached.", { isError: true });
  }
  return false;
}
