// A waveform with a range laid over it: how much is played, and the keys that move it.

import { STEP_S, written } from "./playback.js";

/** A second drawing of the waveform, as wide as what has been played. Attributes only: a style would offend the policy
 * as soon as somebody copies the element. */
export function addPlayedLayer(wave) {
  if (wave.querySelectorAll("svg").length === 1) wave.firstElementChild.after(wave.firstElementChild.cloneNode(true));
  showPlayed(wave, 0);
}

function showPlayed(wave, part) {
  const [whole, played] = wave.querySelectorAll("svg");
  const { width, height } = whole.viewBox.baseVal;
  played.setAttribute("width", `${100 * part}%`);
  played.setAttribute("viewBox", `0 0 ${width * part} ${height}`);
}

export function showTime(wave, time, length, of) {
  const range = wave.querySelector("input");
  range.max = length || 1;
  // Not under somebody's finger: a value written between pressing and letting go can swallow what was chosen.
  if (!range.matches(":active")) range.value = time;
  range.setAttribute("aria-valuetext", `${written(time)} ${of} ${written(length)}`);
  showPlayed(wave, length ? Math.min(1, time / length) : 0);
}

/** On a focused position: space plays, arrows go five seconds, whatever the browser's own step is. */
export function steerByKeys(range, { skip, toggle }) {
  range.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -STEP_S, ArrowDown: -STEP_S, ArrowRight: STEP_S, ArrowUp: STEP_S }[event.key];
    if (!step && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    if (step) skip(step);
    else toggle();
  });
}
