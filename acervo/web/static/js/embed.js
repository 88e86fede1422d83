// The panel inside a CRM. No cookie reaches it: every question carries the token that came with the page, and bytes are
// played by links that are good for minutes and asked for when they are needed.

import { choices, choose } from "./choices.js";
import { Listening } from "./listening.js";
import { Playback, written } from "./playback.js";
import { addPlayedLayer, showTime, steerByKeys } from "./wave.js";

const RENEW_EVERY_MS = 4 * 60_000;
const SAID_MS = 6000;
const CYCLE = [1, 1.5, 2];
const shownSpeed = (speed) => `${speed.toLocaleString(document.documentElement.lang)}×`;

class Over extends Error {}
class NotHere extends Error {}

class EmbedPanel extends HTMLElement {
  connectedCallback() {
    const meta = document.querySelector("meta[name=embed-token]");
    this.token = meta.content;
    meta.remove();
    this.records = [this.dataset.record].filter(Boolean);
    this.kind = "";
    this.playback = new Playback(this.querySelector("audio"));
    document.addEventListener("acervo:playing", ({ detail }) => { if (detail.playback === this.playback) this.follow(); });
    document.addEventListener("acervo:choice", () => this.showSpeed());
    this.addEventListener("click", (event) => this.answer(event));
    this.addEventListener("toggle", (event) => this.read(event.target), true);
    this.addEventListener("error", (event) => { if (event.target.matches("img")) event.target.classList.add("is-missing"); }, true);
    this.renewal = setInterval(() => this.send("/embed/renew").catch(() => {}), RENEW_EVERY_MS);
    this.wire(this);
  }

  disconnectedCallback() { clearInterval(this.renewal); }

  /** Beside which records the panel stands now, told by a page that learns it from the CRM. */
  show(records) {
    if (String(records) === String(this.records)) return;
    this.records = records;
    this.kind = "";
    this.load();
  }

  // ── questions ──

  get query() {
    const asked = new URLSearchParams(this.records.map((record) => ["record", record]));
    if (this.kind) asked.set("kind", this.kind);
    return asked;
  }

  async send(path, { method = "POST", query = this.query } = {}) {
    const answer = await fetch(`${path}?${query}`, {
      method, credentials: "omit", cache: "no-store", headers: { Authorization: `Bearer ${this.token}` },
    });
    if (answer.status === 401) {
      this.end();
      throw new Over();
    }
    if (answer.status === 404) throw new NotHere();
    if (!answer.ok) throw new Error(String(answer.status));
    return answer;
  }

  /** What a click sets off: what is not there any more, and a network that is away, are said. */
  async trying(work) {
    try {
      await work();
    } catch (error) {
      if (error instanceof Over) return;
      this.say(error instanceof NotHere ? this.dataset.notHere : this.dataset.away);
    }
  }

  end() {
    clearInterval(this.renewal);
    this.playback.close();
    document.getElementById("panel").replaceChildren(document.getElementById("over").content.cloneNode(true));
    document.getElementById("main").focus();
  }

  say(words) {
    const line = this.querySelector(".embed__said");
    line.textContent = words;
    clearTimeout(this.silence);
    this.silence = setTimeout(() => { line.textContent = ""; }, SAID_MS);
  }

  // ── the list ──

  load() {
    return this.trying(async () => {
      const page = await (await this.send("/embed/files", { method: "GET" })).text();
      document.getElementById("panel").innerHTML = page;
      this.wire(this);
      this.follow();
    });
  }

  wire(within) {
    within.querySelectorAll(".eitem .wave").forEach((wave) => {
      addPlayedLayer(wave);
      const item = wave.closest(".eitem");
      const range = wave.querySelector("input");
      range.addEventListener("change", () => this.hear(item, Number(range.value)));
      steerByKeys(range, {
        skip: (by) => (this.isOf(item) ? this.playback.skip(by) : this.hear(item, 0)),
        toggle: () => this.toggle(item),
      });
    });
    this.showSpeed();
  }

  answer(event) {
    const button = event.target.closest("button");
    if (!button) return;
    const item = button.closest(".eitem");
    const { dataset } = button;
    if (dataset.kind !== undefined) { this.kind = dataset.kind; this.load().then(() => this.focusKind()); }
    else if ("again" in dataset) this.load();
    else if (dataset.more) this.more(button);
    else if (button.matches(".play")) this.toggle(item);
    else if (button.matches(".speed")) choose("speed", CYCLE[(CYCLE.indexOf(choices.speed) + 1) % CYCLE.length]);
    else if (dataset.second) this.hearOrWatch(item, Number(dataset.second));
    else if ("watch" in dataset) this.watch(item);
    else if ("view" in dataset) this.open(item, ({ sources, preview }) => sources[0]?.address || preview);
    else if ("download" in dataset) this.open(item, ({ download }) => download);
    else if ("retry" in dataset) this.retry(item);
  }

  focusKind() { this.querySelector(`[data-kind="${this.kind}"]`)?.focus(); }

  more(button) {
    const row = button.closest("li");
    return this.trying(async () => {
      const answer = await this.send("/embed/files", { method: "GET", query: new URLSearchParams(button.dataset.more) });
      const part = document.createElement("template");
      part.innerHTML = await answer.text();
      const first = part.content.querySelector(".eitem button, .eitem summary");
      this.wire(part.content);
      row.replaceWith(part.content);
      first?.focus();
    });
  }

  retry(item) {
    return this.trying(async () => {
      const part = document.createElement("template");
      part.innerHTML = await (await this.send(`/embed/files/${item.dataset.file}/retry`)).text();
      this.wire(part.content);
      item.replaceWith(part.content);
    });
  }

