// Where the keyboard is when a page has taken the place of another: on the same thing, or on what is nearest to it.
// Whoever goes from link to link would begin at the top of the page again after each of them.

// What had the focus on the page that is left, and the card whose report was opened from a list.
let left = null;
let opened = null;

const isList = () => document.querySelector("#page.dashboard") !== null;

document.addEventListener("page:leaving", () => {
  const focused = document.activeElement;
  left = document.getElementById("page").contains(focused) ? placeOf(focused) : null;
  if (isList()) opened = left?.card ? { ...left.card, list: location.search } : null;
});

function placeOf(focused) {
  const card = focused.closest(".card[data-video]");
  if (card) return { card: { video: card.dataset.video, index: cards().indexOf(card) } };
  return {
    facet: focused.closest(".facet")?.getAttribute("aria-labelledby"),
    active: [...document.querySelectorAll(".active a")].indexOf(focused),
    choice: focused.closest(".switch, .sizes") && nameOf(focused),
    name: nameOf(focused),
  };
}

const cards = () => [...document.querySelectorAll(".card[data-video]")];
const nameOf = (element) => element.getAttribute("aria-label") ?? element.textContent.trim();
const named = (elements, name) => [...elements].find((element) => nameOf(element) === name);
const atMost = (elements, index) => elements[Math.min(index, elements.length - 1)];

// The same card; where it is gone, the one in its place.
function inCards({ video, index }) {
  const all = cards();
  return (all.find((card) => card.dataset.video === video) ?? atMost(all, index))?.querySelector(".card-title a");
}

export function focusCard(videoId) {
  inCards({ video: videoId, index: 0 })?.focus({ preventScroll: true });
}

function nearest({ card, facet, active, choice, name }) {
  if (card) return inCards(card);
  if (active >= 0) return atMost(document.querySelectorAll(".active a"), active);
  if (choice) return named(document.querySelectorAll(".switch a, .sizes a"), choice);
  const group = facet && document.querySelector(`.facet[aria-labelledby="${facet}"]`);
  return group && (named(group.querySelectorAll("a"), name) ?? group.querySelector("input"));
}

document.addEventListener("page:shown", () => {
  const isNowhere = document.activeElement === document.body;
  const isBack = isList() && opened?.list === location.search && document.activeElement.id === "main";
  let target;
  if (isBack) target = inCards(opened);
  else if (isNowhere && left) target = nearest(left) ?? document.getElementById("main");
  target?.focus({ preventScroll: true });
});
