// Small habits of every page: keys, copying, messages that go away, and focus that follows navigation.

import { changeSpeed } from "./choices.js";
import { currentPlayback } from "./playback.js";

const TOAST_MS = 8000;
const dock = () => document.querySelector("now-playing");
/** What the keys are for: what played last, or the player of the page. */
const steered = () => currentPlayback() || document.querySelector("media-player.player")?.playback;
const cards = () => [...document.querySelectorAll(".card__link")];
const usesSingleKeys = () => {
  try { return localStorage.getItem("acervo.keys") !== "off"; } catch { return true; }
};

function step(by) {
  const all = cards();
  if (!all.length) return;
  const at = all.indexOf(document.activeElement);
  const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
  next.focus({ preventScroll: true });
  next.closest(".card").scrollIntoView({ block: "nearest" });
}

function playFocused() {
  const player = document.activeElement?.closest(".card")?.querySelector("media-player");
  if (player) return player.toggle();
  if (currentPlayback()?.isPlaying) return currentPlayback().toggle();
  const film = document.querySelector("video-stage media-player");
  if (film) return film.toggle();
  if (dock()?.track) return dock().toggle();
  return document.querySelector("media-player.player")?.toggle();
}

/** A control of this page that names its own key, such as an answer in the review. */
function pressNamed(key) {
  const named = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!named || named.disabled) return false;
  named.focus({ preventScroll: true });
  named.click();
  return true;
}

const KEYS = {
  "/": () => document.getElementById("q")?.focus(),
  j: () => step(1),
  k: () => step(-1),
  " ": playFocused,
  ArrowLeft: () => steered()?.skip(-5),
  ArrowRight: () => steered()?.skip(5),
  "<": () => changeSpeed(-1),
  ">": () => changeSpeed(1),
  "?": () => document.getElementById("shortcuts")?.togglePopover(),
};

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && event.target.matches("input, textarea")) return event.target.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.matches("input:not([data-key]), textarea, select, video, [contenteditable]")) return;
  if (event.key === " " && event.target.matches("button, summary, a:not(.card__link)")) return;
  if (event.key.startsWith("Arrow") && !steered()?.track) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (usesSingleKeys() && pressNamed(key)) return event.preventDefault();
  const act = KEYS[key];
  if (!act || !usesSingleKeys()) return;
  event.preventDefault();
  act();
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    toast(button.dataset.copied);
  } catch {
    button.parentElement.querySelector("input")?.select();
  }
});

document.addEventListener("change", (event) => {
  if (event.target.id !== "single-keys") return;
  try { localStorage.setItem("acervo.keys", event.target.checked ? "on" : "off"); } catch { /* for this visit only */ }
});

function toast(words, isBad = false) {
  const line = document.createElement("p");
  line.className = isBad ? "toast toast--bad" : "toast";
  line.textContent = words;
  document.querySelector(".toasts")?.append(line);
  leaveSoon(line);
}

function leaveSoon(line) {
  let timer = setTimeout(() => line.remove(), TOAST_MS);
  line.addEventListener("pointerenter", () => clearTimeout(timer));
  line.addEventListener("pointerleave", () => { timer = setTimeout(() => line.remove(), TOAST_MS); });
}

function settle() {
  document.querySelectorAll(".toast").forEach(leaveSoon);
  const keys = document.getElementById("single-keys");
  if (keys) keys.checked = usesSingleKeys();
}

document.addEventListener("htmx:afterSettle", (event) => {
  if (event.detail.target?.id !== "page" && event.detail.elt?.id !== "page") return;
  settle();
  document.getElementById("main")?.focus({ preventScroll: true });
});
document.addEventListener("htmx:sendError", () => toast(document.querySelector(".toasts")?.dataset.away || "", true));
settle();
