// Short messages at the lower edge, announced to screen readers; with an action they stay longer.

const SECONDS = 6;
const SECONDS_WITH_ACTION = 12;
const LONGEST_TITLE = 80;

// A title within a message, cut short: it may be as long as a page.
export function quoted(title) {
  const letters = [...(title || "Untitled")];
  return letters.length > LONGEST_TITLE ? `“${letters.slice(0, LONGEST_TITLE).join("").trimEnd()}…”` : `“${letters.join("")}”`;
}

// What is said about the same thing takes the place of what was said before, or a row of them would cover the page.
export function toast(text, { about = text, action = "", onAction = null, isError = false } = {}) {
  const toasts = document.getElementById("toasts");
  for (const said of toasts.children) if (said.dataset.about === about) said.remove();
  const box = document.createElement("div");
  box.dataset.about = about;
  box.className = isError ? "toast error-toast" : "toast";
  const words = document.createElement("p");
  words.dir = "auto";
  words.textContent = text;
  box.append(words);
  if (action) box.append(button(action, "toast-action", () => onAction()));
  box.append(button("×", "toast-close", () => {}, "Dismiss"));
  toasts.append(box);

  let timer;
  const remove = () => box.remove();
  const wait = () => (timer = setTimeout(remove, 1000 * (action || isError ? SECONDS_WITH_ACTION : SECONDS)));
  const stay = () => clearTimeout(timer);
  for (const name of ["pointerenter", "focusin"]) box.addEventListener(name, stay);
  for (const name of ["pointerleave", "focusout"]) box.addEventListener(name, wait);
  wait();

  function button(label, className, onClick, name = "") {
    const element = document.createElement("button");
    element.type = "button";
    element.className = className;
    element.textContent = label;
    if (name) element.setAttribute("aria-label", name);
    element.addEventListener("click", () => {
      stay();
      remove();
      onClick();
    });
    return element;
  }
}
