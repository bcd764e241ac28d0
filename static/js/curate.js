// The page of one video in the curation: keys for its buttons, and the box ready to type in.

import "./pairs.js";

document.querySelector("pair-picker input[role=combobox]")?.focus();
for (const element of document.querySelectorAll(".needs-script")) element.hidden = false;

document.addEventListener("keydown", (event) => {
  if (event.metaKey || event.isComposing || event.altKey === event.ctrlKey) return;
  // The key's place: with Alt some keyboards write other letters.
  const withAlt = { KeyN: "#next", KeyP: "#previous", KeyK: "[data-keys='Alt+K']" };
  const way = event.altKey ? withAlt[event.code] : event.key === "Enter" && "[data-keys='Ctrl+Enter']";
  const element = way && document.querySelector(way);
  if (!element) return;
  event.preventDefault();
  element.click();
});
