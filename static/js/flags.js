// A machine without letters for flags shows boxes in their place: there the card has the language's code instead.

const context = document.createElement("canvas").getContext("2d");
const width = (text) => context.measureText(text).width;

// No font has the second one: where both are as wide, both are the sign for what is missing.
if (width("🇬🇧") === width("\u{10FFFD}\u{10FFFD}")) document.documentElement.classList.add("no-flags");
