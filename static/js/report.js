// The report page: copy its address, and go back to the list as it was.

const copy = document.getElementById("copy-link");
const copied = document.getElementById("copied");
const text = copy.querySelector(".button-text");

copy.addEventListener("click", async () => {
  const address = document.querySelector("link[rel=canonical]").href;
  try {
    await navigator.clipboard.writeText(address);
    show("Copied");
  } catch {
    // No permission, or no secure connection: the address is shown, selected, to copy by hand.
    window.prompt("Copy this link:", address);
  }
});

function show(message) {
  copied.textContent = message;
  text.textContent = message;
  setTimeout(() => {
    copied.textContent = "";
    text.textContent = "Copy link";
  }, 2000);
}

// The list that one came from has its filters and its page in its address.
const back = document.getElementById("back");
if (document.referrer) {
  const from = new URL(document.referrer);
  if (from.origin === location.origin && from.pathname === new URL(back.href).pathname) back.href = from.href;
}
