// Short messages at the lower edge, announced to screen readers; with an action they stay longer.

const SECONDS = 6;
const SECONDS_WITH_ACTION = 12;

export function toast(text, { action = "", onAction = null, isError = false } = {}) {
  const box = document.createElement("div");
  box.className = isError ? "toast error-toast" : "toast";
  const words = document.createElement("p");
  words.dir = "auto";
  words.textContent = text;
  box.append(words);
  if (action) box.append(button(action, "toast-action", () => onAction()));
  box.append(button("×", "toast-close", () => {}, "Dismiss"));
  document.getElementById("toasts").append(box);

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
