// Choosing a video's categories: a box to type in, "world aft" finds World War II › Aftermath, and the chosen pairs as
// chips in order. It takes the place of the lists that work without scripts, and sends the same.

const SHOWN = 30;
let numbers = 0;

const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const words = (text) => plain(text).split(/[^\p{L}\p{N}]+/u).filter(Boolean);

class PairPicker extends HTMLElement {
  connectedCallback() {
    if (this.input) return;
    const lists = [...this.querySelectorAll("select")];
    this.options = [...lists[0].querySelectorAll("option")].filter(({ value }) => value).map((option) => {
      const category = option.closest("optgroup").label;
      const isWhole = option.value.endsWith(":") && option.closest("optgroup").dataset.retired === undefined;
      return { value: option.value, category, label: isWhole ? category : option.dataset.name || option.text, isWhole, words: words(`${category} ${option.text}`) };
    });
    this.preferred = new Set(this.dataset.preferred ? JSON.parse(this.dataset.preferred) : []);
    const chosen = lists.map(({ value }) => value).filter(Boolean);
    this.build();
    for (const value of chosen) this.add(value, { quietly: true });
    this.changed = false;
  }

  build() {
    const id = `pairs-${++numbers}`;
    this.chips = Object.assign(document.createElement("ul"), { className: "pair-chips" });
    this.chips.setAttribute("aria-label", "Chosen, in order");
    const label = Object.assign(document.createElement("label"), { className: "pair-label", htmlFor: `${id}-input`, textContent: "Add a category" });
    this.input = Object.assign(document.createElement("input"), { id: `${id}-input`, type: "text", autocomplete: "off", spellcheck: false, placeholder: "Type parts of its names" });
    for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": `${id}-list` })) {
      this.input.setAttribute(name, value);
    }
    this.list = Object.assign(document.createElement("ul"), { id: `${id}-list`, className: "pair-list", hidden: true });
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "Categories");
    this.none = Object.assign(document.createElement("p"), { className: "pair-none" });
    this.says = Object.assign(document.createElement("p"), { className: "visually-hidden" });
    this.says.setAttribute("role", "status");
    this.replaceChildren(this.chips, label, this.input, this.list, this.none, this.says);
    this.input.addEventListener("input", () => this.search());
    this.input.addEventListener("keydown", (event) => this.typed(event));
    this.input.addEventListener("blur", () => this.close());
    // The box keeps the focus, so that it does not close before the click.
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => {
      const item = event.target.closest("[role=option]");
      if (item) this.add(item.dataset.value);
    });
    this.chips.addEventListener("click", (event) => this.clicked(event));
    this.chips.addEventListener("keydown", (event) => this.typedOnChip(event));
  }

  get values() {
    return [...this.chips.children].map(({ dataset }) => dataset.value);
  }

  // What is found

  search() {
    const wanted = words(this.input.value);
    const chosen = new Set(this.values);
    const found = wanted.length === 0 ? [] : this.options.filter((option) =>
      !chosen.has(option.value) && wanted.every((part) => option.words.some((word) => word.startsWith(part))));
    const rank = (option) => (this.preferred.has(option.category) ? 0 : 2) + (option.isWhole ? 1 : 0);
    found.sort((one, other) => rank(one) - rank(other));
    this.list.replaceChildren(...found.slice(0, SHOWN).map((option, index) => {
      const item = Object.assign(document.createElement("li"), { id: `${this.list.id}-${index}` });
      item.setAttribute("role", "option");
      item.dataset.value = option.value;
      item.append(...this.names(option));
      return item;
    }));
    this.list.hidden = found.length === 0;
    this.input.setAttribute("aria-expanded", String(found.length > 0));
    this.activate(0);
    this.none.textContent = wanted.length && !found.length ? "No other category has these names." : "";
    if (wanted.length) this.says.textContent = found.length ? `${found.length} found` : this.none.textContent;
  }

  names({ category, label, isWhole }) {
    const parent = Object.assign(document.createElement("span"), { textContent: category, dir: "auto" });
    if (isWhole) return [parent];
    const below = Object.assign(document.createElement("b"), { textContent: label, dir: "auto" });
    return [parent, " › ", below];
  }

  get active() {
    return this.list.querySelector("[aria-selected=true]");
  }

  activate(index) {
    this.active?.removeAttribute("aria-selected");
    const item = this.list.children[index];
    if (!item) {
      this.input.removeAttribute("aria-activedescendant");
      return;
    }
    item.setAttribute("aria-selected", "true");
    item.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", item.id);
  }

  close() {
    this.none.textContent = "";
    this.list.hidden = true;
    this.list.replaceChildren();
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  // What is chosen

  add(value, { quietly = false } = {}) {
    const option = this.options.find((other) => other.value === value);
    if (!option || this.values.includes(value)) return;
    const chip = document.createElement("li");
    chip.dataset.value = value;
    const name = option.isWhole ? option.category : `${option.category} › ${option.label}`;
    const field = Object.assign(document.createElement("input"), { type: "hidden", name: "pair", value });
    const body = Object.assign(document.createElement("button"), { type: "button", className: "pair-name", title: "Alt and arrows move it, Delete removes it" });
    body.append(...this.names(option));
    const up = Object.assign(document.createElement("button"), { type: "button", className: "pair-up", textContent: "↑", title: "Move earlier" });
    up.setAttribute("aria-label", `Move ${name} earlier`);
    const remove = Object.assign(document.createElement("button"), { type: "button", className: "pair-remove", textContent: "×", title: "Remove" });
    remove.setAttribute("aria-label", `Remove ${name}`);
    chip.append(body, up, remove, field);
    this.chips.append(chip);
    this.input.value = "";
    this.close();
    this.note(quietly ? "" : `Added: ${name}`);
  }

  remove(chip) {
    const name = chip.querySelector(".pair-name").textContent;
    const next = chip.nextElementSibling ?? chip.previousElementSibling;
    const hadFocus = chip.contains(document.activeElement);
    chip.remove();
    if (hadFocus) (next?.querySelector(".pair-name") ?? this.input).focus();
    this.note(`Removed: ${name}`);
  }

  move(chip, step) {
    const other = step < 0 ? chip.previousElementSibling : chip.nextElementSibling;
    if (!other) return;
    const focused = document.activeElement;
    if (step < 0) other.before(chip);
    else other.after(chip);
    focused.focus();
    this.note(`${chip.querySelector(".pair-name").textContent}: place ${this.values.indexOf(chip.dataset.value) + 1}`);
  }

  note(text) {
    this.changed = true;
    this.says.textContent = text;
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  clicked(event) {
    const chip = event.target.closest("li");
    if (event.target.closest(".pair-remove")) this.remove(chip);
    else if (event.target.closest(".pair-up")) this.move(chip, -1);
  }

  // Keys

  typed(event) {
    if (event.isComposing || event.metaKey) return;
    const items = [...this.list.children];
    const index = items.indexOf(this.active);
    const isEmpty = this.input.value === "";
    if (event.key === "ArrowDown" && items.length) this.activate((index + 1) % items.length);
    else if (event.key === "ArrowUp" && items.length) this.activate((index + items.length - 1) % items.length);
    else if (event.key === "Enter" && event.ctrlKey) this.press("[data-keys~='Ctrl+Enter']");
    else if (event.key === "Enter" && this.active) this.add(this.active.dataset.value);
    // A name that nothing has must not send the form.
    else if (event.key === "Enter" && isEmpty) this.press("[data-keys~='Enter']");
    else if (event.key === "Enter") this.search();
    else if (event.key === "Escape" && !isEmpty) {
      this.input.value = "";
      this.close();
    } else if (event.key === "Backspace" && isEmpty && this.chips.lastElementChild) this.remove(this.chips.lastElementChild);
    else if (event.key === "ArrowLeft" && isEmpty && this.chips.lastElementChild) this.chips.lastElementChild.querySelector(".pair-name").focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  typedOnChip(event) {
    const chip = event.target.closest("li");
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (step && event.altKey) this.move(chip, step);
    else if (step) {
      const other = step < 0 ? chip.previousElementSibling ?? chip : chip.nextElementSibling;
      (other?.querySelector(".pair-name") ?? this.input).focus();
    } else if (event.key === "Delete" || event.key === "Backspace") this.remove(chip);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  press(selector) {
    this.closest("form").querySelector(selector)?.click();
  }
}

customElements.define("pair-picker", PairPicker);
