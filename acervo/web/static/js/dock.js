// The one <audio> of the whole visit, in the dock that stays while pages are swapped.

import { choices, choose } from "./choices.js";
import { Playback, written } from "./playback.js";
import { addPlayedLayer, showTime, steerByKeys } from "./wave.js";

const CYCLE = [1, 1.5, 2];
export const shownSpeed = (speed) => `${speed.toLocaleString(document.documentElement.lang)}×`;
export const dock = () => document.querySelector("now-playing");

export class NowPlaying extends HTMLElement {
  connectedCallback() {
    this.wave = this.querySelector(".wave");
    addPlayedLayer(this.wave);
    this.playback = new Playback(this.querySelector("audio"), { neighbour: (by) => this.neighbour(by) });
    document.addEventListener("acervo:playing", ({ detail }) => { if (detail.playback === this.playback) this.show(); });
    document.addEventListener("acervo:choice", () => this.showChoices());
    this.querySelector(".play").addEventListener("click", () => this.toggle());
    this.querySelector(".speed").addEventListener("click", () => choose("speed", CYCLE[(CYCLE.indexOf(choices.speed) + 1) % CYCLE.length]));
    this.querySelector(".dock__on").addEventListener("click", () => choose("playsOn", !choices.playsOn));
    this.querySelector(".dock__close").addEventListener("click", () => this.close());
    const range = this.wave.querySelector("input");
    range.addEventListener("input", () => this.playback.seek(Number(range.value)));
    steerByKeys(range, { skip: (by) => this.skip(by), toggle: () => this.toggle() });
    this.showChoices();
    this.show();
  }

  get track() { return this.playback.track; }

  play(track, from) { this.playback.play(track, from); }
  toggle() { this.playback.toggle(); }
  skip(seconds) { this.playback.skip(seconds); }

  close() {
    this.playback.close();
    this.hidden = true;
  }

  /** The next or the previous sound of the list that is on the page now. */
  neighbour(by) {
    const players = [...document.querySelectorAll("media-player.mini")];
    const at = players.findIndex((player) => player.dataset.file === this.playback.file);
    return at < 0 ? undefined : players[at + by]?.track;
  }

  name(track) {
    this.hidden = false;
    // A fresh link, so that htmx learns its address.
    const link = document.createElement("a");
    link.href = track.address;
    link.textContent = track.title;
    this.querySelector(".dock__who a").replaceWith(link);
    window.htmx?.process(link);
    this.wave.querySelectorAll("path").forEach((path) => path.setAttribute("d", track.drawing));
    this.wave.querySelectorAll("svg").forEach((svg) => svg.setAttribute("viewBox", track.box));
  }

  show() {
    const { second, length, isPlaying, isWaiting, hasFailed, track } = this.playback;
    if (track && (this.hidden || this.querySelector(".dock__who a").getAttribute("href") !== track.address)) this.name(track);
    this.classList.toggle("is-playing", isPlaying);
    this.classList.toggle("is-failed", Boolean(hasFailed));
    this.querySelector(".play").setAttribute("aria-label", isPlaying ? this.dataset.pause : this.dataset.play);
    const time = `${written(second)} / ${written(length)}`;
    this.querySelector(".dock__time").textContent = hasFailed ? this.dataset.failed : isWaiting ? this.dataset.waiting : time;
    showTime(this.wave, second, length, this.dataset.of);
  }

  showChoices() {
    const speed = this.querySelector(".speed");
    speed.textContent = shownSpeed(choices.speed);
    speed.setAttribute("aria-label", `${this.dataset.speed}: ${shownSpeed(choices.speed)}`);
    this.querySelector(".dock__on").setAttribute("aria-pressed", String(choices.playsOn));
  }
}