  read(details) {
    if (!details.matches?.("[data-transcript]") || !details.open || details.dataset.read) return;
    details.dataset.read = "1";
    const { file } = details.closest(".eitem").dataset;
    this.trying(async () => {
      details.querySelector("div").innerHTML = await (await this.send(`/embed/files/${file}/transcript`, { method: "GET" })).text();
    });
  }

  // ── sound ──

  isOf(item) { return this.playback.file === item?.dataset.file; }

  toggle(item) {
    if (this.isOf(item) && !this.playback.hasFailed) this.playback.toggle();
    else this.hear(item);
  }

  /** From a second on, or from where it was left. Links are asked for at each beginning: an old one may have ended. */
  hear(item, from) {
    if (this.isOf(item) && !this.playback.hasFailed && from !== undefined) {
      this.playback.seek(from);
      return this.playback.resume();
    }
    return this.trying(async () => {
      item.classList.add("is-waiting");
      try {
        const track = await this.track(item);
        if (this.isOf(item)) this.playback.close();
        this.playback.play(track, from);
      } finally {
        item.classList.remove("is-waiting");
      }
    });
  }

  async track(item) {
    const { file, title, length, pauses } = item.dataset;
    const { sources } = await (await this.send(`/embed/files/${file}/playback`)).json();
    const playable = sources.filter(({ type }) => this.playback.media.canPlayType(type));
    return {
      file, title,
      length: Number(length) || 0,
      sources: (playable.length ? playable : sources).map(({ address }) => address),
      pauses: pauses.split(" ").filter(Boolean).map((pause) => pause.split("-").map(Number)),
    };
  }

  follow() {
    const { second, length, isPlaying, hasFailed, file } = this.playback;
    if (hasFailed && this.renewed !== file) return this.renewLinks();
    this.querySelectorAll(".eitem:has(.wave)").forEach((item) => {
      const isMine = item.dataset.file === file;
      if (!isMine && !item.classList.contains("is-playing") && !item.dataset.wasMine) return;
      item.dataset.wasMine = isMine ? "1" : "";
      item.classList.toggle("is-playing", isMine && isPlaying);
      this.tellFailure(item, isMine && hasFailed);
      const whole = Number(item.dataset.length) || 0;
      showTime(item.querySelector(".wave"), isMine ? second : 0, isMine ? length : whole, this.dataset.of);
      item.querySelector(".t").textContent = isMine && second ? written(second) : written(whole);
      const play = item.querySelector(".play");
      play.dataset.label ||= play.getAttribute("aria-label");
      play.setAttribute("aria-label", isMine && isPlaying ? this.dataset.pause : play.dataset.label);
    });
    if (isPlaying && second > 0) this.renewed = undefined;
  }

  /** A link ended in the middle: once more with fresh ones, from the same place. */
  renewLinks() {
    const { file, place } = this.playback;
    this.renewed = file;
    const item = this.querySelector(`.eitem[data-file="${CSS.escape(file)}"]`);
    if (item) this.hear(item, place || 0);
  }

  tellFailure(item, hasFailed) {
    const line = item.querySelector(".eitem__failed");
    line.hidden = !hasFailed;
    line.textContent = hasFailed ? this.dataset.failed : "";
  }

  showSpeed() {
    this.querySelectorAll(".speed").forEach((button) => {
      button.textContent = shownSpeed(choices.speed);
      button.setAttribute("aria-label", `${this.dataset.speed}: ${shownSpeed(choices.speed)}`);
    });
  }

  // ── pictures, films, documents ──

  hearOrWatch(item, second) {
    return item.dataset.family === "video" ? this.watch(item, second) : this.hear(item, second);
  }

  watch(item, from = 0) {
    const there = item.querySelector("video");
    if (there) {
      there.currentTime = from;
      return there.play().catch(() => {});
    }
    return this.trying(async () => {
      this.playback.media.pause();
      const film = await this.film(item);
      item.querySelector(".eitem__pic").replaceChildren(film);
      film.currentTime = from;
      film.play().catch(() => {});
      film.focus();
    });
  }

  async film(item) {
    const { file } = item.dataset;
    const film = document.createElement("video");
    Object.assign(film, { controls: true, playsInline: true, preload: "metadata" });
    film.poster = item.querySelector(".eitem__pic img")?.src || "";
    const listening = new Listening(film);
    listening.begin(file);
    let untried = [];
    let wasRenewed = false;
    const next = () => {
      const [source] = untried.splice(0, 1);
      if (source) film.src = source.address;
      return Boolean(source);
    };
    const fetchLinks = async () => {
      const { sources, captions } = await (await this.send(`/embed/files/${file}/playback`)).json();
      untried = sources.filter(({ type }) => film.canPlayType(type));
      if (!untried.length) untried = sources;
      if (captions && !film.querySelector("track")) {
        film.append(Object.assign(document.createElement("track"), { kind: "captions", src: captions, default: true }));
      }
    };
    film.addEventListener("playing", () => { wasRenewed = false; });
    film.addEventListener("error", async () => {
      const at = film.currentTime;
      if (next()) return film.play().catch(() => {});
      if (wasRenewed) return this.tellFailure(item, true);
      wasRenewed = true;
      await this.trying(fetchLinks);
      next();
      film.currentTime = at;
      return film.play().catch(() => {});
    });
    await fetchLinks();
    next();
    return film;
  }

  /** In a tab of its own: a frame has no room for a picture, and may not be allowed to download. */
  open(item, choose) {
    return this.trying(async () => {
      const links = await (await this.send(`/embed/files/${item.dataset.file}/playback`)).json();
      const address = choose(links);
      if (!address) return this.tellFailure(item, true);
      Object.assign(document.createElement("a"), { href: address, target: "_blank", rel: "noopener" }).click();
    });
  }
}

customElements.define("embed-panel", EmbedPanel);
