// Players on pages. A sound is played by the dock, which outlives the page; a film by the <video> it stands under.
//
// For whoever shows text along what plays:
//   document listens to `acervo:seek`, detail { file, second }: the player of that file plays from there;
//   document hears `acervo:playing`, detail { file, second, length, isPlaying }: four times a second while something
//   plays, and at every change. `file` is undefined when the dock was closed.

import { choices, choose, placeOf } from "./choices.js";
import { dock, NowPlaying } from "./dock.js";
import { Playback, STEP_S, written } from "./playback.js";
import "./viewer.js";
import { addPlayedLayer, showTime, steerByKeys } from "./wave.js";

const isApple = navigator.vendor.startsWith("Apple");

/** A film with its own picture. */
class VideoStage extends HTMLElement {
  connectedCallback() {
    const video = this.querySelector("video");
    this.over = new AbortController();
    this.playback = new Playback(video, { signal: this.over.signal });
    this.playback.load({ file: this.dataset.file, length: Number(this.dataset.length) || 0, pauses: pausesOf(this) });
    // A <source> that fails is passed over by the browser; after the last one nothing is left.
    video.querySelector("source:last-of-type")?.addEventListener("error", () => this.fail(), { signal: this.over.signal });
    if (video.networkState === HTMLMediaElement.NETWORK_NO_SOURCE) this.fail(); // before this script ran
  }

  disconnectedCallback() {
    this.playback.leave();
    this.over.abort();
  }

  fail() {
    this.playback.hasFailed = true;
    this.playback.tell();
  }
}

class MediaPlayer extends HTMLElement {
  connectedCallback() {
    this.wave = this.querySelector(".wave");
    addPlayedLayer(this.wave);
    this.hear = ({ detail }) => this.follow(detail.playback);
    this.heed = () => this.showChoices();
    document.addEventListener("acervo:playing", this.hear);
    document.addEventListener("acervo:choice", this.heed);
    if (!this.isWired) this.wire();
    this.showChoices();
    if (!this.isMine && placeOf(this.dataset.file)) this.showTime(placeOf(this.dataset.file), Number(this.dataset.length) || 0);
    this.follow(this.playback);
  }

  disconnectedCallback() {
    document.removeEventListener("acervo:playing", this.hear);
    document.removeEventListener("acervo:choice", this.heed);
  }

  wire() {
    this.isWired = true;
    this.playButton = this.querySelector(".play");
    this.playLabel = this.playButton.getAttribute("aria-label");
    this.playButton.addEventListener("click", () => this.toggle());
    const range = this.wave.querySelector("input");
    range.addEventListener("change", () => this.playFrom(Number(range.value)));
    steerByKeys(range, { skip: (by) => this.skip(by), toggle: () => this.toggle() });
    this.querySelector(".player__back")?.addEventListener("click", () => this.skip(-STEP_S));
    this.querySelector(".player__forward")?.addEventListener("click", () => this.skip(STEP_S));
    this.querySelectorAll("[data-speed]").forEach((button) => button.addEventListener("click", () => choose("speed", Number(button.dataset.speed))));
    this.querySelector(".player__pauses")?.addEventListener("change", (event) => this.choosePauses(event.target.checked));
  }

  get stage() { return this.closest("video-stage"); }
  get playback() { return this.stage ? this.stage.playback : dock()?.playback; }
  get isMine() { return this.playback?.file === this.dataset.file; }

  get track() {
    const offered = [1, 2, 3].map((n) => [this.getAttribute(`data-src-${n}`), this.getAttribute(`data-type-${n}`)]).filter(([source]) => source);
    const playable = offered.filter(([, type]) => dock().playback.media.canPlayType(type));
    // The server orders by the browser's name; some browsers on Apple's engine carry another one.
    if (isApple) playable.sort(([, one], [, other]) => /ogg/.test(one) - /ogg/.test(other));
    const { file, title, address } = this.dataset;
    const drawing = this.wave.querySelector("path").getAttribute("d");
    const box = this.wave.querySelector("svg").getAttribute("viewBox");
    const sources = (playable.length ? playable : offered).map(([source]) => source);
    return { file, title, address, drawing, box, sources, pauses: pausesOf(this), length: Number(this.dataset.length) || 0 };
  }

  toggle() {
    if (this.isMine) this.playback.toggle();
    else dock().play(this.track);
  }

  playFrom(second) {
    if (this.stage) this.playback.seek(second);
    else dock().play(this.track, second);
  }

  /** From a second on, whatever was playing: asked for from outside. */
  hearFrom(second) {
    this.playFrom(second);
    if (this.stage) this.playback.resume();
  }

  skip(seconds) {
    if (this.isMine) this.playback.skip(seconds);
    else dock().play(this.track, 0);
  }

  choosePauses(are) {
    choose("skipsPauses", are);
    this.querySelector(".player__said").textContent = are ? this.dataset.skipping : this.dataset.notSkipping;
  }

  follow(now) {
    if (!now?.media || now !== this.playback) return;
    const isMine = now.file === this.dataset.file;
    if (!isMine && !this.wasMine) return;
    this.wasMine = isMine;
    const time = isMine ? now.second : placeOf(this.dataset.file);
    const length = isMine ? now.length : Number(this.dataset.length) || 0;
    const isPlaying = isMine && now.isPlaying;
    this.classList.toggle("is-playing", isPlaying);
    this.classList.toggle("is-waiting", isMine && now.isWaiting);
    this.classList.toggle("is-failed", isMine && Boolean(now.hasFailed));
    this.closest(".card")?.classList.toggle("is-playing", isPlaying);
    this.playButton.setAttribute("aria-label", isPlaying ? dock().dataset.pause : this.playLabel);
    const failed = this.querySelector(".player__failed");
    if (failed) failed.hidden = !(isMine && now.hasFailed);
    this.showTime(time, length);
    if (isPlaying && this.matches(".player") && !this.frame) this.followSmoothly();
  }

  showTime(time, length) {
    showTime(this.wave, time, length, dock().dataset.of);
    const clock = this.querySelector(".player__time b");
    if (clock) clock.textContent = written(time);
  }

  /** On the page of a file the playhead moves with every frame; in lists four times a second are enough. */
  followSmoothly() {
    this.frame = requestAnimationFrame(() => {
      this.frame = undefined;
      const { playback } = this;
      if (!this.isConnected || !this.isMine || !playback.isPlaying) return;
      this.showTime(playback.second, playback.length);
      this.followSmoothly();
    });
  }

  showChoices() {
    this.querySelectorAll("[data-speed]").forEach((button) => button.setAttribute("aria-pressed", String(Number(button.dataset.speed) === choices.speed)));
    const more = this.querySelector(".player__more");
    more?.classList.toggle("is-chosen", Boolean(more.querySelector("[aria-pressed=true]")));
    const pauses = this.querySelector(".player__pauses");
    if (pauses) pauses.checked = choices.skipsPauses;
  }
}

/** "1.2-3.5 9-11.75": from and to which second nobody speaks. */
const pausesOf = (element) => (element.dataset.pauses || "").split(" ").filter(Boolean).map((pause) => pause.split("-").map(Number));

document.addEventListener("acervo:seek", ({ detail: { file, second } }) => {
  document.querySelector(`media-player[data-file="${CSS.escape(file)}"]`)?.hearFrom(second);
});

customElements.define("now-playing", NowPlaying);
customElements.define("video-stage", VideoStage);
customElements.define("media-player", MediaPlayer);
